//! The resolved settings of escalation and fallback, and the limits of a task before a person is asked.

use super::raw::{RawEscalation, RawFallback};
use super::resolved::Config;
use orch_core::base::money::Usd;
use orch_core::tasks::escalation::Escalation;
use orch_core::tasks::fallback::Fallback;
use orch_core::tasks::retry::Bounds;
use orch_core::tasks::task::Spec;
use std::str::FromStr;

/// The label that says what a task may cost, in dollars.
const MAX_COST: &str = "max-cost:";

pub(super) fn escalation(default: Escalation, raw: RawEscalation) -> Escalation {
    Escalation {
        after: raw.after.unwrap_or(default.after),
        max_steps: raw.max_steps.unwrap_or(default.max_steps),
        ladder: raw.ladder.map_or(default.ladder, rungs),
    }
}

pub(super) fn fallback(default: Fallback, raw: RawFallback) -> Fallback {
    Fallback {
        simple: raw.simple.map_or(default.simple, rungs),
        medium: raw.medium.map_or(default.medium, rungs),
        complex: raw.complex.map_or(default.complex, rungs),
    }
}

/// Parses rungs. A text that is no rung was reported when the file was checked, and is left out here.
fn rungs<T: FromStr>(texts: Vec<String>) -> Vec<T> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

impl Config {
    /// Returns the limits of a task at which a person is asked.
    pub fn bounds(&self, spec: &Spec) -> Bounds {
        Bounds {
            max_attempts: self.workflow.max_attempts,
            max_review_rounds: self.review.max_rounds,
            max_cost: own_max_cost(spec).or(self.workflow.max_cost_usd),
            escalation: self.escalation.clone(),
            fallback: self.fallback.clone(),
        }
    }
}

/// Returns the cost limit from the task's own labels; of several, the highest.
fn own_max_cost(spec: &Spec) -> Option<Usd> {
    spec.labels.iter().filter_map(|label| max_cost_of(label)?.ok()).max()
}

/// Parses a `max-cost:` label; `None` for any other label.
///
/// # Errors
/// The amount is invalid, so the label limits nothing; the error is a message for the person.
pub fn max_cost_of(label: &str) -> Option<Result<Usd, String>> {
    let text = label.trim().strip_prefix(MAX_COST)?.trim();
    let dollars = text.trim_start_matches('$').parse().ok().and_then(Usd::from_dollars);
    let invalid =
        || format!("{text:?} is no amount of dollars above 0, so that it limits nothing (write {MAX_COST}2.50)");
    Some(dollars.filter(|amount| *amount > Usd::ZERO).ok_or_else(invalid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_the_task_says_what_it_may_cost() {
        let of = |labels: &[&str]| {
            own_max_cost(&Spec { labels: labels.iter().map(|&l| l.to_owned()).collect(), ..Spec::default() })
        };
        assert_eq!(of(&["docs", "max-cost:2.50"]), Usd::from_dollars(2.5));
        assert_eq!(of(&["max-cost: $3"]), Usd::from_dollars(3.0));
        assert_eq!(of(&["max-cost:3", "max-cost:6", "max-cost:5"]), Usd::from_dollars(6.0), "what was raised counts");
        for other in ["max-cost:", "max-cost:much", "max-cost:-1", "max-cost:0", "max-cost:NaN"] {
            assert_eq!(of(&[other]), None, "{other}");
            assert_eq!(of(&[other, "max-cost:2"]), Usd::from_dollars(2.0), "{other}");
            let odd = max_cost_of(other).and_then(Result::err).expect(other);
            assert!(odd.ends_with("limits nothing (write max-cost:2.50)"), "{odd}");
        }
        assert_eq!(max_cost_of("docs"), None);
    }
}
