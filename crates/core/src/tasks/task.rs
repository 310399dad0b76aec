//! A task: what the person requested, its state in orch, and its runs. Plain data; the rules are in other modules.

mod claimed;
pub mod file_entry;
mod next_run;
mod order;
mod parts;
mod run;
mod state;
mod stop_for;
mod work_terms;

pub use next_run::{Feedback, NextRun};
pub use order::{Order, OrderKind};
pub use parts::Parts;
pub use run::Run;
pub use state::{BlockedOn, Postponed, ReviewStage, State};
pub use stop_for::StopFor;
pub use work_terms::{WorkTerms, WorkspaceTerms};

use super::claim::Claim;
use super::evidence::{Evidence, Integration, IntegrationState};
use super::outcome::Failure;
use super::question::QuestionKind;
use super::route::RouteResult;
pub use super::spec::Spec;
use crate::base::ids::TaskId;
use crate::base::money::Usd;
pub use file_entry::{FileEntry, FileState, Seen};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use strum::IntoStaticStr;

/// The name of a state in files, in the API, and in output.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Waits for routing.
    New,
    /// Agent and model are chosen; waits for a slot or a time.
    Routed,
    /// A run is under way.
    InProgress,
    /// The run ended; its result is being checked and integrated.
    InReview,
    /// Accepted and integrated.
    Done,
    /// Waits for a dependency; orch unblocks it.
    Blocked,
    /// A person must decide something.
    NeedsReview,
    /// Cancelled by a person.
    Cancelled,
}

impl Status {
    /// All statuses, in the order of a task's lifecycle.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::Routed,
        Self::InProgress,
        Self::InReview,
        Self::Done,
        Self::Blocked,
        Self::NeedsReview,
        Self::Cancelled,
    ];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether nothing more happens to the task unless a person asks for it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// The phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Recorded; its worktree, prompt, and session are being created.
    Starting,
    /// The runner has taken it.
    Running,
    /// Its end is recorded.
    Ended,
}

/// Where a task's work is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workplace {
    /// The task's branch.
    pub branch: String,
    /// The checkout of that branch.
    pub worktree: PathBuf,
    /// The branch into which the result is merged.
    pub base_branch: String,
    /// The commit from which the branch started.
    pub base: String,
    /// The accepted work of other tasks that this commit contains.
    pub began_from: Vec<BeganFrom>,
    /// What happens with the result of the current run.
    pub terms: Option<Box<WorkTerms>>,
}

/// Accepted work of a task on which another task builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeganFrom {
    /// The task that made it.
    pub task: TaskId,
    /// The commit that was accepted.
    pub commit: String,
}

/// A conversation that can be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The agent that holds the conversation.
    pub agent: String,
    /// The CLI's id for the conversation.
    pub session_id: String,
    /// The model of its last run, as it was passed to the agent's program.
    pub model: Option<String>,
}

/// What has happened to a task since it last started anew. A restart replaces it by the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Failed routing questions since the last successful one.
    pub route_failures: u32,
    /// Work runs that count against `workflow.max_attempts`.
    pub attempts: u32,
    /// Provider failures since the last run that ended otherwise.
    pub provider_failures: u32,
    /// Consecutive rounds in which a conflict with the base went back to the author, since the last resolved one.
    pub conflicts: u32,
    /// The commit of the base with which the last conflict occurred.
    pub conflict_base: Option<String>,
    /// Whether the last answer was already requested a second time.
    pub repaired: bool,
    /// Failures of the work since the task started or moved to a stronger model.
    pub tier_failures: u32,
    /// How often the task moved to a stronger model since it started.
    pub steps_up: u32,
    /// How often a reviewer rejected the work since the task started.
    pub review_rounds: u32,
    /// Agents that failed to review the current work, one entry per failure.
    pub failed_reviews: Vec<String>,
    /// Agents whose review of the current work was unreadable or cut off, one entry per failure.
    pub unread_reviews: Vec<String>,
    /// Git trees that were judged and rejected, the latest last.
    pub rejected_trees: Vec<String>,
}

/// A task.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The task's number.
    pub id: TaskId,
    /// What the person requested.
    pub spec: Spec,
    /// The current state.
    pub state: State,
    /// The current route.
    pub route: Option<Box<RouteResult>>,
    /// What has happened since it last started anew.
    pub progress: Progress,
    /// All runs ever started, of every kind; also the ordinal of the last one.
    pub runs: u32,
    /// The branch that was checked out in the repository when the task was created. The task starts from it unless the
    /// settings name another; switching branches later has no effect on the task.
    pub base_branch: Option<String>,
    /// The state to which `unblock` returns after a step of orch's own failed for minutes; set only while a person is
    /// asked.
    pub resume_at: Option<Box<State>>,
    /// Where the work is stored.
    pub place: Option<Box<Workplace>>,
    /// The conversation to resume.
    pub conversation: Option<Box<Conversation>>,
    /// The model that a person requested with a message; it applies to the next run only.
    pub next_model: Option<String>,
    /// Why the last run failed.
    pub last_failure: Option<Box<Failure>>,
    /// The last summary that an agent wrote.
    pub summary: Option<String>,
    /// The evidence of the last judgement.
    pub evidence: Option<Box<Evidence>>,
    /// What happened to the branch.
    pub integration: Option<Box<Integration>>,
    /// The known cost of all runs; `None` until one is known.
    pub cost: Option<Usd>,
    /// A person asked for it now: slots and times do not hold it.
    pub run_now: bool,
    /// A person asked for it despite a pause: pauses do not hold it.
    pub past_pause: bool,
    /// The state of its entry in `tasks.yml`.
    pub file: FileState,
    /// The entry in `tasks.yml` where a command has changed the task since the file was last saved.
    pub filed: Option<Box<FileEntry>>,
    /// Unknown keys of its entry in `tasks.yml`.
    pub ignored: Vec<String>,
    /// Its subtasks, as far as its runs depend on them.
    pub parts: Option<Box<Parts>>,
    /// The last claim: who made it, and when.
    pub claim: Option<Box<Claim>>,
    /// When the task was created.
    pub created_at: Timestamp,
    /// When the state last changed.
    pub updated_at: Timestamp,
}

