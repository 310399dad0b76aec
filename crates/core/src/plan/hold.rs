//! The named reasons why a task does not move. Plain data; their words are made elsewhere.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a task does not move now. The names are part of the JSON contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// All of `engine.max_parallel` are busy.
    Slots,
    /// Another task must be done first.
    Dependency,
    /// Its parts must be done first.
    Children,
    /// The directory of its repository is not there.
    MissingDir,
    /// Its repository is not registered, or it names none, and there is no project or more than one.
    NoProject,
    /// The routing question is being answered.
    Routing,
    /// It waits before it tries again.
    Backoff,
    /// The provider limits the rate.
    RateLimited,
    /// The provider is overloaded.
    Overloaded,
    /// The provider is not reached.
    Network,
    /// The provider refuses the credentials.
    Auth,
    /// No credit.
    Budget,
    /// Another failure of the agent's side.
    Agent,
    /// Its entry in `tasks.yml` has a mistake.
    InvalidEntry,
    /// Uncommitted changes in the checkout of the base branch.
    BaseDirty,
    /// Nobody runs tasks now: no daemon.
    NoDaemon,
    /// It is being stopped.
    Stopping,
    /// All of `agents.NAME.max_parallel` are busy.
    AgentSlots,
    /// All of `workflow.max_parallel` of its project are busy.
    ProjectSlots,
    /// The machine is too loaded for all of `engine.max_parallel`.
    Load,
    /// Memory is too short for more than one.
    Memory,
    /// A disk has less free than `engine.min_free_disk_mb`.
    Disk,
    /// Too many failures in a row of its agent, its project or a check there.
    Breaker,
    /// A person has paused everything, its project or its agent.
    Paused,
    /// orch is shutting down.
    ShuttingDown,
    /// Another agent looks at its work, or will.
    Review,
    /// A running task of its project works on the same files.
    Overlap,
    /// Somebody else has claimed it.
    Claimed,
    /// As many of its batch are busy as may be at the same time.
    BatchSlots,
    /// Its batch has spent its budget.
    BatchBudget,
    /// What may be spent is spent.
    Spent,
    /// The settings do not read, and never did since the start.
    Config,
    /// A fresh checkout cannot be made ready: `workspace.setup` fails, on the base as well.
    Setup,
    /// Another process holds a lock that orch needs.
    Locked,
    /// A program or a file that orch needs does not answer now.
    System,
    /// The person has not approved the checks of its project's `.orch.yml`.
    NotApproved,
}

impl HoldReason {
    /// All of them.
    pub const ALL: [Self; 36] = [
        Self::Slots,
        Self::Dependency,
        Self::Children,
        Self::MissingDir,
        Self::NoProject,
        Self::Routing,
        Self::Backoff,
        Self::RateLimited,
        Self::Overloaded,
        Self::Network,
        Self::Auth,
        Self::Budget,
        Self::Agent,
        Self::InvalidEntry,
        Self::BaseDirty,
        Self::NoDaemon,
        Self::Stopping,
        Self::AgentSlots,
        Self::ProjectSlots,
        Self::Load,
        Self::Memory,
        Self::Disk,
        Self::Breaker,
        Self::Paused,
        Self::ShuttingDown,
        Self::Review,
        Self::Overlap,
        Self::Claimed,
        Self::BatchSlots,
        Self::BatchBudget,
        Self::Spent,
        Self::Config,
        Self::Setup,
        Self::Locked,
        Self::System,
        Self::NotApproved,
    ];
}

/// A named reason why a task does not move, and when it will be looked at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// The kind.
    pub reason: HoldReason,
    /// For a person.
    pub detail: String,
    /// When it ends, where that is known.
    pub until: Option<Timestamp>,
}

impl Hold {
    pub(super) fn new(reason: HoldReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), until: None }
    }

    pub(super) fn until(reason: HoldReason, detail: impl Into<String>, until: Timestamp) -> Self {
        Self { reason, detail: detail.into(), until: Some(until) }
    }
}
