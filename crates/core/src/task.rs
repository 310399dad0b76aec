//! What a task is: the person's wish, orch's state, and the runs made for it. Plain data; the rules are elsewhere.

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
pub use super::file_entry::{FileEntry, FileState, Seen};
use super::ids::TaskId;
use super::money::Usd;
use super::outcome::Failure;
use super::question::QuestionKind;
use super::route::{Complexity, RouteResult};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the person wants. Belongs to the person: an edit in `tasks.yml` wins.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// One line, whatever characters it holds.
    pub title: String,
    /// The details, free text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// `agent:*` and `complexity:*` steer routing; others inform it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Higher starts first; 0 is usual.
    pub priority: i64,
    /// Tasks that must be done before this one starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// The task this one is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// Directory of its repository; `None`: the only project's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Free word such as feature, bug, docs.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Agent demanded by the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Model demanded by the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Complexity demanded by the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complexity: Option<Complexity>,
    /// Who claimed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
}

/// The word for a state that files, the API and people use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
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
    /// Waits on a dependency; lifted by orch.
    Blocked,
    /// A person must look.
    NeedsReview,
    /// Given up by a person.
    Cancelled,
}

impl Status {
    /// All, in the order of a task's life.
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

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Routed => "routed",
            Self::InProgress => "in_progress",
            Self::InReview => "in_review",
            Self::Done => "done",
            Self::Blocked => "blocked",
            Self::NeedsReview => "needs_review",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Nothing will happen to it any more unless a person asks.
    pub fn is_final(self) -> bool {
        match self {
            Self::Done | Self::Cancelled => true,
            Self::New | Self::Routed | Self::InProgress | Self::InReview | Self::Blocked | Self::NeedsReview => false,
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Recorded; its worktree, prompt and session are being made.
    Starting,
    /// The runner has it.
    Running,
    /// Its end is recorded.
    Ended,
}

/// Where a task's work lies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Workplace {
    /// Branch of the task.
    pub branch: String,
    /// Its checkout.
    pub worktree: PathBuf,
    /// Branch that the result goes to.
    pub base_branch: String,
    /// Commit the branch started from.
    pub base: String,
    /// The accepted work of other tasks that this commit holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub began_from: Vec<BeganFrom>,
    /// What happens with the result of the present run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Box<WorkTerms>>,
}

/// Accepted work of a task, on which another task builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BeganFrom {
    /// The task that made it.
    pub task: TaskId,
    /// The commit that was accepted.
    pub commit: String,
}

/// A conversation that can be gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Whose.
    pub agent: String,
    /// The CLI's id for it.
    pub session_id: String,
    /// The model of its last run, as the agent's program was given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// The person's part.
    pub spec: Spec,
    /// Where it stands.
    pub state: State,
    /// The current route.
    pub route: Option<Box<RouteResult>>,
    /// Failed routing questions since the last success.
    pub route_failures: u32,
    /// Work runs that count against `workflow.max_attempts`.
    pub attempts: u32,
    /// Runs ever begun, of every kind; the last ordinal given out.
    pub runs: u32,
    /// The branch that was checked out in its repository when it was made: it starts from there, unless the settings name one.
    /// A branch that the person switches to meanwhile is none of its business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_branch: Option<String>,
    /// Failures of the provider's side since the last other end.
    pub provider_failures: u32,
    /// Rounds in a row that a conflict with the base was given back to the author, since the last one that resolved it.
    pub conflicts: u32,
    /// The commit of the base with which the last conflict was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict_base: Option<String>,
    /// The last answer was already asked for a second time.
    pub repaired: bool,
    /// Failures of the work since it was begun or went to a stronger model.
    pub tier_failures: u32,
    /// How often it went to a stronger model since it was begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps_up: u32,
    /// How often a reviewer sent the work back since it was begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub review_rounds: u32,
    /// Agents that failed to review the present work, one entry for each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_reviews: Vec<String>,
    /// Agents whose review of the present work could not be read or was cut off, one entry for each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread_reviews: Vec<String>,
    /// What was judged and not accepted: git's names for all its files, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected_trees: Vec<String>,
    /// Where `unblock` takes up again a step of orch's own that had failed for minutes; only while a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Box<State>>,
    /// Where the work lies.
    pub place: Option<Box<Workplace>>,
    /// The conversation to resume.
    pub conversation: Option<Box<Conversation>>,
    /// The model that a person has asked for with a message: the next run has it, and only that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_model: Option<String>,
    /// Why the last run failed.
    pub last_failure: Option<Box<Failure>>,
    /// The last summary of an agent.
    pub summary: Option<String>,
    /// What the last judgement saw.
    pub evidence: Option<Box<Evidence>>,
    /// What became of the branch.
    pub integration: Option<Box<Integration>>,
    /// Known cost of all runs; `None` until one is known.
    pub cost: Option<Usd>,
    /// A person asked for it now: slots and times do not hold it back.
    pub run_now: bool,
    /// A person asked for it although it was paused: pauses do not hold it back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub past_pause: bool,
    /// Its place in `tasks.yml`.
    pub file: FileState,
    /// What stands there of the person's part, where a command has changed it since somebody last saved the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed: Option<Box<FileEntry>>,
    /// Keys of its entry in `tasks.yml` that mean nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Its parts, as far as its runs have to do with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Box<Parts>>,
    /// Who took it last, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Box<Claim>>,
    /// Born.
    pub created_at: Timestamp,
    /// Last change of state.
    pub updated_at: Timestamp,
}

