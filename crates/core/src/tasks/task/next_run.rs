//! How the next run of a task starts, and what it receives about the last one. Plain data.

use crate::tasks::conflict::Conflict;
use crate::tasks::outcome::FailureClass;

/// What the next run's agent receives about the last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The class of the failure.
    pub class: FailureClass,
    /// The details: output of a check, file names, a reason.
    pub detail: String,
    /// Of a conflict with the base: what is at odds.
    pub conflict: Option<Box<Conflict>>,
}

/// How the next run starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextRun {
    /// From the task's text alone.
    Fresh,
    /// With what went wrong; in the same conversation where one can be resumed.
    Again {
        /// What went wrong.
        feedback: Feedback,
        /// Whether to continue the recorded conversation.
        resume: bool,
    },
    /// With the results of its subtasks; in the same conversation where there is one.
    Parts,
    /// With a message of the person; in the same conversation where there is one.
    Said,
    /// Where a shutdown of orch interrupted the last run; in the same conversation where there is one.
    Resumed {
        /// What the interrupted run received about the run before it.
        before: Option<Feedback>,
    },
}

impl NextRun {
    /// Returns what the run receives about the run before it.
    pub fn feedback(self) -> Option<Feedback> {
        match self {
            Self::Again { feedback, .. } => Some(feedback),
            Self::Resumed { before } => before,
            Self::Fresh | Self::Said | Self::Parts => None,
        }
    }
}
