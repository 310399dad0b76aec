//! A batch: a named set of tasks with a concurrency, an order and an optional budget. Plain data, with the rules for
//! what is valid, what was spent and when it is over. `plan` decides which task starts next.

mod refusal;
mod table;

pub use refusal::BadBatch;
pub use table::{BatchEnd, money, table};

use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::base::money::proposed_limit;
use crate::base::names::is_plain;
use crate::tasks::task::Status;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use strum::IntoStaticStr;

/// The default concurrency of a batch.
pub const CONCURRENCY: u32 = 4;
/// The highest concurrency of a batch.
pub const MOST_AT_ONCE: u32 = 1_000;
/// The most tasks in a batch.
pub const MOST_TASKS: usize = 1_000;

/// The name of a batch: letters, digits, `.`, `_` and `-`. Unique among open batches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BatchName(String);

/// A text that is not a valid batch name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a batch: up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit")]
pub struct BadBatchName(pub String);

impl BatchName {
    /// Returns the name as text.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The task.
    pub task: TaskId,
    /// What the task had cost before it joined.
    pub before: Usd,
    /// What the task has cost since, as far as prices are known.
    pub spent: Usd,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The batch's number; a later batch of the same name has another.
    pub number: u64,
    /// The batch's name.
    pub name: BatchName,
    /// The tasks, in starting order.
    pub members: Vec<Member>,
    /// How many of them run at the same time.
    pub concurrency: u32,
    /// Total cost at which no more tasks start.
    pub budget: Option<Usd>,
    /// When the batch was created.
    pub created_at: Timestamp,
    /// When a person cancelled it.
    pub cancelled_at: Option<Timestamp>,
    /// The end of the batch; `None` while it is open.
    pub end: Option<End>,
}

/// The end of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// When the batch ended.
    pub at: Timestamp,
    /// The tasks at that time, in their order.
    pub rows: Vec<Row>,
}

/// A task of a batch in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The task.
    pub task: TaskId,
    /// The beginning of the task's title.
    pub title: String,
    /// The task's status.
    pub status: Status,
    /// What the task has cost within the batch.
    pub spent: Usd,
}

/// The state of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BatchState {
    /// Some of its tasks are not over.
    Open,
    /// It was cancelled; its running tasks are being stopped.
    Cancelling,
    /// All of its tasks are over.
    Completed,
    /// It was cancelled, and all of its tasks are over.
    Cancelled,
}

impl BatchState {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether the batch is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Completed | Self::Cancelled => true,
            Self::Open | Self::Cancelling => false,
        }
    }
}

impl Batch {
    /// Returns the state.
    pub fn state(&self) -> BatchState {
        match (&self.end, self.cancelled_at) {
            (None, None) => BatchState::Open,
            (None, Some(_)) => BatchState::Cancelling,
            (Some(_), None) => BatchState::Completed,
            (Some(_), Some(_)) => BatchState::Cancelled,
        }
    }

    /// Returns whether the task is in the batch.
    pub fn contains(&self, task: TaskId) -> bool {
        self.members.iter().any(|member| member.task == task)
    }

    /// Returns the tasks, in starting order.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.members.iter().map(|member| member.task)
    }

    /// Returns what the batch has spent, as far as prices are known.
    pub fn spent(&self) -> Usd {
        self.members.iter().map(|member| member.spent).sum()
    }

    /// Returns whether the budget is used up.
    pub fn is_spent(&self) -> bool {
        self.budget.is_some_and(|budget| self.spent() >= budget)
    }

    /// Records what a task has cost up to now; the amount never decreases.
    pub fn record_cost(&mut self, task: TaskId, cost: Usd) {
        for member in self.members.iter_mut().filter(|member| member.task == task) {
            let since = Usd::from_micros(cost.micros().saturating_sub(member.before.micros()));
            member.spent = member.spent.max(since);
        }
    }

    /// Adds the subtasks that one of its tasks delegated, right after that task.
    pub fn add_subtasks(&mut self, parent: TaskId, subtasks: &[TaskId]) {
        let Some(at) = self.members.iter().position(|member| member.task == parent) else { return };
        let new: Vec<Member> = subtasks
            .iter()
            .filter(|part| !self.contains(**part))
            .map(|part| Member { task: *part, before: Usd::ZERO, spent: Usd::ZERO })
            .collect();
        self.members.splice(at + 1..at + 1, new);
    }

    /// Returns the command that raises the budget: twice the budget, or one and a half times what is spent if that is
    /// more.
    pub fn raise_command(&self) -> Option<String> {
        let more = (self.budget?.dollars() * 2.0).max(self.spent().dollars() * 1.5);
        Some(format!("orch batch set {} --budget {}", self.name, proposed_limit(more)))
    }

    /// Describes the spending: `$3.20 of $10.00`, or `$3.20` without a budget.
    pub fn describe_spending(&self) -> String {
        money(self.spent(), self.budget)
    }
}

#[cfg(test)]
mod tests;
