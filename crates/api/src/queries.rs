//! What may stand behind the `?` of a request. Every field may be left out, unless it says otherwise.

use jiff::Timestamp;
use orch_core::economics::cost::By;
use orch_core::models::catalog::Capability;
use orch_core::text::output::Part;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of the status is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusQuery {
    /// `true`: the engine alone, without the lists.
    pub brief: Option<bool>,
}

/// What the dashboard shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DashboardQuery {
    /// The tasks of this batch only.
    pub batch: Option<String>,
}

/// Which costs are wanted, and how they are added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostQuery {
    /// What it is added up by; without a word by agent.
    #[serde(default)]
    pub by: By,
    /// Only runs that ended at this time or later.
    pub since: Option<Timestamp>,
    /// The cheapest merged change first.
    #[serde(default)]
    pub per_merged: bool,
}

/// Of which tasks patterns are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatternsQuery {
    /// Only of this type.
    #[serde(rename = "type")]
    pub task_type: Option<String>,
    /// Only of this repository: its directory, or the name of its project.
    pub project: Option<String>,
    /// Only with this label.
    pub label: Option<String>,
}

/// What tasks of the past are to be like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SimilarQuery {
    /// What a task is about.
    pub text: String,
    /// So many at most; five without a word.
    pub limit: Option<u32>,
}

/// Which models are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelsQuery {
    /// `true`: only those whose provider can be used.
    pub usable: Option<bool>,
    /// Only those that are known to have this.
    pub capability: Option<Capability>,
    /// Only those with a context of so many tokens or more.
    pub min_context: Option<u64>,
}

/// Which rows are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowsQuery {
    /// At most so many settled tasks, the newest; without it, all.
    pub settled: Option<u64>,
}

/// How a task is to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunQuery {
    /// `true`: also where it is paused.
    pub anyway: Option<bool>,
    /// `true`: in a new conversation.
    pub force_new: Option<bool>,
    /// As [`SeenQuery::unchanged_since`].
    pub unchanged_since: Option<Timestamp>,
}

/// The state of a task that the caller has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenQuery {
    /// Its `updated_at`: the request is refused (409) when the task has changed since.
    pub unchanged_since: Option<Timestamp>,
}

/// Which transcript to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputQuery {
    /// Which run; without it, the newest work run.
    pub run: Option<String>,
    /// The offset to begin at, in bytes.
    pub from: Option<u64>,
}

/// Which output to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamQuery {
    /// Only this run, to its end.
    pub run: Option<String>,
    /// From this byte of the newest run on.
    pub from: Option<u64>,
    /// From its last lines on.
    pub tail: Option<usize>,
    /// From what was written at this time on.
    pub since: Option<Timestamp>,
    /// From the task's first run on, not from its newest: for a watcher who was there before it.
    pub first: Option<bool>,
    /// What of it: `output`, `events` or `raw`.
    pub part: Option<Part>,
    /// As `Last-Event-ID`; of all tasks, several, with commas between them.
    pub cursor: Option<String>,
}

/// Which part of the history to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventsQuery {
    /// The history after this place; without it, from now on.
    pub after: Option<u64>,
    /// The history from this time on; `after` wins over it.
    pub since: Option<Timestamp>,
    /// Only the history of this task.
    pub task: Option<u64>,
    /// `false`: only what there is already.
    pub follow: Option<bool>,
}

/// What is wanted of a difference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffQuery {
    /// `true`: only the figures.
    pub stat: Option<bool>,
}

/// How much of the daemon's history is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryQuery {
    /// At most so many, the newest.
    pub limit: Option<u32>,
}

/// Which times of jobs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpcomingQuery {
    /// Of this job only.
    pub job: Option<String>,
    /// The number of times; 10 by default.
    pub n: Option<u32>,
}
