//! The state of a task after something happened to it.

use crate::tasks::outcome::FailureClass;
use crate::tasks::task::{NextRun, State, Status, Task};
use serde::{Deserialize, Serialize};

/// The state of a task, as far as a line of the history says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Standing {
    /// A person is asked.
    Asks {
        /// What.
        question: String,
    },
    /// It resumes when orch is back.
    Resumes,
    /// It is tried again after a failure.
    Again {
        /// Which failure.
        class: FailureClass,
        /// The first line of what is known of it.
        detail: String,
    },
    /// It was given up.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// The status says everything.
    Is {
        /// Which.
        status: Status,
    },
}

impl Standing {
    /// The state of this task.
    pub fn from_task(task: &Task) -> Self {
        let status = task.status();
        match &task.state {
            State::NeedsReview { question, .. } => Self::Asks { question: question.clone() },
            State::Routed { next: NextRun::Resumed { .. }, .. } => Self::Resumes,
            State::Routed { .. } => match &task.last_failure {
                Some(failure) => {
                    let detail = failure.detail.lines().next().unwrap_or_default().to_owned();
                    Self::Again { class: failure.class, detail }
                }
                None => Self::Is { status },
            },
            State::Cancelled { reason } => Self::Cancelled { reason: reason.clone() },
            State::New { .. } | State::InProgress { .. } | State::InReview { .. } | State::Done | State::Blocked(_) => {
                Self::Is { status }
            }
        }
    }
}
