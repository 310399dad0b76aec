//! Everything on one screen, on the wire. Stable: documented in `docs/reference/json.md`.

use super::batches::BatchView;
use super::jobs::UpcomingView;
use super::status::Overview;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Usd;
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::task::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The state of everything. Where one batch was asked for, tasks are those of the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DashboardView {
    /// The overview, as `GET /v1/status` returns it.
    #[serde(flatten)]
    pub overview: Overview,
    /// Projects with tasks that are not over.
    pub projects: Vec<ProjectView>,
    /// Tasks that wait, by what they wait for, the most first.
    pub held: Vec<HeldView>,
    /// The last tasks of which a run has ended, newest first.
    pub ended: Vec<EndedView>,
    /// The next times at which jobs fire.
    pub upcoming: Vec<UpcomingView>,
    /// The batch that was asked for, with its rows.
    pub batch: Option<BatchView>,
}

/// What there is to do in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectView {
    /// Its name; `null`: tasks that belong to no project.
    pub name: Option<String>,
    /// The directory of the project.
    pub dir: Option<PathBuf>,
    /// Its tasks that are not over, by status.
    pub counts: BTreeMap<String, u64>,
}

/// Tasks that wait for the same kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldView {
    /// The reason to wait.
    pub reason: HoldReason,
    /// The number of tasks that wait for it.
    pub count: u64,
    /// The first of these tasks.
    pub tasks: Vec<TaskId>,
    /// What the first of them waits for.
    pub detail: String,
    /// When the first of these waits ends, where that is known.
    pub until: Option<Timestamp>,
}

/// A task of which a run has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedView {
    /// The id of the task.
    pub task_id: TaskId,
    /// The title of the task.
    pub title: String,
    /// The current status of the task.
    pub status: Status,
    /// The id of the run.
    pub run_id: RunId,
    /// The agent of the run.
    pub agent: String,
    /// The model that was asked for.
    pub model: Option<String>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it cost, as the CLI says.
    pub cost_usd: Option<Usd>,
}
