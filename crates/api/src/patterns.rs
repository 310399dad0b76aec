//! How agents and models have done so far, on the wire. Stable: documented in `docs/reference/json.md`.

use super::mirror::words;
use jiff::{SignedDuration, Timestamp};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Usd;
use orch_core::economics::track_record::{Sample, Source, Standing, Verdict};
use orch_core::tasks::outcome::FailureClass;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::Status;
use orch_core::tasks::task_type::TaskType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How everybody has done in tasks of some kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PatternsView {
    /// Only tasks of this type; `null`: all.
    #[serde(rename = "type")]
    pub task_type: Option<String>,
    /// Only tasks of this repository; `null`: all.
    pub project: Option<PathBuf>,
    /// Only tasks with this label; `null`: all.
    pub label: Option<String>,
    /// How many samples there are of it.
    pub samples: u64,
    /// How many there are in all.
    pub total: u64,
    /// The agent to give such a task to; `null`: no agent has enough accepted runs.
    pub recommended: Option<Recommended>,
    /// Agents and models, the best first.
    pub rows: Vec<StandingView>,
    /// The same by type of task.
    pub by_type: BTreeMap<String, Vec<StandingView>>,
}

/// Whom to give a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recommended {
    /// The agent.
    pub agent: String,
    /// The model; `null`: the agent's own choice.
    pub model: Option<String>,
    /// Why this agent and model, for a person.
    pub reason: String,
}

impl From<&Standing> for Recommended {
    fn from(standing: &Standing) -> Self {
        let reason = standing.describe();
        Self { agent: standing.worker.agent.clone(), model: standing.worker.model.clone(), reason }
    }
}

/// The results of judged runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomesView {
    /// How many runs were judged.
    pub samples: u64,
    /// How many of them were accepted.
    pub successes: u64,
    /// How many of the samples a person recorded by hand.
    pub by_hand: u64,
    /// The share that was accepted, newer ones weighing more; from 0 to 1.
    pub rate: f64,
    /// Between which shares the true one lies, 95 times of a hundred.
    pub ci95: [f64; 2],
    /// What they cost; `null`: none has a price.
    pub cost_usd: Option<Usd>,
    /// The number of them without a price.
    pub unpriced: u64,
    /// What an accepted one cost, the others included; `null`: there is none, or no price.
    pub per_success_usd: Option<Usd>,
    /// How many seconds one took on average; `null`: not known.
    pub mean_seconds: Option<i64>,
}

/// The record of an agent with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StandingView {
    /// The agent.
    pub agent: String,
    /// The model, as the agent's program was given it; `null`: the agent's own choice.
    pub model: Option<String>,
    /// The results of its judged runs.
    #[serde(flatten)]
    pub outcomes: OutcomesView,
    /// What failed, and how often.
    pub failures: BTreeMap<String, u64>,
}

impl From<&Standing> for OutcomesView {
    fn from(standing: &Standing) -> Self {
        let (low, high) = standing.interval;
        Self {
            samples: standing.samples,
            successes: standing.successes,
            by_hand: standing.by_hand,
            rate: standing.rate,
            ci95: [low, high],
            cost_usd: standing.spend.sum(),
            unpriced: standing.spend.unpriced,
            per_success_usd: standing.per_success(),
            mean_seconds: standing.took.map(|took| took.as_secs()),
        }
    }
}

impl From<&Standing> for StandingView {
    fn from(standing: &Standing) -> Self {
        let failures = standing.failures.iter().map(|(class, count)| ((*class).to_owned(), *count));
        Self {
            agent: standing.worker.agent.clone(),
            model: standing.worker.model.clone(),
            outcomes: standing.into(),
            failures: failures.collect(),
        }
    }
}

/// A piece of work that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleView {
    /// Where it is from.
    pub source: SampleSource,
    /// The task; `null` of what a person recorded.
    pub task_id: Option<TaskId>,
    /// The run; `null` of what a person recorded.
    pub run_id: Option<RunId>,
    /// The title of the task.
    pub title: String,
    /// The type of work.
    #[serde(rename = "type")]
    pub task_type: String,
    /// The labels of the task.
    pub labels: Vec<String>,
    /// The repository of the task.
    pub project: Option<PathBuf>,
    /// How hard it was thought to be.
    pub complexity: Option<Complexity>,
    /// The agent.
    pub agent: String,
    /// The model, as the agent's program was given it; `null`: the agent's own choice.
    pub model: Option<String>,
    /// The model that answered, as the agent's CLI names it; `null`: it did not say, or a person recorded it.
    pub answered_by: Option<String>,
    /// Which attempt at the task it was, from 1; `null` of what a person recorded.
    pub attempt: Option<u32>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How many seconds it took; `null`: not known.
    pub seconds: Option<i64>,
    /// What it cost, as the CLI says.
    pub cost_usd: Option<Usd>,
    /// Whether the work was accepted.
    pub accepted: bool,
    /// Why not; `null` as well where a person did not say.
    pub failure: Option<FailureClass>,
    /// Which person recorded it; `null` of a run.
    pub by: Option<String>,
    /// In their words; `null` of a run.
    pub note: Option<String>,
}

