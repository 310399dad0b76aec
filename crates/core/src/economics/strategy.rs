//! Adjusts a route for its cost, after it was chosen: `router.strategy`. Pure: the same task, attempt, settings and
//! record give the same answer, so that a simulation can replay it.
//!
//! `quality` keeps every route. `cost_aware` gives routine work to the cheapest model that can do it. `balanced` does
//! that for research only, and lets a small share of other routine work try a model with few records. Work that is
//! complex, critical or has failed before, and a model that a person has named, are never changed.

use super::policy::dice::Dice;
use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::models::catalog::Tier;
use crate::models::resolve::Record;
use crate::tasks::route::{Complexity, RouteResult};
use crate::tasks::task_type::TaskType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use strum::IntoStaticStr;

/// The purpose of the random number.
const EXPLORING: u64 = 0x0065_7870_6c6f_7265;

/// `router.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Strategy {
    /// Routine work goes to the cheapest model that can do it.
    CostAware,
    /// Every route is kept.
    #[default]
    Quality,
    /// Research goes to the cheapest model; a small share of other routine work tries a model with few records.
    Balanced,
}

impl Strategy {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parses a share such as `5%`.
///
/// # Errors
/// Returns why the text is not a share.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let share = number.filter(|percent| percent.is_finite() && (0.0..=100.0).contains(percent));
    share
        .map(|percent| percent / 100.0)
        .ok_or_else(|| format!("{text:?} is not a share: write it as 5%, from 0% to 100%"))
}

/// An agent with a model that could do the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The name of the agent.
    pub agent: String,
    /// The model, as the settings name it.
    pub model: String,
    /// The tier, where it is known.
    pub tier: Option<Tier>,
    /// The mean of the prices of a million input and output tokens; `None`: unknown.
    pub price: Option<Usd>,
    /// Whether its runs are prepaid with credit left: they cost nothing more.
    pub is_paid_ahead: bool,
    /// Why it cannot do the work at present.
    pub unfit: Option<String>,
    /// The track record in tasks of this type.
    pub record: Record,
}

impl Candidate {
    /// Whether enough runs speak against it.
    fn has_failed(&self) -> bool {
        self.record.is_bad()
    }

    fn can_do_it(&self) -> bool {
        self.unfit.is_none() && !self.has_failed()
    }

    /// Compares cost: a prepaid model is cheaper than others; else the known prices are compared, else the known tiers.
    /// Unknown ones are never cheaper.
    fn is_cheaper_than(&self, other: &Self) -> bool {
        if self.is_paid_ahead != other.is_paid_ahead {
            return self.is_paid_ahead;
        }
        match (self.price, other.price, self.tier, other.tier) {
            (Some(own), Some(its), _, _) => own < its,
            (_, _, Some(own), Some(its)) => own < its,
            (_, _, None, _) | (_, _, _, None) => false,
        }
    }

    fn describe(&self) -> String {
        let price = self.price.map(|price| format!("{price} a million tokens"));
        let tier = self.tier.map(|tier| format!("tier {tier}"));
        let about = price.or(tier).unwrap_or_else(|| "price not known".to_owned());
        let paid = if self.is_paid_ahead { ", paid in advance" } else { "" };
        format!("{}/{} ({about}{paid})", self.agent, self.model)
    }

    fn is_of(&self, route: &RouteResult) -> bool {
        self.agent == route.agent && Some(self.model.as_str()) == route.model.as_deref()
    }
}

/// The inputs of a strategy besides the route.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The strategy to apply.
    pub strategy: Strategy,
    /// The share of routine work that explores, from 0 to 1.
    pub explore: f64,
    /// The only task types that go to a cheaper model; `None`: all with `cost_aware`, research with `balanced`.
    pub cheaper_for: Option<Vec<TaskType>>,
    /// The task's id; with the attempt it seeds the random numbers.
    pub task: TaskId,
    /// The next attempt, from 1.
    pub attempt: u32,
    /// The type of work.
    pub task_type: TaskType,
    /// Whether the task has the label `critical`.
    pub is_critical: bool,
    /// Whether the work has failed before.
    pub is_escalation: bool,
    /// Whether a person has named the agent.
    pub names_agent: bool,
    /// Whether a person has named the model.
    pub names_model: bool,
    /// The candidates, in the order of the settings.
    pub candidates: Vec<Candidate>,
}

