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
    let told = spec.labels.iter().filter_map(|label| label.trim().strip_prefix(MAX_COST));
    told.filter_map(|text| Usd::from_dollars(text.trim().trim_start_matches('$').parse().ok()?))
        .filter(|amount| *amount > Usd::ZERO)
        .max()
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
        }
    }
}