words! {
    /// Where a sample is from.
    pub enum SampleSource {
        /// orch judged a run.
        Run = "run",
        /// A person recorded it by hand.
        Person = "person",
    }
}

impl From<Sample> for SampleView {
    fn from(sample: Sample) -> Self {
        let (accepted, failure) = (sample.is_accepted(), sample.failure());
        let (source, task_id, run_id, attempt, by, note) = match sample.source {
            Source::Run { task, run, attempt } => (SampleSource::Run, Some(task), Some(run), Some(attempt), None, None),
            Source::Person { number: _, by, note } => (SampleSource::Person, None, None, None, Some(by), Some(note)),
        };
        Self {
            source,
            task_id,
            run_id,
            title: sample.title,
            task_type: sample.task_type.to_string(),
            labels: sample.labels,
            project: sample.project,
            complexity: sample.complexity,
            agent: sample.agent,
            model: sample.model,
            answered_by: sample.version,
            attempt,
            ended_at: sample.ended_at,
            seconds: sample.took.map(|took| took.as_secs()),
            cost_usd: sample.cost,
            accepted,
            failure,
            by,
            note,
        }
    }
}

/// Converts the view back. The number of a sample that a person recorded is lost.
impl From<SampleView> for Sample {
    fn from(view: SampleView) -> Self {
        let source = match (view.task_id, view.run_id) {
            (Some(task), Some(run)) => Source::Run { task, run, attempt: view.attempt.unwrap_or(1) },
            _ => Source::Person { number: 0, by: view.by.unwrap_or_default(), note: view.note.unwrap_or_default() },
        };
        Self {
            source,
            title: view.title,
            task_type: TaskType::parse(&view.task_type),
            labels: view.labels,
            project: view.project,
            complexity: view.complexity,
            agent: view.agent,
            model: view.model,
            version: view.answered_by,
            ended_at: view.ended_at,
            took: view.seconds.map(SignedDuration::from_secs),
            cost: view.cost_usd,
            verdict: if view.accepted { Verdict::Accepted } else { Verdict::Failed(view.failure) },
        }
    }
}

/// What became of a piece of work, as a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The work was good.
    Success,
    /// The work was not good.
    Failure,
}

/// A sample to record by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSample {
    /// What kind of work: one of the types, or a word that tasks here have had.
    #[serde(rename = "type")]
    pub task_type: String,
    /// The model, as the agent's CLI names it.
    pub model: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The agent; without it, the only one that works with this model.
    #[serde(default)]
    pub agent: Option<String>,
    /// How hard it was.
    #[serde(default)]
    pub complexity: Option<Complexity>,
    /// Its repository: the name or the directory of a registered project.
    #[serde(default)]
    pub project: Option<String>,
    /// What it cost; without it, not known.
    #[serde(default)]
    pub cost_usd: Option<Usd>,
    /// How many seconds it took; without it, not known.
    #[serde(default)]
    pub seconds: Option<i64>,
    /// When it ended; without it, now.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Whatever is to be remembered of it.
    #[serde(default)]
    pub note: String,
    /// Who records it.
    #[serde(default)]
    pub by: Option<String>,
}

/// A task of the past that is like a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimilarView {
    /// The id of the task.
    pub task_id: TaskId,
    /// The title of the task.
    pub title: String,
    /// The status of the task.
    pub status: Status,
    /// Who made the last run of it that was judged; `null`: there is none yet.
    pub agent: Option<String>,
    /// With which model; `null`: the agent's own choice, or there is none yet.
    pub model: Option<String>,
    /// How many of its runs were judged.
    pub runs: u64,
    /// The last of them was accepted; `null`: there is none.
    pub accepted: Option<bool>,
    /// What all of its runs cost; `null`: no price is known.
    pub cost_usd: Option<Usd>,
}
