//! Which files running tasks have changed so far. Looked at while others wait to begin, and not oftener than now and then:
//! who starts meanwhile is judged by words.

use super::apply::Job;
use super::deps::Deps;
use super::main_loop::Engine;
use super::settings::directory_of;
use orch_core::overlap::{Footprint, Overlap, Touched};
use orch_core::plan::OverlapRules;
use orch_core::task::{State, Task};
use orch_store::journal::Project;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The shortest time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);
/// Files of one task that are kept in mind.
const MOST: usize = 500;
/// Running tasks that are looked at in one go, and waiting ones whose words are read for that.
const MOST_TASKS: usize = 32;
const MOST_WAITING: usize = 200;

/// What is known. Nothing of it is stored.
#[derive(Debug, Default)]
pub(super) struct Touching {
    files: Arc<Touched>,
    looked: Option<Instant>,
}

impl Engine {
    /// What planning needs to know of it.
    pub(super) fn overlap_rules(&self) -> OverlapRules {
        let usual = self.settings.config.workflow.overlap;
        OverlapRules { usual, projects: self.settings.overlaps(), touched: Arc::clone(&self.touching.files) }
    }

    /// Looks at what running tasks have changed, where that may hold somebody up, and somebody waits.
    pub(super) fn look_at_files_in_work(&mut self) {
        let instant = self.deps.clock.instant();
        let is_soon = self.touching.looked.is_some_and(|at| instant.duration_since(at) < BETWEEN_LOOKS);
        if is_soon || !self.current_plan().needs_capacity || !self.room.overlap_rules.is_enabled() {
            return;
        }
        self.touching.looked = Some(instant);
        let dirs = self.contested();
        let works = |task: &&Arc<Task>| matches!(task.state, State::InProgress { .. }) && task.place.is_some();
        let there = |task: &&Arc<Task>| self.dir_of(task.id).is_some_and(|dir| dirs.contains(&dir));
        let tasks = self.state.tasks.values().filter(works).filter(there).take(MOST_TASKS).cloned().collect::<Vec<_>>();
        if !tasks.is_empty() {
            self.spawn_once(Job::LookAtFiles { tasks });
        }
    }

    /// The projects in which somebody waits whose words name files.
    fn contested(&self) -> BTreeSet<PathBuf> {
        let waits = |task: &&Arc<Task>| matches!(task.state, State::Routed { .. });
        let waiting = self.state.tasks.values().filter(waits).take(MOST_WAITING);
        let named = waiting.filter(|task| !Footprint::from_task(task).is_empty());
        let dirs = named.filter_map(|task| self.dir_of(task.id));
        dirs.filter(|dir| self.room.overlap_rules.for_dir(Some(dir.as_path())) != Overlap::Off).collect()
    }

    /// What was found.
    pub(super) fn on_files_in_work(&mut self, touched: Touched) {
        self.touching.files = Arc::new(touched);
    }
}

/// The files that these tasks have changed; one that cannot be looked at has none.
pub(super) async fn touched(deps: &Deps, projects: &[Project], tasks: &[Arc<Task>]) -> Touched {
    let mut all = Touched::new();
    for task in tasks {
        match of_task(deps, projects, task).await {
            Ok(files) => drop(all.insert(task.id, files)),
            Err(error) => tracing::debug!(task = %task.id, error, "what a task has changed cannot be told now"),
        }
    }
    all
}

async fn of_task(deps: &Deps, projects: &[Project], task: &Task) -> Result<Arc<[String]>, String> {
    let place = task.place.as_ref().ok_or("it has no worktree")?;
    let repo = deps.repository(&directory_of(task, projects)?).await.map_err(|error| error.to_string())?;
    let checkout = repo.open_worktree(&place.worktree).map_err(|error| error.to_string())?.ok_or("it is gone")?;
    let files = repo.touched(&checkout, &place.base).await.map_err(|error| error.to_string())?;
    Ok(files.into_iter().take(MOST).map(|path| path.to_string_lossy().into_owned()).collect())
}
