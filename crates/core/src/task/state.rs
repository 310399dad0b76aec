//! Where a task stands, with exactly what each state needs.

use super::{NextRun, Order, Status, StopFor};
use crate::ids::{RunId, TaskId};
use crate::plan::HoldReason;
use crate::question::QuestionKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What orch does with a finished run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum ReviewStage {
    /// Evidence is gathered and checks run.
    Judging,
    /// The evidence is good; another agent looks at the change.
    Reviewing {
        /// The run that does; `None`: it is still to be begun.
        review: Option<RunId>,
        /// A person looks at it afterwards.
        then_person: bool,
        /// Not to be begun before this time, and why.
        waiting: Option<Postponed>,
    },
    /// Accepted; the branch is being brought to the base.
    Integrating {
        /// Not to be tried before this time, and why.
        waiting: Option<Postponed>,
        /// A person has ordered it, and how.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<Box<Order>>,
    },
}

/// Why accepted work does not go on at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postponed {
    /// For a person.
    pub detail: String,
    /// When it is tried again.
    pub until: Timestamp,
    /// The name of the reason.
    #[serde(default = "base_dirty", skip_serializing_if = "is_base_dirty")]
    pub reason: HoldReason,
}

fn base_dirty() -> HoldReason {
    HoldReason::BaseDirty
}

fn is_base_dirty(reason: &HoldReason) -> bool {
    *reason == HoldReason::BaseDirty
}

/// What a blocked task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum BlockedOn {
    /// Other tasks that are not done.
    Dependencies {
        /// Which.
        tasks: Vec<TaskId>,
    },
    /// Its own parts.
    Children {
        /// Which.
        tasks: Vec<TaskId>,
    },
    /// The directory of its repository is not there.
    MissingDir {
        /// Which.
        dir: PathBuf,
    },
}

/// Where a task stands. Each state carries exactly what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum State {
    /// See [`Status::New`].
    New {
        /// The routing question that is under way.
        routing: Option<RunId>,
        /// Not to be routed before.
        not_before: Option<Timestamp>,
    },
    /// See [`Status::Routed`].
    Routed {
        /// How the run begins.
        next: NextRun,
        /// It begins a new attempt; otherwise it goes on with the last one (a repair, another provider).
        counts: bool,
        /// Not to be started before.
        not_before: Option<Timestamp>,
    },
    /// See [`Status::InProgress`].
    InProgress {
        /// Which run.
        run: RunId,
        /// How it was begun, should it have to be begun again.
        next: NextRun,
        /// A stop was asked for.
        stopping: Option<StopFor>,
    },
    /// See [`Status::InReview`].
    InReview {
        /// The run under judgement.
        run: RunId,
        /// How far.
        review: ReviewStage,
    },
    /// See [`Status::Done`].
    Done,
    /// See [`Status::Blocked`].
    Blocked(BlockedOn),
    /// See [`Status::NeedsReview`].
    NeedsReview {
        /// What kind of help is needed.
        #[serde(default)]
        kind: QuestionKind,
        /// What the person is asked.
        question: String,
        /// What they can do: commands.
        choices: Vec<String>,
    },
    /// See [`Status::Cancelled`].
    Cancelled {
        /// Why.
        reason: String,
    },
}

impl State {
    /// A task as it is born.
    pub const NEW: Self = Self::New { routing: None, not_before: None };

    /// The word for it.
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
}
