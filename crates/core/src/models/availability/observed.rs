//! What runs show about the providers of their models.

use super::{State, Verdict};
use crate::tasks::outcome::{Failure, FailureClass};
use crate::tasks::retry;
use jiff::Timestamp;

/// What each provider failure that causes a cooldown says about the provider; a test checks that none is missing.
const OBSERVATIONS: [(FailureClass, State, &str); 5] = [
    (FailureClass::RateLimited, State::RateLimited, "limited a run"),
    (FailureClass::Auth, State::InvalidKey, "refused the credentials of a run"),
    (FailureClass::Budget, State::RateLimited, "let a run go no further: no credit"),
    (FailureClass::Overloaded, State::Unavailable, "was overloaded when a run asked it"),
    (FailureClass::Network, State::Unavailable, "was not reached by a run"),
];

impl Verdict {
    /// Returns what a run's failure says about its provider, valid for the agent's cooldown; `None` if it says nothing.
    pub fn observed(failure: &Failure, now: Timestamp) -> Option<Self> {
        let until = retry::cooldown_until(failure, now)?;
        let (_, state, why) = OBSERVATIONS.into_iter().find(|(class, _, _)| *class == failure.class)?;
        Some(Self { until: Some(until), ..Self::new(state, why) })
    }

    /// Returns the verdict of a run that ended well.
    pub fn worked() -> Self {
        Self::new(State::Available, "has just served a run")
    }

    /// Returns the verdict for a provider that a person lets be tried again.
    pub fn retried_by_hand() -> Self {
        Self::new(State::Available, "is tried again by hand")
    }
}

impl State {
    /// Returns the failure class of a run with a provider in this state.
    pub fn class(self) -> Option<FailureClass> {
        match self {
            Self::Available => None,
            Self::Unavailable => Some(FailureClass::Network),
            Self::RateLimited => Some(FailureClass::RateLimited),
            Self::InvalidKey => Some(FailureClass::Auth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000).expect("a time")
    }

    #[test]
    fn every_failure_that_leaves_an_agent_alone_says_something_of_its_provider_and_no_other_does() {
        for class in FailureClass::ALL.iter().copied() {
            let failure = Failure::new(class, "no");
            let is_left_alone = retry::cooldown_until(&failure, now()).is_some();
            assert_eq!(Verdict::observed(&failure, now()).is_some(), is_left_alone, "{class}");
        }
    }

    #[test]
    fn a_failure_of_the_provider_counts_as_long_as_its_agent_is_left_alone() {
        let rows = [
            (FailureClass::RateLimited, State::RateLimited, 60),
            (FailureClass::Auth, State::InvalidKey, 3_600),
            (FailureClass::Budget, State::RateLimited, 3_600),
            (FailureClass::Overloaded, State::Unavailable, 120),
            (FailureClass::Network, State::Unavailable, 30),
        ];
        for (class, state, seconds) in rows {
            let verdict = Verdict::observed(&Failure::new(class, "no"), now()).expect("it says something");
            let until = now() + SignedDuration::from_secs(seconds);
            assert_eq!((verdict.state, verdict.until, verdict.counts_until(now())), (state, Some(until), until));
        }
        let text = now() + SignedDuration::from_hours(2);
        let failure = Failure { retry_at: Some(text), ..Failure::new(FailureClass::RateLimited, "no") };
        assert_eq!(Verdict::observed(&failure, now()).and_then(|verdict| verdict.until), Some(text));
    }

    #[test]
    fn what_goes_wrong_with_the_work_says_nothing_of_the_provider() {
        for class in [FailureClass::ChecksFailed, FailureClass::ModelNotFound, FailureClass::AgentMissing] {
            assert_eq!(Verdict::observed(&Failure::new(class, "no"), now()), None);
        }
    }

    proptest! {
        #[test]
        fn what_was_observed_ends_by_itself(seconds in 0_i64..20_000) {
            for class in [FailureClass::Auth, FailureClass::Network, FailureClass::RateLimited] {
                let verdict = Verdict::observed(&Failure::new(class, "no"), now()).expect("it says something");
                let later = now() + SignedDuration::from_secs(seconds);
                prop_assert_eq!(verdict.counts(now(), later), later < verdict.counts_until(now()));
                prop_assert!(!verdict.counts(now(), now() + SignedDuration::from_hours(2)));
            }
        }
    }
}
