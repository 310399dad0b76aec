//! One launch of one agent, as it is recorded. Plain data.

use super::Phase;
use crate::base::health::Health;
use crate::base::ids::{RunId, TaskId};
use crate::base::money::Usd;
use crate::tasks::outcome::{Outcome, RunKind, Usage};
use crate::tasks::route::Complexity;
use jiff::Timestamp;

/// One launch of one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The run's name; its processes are marked with it.
    pub id: RunId,
    /// The task that the run belongs to.
    pub task: TaskId,
    /// The purpose of the run.
    pub kind: RunKind,
    /// The attempt at the task to which it belongs, from 1.
    pub attempt: u32,
    /// The name of the agent.
    pub agent: String,
    /// The requested model.
    pub model: Option<String>,
    /// Why this model was chosen; `None`: for the reason of the task's route.
    pub model_reason: Option<String>,
    /// The assumed complexity of the work at the start; `None`: that of the task's route.
    pub complexity: Option<Complexity>,
    /// The model that answered, as the CLI names it: an alias may stand for another model later.
    pub answered_by: Option<String>,
    /// The current phase.
    pub phase: Phase,
    /// The conversation's id: chosen by orch or reported by the CLI.
    pub session_id: Option<String>,
    /// When the run was recorded.
    pub created_at: Timestamp,
    /// When the agent's process was started.
    pub started_at: Option<Timestamp>,
    /// When the run ended.
    pub ended_at: Option<Timestamp>,
    /// How the run ended; for work runs also orch's own verdict where it is worse than the agent's report.
    pub outcome: Option<Outcome>,
    /// What the run cost, as reported by the CLI, else computed from its tokens and the catalog's prices.
    pub cost: Option<Usd>,
    /// Whether `cost` is computed from tokens and prices because the CLI reported none.
    pub cost_computed: bool,
    /// The amount reserved in the budgets until the run ends; `None`: no price was known at its start.
    pub reserved: Option<Usd>,
    /// The tokens used.
    pub usage: Usage,
    /// Whether its agent accepts messages while it works.
    pub live: bool,
    /// The agent's health; `None` while nothing is known.
    pub health: Option<Health>,
}

impl Run {
    /// Creates a run that is about to start: the first attempt, without a model of its own.
    pub fn new(id: RunId, task: TaskId, kind: RunKind, agent: String, created_at: Timestamp) -> Self {
        Self {
            id,
            task,
            kind,
            attempt: 1,
            agent,
            model: None,
            model_reason: None,
            complexity: None,
            answered_by: None,
            phase: Phase::Starting,
            session_id: None,
            created_at,
            started_at: None,
            ended_at: None,
            outcome: None,
            cost: None,
            cost_computed: false,
            reserved: None,
            usage: Usage::default(),
            live: false,
            health: None,
        }
    }
}
