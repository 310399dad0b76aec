//! The state of the world that a plan is made from.

use super::{Capacity, Cooldown, Waited};
use crate::batch::Batch;
use crate::ids::TaskId;
use crate::pause::Pauses;
use crate::service::ShutdownMode;
use crate::task::{Status, Task};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which tasks may be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every task: the daemon.
    All,
    /// One task: `orch task run` without a daemon.
    Only(TaskId),
    /// None: a command that only looks or edits.
    Nothing,
}

/// The state of the world that decisions are made from.
pub struct Snapshot<'a> {
    /// All tasks but settled ones, of which it does not matter whether they are here.
    pub tasks: &'a BTreeMap<TaskId, Arc<Task>>,
    /// How those settled tasks ended that a task of `tasks` waits for; others may be here too.
    pub settled: &'a BTreeMap<TaskId, Status>,
    /// Directories of the registered projects.
    pub projects: &'a [PathBuf],
    /// What limits starts.
    pub room: &'a Capacity,
    /// Agents to leave alone.
    pub cooldowns: &'a BTreeMap<String, Cooldown>,
    /// Entries of `tasks.yml` that cannot be carried out, with the reason.
    pub invalid: &'a BTreeMap<TaskId, String>,
    /// Which tasks may be begun.
    pub scope: Scope,
    /// What is switched off.
    pub pauses: &'a Pauses,
    /// The engine is on its way out.
    pub leaving: Option<ShutdownMode>,
    /// Batches that are open, by their numbers.
    pub batches: &'a BTreeMap<u64, Arc<Batch>>,
    /// For whom tasks are begun.
    pub identity: &'a str,
    /// Tells whether a directory that a blocked task waits for is there again.
    pub dir_exists: &'a dyn Fn(&Path) -> bool,
    /// Tells whether a directory that is there belongs to a registered project.
    pub is_registered: &'a dyn Fn(&Path) -> bool,
}

impl Snapshot<'_> {
    pub(super) fn status(&self, id: TaskId) -> Option<Status> {
        status_in(self.tasks, self.settled, id)
    }
}

/// The status of a task that is either at hand or settled.
pub fn status_in(
    tasks: &BTreeMap<TaskId, Arc<Task>>,
    settled: &BTreeMap<TaskId, Status>,
    id: TaskId,
) -> Option<Status> {
    tasks.get(&id).map(|task| task.status()).or_else(|| settled.get(&id).copied())
}

/// How a task stands that another one waits for.
pub fn waited_in(
    tasks: &BTreeMap<TaskId, Arc<Task>>,
    settled: &BTreeMap<TaskId, Status>,
    id: TaskId,
) -> Option<Waited> {
    if tasks.get(&id).is_some_and(|task| task.is_taken_back()) {
        return Some(Waited::TakenBack);
    }
    status_in(tasks, settled, id).map(Waited::Status)
}
