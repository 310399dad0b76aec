//! What an engine is started for, which decides what it begins and when it leaves.

use orch_core::base::ids::TaskId;
use orch_core::planning::plan::Scope;

/// What an engine was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The daemon: until it is stopped.
    Serve,
    /// One pass, then leave; agents go on.
    Once,
    /// Until nothing is left to do.
    UntilIdle,
    /// Serves one command that only reads or edits, until its handle is dropped.
    Command,
    /// Serves `orch task run`: this one task, until the handle is dropped.
    Task(TaskId),
}

impl Mode {
    /// Returns which tasks it may begin.
    pub fn scope(self) -> Scope {
        match self {
            Self::Serve | Self::Once | Self::UntilIdle => Scope::All,
            Self::Task(id) => Scope::Only(id),
            Self::Command => Scope::Nothing,
        }
    }

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Once => "once",
            Self::UntilIdle => "until-idle",
            Self::Command => "command",
            Self::Task(_) => "task",
        }
    }
}