impl Task {
    /// Creates a new task.
    pub fn new(id: TaskId, spec: Spec, file: FileState, now: Timestamp) -> Self {
        Self {
            id,
            spec,
            state: State::NEW,
            route: None,
            progress: Progress::default(),
            runs: 0,
            base_branch: None,
            resume_at: None,
            place: None,
            conversation: None,
            next_model: None,
            last_failure: None,
            summary: None,
            evidence: None,
            integration: None,
            cost: None,
            run_now: false,
            past_pause: false,
            file,
            filed: None,
            ignored: Vec::new(),
            parts: None,
            claim: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Returns the status of its state.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// Returns why its run is being stopped, while it is.
    pub fn stopping(&self) -> Option<StopFor> {
        if let State::InProgress { stopping, .. } = &self.state { *stopping } else { None }
    }

    /// Returns what a person is asked, and the commands that answer it.
    pub fn question(&self) -> Option<(&str, &[String])> {
        if let State::NeedsReview { question, choices, .. } = &self.state { Some((question, choices)) } else { None }
    }

    /// Returns what kind of help it needs from a person.
    pub fn question_kind(&self) -> Option<QuestionKind> {
        if let State::NeedsReview { kind, .. } = &self.state { Some(*kind) } else { None }
    }

    /// Returns the commit of its branch that orch has judged and that an approval applies to. After a revert it is the
    /// commit by which orch restored the work on the branch.
    pub fn judged_commit(&self) -> Option<&str> {
        let restored = self.integration.as_ref().and_then(|integration| integration.restored.as_deref());
        let judged = self.evidence.as_ref().map(|evidence| evidence.head.as_str());
        restored.or(judged).filter(|sha| !sha.is_empty())
    }

    /// Whether its work is accepted by every reviewer that it needs, and not only by the evidence.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Done | State::InReview { review: ReviewStage::Integrating { .. }, .. })
    }

    /// Whether its branch has judged work that a person can decide about.
    pub fn has_judged_work(&self) -> bool {
        self.judged_commit().is_some() && self.evidence.as_ref().is_some_and(|evidence| !evidence.commits.is_empty())
    }

    /// Whether it is final and `tasks.yml` says so: nothing happens to it unless a person asks, and nothing remains to
    /// be written. Such a task need not be in memory.
    pub fn is_settled(&self) -> bool {
        self.status().is_final()
            && match &self.file {
                FileState::Pending | FileState::PutBack => false,
                FileState::Written { status, since, .. } => {
                    *status == Some(self.status()) && since.is_empty() && !self.is_unwritten()
                }
                FileState::Removed { .. } => true,
            }
    }

    /// Returns the commit that holds its accepted work, for tasks that build on it. `None`: there is none, or it was
    /// reverted.
    pub fn accepted_commit(&self) -> Option<&str> {
        let integration = self.integration.as_deref().filter(|_| self.status() == Status::Done)?;
        match integration.state {
            IntegrationState::Kept | IntegrationState::Merged => integration.commit.as_deref(),
            IntegrationState::Reverted => None,
        }
    }

    /// Returns the tasks whose status decides when this one continues.
    pub fn waits_for(&self) -> impl Iterator<Item = TaskId> + '_ {
        let subtasks: &[TaskId] =
            if let State::Blocked(BlockedOn::Children { tasks } | BlockedOn::Dependencies { tasks }) = &self.state {
                tasks
            } else {
                &[]
            };
        self.spec.depends_on.iter().chain(subtasks).chain(self.awaited()).copied()
    }

    /// Returns the subtasks whose results its next run receives.
    pub fn awaited(&self) -> &[TaskId] {
        self.parts.as_ref().map_or(&[], |parts| parts.awaited.as_slice())
    }

    /// Returns the subtasks that its agents have delegated, over all of its runs.
    pub fn delegated(&self) -> &[TaskId] {
        self.parts.as_ref().map_or(&[], |parts| parts.delegated.as_slice())
    }

    /// Removes a person's request to run it now: it is treated like every other task.
    pub fn clear_run_now(&mut self) {
        self.run_now = false;
        self.past_pause = false;
    }

    /// Whether the person named the agent, so that orch may not change it.
    pub fn agent_is_pinned(&self) -> bool {
        self.spec.agent.is_some() || self.spec.labels.iter().any(|l| l.starts_with("agent:"))
    }
}
