//! What can be wrong with a command, in words.

use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::tasks::lifecycle::Refused;
use orch_core::tasks::spec_merge::Clash;
use orch_store::journal::JournalError;
use std::sync::Arc;

/// Why the engine does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no such task.
    #[error("there is no task {0}")]
    NoTask(TaskId),
    /// There is no such breaker, or it has seen no failure.
    #[error("there is no breaker {0}")]
    NoBreaker(String),
    /// The task's status does not allow it.
    #[error("task {task}: {source}")]
    Refused {
        /// The task that was named.
        task: TaskId,
        /// Why its status does not allow it.
        source: Refused,
    },
    /// Another caller changed the same meanwhile.
    #[error("task {task} was changed meanwhile: {}", describe(.clashes))]
    Clash {
        /// The task that was changed.
        task: TaskId,
        /// The fields that both changed.
        clashes: Vec<Clash>,
    },
    /// What was asked is wrong in itself.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// There is nothing of that name.
    #[error("{message}")]
    NotThere {
        /// What is not there.
        message: String,
        /// What there is.
        hint: String,
    },
    /// It cannot be done now.
    #[error("{message}")]
    NotNow {
        /// Why it cannot be done.
        message: String,
        /// What to do first.
        hint: String,
    },
    /// Things are not as they would have to be.
    #[error("{message}")]
    InTheWay {
        /// What is in the way.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// A person has paused it.
    #[error("task {task}: {why}")]
    Paused {
        /// The task that was named.
        task: TaskId,
        /// What is paused, since when and by whom.
        why: String,
    },
    /// Another owner has claimed it.
    #[error("task {task} is claimed by {by} since {since}{}", if *.is_stale { " (stale)" } else { "" })]
    Claimed {
        /// The task that is claimed.
        task: TaskId,
        /// Who has claimed the task.
        by: String,
        /// When the task was claimed.
        since: Timestamp,
        /// Whether nothing happened for longer than a day.
        is_stale: bool,
    },
    /// The state could not be stored; nothing was changed.
    #[error(transparent)]
    Journal(#[from] Arc<JournalError>),
    /// It was accepted, but could not be stored yet.
    #[error("not stored yet: {0}")]
    NotYetStored(Arc<JournalError>),
    /// The engine is leaving.
    #[error("the engine is shutting down")]
    Stopping,
}

fn describe(clashes: &[Clash]) -> String {
    let one = |Clash { field, file, other }: &Clash| format!("{} is {file} now, you want {other}", field.key());
    clashes.iter().map(one).collect::<Vec<_>>().join("; ")
}

pub(crate) fn unreadable(error: JournalError) -> EngineError {
    EngineError::Journal(Arc::new(error))
}
