//! Why the run of a task is being stopped. Plain data.

/// Why a run is being stopped; it decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopFor {
    /// The person cancelled the task.
    Cancel,
    /// The person wants to restart the task from the beginning.
    Retry,
    /// The person stopped the agent and will say how to continue.
    Interrupt,
    /// orch shuts down; the task continues at the next start.
    Shutdown,
}

impl StopFor {
    /// Returns the reason for the run's record.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Cancel | Self::Retry | Self::Interrupt => "stopped by a person",
            Self::Shutdown => "stopped because orch shuts down",
        }
    }

    /// Describes what happens to the task once the agent has ended.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Cancel => "its run is being stopped, and then it is cancelled",
            Self::Retry => "its run is being stopped, and then it begins again",
            Self::Interrupt => "its run is being stopped, and then it waits for your word",
            Self::Shutdown => "its run is being stopped, and the next `orch serve` goes on with it",
        }
    }
}
