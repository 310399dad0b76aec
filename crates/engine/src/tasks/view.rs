//! All that is known at one moment.

use crate::settings::Settings;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::models::set_model::SetModel;
use orch_core::operations::pause::Pause;
use orch_core::operations::service::Departure;
use orch_core::planning::batch::Batch;
use orch_core::planning::breaker::Breaker;
use orch_core::planning::plan::{Capacity, Cooldown, DependencyState, Plan, dependency_state, status_in};
use orch_core::tasks::task::{Run, Status, Task};
use orch_store::journal::Project;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// All that is known at one moment. Cheap: tasks are shared.
#[derive(Clone)]
pub struct View {
    /// The time of this snapshot.
    pub now: Timestamp,
    /// All tasks that are not settled, and perhaps some that are.
    pub tasks: Arc<BTreeMap<TaskId, Arc<Task>>>,
    /// How settled tasks ended: all that a task of `tasks` waits for, and perhaps others.
    pub settled: Arc<BTreeMap<TaskId, Status>>,
    /// Runs that have not ended.
    pub live_runs: Vec<Run>,
    /// The repositories that are registered.
    pub projects: Vec<Project>,
    /// What would begin, and why the rest waits.
    pub plan: Arc<Plan>,
    /// What limited starts.
    pub room: Arc<Capacity>,
    /// Breakers that have seen failures.
    pub breakers: Vec<Breaker>,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// What is wrong with `tasks.yml` or `config.yml` now.
    pub problems: Vec<String>,
    /// What is paused.
    pub pauses: Vec<Pause>,
    /// Models that are set for the daemon's lifetime.
    pub set_models: Vec<SetModel>,
    /// Agents that are left alone now, or one provider of theirs as `agent/provider`.
    pub active_cooldowns: BTreeMap<String, Cooldown>,
    /// Batches that are open.
    pub batches: Vec<Arc<Batch>>,
    /// The engine is on its way out.
    pub leaving: Option<Departure>,
    /// The last place in the history.
    pub last_seq: u64,
}

impl View {
    /// Returns the status of a task that is here, or that one which is here waits for.
    pub fn status(&self, id: TaskId) -> Option<Status> {
        status_in(&self.tasks, &self.settled, id)
    }

    /// Returns the state of a task that another one waits for.
    pub fn waited(&self, id: TaskId) -> Option<DependencyState> {
        dependency_state(&self.tasks, &self.settled, id)
    }

    /// Returns where tasks belong that name no directory: to the only project, where there is only one.
    pub fn only_project(&self) -> Option<&Path> {
        match self.projects.as_slice() {
            [only] => Some(&only.dir),
            [] | [_, _, ..] => None,
        }
    }
}