impl Task {
    /// A new task.
    pub fn new(id: TaskId, spec: Spec, file: FileState, now: Timestamp) -> Self {
        Self {
            id,
            spec,
            state: State::NEW,
            route: None,
            route_failures: 0,
            attempts: 0,
            runs: 0,
            provider_failures: 0,
            conflicts: 0,
            conflict_base: None,
            base_branch: None,
            repaired: false,
            tier_failures: 0,
            steps_up: 0,
            review_rounds: 0,
            failed_reviews: Vec::new(),
            unread_reviews: Vec::new(),
            rejected_trees: Vec::new(),
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

    /// The word for its state.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// Why its run is being stopped, while it is.
    pub fn stopping(&self) -> Option<StopFor> {
        match &self.state {
            State::InProgress { stopping, .. } => *stopping,
            State::New { .. }
            | State::Routed { .. }
            | State::InReview { .. }
            | State::Done
            | State::Blocked(_)
            | State::NeedsReview { .. }
            | State::Cancelled { .. } => None,
        }
    }

    /// What a person is asked, and the commands that answer it.
    pub fn question(&self) -> Option<(&str, &[String])> {
        match &self.state {
            State::NeedsReview { question, choices, .. } => Some((question, choices)),
            State::New { .. }
            | State::Routed { .. }
            | State::InProgress { .. }
            | State::InReview { .. }
            | State::Done
            | State::Blocked(_)
            | State::Cancelled { .. } => None,
        }
    }

    /// What kind of help it needs from a person.
    pub fn question_kind(&self) -> Option<QuestionKind> {
        match &self.state {
            State::NeedsReview { kind, .. } => Some(*kind),
            State::New { .. }
            | State::Routed { .. }
            | State::InProgress { .. }
            | State::InReview { .. }
            | State::Done
            | State::Blocked(_)
            | State::Cancelled { .. } => None,
        }
    }

    /// The commit of its branch that orch has judged: what an approval is of. After a revert it is the commit by which orch
    /// has put the work back onto the branch.
    pub fn judged_commit(&self) -> Option<&str> {
        let restored = self.integration.as_ref().and_then(|integration| integration.restored.as_deref());
        let judged = self.evidence.as_ref().map(|evidence| evidence.head.as_str());
        restored.or(judged).filter(|sha| !sha.is_empty())
    }

    /// Its work is accepted: by whoever is to look at it, and not only by the evidence.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Done | State::InReview { review: ReviewStage::Integrating { .. }, .. })
    }

    /// There is judged work on its branch that a person can decide about.
    pub fn has_judged_work(&self) -> bool {
        self.judged_commit().is_some() && self.evidence.as_ref().is_some_and(|evidence| !evidence.commits.is_empty())
    }

    /// It is over and `tasks.yml` says so: nothing happens to it unless a person asks, and nothing of it is to be
    /// written. Such a task need not be at hand.
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

    /// The commit that holds what was accepted of it, for tasks that build on it. `None`: it has none, or it was taken
    /// back.
    pub fn accepted_commit(&self) -> Option<&str> {
        let integration = self.integration.as_deref().filter(|_| self.status() == Status::Done)?;
        match integration.state {
            IntegrationState::Kept | IntegrationState::Merged => integration.commit.as_deref(),
            IntegrationState::Reverted => None,
        }
    }

    /// The tasks whose status decides when this one moves.
    pub fn waits_for(&self) -> impl Iterator<Item = TaskId> + '_ {
        let parts: &[TaskId] = match &self.state {
            State::Blocked(BlockedOn::Children { tasks } | BlockedOn::Dependencies { tasks }) => tasks,
            State::Blocked(BlockedOn::MissingDir { .. })
            | State::New { .. }
            | State::Routed { .. }
            | State::InProgress { .. }
            | State::InReview { .. }
            | State::Done
            | State::NeedsReview { .. }
            | State::Cancelled { .. } => &[],
        };
        self.spec.depends_on.iter().chain(parts).chain(self.awaited()).copied()
    }

    /// Parts whose results its next run is told of.
    pub fn awaited(&self) -> &[TaskId] {
        self.parts.as_ref().map_or(&[], |parts| parts.awaited.as_slice())
    }

    /// Parts that its agents have handed on, over all of its runs.
    pub fn handed_on(&self) -> &[TaskId] {
        self.parts.as_ref().map_or(&[], |parts| parts.handed_on.as_slice())
    }

    /// Nobody waits for it any more: it is treated like every other task.
    pub fn put_back_in_line(&mut self) {
        self.run_now = false;
        self.past_pause = false;
    }

    /// The agent may not be changed by orch: the person named it.
    pub fn agent_is_pinned(&self) -> bool {
        self.spec.agent.is_some() || self.spec.labels.iter().any(|l| l.starts_with("agent:"))
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
