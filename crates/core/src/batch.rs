//! A batch: a named set of tasks with a concurrency, an order and perhaps a budget of its own. Plain data, and the rules of
//! what may be one, what it has spent and when it is over. Which of its tasks begins next is decided in `plan`.

mod refusal;
mod table;

pub use refusal::BadBatch;
pub use table::{table, went_wrong};

use super::budget::proposed;
use super::ids::TaskId;
use super::money::Usd;
use super::names::is_plain;
use super::task::Status;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How many of a batch run at the same time where nobody says.
pub const CONCURRENCY: u32 = 4;
/// The most that a batch may run at the same time.
pub const MOST_AT_ONCE: u32 = 1_000;
/// The most tasks of one batch.
pub const MOST_TASKS: usize = 1_000;

/// The name of a batch: letters, digits, `.`, `_` and `-`. No two open batches have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BatchName(String);

/// Why a text is no name of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a batch: up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit")]
pub struct BadBatchName(pub String);

impl BatchName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BatchName {
    type Err = BadBatchName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_plain(text) { Ok(Self(text.to_owned())) } else { Err(BadBatchName(text.chars().take(100).collect())) }
    }
}

/// A task in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which.
    pub task: TaskId,
    /// What it had cost before it was put in.
    pub before: Usd,
    /// What it has cost since, as far as prices are known.
    pub spent: Usd,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its number: the next batch of the same name has another.
    pub number: u64,
    /// Its name.
    pub name: BatchName,
    /// Its tasks, in the order in which they begin.
    pub members: Vec<Member>,
    /// So many of them run at the same time.
    pub concurrency: u32,
    /// Where it has spent so much, nothing more of it begins.
    pub budget: Option<Usd>,
    /// Since when there is it.
    pub created_at: Timestamp,
    /// When a person gave it up.
    pub cancelled_at: Option<Timestamp>,
    /// How it ended; `None`: it is open.
    pub end: Option<End>,
}

/// The end of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// How its tasks stood then, in their order.
    pub rows: Vec<Row>,
}

/// A task of a batch, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which.
    pub task: TaskId,
    /// The first of its title.
    pub title: String,
    /// How it stands.
    pub status: Status,
    /// What it has cost in the batch.
    pub spent: Usd,
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Some of its tasks are not over.
    Open,
    /// It was given up; what runs of it is being stopped.
    Cancelling,
    /// All of its tasks are over.
    Completed,
    /// It was given up, and all of its tasks are over.
    Cancelled,
}

impl BatchState {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// It is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Completed | Self::Cancelled => true,
            Self::Open | Self::Cancelling => false,
        }
    }
}

impl Batch {
    /// Where it stands.
    pub fn state(&self) -> BatchState {
        match (&self.end, self.cancelled_at) {
            (None, None) => BatchState::Open,
            (None, Some(_)) => BatchState::Cancelling,
            (Some(_), None) => BatchState::Completed,
            (Some(_), Some(_)) => BatchState::Cancelled,
        }
    }

    /// Whether this task is in it.
    pub fn holds(&self, task: TaskId) -> bool {
        self.members.iter().any(|member| member.task == task)
    }

    /// Its tasks, in their order.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.members.iter().map(|member| member.task)
    }

    /// What it has spent, as far as prices are known.
    pub fn spent(&self) -> Usd {
        self.members.iter().map(|member| member.spent).sum()
    }

    /// It has spent all that it may.
    pub fn is_spent(&self) -> bool {
        self.budget.is_some_and(|budget| self.spent() >= budget)
    }

    /// Takes notice of what a task has cost up to now; never less than before.
    pub fn pay(&mut self, task: TaskId, cost: Usd) {
        for member in self.members.iter_mut().filter(|member| member.task == task) {
            let since = Usd::from_micros(cost.micros().saturating_sub(member.before.micros()));
            member.spent = member.spent.max(since);
        }
    }

    /// Takes in the parts that one of its tasks hands on: they come right after it.
    pub fn join(&mut self, whole: TaskId, parts: &[TaskId]) {
        let Some(at) = self.members.iter().position(|member| member.task == whole) else { return };
        let new: Vec<Member> = parts
            .iter()
            .filter(|part| !self.holds(**part))
            .map(|part| Member { task: *part, before: Usd::ZERO, spent: Usd::ZERO })
            .collect();
        self.members.splice(at + 1..at + 1, new);
    }

    /// The command that gives it more: twice its budget, or half as much again as it has spent where that is more.
    pub fn raise(&self) -> Option<String> {
        let more = (self.budget?.dollars() * 2.0).max(self.spent().dollars() * 1.5);
        Some(format!("orch batch set {} --budget {}", self.name, proposed(more)))
    }

    /// `$3.20 of $10.00`, or `$3.20` without a budget.
    pub fn money(&self) -> String {
        match self.budget {
            Some(budget) => format!("{} of {budget}", self.spent()),
            None => self.spent().to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
