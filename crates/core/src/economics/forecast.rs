//! The expected cost of a run, from the costs of comparable runs. PURE.
//!
//! The narrowest group with enough priced runs is used: the same project, type and complexity; then any project; then
//! any type; then any complexity; always the same agent and model. If no group has enough, the widest is used. If none
//! of its runs reported a price, the cost is unknown: not zero, and not that of other models.

use super::track_record::{Sample, Worker};
use crate::base::money::Usd;
use crate::tasks::route::Complexity;
use crate::tasks::task_type::TaskType;
use std::path::PathBuf;
use strum::IntoStaticStr;

/// The number of priced runs that make a group sufficient.
pub const ENOUGH: usize = 5;

/// The kind of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The repository, if known.
    pub project: Option<PathBuf>,
    /// The type of the task.
    pub task_type: TaskType,
    /// The expected complexity.
    pub complexity: Complexity,
    /// The agent and its model.
    pub worker: Worker,
}

/// A property shared by the runs of a group, besides agent and model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Trait {
    /// The repository.
    Project,
    /// The type of the task.
    Type,
    /// Its complexity.
    Complexity,
}

impl Trait {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn is_shared(self, kind: &Kind, sample: &Sample) -> bool {
        match self {
            // Two tasks without a project have nothing in common.
            Self::Project => kind.project.is_some() && kind.project == sample.project,
            Self::Type => kind.task_type == sample.task_type,
            Self::Complexity => Some(kind.complexity) == sample.complexity,
        }
    }
}

/// The groups, from the narrowest to the widest.
const GROUPS: [&[Trait]; 4] =
    [&[Trait::Project, Trait::Type, Trait::Complexity], &[Trait::Type, Trait::Complexity], &[Trait::Complexity], &[]];

/// The expected cost of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The first quartile.
    pub low: Usd,
    /// The median.
    pub median: Usd,
    /// The third quartile.
    pub high: Usd,
    /// The number of priced runs used; at least 1.
    pub samples: usize,
    /// The properties that the runs share with the expected one.
    pub group: &'static [Trait],
}

/// What is known of the cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The expected cost; `None` if no run of this agent and model reported a price.
    pub forecast: Option<Forecast>,
    /// The number of runs of this agent and model without a price.
    pub unpriced: usize,
}

/// Estimates the cost of a run of this kind from samples in any order.
pub fn outlook(kind: &Kind, samples: &[Sample]) -> Outlook {
    let by_worker = |sample: &&Sample| sample.agent == kind.worker.agent && sample.model == kind.worker.model;
    let (priced, unpriced): (Vec<&Sample>, Vec<&Sample>) =
        samples.iter().filter(by_worker).partition(|sample| sample.cost.is_some());
    let costs_of = |group: &[Trait]| -> Vec<Usd> {
        let shares = |sample: &&&Sample| group.iter().all(|one| one.is_shared(kind, sample));
        priced.iter().filter(shares).filter_map(|sample| sample.cost).collect()
    };
    let groups = GROUPS.into_iter().map(|group| (group, costs_of(group)));
    let is_sufficient = |(group, costs): &(&'static [Trait], Vec<Usd>)| costs.len() >= ENOUGH || group.is_empty();
    let forecast = groups.into_iter().find(is_sufficient).and_then(|(group, mut costs)| {
        costs.sort_unstable();
        let [low, median, high] = [1, 2, 3].map(|quarters| quartile(&costs, quarters));
        Some(Forecast { low: low?, median: median?, high: high?, samples: costs.len(), group })
    });
    Outlook { forecast, unpriced: unpriced.len() }
}

/// Returns a quartile, interpolated between samples; `None` if there are none.
fn quartile(sorted: &[Usd], quarters: usize) -> Option<Usd> {
    let place = sorted.len().checked_sub(1)? * quarters;
    let (below, part) = (sorted.get(place / 4)?, place % 4);
    let above = sorted.get(place / 4 + 1).unwrap_or(below);
    let step = i128::from(above.micros()) - i128::from(below.micros());
    // The result is an amount between the two.
    let micros = i64::try_from(i128::from(below.micros()) + step * part as i128 / 4).ok()?;
    Some(Usd::from_micros(micros))
}

#[cfg(test)]
mod tests;
