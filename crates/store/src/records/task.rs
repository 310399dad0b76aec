//! The records of a task, of what the person requested, and of its entry in `tasks.yml`.

use super::{is_zero, records};
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::tasks::claim::Claim;
use orch_core::tasks::evidence::{Evidence, Integration};
use orch_core::tasks::outcome::Failure;
use orch_core::tasks::route::{Complexity, RouteResult};
use orch_core::tasks::task::file_entry::{FileEntry, FileState, Seen};
use orch_core::tasks::task::{Conversation, Parts, Progress, Spec, State, Status, Task, Workplace};
use std::path::PathBuf;

records! {
    struct TaskRecord = Task {
        id: TaskId,
        spec: Spec,
        state: State,
        route: Option<Box<RouteResult>>,
        runs: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_branch: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume_at: Option<Box<State>>,
        place: Option<Box<Workplace>>,
        conversation: Option<Box<Conversation>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_model: Option<String>,
        last_failure: Option<Box<Failure>>,
        summary: Option<String>,
        evidence: Option<Box<Evidence>>,
        integration: Option<Box<Integration>>,
        cost: Option<Usd>,
        run_now: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        past_pause: bool,
        file: FileState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filed: Option<Box<FileEntry>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ignored: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parts: Option<Box<Parts>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim: Option<Box<Claim>>,
        created_at: Timestamp,
        updated_at: Timestamp,
    } with progress: Progress {
        route_failures: u32,
        attempts: u32,
        provider_failures: u32,
        conflicts: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conflict_base: Option<String>,
        repaired: bool,
        tier_failures: u32,
        #[serde(default, skip_serializing_if = "is_zero")]
        steps_up: u32,
        #[serde(default, skip_serializing_if = "is_zero")]
        review_rounds: u32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed_reviews: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread_reviews: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rejected_trees: Vec<String>,
    }

    #[derive(Default)]
    #[serde(default)]
    struct SpecRecord = Spec {
        title: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        body: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        labels: Vec<String>,
        priority: i64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        depends_on: Vec<TaskId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<TaskId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dir: Option<PathBuf>,
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        complexity: Option<Complexity>,
        #[serde(skip_serializing_if = "Option::is_none")]
        assignee: Option<String>,
    }

    enum StatusRecord = Status {
        New = "new",
        Routed = "routed",
        InProgress = "in_progress",
        InReview = "in_review",
        Done = "done",
        Blocked = "blocked",
        NeedsReview = "needs_review",
        Cancelled = "cancelled",
    }

    #[serde(tag = "file")]
    enum FileStateRecord = FileState {
        Pending = "pending",
        PutBack = "put_back",
        Written {
            status: Option<Status>,
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            since: Vec<Status>,
            #[serde(default)]
            results: bool,
            #[serde(default, skip_serializing_if = "SeenRecord::is_yes")]
            seen: Seen,
        } = "written",
        Removed {
            #[serde(default)]
            gave_up: bool,
        } = "removed",
    }

    #[derive(Default)]
    enum SeenRecord = Seen {
        #[default]
        Yes = "yes",
        Appended = "appended",
        Numbered = "numbered",
        Again { at: Timestamp } = "again",
    }
}

impl SeenRecord {
    fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }
}

records! {
    struct FileEntryRecord = FileEntry {
        now: Spec,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        before: Vec<Spec>,
        #[serde(default)]
        told: bool,
        written: Option<Timestamp>,
    }

    #[derive(Default)]
    #[serde(default)]
    struct PartsRecord = Parts {
        #[serde(rename = "handed_on", skip_serializing_if = "Vec::is_empty")]
        delegated: Vec<TaskId>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        awaited: Vec<TaskId>,
    }

    struct ClaimRecord = Claim {
        by: String,
        since: Timestamp,
    }

    struct ConversationRecord = Conversation {
        agent: String,
        session_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    }
}
