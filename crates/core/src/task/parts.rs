//! The parts of a task, as far as its runs have to do with them. Plain data.

use crate::ids::TaskId;
use serde::{Deserialize, Serialize};

/// Which parts a task's agents have made, and which its next run is told of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// Handed on by its agents, over all of its runs, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handed_on: Vec<TaskId>,
    /// Waited for since an agent last finished a turn: the next prompt tells what became of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<TaskId>,
}

impl Parts {
    /// Waits for these too.
    pub fn wait_for(&mut self, tasks: &[TaskId]) {
        for task in tasks {
            if !self.awaited.contains(task) {
                self.awaited.push(*task);
            }
        }
    }
}
