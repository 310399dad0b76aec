//! A routing policy: which models may be tried in which order, how far the judge of results is trusted, what a solved
//! task is worth, and when to stop and ask. One pure function ([`decide`](decide::decide)) takes all of its decisions,
//! for a task that runs now and for a replay over recorded outcomes alike. PURE.

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

use super::money::Usd;
use std::collections::BTreeMap;

/// How often the judge of a result errs, as shares of 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// Share of wrong results that are accepted.
    pub false_accept: f64,
    /// Share of right results that are rejected.
    pub false_reject: f64,
}

impl Gate {
    /// Never errs.
    pub const PERFECT: Self = Self { false_accept: 0.0, false_reject: 0.0 };
    /// Accepts a fifth of what is wrong and rejects a tenth of what is right: what is assumed where nothing is known.
    pub const ASSUMED: Self = Self { false_accept: 0.2, false_reject: 0.1 };

    /// A gate whose verdict says something about the result.
    ///
    /// # Errors
    /// A rate is no share of 1, or both together reach 1: then an accepted result is no likelier right than a rejected
    /// one.
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

    /// Both rates together: 0 for a gate that can be trusted, nearly 1 for one that says nothing.
    pub fn errors(self) -> f64 {
        self.false_accept + self.false_reject
    }
}

/// In which order models are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the ladder says.
    Fixed,
    /// What is learned decides after each attempt which model is worth its price next.
    Learned,
}

/// What a resolved task is worth, in multiples of what it costs with the best single model: points of (errors of the
/// gate, worth), with straight lines between them and level ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Worth(Vec<(f64, f64)>);

impl Worth {
    /// From points in any order.
    ///
    /// # Errors
    /// There is no point, a worth is not above 0, errors are no share of 1, or two points are for the same errors.
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

    /// The same for every gate.
    ///
    /// # Errors
    /// It is not above 0.
    pub fn level(worth: f64) -> Result<Self, PolicyError> {
        Self::new(vec![(0.0, worth)])
    }

    /// All points multiplied, to look at dearer and cheaper policies of the same kind. `by` is above 0.
    pub fn scaled(&self, by: f64) -> Self {
        Self(self.0.iter().map(|(errors, worth)| (*errors, worth * by)).collect())
    }

    /// The worth under a gate.
    pub fn under(&self, gate: Gate) -> f64 {
        let errors = gate.errors();
        let after = self.0.partition_point(|point| point.0 < errors);
        let (Some(to), Some(from)) = (self.0.get(after), after.checked_sub(1).and_then(|at| self.0.get(at))) else {
            return self.0[after.min(self.0.len() - 1)].1;
        };
        from.1 + (to.1 - from.1) * (errors - from.0) / (to.0 - from.0)
    }
}

/// How much of what is recorded is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learning {
    /// Share of a task's own recorded result in how likely a model solves tasks of this kind; the rest comes from how
    /// hard the task is. Between 0 and 1.
    pub own: f64,
    /// How much the number of calls of an attempt tells of how hard its task is: 0 nothing, 1 as if the attempts of
    /// different models were independent.
    pub effort: f64,
    /// How much more a task of the same group counts than another one; at least 1.
    pub group: f64,
}

/// A routing policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// In which order models are tried.
    pub order: Order,
    /// The models that may be tried, in the order of trying for [`Order::Fixed`]; empty: all that are learned of.
    pub ladder: Vec<String>,
    /// Other ladders, by group.
    pub groups: BTreeMap<String, Vec<String>>,
    /// How the judge of results is believed to err.
    pub gate: Gate,
    /// What a resolved task is worth; `None`: no attempt is too dear.
    pub worth: Option<Worth>,
    /// Most attempts at a task.
    pub max_tries: usize,
    /// Most that may be spent on a task, by what attempts are expected to cost.
    pub budget: Option<Usd>,
    /// A result less likely right than this is not delivered: a person is asked.
    pub confidence: f64,
    /// Whether an accepted result may be doubted, and another model tried.
    pub second_opinion: bool,
    /// Share of tasks whose first attempt goes to any model that is worth its price, so that all stay known.
    pub explore: f64,
    /// How much is believed of what is recorded.
    pub learning: Learning,
}

impl Default for Policy {
    /// The policy of `orch eval routing` without `--policy`; docs/routing-economics.md tells where its numbers are from.
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
    /// The plain cascade: one model after the other until the gate accepts.
    pub fn cascade(ladder: Vec<String>, gate: Gate) -> Self {
        Self { order: Order::Fixed, ladder, gate, worth: None, second_opinion: false, ..Self::default() }
    }

    /// The ladder for a group.
    pub fn ladder_of(&self, group: &str) -> &[String] {
        self.groups.get(group).unwrap_or(&self.ladder)
    }

    /// Holds what the types cannot: shares between 0 and 1, ladders that say what they must.
    ///
    /// # Errors
    /// The first thing that does not hold, by its key in the document.
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

/// A policy that cannot be followed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// No share of 1.
    #[error("the {name} rate {rate} is not between 0 and 1 (1 excluded)")]
    Rate {
        /// Which.
        name: &'static str,
        /// What it is.
        rate: f64,
    },
    /// The gate says nothing.
    #[error(
        "false accept and false reject add up to {sum}: at 1 and above, an accepted result is no likelier right than a rejected one"
    )]
    Coin {
        /// Both together.
        sum: f64,
    },
    /// No share of 1.
    #[error("{key} is {value}, expected 0 to 1")]
    Share {
        /// The key.
        key: &'static str,
        /// What it is.
        value: f64,
    },
    /// No weight.
    #[error("learning.group is {value}, expected 1 to 1000")]
    GroupWeight {
        /// What it is.
        value: f64,
    },
    /// No worth.
    #[error(
        "stop.worth is {worth} for errors of {errors}; expected a worth above 0, and errors from 0 to 1 (1 excluded)"
    )]
    Worth {
        /// For which gate.
        errors: f64,
        /// What it is.
        worth: f64,
    },
    /// Two worths for one gate.
    #[error("stop.worth has two points for errors of {errors}")]
    WorthTwice {
        /// For which gate.
        errors: f64,
    },
    /// No point at all.
    #[error("stop.worth has no point")]
    NoWorth,
    /// Nothing may be tried.
    #[error("stop.max_tries is 0: nothing could ever be tried")]
    NoTries,
    /// Nothing may be spent.
    #[error("stop.max_cost_usd is not above 0: nothing could ever be tried")]
    Budget,
    /// An order without anything in it.
    #[error("{key} names no model")]
    EmptyLadder {
        /// The key.
        key: String,
    },
    /// A model twice in one ladder.
    #[error("{key} names the model `{model}` twice")]
    Twice {
        /// The key.
        key: String,
        /// The model.
        model: String,
    },
    /// A model that nothing is known of.
    #[error("{key} names the model `{model}`, of which nothing is recorded; recorded are {known}")]
    Unknown {
        /// The key.
        key: String,
        /// The model.
        model: String,
        /// The models that are.
        known: String,
    },
}
