//! The state from which a plan is made.

use super::{Capacity, Cooldown, DependencyState};
use crate::base::ids::TaskId;
use crate::operations::pause::Pauses;
use crate::operations::service::ShutdownMode;
use crate::planning::batch::Batch;
use crate::tasks::task::{Status, Task};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The tasks that may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All tasks: the daemon.
    All,
    /// One task: `orch task run` without a daemon.
    Only(TaskId),
    /// None: a command that only reads or edits.
    Nothing,
}

/// The state from which a plan is made.
pub struct Snapshot<'a> {
    /// All tasks; settled ones may be missing.
    pub tasks: &'a BTreeMap<TaskId, Arc<Task>>,
    /// The final status of at least those settled tasks that a task in `tasks` waits for.
    pub settled: &'a BTreeMap<TaskId, Status>,
    /// The directories of the registered projects.
    pub projects: &'a [PathBuf],
    /// What limits starts.
    pub capacity: &'a Capacity,
    /// Cooldowns by agent.
    pub cooldowns: &'a BTreeMap<String, Cooldown>,
    /// Entries of `tasks.yml` that cannot be applied, with the reason.
    pub invalid: &'a BTreeMap<TaskId, String>,
    /// The tasks that may be started.
    pub scope: Scope,
    /// The pauses that are set.
    pub pauses: &'a Pauses,
    /// The kind of shutdown, while the engine shuts down.
    pub shutdown: Option<ShutdownMode>,
    /// The open batches by number.
    pub batches: &'a BTreeMap<u64, Arc<Batch>>,
    /// The identity for which tasks are started.
    pub identity: &'a str,
    /// Whether a directory exists.
    pub dir_exists: &'a dyn Fn(&Path) -> bool,
    /// Whether an existing directory belongs to a registered project.
    pub is_registered: &'a dyn Fn(&Path) -> bool,
}

impl Snapshot<'_> {
    pub(super) fn status(&self, id: TaskId) -> Option<Status> {
        status_in(self.tasks, self.settled, id)
    }
}

/// Returns the status of a task that is in memory or settled.
pub fn status_in(
    tasks: &BTreeMap<TaskId, Arc<Task>>,
    settled: &BTreeMap<TaskId, Status>,
    id: TaskId,
) -> Option<Status> {
    tasks.get(&id).map(|task| task.status()).or_else(|| settled.get(&id).copied())
}

/// Returns the state of a task that is a dependency of another.
pub fn dependency_state(
    tasks: &BTreeMap<TaskId, Arc<Task>>,
    settled: &BTreeMap<TaskId, Status>,
    id: TaskId,
) -> Option<DependencyState> {
    if tasks.get(&id).is_some_and(|task| task.is_reverted()) {
        return Some(DependencyState::Reverted);
    }
    status_in(tasks, settled, id).map(DependencyState::Status)
}
