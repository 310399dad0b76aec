//! How the next run of a task begins, and what it is told of the last one. Plain data.

use crate::outcome::FailureClass;
use serde::{Deserialize, Serialize};

/// What to tell the agent in the next run about the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// What kind of trouble.
    pub class: FailureClass,
    /// Its text: output of a check, names of files, a reason.
    pub detail: String,
}

/// How the next run begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum NextRun {
    /// From the task's text.
    Fresh,
    /// With what went wrong; in the same conversation where there is one to resume.
    Again {
        /// What went wrong.
        feedback: Feedback,
        /// Go on in the recorded conversation.
        resume: bool,
    },
    /// With what became of its parts; in the same conversation where there is one.
    Parts,
    /// With what the person says; in the same conversation where there is one.
    Said,
    /// Where a shutdown of orch interrupted the last one; in the same conversation where there is one.
    Resumed {
        /// What that one was told of the one before.
        before: Option<Feedback>,
    },
}

impl NextRun {
    /// What it is told of the run before.
    pub fn feedback(self) -> Option<Feedback> {
        match self {
            Self::Again { feedback, .. } => Some(feedback),
            Self::Resumed { before } => before,
            Self::Fresh | Self::Said | Self::Parts => None,
        }
    }
}
