//! A routing policy: which models may be tried in which order, how far the judge of results is trusted, what a solved
//! task is worth, and when to stop and ask. One pure function ([`decide`](decide::decide)) makes all decisions, for a
//! running task and for a replay over recorded outcomes alike.

pub mod belief;
pub mod counted;
pub mod decide;
pub mod dice;
pub mod frontier;
pub mod history;
pub mod learned;
pub mod live;
pub mod outcomes;
pub mod replay;
pub mod report;
#[cfg(test)]
mod tests;

use crate::base::money::Usd;
use std::collections::BTreeMap;

/// The error rates of the judge of results, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// The rate at which wrong results are accepted.
    pub false_accept: f64,
    /// The rate at which right results are rejected.
    pub false_reject: f64,
}

impl Gate {
    /// A judge without errors.
    pub const PERFECT: Self = Self { false_accept: 0.0, false_reject: 0.0 };
    /// Accepts a fifth of the wrong results and rejects a tenth of the right ones: the assumption where nothing is
    /// known.
    pub const ASSUMED: Self = Self { false_accept: 0.2, false_reject: 0.1 };

    /// Creates a gate whose verdict carries information.
    ///
    /// # Errors
    /// Returns an error if a rate is not between 0 and 1, or if both add up to 1 or more: then an accepted result is no
    /// likelier right than a rejected one.
    pub fn new(false_accept: f64, false_reject: f64) -> Result<Self, PolicyError> {
        for (name, rate) in [("false accept", false_accept), ("false reject", false_reject)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(PolicyError::Rate { name, rate });
            }
        }
        if false_accept + false_reject >= 1.0 {
            return Err(PolicyError::Coin { sum: false_accept + false_reject });
        }
        Ok(Self { false_accept, false_reject })
    }

    /// Returns the sum of both rates: 0 for a reliable gate, nearly 1 for one without information.
    pub fn errors(self) -> f64 {
        self.false_accept + self.false_reject
    }
}

/// The order in which models are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The order of the ladder.
    Fixed,
    /// After each attempt, the learned data decide which model is worth its price next.
    Learned,
}

/// The worth of a resolved task in multiples of its cost with the best single model: points of (errors of the gate,
/// worth), interpolated linearly and constant beyond the ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Worth(Vec<(f64, f64)>);

impl Worth {
    /// Creates the worth from points in any order.
    ///
    /// # Errors
    /// Returns an error if there is no point, a worth is not above 0, errors are out of range, or two points have the
    /// same errors.
    pub fn new(mut points: Vec<(f64, f64)>) -> Result<Self, PolicyError> {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (errors, worth) in &points {
            if !(0.0..1.0).contains(errors) || !worth.is_finite() || *worth <= 0.0 {
                return Err(PolicyError::Worth { errors: *errors, worth: *worth });
            }
        }
        if let Some(twice) = points.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(PolicyError::WorthTwice { errors: twice[0].0 });
        }
        if points.is_empty() { Err(PolicyError::NoWorth) } else { Ok(Self(points)) }
    }

    /// Creates a worth that is the same for every gate.
    ///
    /// # Errors
    /// Returns an error if it is not above 0.
    pub fn level(worth: f64) -> Result<Self, PolicyError> {
        Self::new(vec![(0.0, worth)])
    }

    /// Returns all points multiplied by `by` (above 0), to compare dearer and cheaper policies of the same kind.
    pub fn scaled(&self, by: f64) -> Self {
        Self(self.0.iter().map(|(errors, worth)| (*errors, worth * by)).collect())
    }

    /// Returns the worth under a gate.
    pub fn under(&self, gate: Gate) -> f64 {
        let errors = gate.errors();
        let after = self.0.partition_point(|point| point.0 < errors);
        let (Some(to), Some(from)) = (self.0.get(after), after.checked_sub(1).and_then(|at| self.0.get(at))) else {
            return self.0[after.min(self.0.len() - 1)].1;
        };
        from.1 + (to.1 - from.1) * (errors - from.0) / (to.0 - from.0)
    }
}

/// The weights of recorded data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learning {
    /// The weight of a task's own recorded result, between 0 and 1, in the estimate whether a model solves tasks of
    /// this kind; the rest comes from the difficulty of the task.
    pub own: f64,
    /// How much the number of calls of an attempt says about the difficulty: 0 nothing, 1 as if the attempts of
    /// different models were independent.
    pub effort: f64,
    /// The weight of a task of the same group relative to others; at least 1.
    pub group: f64,
}

/// A routing policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The order in which models are tried.
    pub order: Order,
    /// The models that may be tried, in the order of [`Order::Fixed`]; empty: all learned ones.
    pub ladder: Vec<String>,
    /// Ladders of groups that have their own.
    pub groups: BTreeMap<String, Vec<String>>,
    /// The assumed errors of the judge of results.
    pub gate: Gate,
    /// The worth of a resolved task; `None`: no attempt is too expensive.
    pub worth: Option<Worth>,
    /// The most attempts per task.
    pub max_tries: usize,
    /// The most that may be spent per task, by the expected costs of attempts.
    pub budget: Option<Usd>,
    /// The least probability of a right result with which it is delivered; below it, a person is asked.
    pub confidence: f64,
    /// Whether another model may be tried after an accepted result.
    pub second_opinion: bool,
    /// The share of tasks whose first attempt uses any model that is worth its price, so that data on all models stay
    /// current.
    pub explore: f64,
    /// The weights of recorded data.
    pub learning: Learning,
}

