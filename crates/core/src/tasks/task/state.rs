//! The state of a task, with exactly the data that each state needs.

use super::{NextRun, Order, Status, StopFor};
use crate::base::ids::{RunId, TaskId};
use crate::tasks::hold::HoldReason;
use crate::tasks::question::QuestionKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The steps after an agent's run has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewStage {
    /// Evidence is gathered and checks are run.
    Judging,
    /// The evidence is good; another agent reviews the change.
    Reviewing {
        /// The review run; `None`: it has not started yet.
        review: Option<RunId>,
        /// Whether a person reviews it afterwards.
        then_person: bool,
        /// The earliest time for the review to start, and why.
        waiting: Option<Postponed>,
    },
    /// Accepted; the branch is being merged into the base.
    Integrating {
        /// The earliest time for the next try, and why.
        waiting: Option<Postponed>,
        /// The person's order, where one asked for this.
        order: Option<Box<Order>>,
    },
}

/// Why accepted work does not continue at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponed {
    /// The reason in words for a person.
    pub detail: String,
    /// When it is tried again.
    pub until: Timestamp,
    /// The name of the reason.
    pub reason: HoldReason,
}

/// What a blocked task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum BlockedOn {
    /// Other tasks that are not done.
    Dependencies {
        /// The tasks that are not done.
        tasks: Vec<TaskId>,
    },
    /// Its own subtasks.
    Children {
        /// The subtasks that are open.
        tasks: Vec<TaskId>,
    },
    /// The directory of its repository is not there.
    MissingDir {
        /// The missing directory.
        dir: PathBuf,
    },
}

/// The state of a task. Each state carries exactly the data that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// See [`Status::New`].
    New {
        /// The run that asks the routing question, while there is one.
        routing: Option<RunId>,
        /// The earliest time for routing.
        not_before: Option<Timestamp>,
    },
    /// See [`Status::Routed`].
    Routed {
        /// How the run starts.
        next: NextRun,
        /// Whether it starts a new attempt; otherwise it continues the last one (a repair, another provider).
        counts: bool,
        /// The earliest time for the start.
        not_before: Option<Timestamp>,
    },
    /// See [`Status::InProgress`].
    InProgress {
        /// The run that is under way.
        run: RunId,
        /// How the run was started, in case it must be started again.
        next: NextRun,
        /// Why a stop was requested, if it was.
        stopping: Option<StopFor>,
    },
    /// See [`Status::InReview`].
    InReview {
        /// The run being judged.
        run: RunId,
        /// The current step.
        review: ReviewStage,
    },
    /// See [`Status::Done`].
    Done,
    /// See [`Status::Blocked`].
    Blocked(BlockedOn),
    /// See [`Status::NeedsReview`].
    NeedsReview {
        /// What kind of help is needed.
        kind: QuestionKind,
        /// What the person is asked.
        question: String,
        /// The commands that answer the question.
        choices: Vec<String>,
    },
    /// See [`Status::Cancelled`].
    Cancelled {
        /// Why it was cancelled.
        reason: String,
    },
}

impl State {
    /// The state of a new task.
    pub const NEW: Self = Self::New { routing: None, not_before: None };

    /// Returns the status of this state.
    pub fn status(&self) -> Status {
        match self {
            Self::New { .. } => Status::New,
            Self::Routed { .. } => Status::Routed,
            Self::InProgress { .. } => Status::InProgress,
            Self::InReview { .. } => Status::InReview,
            Self::Done => Status::Done,
            Self::Blocked(_) => Status::Blocked,
            Self::NeedsReview { .. } => Status::NeedsReview,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// Returns why the task was cancelled, or what its person is asked.
    pub fn explanation(&self) -> Option<&str> {
        if let Self::Cancelled { reason: text } | Self::NeedsReview { question: text, .. } = self {
            return Some(text);
        }
        None
    }

    /// Returns the run that reviews the work now, if one does.
    pub fn reviewed_by(&self) -> Option<&RunId> {
        let Self::InReview { review: ReviewStage::Reviewing { review, .. }, .. } = self else { return None };
        review.as_ref()
    }

    /// Returns whether orch judges or integrates the work now. A review is a run, and a result that waits for the person's
    /// checkout is not being integrated.
    pub fn is_checked(&self) -> bool {
        let Self::InReview { review, .. } = self else { return false };
        match review {
            ReviewStage::Judging | ReviewStage::Integrating { waiting: None, .. } => true,
            ReviewStage::Integrating { waiting: Some(_), .. } | ReviewStage::Reviewing { .. } => false,
        }
    }
}
