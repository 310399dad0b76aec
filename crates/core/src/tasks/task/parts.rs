//! The subtasks of a task, as far as its runs depend on them. Plain data.

use crate::base::ids::TaskId;
use serde::{Deserialize, Serialize};

/// The subtasks that a task's agents have delegated, and those whose results its next run receives.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// Subtasks delegated by its agents, over all of its runs, the oldest first.
    #[serde(rename = "handed_on", skip_serializing_if = "Vec::is_empty")]
    pub delegated: Vec<TaskId>,
    /// Subtasks awaited since an agent last finished a turn: the next prompt contains their results.
    #[serde(skip_serializing_if = "Vec::is_empty")]
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