impl Default for Policy {
    /// The policy of `orch eval routing` without `--policy`; docs/reference/routing-economics.md explains its numbers.
    fn default() -> Self {
        let worth = Worth(vec![(0.0, 8.5), (0.15, 4.4), (0.3, 6.7)]);
        Self {
            order: Order::Learned,
            ladder: Vec::new(),
            groups: BTreeMap::new(),
            gate: Gate::ASSUMED,
            worth: Some(worth),
            max_tries: 24,
            budget: None,
            confidence: 0.005,
            second_opinion: true,
            explore: 0.0,
            learning: Learning { own: 0.2, effort: 0.1, group: 2.0 },
        }
    }
}

impl Policy {
    /// Creates the plain cascade: one model after another until the gate accepts.
    pub fn cascade(ladder: Vec<String>, gate: Gate) -> Self {
        Self { order: Order::Fixed, ladder, gate, worth: None, second_opinion: false, ..Self::default() }
    }

    /// Returns the ladder of a group.
    pub fn ladder_of(&self, group: &str) -> &[String] {
        self.groups.get(group).unwrap_or(&self.ladder)
    }

    /// Checks what the types cannot: rates between 0 and 1, valid ladders.
    ///
    /// # Errors
    /// Returns the first invalid value, by its key in the document.
    pub fn check(&self) -> Result<(), PolicyError> {
        let shares = [
            ("stop.confidence", self.confidence),
            ("explore", self.explore),
            ("learning.own", self.learning.own),
            ("learning.effort", self.learning.effort),
        ];
        if let Some((key, value)) = shares.into_iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            return Err(PolicyError::Share { key, value });
        }
        if !(1.0..=1000.0).contains(&self.learning.group) {
            return Err(PolicyError::GroupWeight { value: self.learning.group });
        }
        if self.max_tries == 0 {
            return Err(PolicyError::NoTries);
        }
        if self.budget.is_some_and(|most| most <= Usd::ZERO) {
            return Err(PolicyError::Budget);
        }
        let named = std::iter::once(("ladder".to_owned(), &self.ladder));
        let named: Vec<_> = named.chain(self.groups.iter().map(|(g, list)| (format!("groups.{g}"), list))).collect();
        for (key, ladder) in &named {
            let must_name = self.order == Order::Fixed || key != "ladder";
            if ladder.is_empty() && must_name {
                return Err(PolicyError::EmptyLadder { key: key.clone() });
            }
            if let Some(twice) = ladder.iter().enumerate().find(|(at, model)| ladder[..*at].contains(model)) {
                return Err(PolicyError::Twice { key: key.clone(), model: twice.1.clone() });
            }
        }
        Ok(())
    }
}

/// Why a policy is not valid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// A rate is not between 0 and 1.
    #[error("the {name} rate {rate} is not between 0 and 1 (1 excluded)")]
    Rate {
        /// The name of the rate.
        name: &'static str,
        /// The given value.
        rate: f64,
    },
    /// The gate carries no information.
    #[error(
        "false accept and false reject add up to {sum}: at 1 and above, an accepted result is no likelier right than a rejected one"
    )]
    Coin {
        /// The sum of both rates.
        sum: f64,
    },
    /// A share is not between 0 and 1.
    #[error("{key} is {value}, expected 0 to 1")]
    Share {
        /// The key of the share.
        key: &'static str,
        /// The given value.
        value: f64,
    },
    /// The weight of the group is below 1.
    #[error("learning.group is {value}, expected 1 to 1000")]
    GroupWeight {
        /// The given value.
        value: f64,
    },
    /// A worth is not above 0.
    #[error(
        "stop.worth is {worth} for errors of {errors}; expected a worth above 0, and errors from 0 to 1 (1 excluded)"
    )]
    Worth {
        /// The errors of the gate.
        errors: f64,
        /// The given value.
        worth: f64,
    },
    /// Two worths have the same errors.
    #[error("stop.worth has two points for errors of {errors}")]
    WorthTwice {
        /// The errors of the gate.
        errors: f64,
    },
    /// The worth has no points.
    #[error("stop.worth has no point")]
    NoWorth,
    /// No attempts are allowed.
    #[error("stop.max_tries is 0: nothing could ever be tried")]
    NoTries,
    /// The budget is not above 0.
    #[error("stop.max_cost_usd is not above 0: nothing could ever be tried")]
    Budget,
    /// A ladder is empty.
    #[error("{key} names no model")]
    EmptyLadder {
        /// The key of the ladder.
        key: String,
    },
    /// A ladder has a model twice.
    #[error("{key} names the model `{model}` twice")]
    Twice {
        /// The key of the ladder.
        key: String,
        /// The repeated model.
        model: String,
    },
    /// A ladder has an unknown model.
    #[error("{key} names the model `{model}`, of which nothing is recorded; recorded are {known}")]
    Unknown {
        /// The key of the ladder.
        key: String,
        /// The unknown model.
        model: String,
        /// The known models.
        known: String,
    },
}
