//! What a run will likely cost, by what comparable ones have cost. PURE.
//!
//! The narrowest group that has enough priced runs speaks: the same project, type and complexity; then any project; then any
//! type; then any complexity; always of the same agent and model. Where no group has enough, the widest speaks, however few
//! there are. Where none of them told a price, nothing is known: that is no price of zero, and what other models cost is no
//! answer.

use super::money::Usd;
use super::route::Complexity;
use super::task_type::TaskType;
use super::track_record::{Sample, Worker};
use std::path::PathBuf;

/// So many priced runs make a group that speaks for itself.
pub const ENOUGH: usize = 5;

/// What is to be done, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The repository, where one is known.
    pub project: Option<PathBuf>,
    /// What kind of work.
    pub task_type: TaskType,
    /// How hard it is thought to be.
    pub complexity: Complexity,
    /// Who does it.
    pub worker: Worker,
}

/// What the runs of a group have in common with what is to be done, beside agent and model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trait {
    /// The repository.
    Project,
    /// The type of the task.
    Type,
    /// Its complexity.
    Complexity,
}

impl Trait {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Type => "type",
            Self::Complexity => "complexity",
        }
    }

    fn is_shared(self, kind: &Kind, sample: &Sample) -> bool {
        match self {
            // Two that belong nowhere have nothing in common.
            Self::Project => kind.project.is_some() && kind.project == sample.project,
            Self::Type => kind.task_type == sample.task_type,
            Self::Complexity => Some(kind.complexity) == sample.complexity,
        }
    }
}

/// The groups, from the narrowest to the widest.
const GROUPS: [&[Trait]; 4] =
    [&[Trait::Project, Trait::Type, Trait::Complexity], &[Trait::Type, Trait::Complexity], &[Trait::Complexity], &[]];

/// What one run will likely cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// A quarter of the runs cost less.
    pub low: Usd,
    /// Half of them cost less.
    pub median: Usd,
    /// A quarter of them cost more.
    pub high: Usd,
    /// How many priced runs say so; at least 1.
    pub samples: usize,
    /// What they have in common with what is to be done, beside agent and model.
    pub group: &'static [Trait],
}

/// What is known of the cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// What it will likely cost; `None`: no run of this agent and model has told a price.
    pub forecast: Option<Forecast>,
    /// Runs of this agent and model that told none.
    pub unpriced: usize,
}

/// What a run of this kind will likely cost, by these samples in any order.
pub fn outlook(kind: &Kind, samples: &[Sample]) -> Outlook {
    let by_worker = |sample: &&Sample| sample.agent == kind.worker.agent && sample.model == kind.worker.model;
    let (priced, unpriced): (Vec<&Sample>, Vec<&Sample>) =
        samples.iter().filter(by_worker).partition(|sample| sample.cost.is_some());
    let costs_of = |group: &[Trait]| -> Vec<Usd> {
        let shares = |sample: &&&Sample| group.iter().all(|one| one.is_shared(kind, sample));
        priced.iter().filter(shares).filter_map(|sample| sample.cost).collect()
    };
    let groups = GROUPS.into_iter().map(|group| (group, costs_of(group)));
    let speaks = |(group, costs): &(&'static [Trait], Vec<Usd>)| costs.len() >= ENOUGH || group.is_empty();
    let forecast = groups.into_iter().find(speaks).and_then(|(group, mut costs)| {
        costs.sort_unstable();
        let [low, median, high] = [1, 2, 3].map(|quarters| quartile(&costs, quarters));
        Some(Forecast { low: low?, median: median?, high: high?, samples: costs.len(), group })
    });
    Outlook { forecast, unpriced: unpriced.len() }
}

/// So many quarters of these are not above it; between two of them, as far as it lies. `None`: there are none.
fn quartile(sorted: &[Usd], quarters: usize) -> Option<Usd> {
    let place = sorted.len().checked_sub(1)? * quarters;
    let (below, part) = (sorted.get(place / 4)?, place % 4);
    let above = sorted.get(place / 4 + 1).unwrap_or(below);
    let step = i128::from(above.micros()) - i128::from(below.micros());
    // Between two amounts lies an amount.
    let micros = i64::try_from(i128::from(below.micros()) + step * part as i128 / 4).ok()?;
    Some(Usd::from_micros(micros))
}

#[cfg(test)]
mod tests;
