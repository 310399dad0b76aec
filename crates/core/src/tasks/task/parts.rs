//! The subtasks of a task, as far as its runs depend on them. Plain data.

use crate::base::ids::TaskId;

/// The subtasks that a task's agents have delegated, and those whose results its next run receives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// Subtasks delegated by its agents, over all of its runs, the oldest first.
    pub delegated: Vec<TaskId>,
    /// Subtasks awaited since an agent last finished a turn: the next prompt contains their results.
    pub awaited: Vec<TaskId>,
}

impl Parts {
    /// Adds subtasks to wait for.
    pub fn wait_for(&mut self, tasks: &[TaskId]) {
        for task in tasks {
            if !self.awaited.contains(task) {
                self.awaited.push(*task);
            }
        }
    }
}