impl Case {
    /// Applies the strategy to a route. The reason says what was changed, or why nothing was.
    pub fn apply(&self, route: RouteResult) -> RouteResult {
        let (taken, text) = match self.strategy {
            Strategy::Quality => return route,
            Strategy::CostAware | Strategy::Balanced => match self.untouched(&route) {
                Some(why) => (None, format!("kept, {why}")),
                None => self.choose(&route),
            },
        };
        let reason = format!("{}; {}: {text}", route.reason, self.strategy);
        match taken {
            Some(taken) => {
                RouteResult { agent: taken.agent.clone(), model: Some(taken.model.clone()), reason, ..route }
            }
            None => RouteResult { reason, ..route },
        }
    }

    /// Returns why the strategy does not apply, if it does not.
    fn untouched(&self, route: &RouteResult) -> Option<&'static str> {
        let reasons = [
            (self.names_model, "the model was named"),
            (self.is_critical, "the task is critical"),
            (self.is_escalation, "its work has failed before"),
            (route.complexity == Complexity::Complex, "the task is complex"),
        ];
        reasons.into_iter().find_map(|(holds, why)| holds.then_some(why))
    }

    fn choose<'a>(&'a self, route: &RouteResult) -> (Option<&'a Candidate>, String) {
        let by_price = match (&self.cheaper_for, self.strategy) {
            (Some(types), _) => types.contains(&self.task_type),
            (None, Strategy::CostAware) => true,
            (None, Strategy::Balanced | Strategy::Quality) => self.task_type == TaskType::Research,
        };
        match (by_price, self.strategy) {
            (true, _) => self.cheapest(route),
            (false, Strategy::Balanced) => self.explored(route),
            (false, Strategy::CostAware | Strategy::Quality) => {
                (None, format!("kept, {} is none of router.cheaper_for", self.task_type))
            }
        }
    }

    /// Returns the candidates that may replace the route's own model.
    fn others<'a>(&'a self, route: &RouteResult) -> impl Iterator<Item = &'a Candidate> + use<'a> {
        let may =
            |one: &&Candidate| !one.is_of(route) && one.can_do_it() && (!self.names_agent || one.agent == route.agent);
        self.candidates.iter().filter(may).collect::<Vec<_>>().into_iter()
    }

    fn cheapest<'a>(&'a self, route: &RouteResult) -> (Option<&'a Candidate>, String) {
        let Some(own) = self.candidates.iter().find(|one| one.is_of(route)) else {
            let agent = &route.agent;
            return (None, format!("kept, what {agent} costs with a model of its own choice is not known"));
        };
        // Among equals `min_by_key` keeps the first.
        let key = |one: &&Candidate| (!one.is_paid_ahead, one.price.is_none(), one.price, one.tier);
        match self.others(route).filter(|one| one.is_cheaper_than(own)).min_by_key(key) {
            Some(cheaper) => (Some(cheaper), format!("{} instead of {}", cheaper.describe(), own.describe())),
            None => (None, format!("kept, nothing that can do it is known to be cheaper than {}", own.describe())),
        }
    }

    /// Draws whether to try another model, and which one: the fewer records, the more likely.
    fn explored<'a>(&'a self, route: &RouteResult) -> (Option<&'a Candidate>, String) {
        let mut dice = Dice::for_purpose(self.task.0, &[u64::from(self.attempt), EXPLORING]);
        let percent = self.explore * 100.0;
        if dice.unit() >= self.explore {
            return (None, format!("kept, as {} % of routine work is", 100.0 - percent));
        }
        let others: Vec<&Candidate> = self.others(route).collect();
        let weight = |one: &Candidate| 1.0 / (1.0 + one.record.samples as f64);
        let mut left = dice.unit() * others.iter().map(|one| weight(one)).sum::<f64>();
        let drawn = others.iter().find(|one| {
            left -= weight(one);
            left < 0.0
        });
        match drawn.or(others.last()) {
            Some(drawn) => {
                let known = drawn.record.samples;
                (
                    Some(drawn),
                    format!("tries {} ({known} runs known), as {percent} % of routine work does", drawn.describe()),
                )
            }
            None => (None, "kept, there is nothing else to try".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
