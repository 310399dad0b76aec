//! Errors as they cross the socket and stand in `--json`: a stable word, what happened, what to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An error, as every surface shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorView,
}

/// What went wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// The kind, as a stable word.
    pub code: ErrorCode,
    /// What happened, and where.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// The stable words for errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Something failed.
    Failed,
    /// The command or request is wrong.
    Usage,
    /// The named thing does not exist.
    NotFound,
    /// No daemon, and the command needs one.
    NoDaemon,
    /// The request is refused in this state.
    Conflict,
    /// It took too long.
    TimedOut,
    /// Whoever asks may not: a wrong token, a foreign page.
    Denied,
    /// The engine is on its way out: another one is to be asked.
    ShuttingDown,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Failed,
        Self::ShuttingDown,
        Self::Usage,
        Self::NotFound,
        Self::NoDaemon,
        Self::TimedOut,
        Self::Conflict,
        Self::Denied,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::NoDaemon => "no_daemon",
            Self::Conflict => "conflict",
            Self::TimedOut => "timed_out",
            Self::Denied => "denied",
            Self::ShuttingDown => "shutting_down",
        }
    }
}
