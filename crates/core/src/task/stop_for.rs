//! Why the run of a task is being stopped. Plain data.

use serde::{Deserialize, Serialize};

/// Why a run is being stopped, which decides what comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopFor {
    /// The person cancelled the task.
    Cancel,
    /// The person wants it from the beginning.
    Retry,
    /// The person stopped the agent and will say how to go on.
    Interrupt,
    /// orch shuts down; it goes on by itself at the next start.
    Shutdown,
}

impl StopFor {
    /// In words, for the run's own record.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Cancel | Self::Retry | Self::Interrupt => "stopped by a person",
            Self::Shutdown => "stopped because orch shuts down",
        }
    }

    /// In words, while the agent is still there: what becomes of the task when it has ended.
    pub fn told(self) -> &'static str {
        match self {
            Self::Cancel => "its run is being stopped, and then it is cancelled",
            Self::Retry => "its run is being stopped, and then it begins again",
            Self::Interrupt => "its run is being stopped, and then it waits for your word",
            Self::Shutdown => "its run is being stopped, and the next `orch serve` goes on with it",
        }
    }
}
