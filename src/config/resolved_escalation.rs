//! When and where work that was not good enough goes up, where work goes whose provider fails, and what a task may cost.

use super::raw::{RawEscalation, RawFallback};
use super::resolved::Config;
use crate::domain::escalation::Escalation;
use crate::domain::fallback::Fallback;
use crate::domain::money::Usd;
use crate::domain::retry::Bounds;
use crate::domain::task::Spec;

/// The label that says what a task may cost, in dollars.
const MAX_COST: &str = "max-cost:";

impl Escalation {
    pub(super) fn with(self, raw: RawEscalation) -> Self {
        // What is no rung was told when the file was checked.
        let rungs = |texts: Vec<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            after: raw.after.unwrap_or(self.after),
            max_steps: raw.max_steps.unwrap_or(self.max_steps),
            ladder: raw.ladder.map_or(self.ladder, rungs),
        }
    }
}

impl Fallback {
    pub(super) fn with(self, raw: RawFallback) -> Self {
        let rungs = |texts: Vec<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            simple: raw.simple.map_or(self.simple, rungs),
            medium: raw.medium.map_or(self.medium, rungs),
            complex: raw.complex.map_or(self.complex, rungs),
        }
    }
}

impl Config {
    /// How much a task may take before a person is asked.
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

/// What the task's own label allows; of several the highest.
fn own_max_cost(spec: &Spec) -> Option<Usd> {
    spec.labels.iter().filter_map(|label| max_cost_of(label)?.ok()).max()
}

/// What a label allows that says what a task may cost; `None`: it says something else.
///
/// # Errors
/// It allows nothing that could be kept, and so limits nothing; in words.
pub fn max_cost_of(label: &str) -> Option<Result<Usd, String>> {
    let text = label.trim().strip_prefix(MAX_COST)?.trim();
    let dollars = text.trim_start_matches('$').parse().ok().and_then(Usd::from_dollars);
    let odd = || format!("{text:?} is no amount of dollars above 0, so that it limits nothing (write {MAX_COST}2.50)");
    Some(dollars.filter(|amount| *amount > Usd::ZERO).ok_or_else(odd))
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
