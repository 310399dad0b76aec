//! Why a batch cannot be made or changed, and what to do instead.

use super::{BatchName, MOST_AT_ONCE, MOST_TASKS};
use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::tasks::task::Status;
use std::collections::BTreeSet;

/// Why a batch cannot be made or changed. Nothing of the request was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// It names no task.
    #[error("batch {0} names no task")]
    Empty(BatchName),
    /// It names too many tasks.
    #[error("batch {0} names {1} tasks, and {MOST_TASKS} are the most")]
    TooMany(BatchName, usize),
    /// Some tasks do not exist.
    #[error("batch {0}: there is no {tasks}", tasks = tasks(.1))]
    Unknown(BatchName, Vec<TaskId>),
    /// Some tasks are named more than once.
    #[error("batch {0} names {tasks} more than once", tasks = tasks(.1))]
    Twice(BatchName, Vec<TaskId>),
    /// A task is over already.
    #[error("batch {0}: task {1} is {status} already", status = .2.as_str())]
    Over(BatchName, TaskId, Status),
    /// A task is in another open batch.
    #[error("batch {0}: task {1} is in batch {2}, which is open")]
    Taken(BatchName, TaskId, BatchName),
    /// Another open batch has the name.
    #[error("there is an open batch {0} already")]
    Exists(BatchName),
    /// The concurrency is zero or too high.
    #[error("batch {0} cannot run {1} tasks at the same time: from 1 to {MOST_AT_ONCE}")]
    Concurrency(BatchName, u32),
    /// The budget is not positive.
    #[error("batch {0} cannot have a budget of {1}: it must be more than nothing")]
    Budget(BatchName, Usd),
    /// The batch has ended or never existed.
    #[error("batch {0} is not open")]
    NotOpen(BatchName),
}

fn tasks(ids: &[TaskId]) -> String {
    let named: Vec<String> = ids.iter().take(20).map(ToString::to_string).collect();
    let more = if ids.len() > named.len() { ", …" } else { "" };
    format!("task {}{more}", named.join(", "))
}

impl BadBatch {
    /// Returns what to do instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Empty(name) => format!("orch batch create {name} --tasks 4,5,6"),
            Self::TooMany(..) => "make several batches of them".to_owned(),
            Self::Unknown(..) => "`orch task list` shows the ids; nothing was made".to_owned(),
            Self::Twice(..) => "name each task once; nothing was made".to_owned(),
            Self::Over(_, task, Status::Done) => {
                format!("leave it out, or `orch task retry {task}` does it again; nothing was made")
            }
            Self::Over(_, task, _) => {
                format!("leave it out, or `orch task retry {task}` takes it up again; nothing was made")
            }
            Self::Taken(_, _, other) => {
                format!("leave it out, or `orch batch cancel {other}` gives that one up; nothing was made")
            }
            Self::Exists(name) => format!("choose another name, or look at it: orch batch show {name}"),
            Self::Concurrency(name, _) => format!("orch batch set {name} --concurrency 2"),
            Self::Budget(name, _) => format!("orch batch set {name} --budget 20, or --no-budget"),
            Self::NotOpen(_) => "`orch batch list` shows which are; only an open batch can be changed".to_owned(),
        }
    }

    /// Returns whether the present state forbids the request, rather than the request itself.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Over(..) | Self::Taken(..) | Self::Exists(_) | Self::NotOpen(_))
    }

    /// Checks the concurrency.
    ///
    /// # Errors
    /// It is out of range.
    pub fn check_concurrency(name: &BatchName, concurrency: u32) -> Result<(), Self> {
        let fits = (1..=MOST_AT_ONCE).contains(&concurrency);
        if fits { Ok(()) } else { Err(Self::Concurrency(name.clone(), concurrency)) }
    }

    /// Checks the budget.
    ///
    /// # Errors
    /// It is not positive.
    pub fn check_budget(name: &BatchName, budget: Option<Usd>) -> Result<(), Self> {
        match budget.filter(|budget| *budget <= Usd::ZERO) {
            Some(budget) => Err(Self::Budget(name.clone(), budget)),
            None => Ok(()),
        }
    }

    /// Checks that the tasks can form a batch. `status` returns a task's status, `batch_of` its open batch.
    ///
    /// # Errors
    /// They cannot.
    pub fn check_tasks(
        name: &BatchName,
        tasks: &[TaskId],
        status: impl Fn(TaskId) -> Option<Status>,
        batch_of: impl Fn(TaskId) -> Option<BatchName>,
    ) -> Result<(), Self> {
        if tasks.is_empty() {
            return Err(Self::Empty(name.clone()));
        }
        if tasks.len() > MOST_TASKS {
            return Err(Self::TooMany(name.clone(), tasks.len()));
        }
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<TaskId> = tasks.iter().copied().filter(|task| !seen.insert(*task)).collect();
        if !twice.is_empty() {
            return Err(Self::Twice(name.clone(), twice.into_iter().collect()));
        }
        let unknown: Vec<TaskId> = tasks.iter().copied().filter(|task| status(*task).is_none()).collect();
        if !unknown.is_empty() {
            return Err(Self::Unknown(name.clone(), unknown));
        }
        for task in tasks {
            if let Some(over) = status(*task).filter(|status| status.is_final()) {
                return Err(Self::Over(name.clone(), *task, over));
            }
            if let Some(other) = batch_of(*task) {
                return Err(Self::Taken(name.clone(), *task, other));
            }
        }
        Ok(())
    }
}
