//! The records of a task's state, and of how its next run starts.

use super::records;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::conflict::Conflict;
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::outcome::FailureClass;
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::task::{BlockedOn, Feedback, NextRun, Order, OrderKind, Postponed, ReviewStage, State, StopFor};
use std::path::PathBuf;

records! {
    #[serde(tag = "status")]
    enum StateRecord = State {
        New { routing: Option<RunId>, not_before: Option<Timestamp> } = "new",
        Routed { next: NextRun, counts: bool, not_before: Option<Timestamp> } = "routed",
        InProgress { run: RunId, next: NextRun, stopping: Option<StopFor> } = "in_progress",
        InReview { run: RunId, review: ReviewStage } = "in_review",
        Done = "done",
        Blocked(on: BlockedOn) = "blocked",
        NeedsReview {
            #[serde(default)]
            kind: QuestionKind,
            question: String,
            choices: Vec<String>,
        } = "needs_review",
        Cancelled { reason: String } = "cancelled",
    }

    #[serde(tag = "stage")]
    enum ReviewStageRecord = ReviewStage {
        Judging = "judging",
        Reviewing { review: Option<RunId>, then_person: bool, waiting: Option<Postponed> } = "reviewing",
        Integrating {
            waiting: Option<Postponed>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            order: Option<Box<Order>>,
        } = "integrating",
    }

    struct PostponedRecord = Postponed {
        detail: String,
        until: Timestamp,
        // Older versions postponed for this reason alone, and did not store it.
        #[serde(default = "HoldReasonRecord::base_dirty", skip_serializing_if = "HoldReasonRecord::is_base_dirty")]
        reason: HoldReason,
    }
}

impl HoldReasonRecord {
    fn base_dirty() -> Self {
        Self::BaseDirty
    }

    fn is_base_dirty(&self) -> bool {
        matches!(self, Self::BaseDirty)
    }
}

records! {
    enum HoldReasonRecord = HoldReason {
        Slots = "slots",
        Dependency = "dependency",
        Children = "children",
        MissingDir = "missing_dir",
        NoProject = "no_project",
        Routing = "routing",
        Backoff = "backoff",
        RateLimited = "rate_limited",
        Overloaded = "overloaded",
        Network = "network",
        Auth = "auth",
        Budget = "budget",
        Agent = "agent",
        InvalidEntry = "invalid_entry",
        BaseDirty = "base_dirty",
        NoDaemon = "no_daemon",
        Stopping = "stopping",
        AgentSlots = "agent_slots",
        ProjectSlots = "project_slots",
        Load = "load",
        Memory = "memory",
        Disk = "disk",
        Breaker = "breaker",
        Paused = "paused",
        ShuttingDown = "shutting_down",
        Review = "review",
        Overlap = "overlap",
        Claimed = "claimed",
        BatchSlots = "batch_slots",
        BatchBudget = "batch_budget",
        Spent = "spent",
        Config = "config",
        Setup = "setup",
        Locked = "locked",
        System = "system",
        NotApproved = "not_approved",
    }

    #[serde(tag = "on")]
    enum BlockedOnRecord = BlockedOn {
        Dependencies { tasks: Vec<TaskId> } = "dependencies",
        Children { tasks: Vec<TaskId> } = "children",
        MissingDir { dir: PathBuf } = "missing_dir",
    }

    #[derive(Default)]
    enum QuestionKindRecord = QuestionKind {
        Ready = "ready",
        #[default]
        Question = "question",
        Failed = "failed",
        Setup = "setup",
    }

    #[serde(tag = "mode")]
    enum NextRunRecord = NextRun {
        Fresh = "fresh",
        Again { feedback: Feedback, resume: bool } = "again",
        Parts = "parts",
        Said = "said",
        Resumed { before: Option<Feedback> } = "resumed",
    }

    struct FeedbackRecord = Feedback {
        class: FailureClass,
        detail: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conflict: Option<Box<Conflict>>,
    }

    enum StopForRecord = StopFor {
        Cancel = "cancel",
        Retry = "retry",
        Interrupt = "interrupt",
        Shutdown = "shutdown",
    }

    struct OrderRecord = Order {
        kind: OrderKind,
        commit: String,
        at: Timestamp,
    }

    enum OrderKindRecord = OrderKind {
        Approve = "approve",
        Merge = "merge",
        Revert = "revert",
    }
}
