//! One launch of one agent, as it is recorded. Plain data.

use super::Phase;
use crate::health::Health;
use crate::ids::{RunId, TaskId};
use crate::money::Usd;
use crate::outcome::{Outcome, RunKind, Usage};
use crate::route::Complexity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Why this model; `None`: as the task's route says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_reason: Option<String>,
    /// How hard its work was taken to be when it began; `None`: as the task's route says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complexity: Option<Complexity>,
    /// The model that answered, as the CLI names it: an alias stands for another one some day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
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
    /// What it cost: by the CLI's word, else by its tokens and the catalog's prices.
    pub cost: Option<Usd>,
    /// `cost` is computed from tokens and prices; the CLI reported none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_computed: bool,
    /// What is set aside for it in the budgets until it has ended; `None`: no price was known when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Usd>,
    /// Tokens.
    pub usage: Usage,
    /// Its agent takes messages while it works.
    #[serde(default)]
    pub live: bool,
    /// How its agent fares; `None` as long as there is nothing to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

impl Run {
    /// One of which nothing is known yet but that it is to be: the first attempt, without a model of its own.
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
