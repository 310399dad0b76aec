//! What every job about a task works with: the adapters, the settings, the projects, and the task.

use crate::deps::Deps;
use crate::settings::{Settings, directory_of};
use orch_config::resolved::Config;
use orch_core::tasks::task::Task;
use orch_store::journal::Project;
use std::path::PathBuf;
use std::sync::Arc;

/// A task as it was when its job began, with what the job needs for it. A copy shares all but the list of projects.
#[derive(Clone)]
pub struct TaskContext {
    /// The adapters of the engine.
    pub deps: Arc<Deps>,
    /// The settings that hold while the job runs.
    pub settings: Arc<Settings>,
    /// The registered repositories.
    pub projects: Vec<Project>,
    /// The task that the job is about.
    pub task: Arc<Task>,
}

impl TaskContext {
    /// Returns the settings of the task; see [`Settings::for_task`].
    pub fn config(&self) -> Arc<Config> {
        self.settings.for_task(&self.task, &self.projects)
    }

    /// Returns the directory that the task's work belongs to, or why there is none.
    pub fn dir(&self) -> Result<PathBuf, String> {
        directory_of(&self.task, &self.projects)
    }
}
