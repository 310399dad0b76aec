//! What a task is: the person's wish, orch's state, and the runs made for it. Plain data; the rules are elsewhere.

use super::evidence::{Evidence, Integration};
use super::ids::{RunId, TaskId};
use super::money::Usd;
use super::outcome::{Failure, FailureClass, Outcome, RunKind, Usage};
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
    /// With what the person says; in the same conversation where there is one.
    Said,
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

/// Why a run is being stopped, which decides what comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopFor {
    /// The person cancelled the task.
    Cancel,
    /// The person wants it from the beginning.
    Retry,
    /// The person stopped the agent and will say how to go on.
    Interrupt,
}

/// What orch does with a finished run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum ReviewStage {
    /// Evidence is gathered and checks run.
    Judging,
    /// Accepted; the branch is being brought to the base.
    Integrating {
        /// Not to be tried before this time, and why.
        waiting: Option<IntegrationWait>,
    },
}

/// Why an accepted branch is not merged at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrationWait {
    /// For a person.
    pub detail: String,
    /// When it is tried again.
    pub until: Timestamp,
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

/// Where a task's work lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workplace {
    /// Branch of the task.
    pub branch: String,
    /// Its checkout.
    pub worktree: PathBuf,
    /// Branch that the result goes to.
    pub base_branch: String,
    /// Commit the branch started from.
    pub base: String,
}

/// A conversation that can be gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Whose.
    pub agent: String,
    /// The CLI's id for it.
    pub session_id: String,
}

/// Where the task stands in `tasks.yml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "file", rename_all = "snake_case")]
pub enum FileState {
    /// Born through the API and not yet written there.
    #[default]
    Pending,
    /// Written there, with these values of orch's own fields.
    Written {
        /// The status last written or read; another word in the file is a request of the person, unless it is among
        /// `since`.
        status: Option<Status>,
        /// What the status has been since then: orch's own words, that a write may have brought into the file.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        since: Vec<Status>,
        /// Results (branch, attempts) stand there too. A save that knows nothing of them is an old copy.
        #[serde(default)]
        results: bool,
    },
    /// The person took it out of the file.
    Removed,
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
    /// Failures of the provider's side since the last other end.
    pub provider_failures: u32,
    /// Conflicts with the base since the last success.
    pub conflicts: u32,
    /// The last answer was already asked for a second time.
    pub repaired: bool,
    /// Failures of the work at the current complexity.
    pub tier_failures: u32,
    /// Where the work lies.
    pub place: Option<Box<Workplace>>,
    /// The conversation to resume.
    pub conversation: Option<Box<Conversation>>,
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
    /// Its place in `tasks.yml`.
    pub file: FileState,
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
            repaired: false,
            tier_failures: 0,
            place: None,
            conversation: None,
            last_failure: None,
            summary: None,
            evidence: None,
            integration: None,
            cost: None,
            run_now: false,
            file,
            created_at: now,
            updated_at: now,
        }
    }

    /// The word for its state.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// What a person is asked, and the commands that answer it.
    pub fn question(&self) -> Option<(&str, &[String])> {
        match &self.state {
            State::NeedsReview { question, choices } => Some((question, choices)),
            State::New { .. }
            | State::Routed { .. }
            | State::InProgress { .. }
            | State::InReview { .. }
            | State::Done
            | State::Blocked(_)
            | State::Cancelled { .. } => None,
        }
    }

    /// It is over and `tasks.yml` says so: nothing happens to it unless a person asks, and nothing of it is to be
    /// written. Such a task need not be at hand.
    pub fn is_settled(&self) -> bool {
        self.status().is_final()
            && match &self.file {
                FileState::Pending => false,
                FileState::Written { status, since, .. } => *status == Some(self.status()) && since.is_empty(),
                FileState::Removed => true,
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
        self.spec.depends_on.iter().chain(parts).copied()
    }

    /// The agent may not be changed by orch: the person named it.
    pub fn agent_is_pinned(&self) -> bool {
        self.spec.agent.is_some() || self.spec.labels.iter().any(|l| l.starts_with("agent:"))
    }
}

/// One launch of one agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its name and mark.
    pub id: RunId,
    /// For which task.
    pub task: TaskId,
    /// What it is for.
    pub kind: RunKind,
    /// Which attempt at the task it belongs to, from 1.
    pub attempt: u32,
    /// Which agent.
    pub agent: String,
    /// Which model was asked for.
    pub model: Option<String>,
    /// Where it stands.
    pub phase: Phase,
    /// The conversation: chosen by orch or told by the CLI.
    pub session_id: Option<String>,
    /// Recorded.
    pub created_at: Timestamp,
    /// The agent's process was started.
    pub started_at: Option<Timestamp>,
    /// It ended.
    pub ended_at: Option<Timestamp>,
    /// How; for work runs also orch's own verdict where it is worse than the agent's word.
    pub outcome: Option<Outcome>,
    /// What it cost, as the CLI says.
    pub cost: Option<Usd>,
    /// Tokens.
    pub usage: Usage,
    /// Its agent takes messages while it works.
    #[serde(default)]
    pub live: bool,
}
