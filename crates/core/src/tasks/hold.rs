//! The reasons why a task does not continue now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a task does not continue now. The names are part of the JSON contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// All slots of `engine.max_parallel` are busy.
    Slots,
    /// Another task must be done first.
    Dependency,
    /// Its subtasks must be done first.
    Children,
    /// The directory of its repository is missing.
    MissingDir,
    /// Its repository is not registered, or it names none and there is not exactly one project.
    NoProject,
    /// The router is being asked.
    Routing,
    /// It waits before the next attempt.
    Backoff,
    /// The provider limits the rate.
    RateLimited,
    /// The provider is overloaded.
    Overloaded,
    /// The provider cannot be reached.
    Network,
    /// The provider refuses the credentials.
    Auth,
    /// The provider has no credit left.
    Budget,
    /// The agent is not available for another reason.
    Agent,
    /// Its entry in `tasks.yml` has a mistake.
    InvalidEntry,
    /// The checkout of the base branch has uncommitted changes.
    BaseDirty,
    /// No daemon is running.
    NoDaemon,
    /// It is being stopped.
    Stopping,
    /// All slots of `agents.NAME.max_parallel` are busy.
    AgentSlots,
    /// All slots of its project's `workflow.max_parallel` are busy.
    ProjectSlots,
    /// The machine is too loaded for all of `engine.max_parallel`.
    Load,
    /// Too little memory for another one.
    Memory,
    /// A disk has less free than `engine.min_free_disk_mb`.
    Disk,
    /// Too many consecutive failures of its agent, its project or a check there.
    Breaker,
    /// A person has paused everything, its project or its agent.
    Paused,
    /// orch is shutting down.
    ShuttingDown,
    /// Another agent reviews its work, or will.
    Review,
    /// A running task of its project works on the same files.
    Overlap,
    /// Another person or orch has claimed it.
    Claimed,
    /// As many tasks of its batch are busy as are allowed.
    BatchSlots,
    /// Its batch has spent its budget.
    BatchBudget,
    /// A spending limit is reached.
    Spent,
    /// The settings cannot be read, and never could since the start.
    Config,
    /// A fresh checkout cannot be prepared: `workspace.setup` fails, on the base as well.
    Setup,
    /// Another process holds a lock that orch needs.
    Locked,
    /// A program or file that orch needs does not respond.
    System,
    /// The person has not approved the checks of its project's `.orch.yml`.
    NotApproved,
}

impl HoldReason {
    /// All reasons.
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
