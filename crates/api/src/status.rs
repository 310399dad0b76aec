//! How things stand, on the wire: the engine in a few words, and everything that fits one screen.

use super::availability::LeftAloneView;
use super::batches::BatchView;
use super::breakers::BreakerView;
use super::health::HealthView;
use super::mirror::words;
use super::set_models::SetModelView;
use super::switches::{DepartureView, PauseView};
use super::types::HoldView;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::{Spend, Usd};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::task::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of the engine, which every command requests first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// Version of the running orch.
    pub version: String,
    /// The id of the process.
    pub pid: u32,
    /// What it was started for.
    pub mode: EngineMode,
    /// Keys that its environment or command line sets over config.yml, each with a mark of the value.
    #[serde(default)]
    pub overrides: BTreeMap<String, String>,
    /// Where it listens beside its socket.
    #[serde(default)]
    pub http: Option<String>,
    /// The number of tasks by status.
    pub counts: BTreeMap<String, u64>,
    /// Nothing will move any more without a person or another event.
    pub idle: bool,
    /// What is wrong with `tasks.yml`, `config.yml` or the journal.
    pub problems: Vec<String>,
    /// How many agents may work at the same time now.
    #[serde(default)]
    pub slots: SlotsView,
    /// Circuit breakers that are open or half-open.
    #[serde(default)]
    pub breakers: Vec<BreakerView>,
    /// Whether the engine serves.
    #[serde(default)]
    pub state: EngineState,
    /// How it shuts down, while it does.
    #[serde(default)]
    pub shutting_down: Option<DepartureView>,
    /// Everything that is paused.
    #[serde(default)]
    pub paused: Vec<PauseView>,
    /// Models that are set for the daemon's lifetime.
    #[serde(default)]
    pub set_models: Vec<SetModelView>,
    /// Agents that are left alone because a provider failed.
    #[serde(default)]
    pub left_alone: Vec<LeftAloneView>,
    /// The last place in the history.
    #[serde(default)]
    pub seq: u64,
}

/// Room for agents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SlotsView {
    /// The number of slots that are taken.
    pub busy: usize,
    /// Slots that there are now.
    pub total: usize,
    /// Why these are not as many as `engine.max_parallel` says.
    pub because: Option<String>,
}

words! {
    /// What an engine was started for.
    pub enum EngineMode {
        /// The daemon: until it is stopped.
        Serve = "serve",
        /// One pass.
        Once = "once",
        /// Until nothing is left to do.
        UntilIdle = "until-idle",
        /// One command that only looks or edits.
        Command = "command",
        /// `orch task run`: one task.
        Task = "task",
    }
}

words! {
    /// Whether an engine serves.
    #[derive(Default)]
    pub enum EngineState {
        /// It serves.
        #[default]
        Serving = "serving",
        /// It is shutting down.
        ShuttingDown = "shutting_down",
    }
}

/// Everything at a glance. Of each list only the first are here; `counts` tells how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// The state of the engine.
    #[serde(flatten)]
    pub status: StatusView,
    /// Agents at work, those that began first first.
    pub running: Vec<RunningView>,
    /// Tasks that a person must look at, in the order of their ids.
    pub needs_you: Vec<QuestionView>,
    /// Tasks that wait or are being checked, those of the highest priority first.
    pub queued: Vec<QueuedView>,
    /// What was spent since local midnight.
    pub today: SpendView,
    /// Batches that are open, without their rows.
    #[serde(default)]
    pub batches: Vec<BatchView>,
}

/// An agent at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunningView {
    /// The id of the task.
    pub task_id: TaskId,
    /// The title of the task.
    pub title: String,
    /// The id of the run.
    pub run_id: RunId,
    /// The purpose of the run.
    pub kind: RunKind,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The agent.
    pub agent: String,
    /// The model that was asked for.
    pub model: Option<String>,
    /// When the run started.
    pub since: Timestamp,
    /// What its task has cost so far, without this run; `null`: nothing is known.
    #[serde(default)]
    pub cost_usd: Option<Usd>,
    /// The last line that it said.
    pub last_line: Option<String>,
    /// How the agent fares; `null` as long as there is nothing to tell.
    #[serde(default)]
    pub health: Option<HealthView>,
}

/// A task that a person must look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuestionView {
    /// The id of the task.
    pub id: TaskId,
    /// The title of the task.
    pub title: String,
    /// What kind of help is needed.
    #[serde(default)]
    pub kind: QuestionKind,
    /// The question to the person.
    pub question: String,
    /// The commands that answer it.
    pub choices: Vec<String>,
}

/// A task that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueuedView {
    /// The id of the task.
    pub id: TaskId,
    /// The title of the task.
    pub title: String,
    /// The status of the task.
    pub status: Status,
    /// The agent.
    pub agent: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Why it waits; `null`: it moves by itself.
    pub hold: Option<HoldView>,
}

/// What runs cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpendView {
    /// Runs that ended since then.
    pub since: Timestamp,
    /// The sum of what is known; `null` where runs ended and none of them has a price.
    pub cost_usd: Option<Usd>,
    /// The number of runs that ended.
    pub runs: u64,
    /// The number of them without a price.
    pub unpriced: u64,
}

impl SpendView {
    /// Creates the view of a sum.
    pub fn new(spend: Spend, since: Timestamp) -> Self {
        Self { since, cost_usd: spend.sum(), runs: spend.runs, unpriced: spend.unpriced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spend_that_nobody_knows_is_not_zero() {
        let cost = |known, runs, unpriced| {
            let spend = Spend { known: Usd::from_micros(known), runs, unpriced };
            SpendView::new(spend, Timestamp::UNIX_EPOCH).cost_usd
        };
        assert_eq!(cost(0, 0, 0), Some(Usd::ZERO));
        assert_eq!(cost(0, 2, 2), None);
        assert_eq!(cost(5, 2, 1), Some(Usd::from_micros(5)));
    }

    #[test]
    fn an_overview_holds_the_status_and_an_old_daemons_status_reads_too() {
        let old = r#"{"version":"0","pid":1,"mode":"serve","counts":{},"idle":true,"problems":[]}"#;
        let status: StatusView = serde_json::from_str(old).expect("a status");
        let today = SpendView::new(Spend::default(), Timestamp::UNIX_EPOCH);
        let overview = Overview {
            status: status.clone(),
            running: vec![],
            needs_you: vec![],
            queued: vec![],
            today,
            batches: vec![],
        };
        let text = serde_json::to_string(&overview).expect("plain data");
        assert_eq!(serde_json::from_str::<StatusView>(&text).expect("a status"), status);
        assert_eq!(serde_json::from_str::<Overview>(&text).expect("an overview"), overview);
    }
}
