//! The shapes of batches on the wire. Stable: documented in `docs/reference/json.md`.

use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::planning::batch::{Batch, BatchName, BatchState};
use orch_core::tasks::task::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A batch. In lists `rows` are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchView {
    /// The name of the batch.
    pub name: BatchName,
    /// The state of the batch.
    pub state: BatchState,
    /// Its tasks, in the order in which they begin.
    pub tasks: Vec<TaskId>,
    /// How many of them stand where.
    pub counts: BTreeMap<String, u64>,
    /// How many of them run, or are being checked.
    pub busy: u64,
    /// How many of them may at the same time.
    pub concurrency: u32,
    /// Where it has spent so much, nothing more of it begins; `null`: it has no budget.
    pub budget_usd: Option<Usd>,
    /// What it has spent, as far as prices are known.
    pub spent_usd: Usd,
    /// Since when there is it.
    pub created_at: Timestamp,
    /// When a person gave it up.
    pub cancelled_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its tasks with how they stand; of one that has ended, as they stood then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<BatchRow>>,
}

/// A task of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchRow {
    /// The id of the task.
    pub id: TaskId,
    /// The title of the task.
    pub title: String,
    /// The status of the task.
    pub status: Status,
    /// What it has cost since it was put into the batch; `null`: nothing is known of it.
    pub spent_usd: Option<Usd>,
    /// Why it waits, or what is asked.
    pub why: Option<String>,
}

impl BatchRow {
    /// What is known to have been spent.
    pub fn known(spent: Usd) -> Option<Usd> {
        (spent > Usd::ZERO).then_some(spent)
    }
}

impl BatchView {
    /// Creates the view of a batch without its rows; `status` returns the status of a task.
    pub fn new(batch: &Batch, busy: usize, status: impl Fn(TaskId) -> Option<Status>) -> Self {
        let statuses: Vec<Status> = match &batch.end {
            Some(end) => end.rows.iter().map(|row| row.status).collect(),
            None => batch.tasks().filter_map(status).collect(),
        };
        let mut counts = BTreeMap::new();
        for status in statuses {
            *counts.entry(status.as_str().to_owned()).or_default() += 1;
        }
        Self {
            name: batch.name.clone(),
            state: batch.state(),
            tasks: batch.tasks().collect(),
            counts,
            busy: busy as u64,
            concurrency: batch.concurrency,
            budget_usd: batch.budget,
            spent_usd: batch.spent(),
            created_at: batch.created_at,
            cancelled_at: batch.cancelled_at,
            ended_at: batch.end.as_ref().map(|end| end.at),
            rows: None,
        }
    }

    /// How many of its tasks are over.
    pub fn over(&self) -> u64 {
        let is_over = |word: &str| Status::parse(word).is_some_and(Status::is_final);
        self.counts.iter().filter(|(word, _)| is_over(word)).map(|(_, count)| count).sum()
    }
}

/// A batch to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBatch {
    /// The name of the batch.
    pub name: String,
    /// Its tasks, in the order in which they are to begin.
    pub tasks: Vec<TaskId>,
    /// How many of them may run at the same time; 4.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// Where it has spent so much, nothing more of it begins.
    #[serde(default)]
    pub budget_usd: Option<Usd>,
}

/// What to change of an open batch; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SetBatch {
    /// How many of its tasks may run at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// The new budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<Usd>,
    /// `true`: it may spend as much as it takes.
    pub no_budget: bool,
}

/// A request to cancel a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CancelBatch {
    /// Who; without it, a person.
    pub by: Option<String>,
}
