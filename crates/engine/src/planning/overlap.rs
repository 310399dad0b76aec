//! Which files running tasks have changed so far. Looked at while others wait to begin, and not oftener than now and then:
//! who starts meanwhile is judged by words.

use crate::engine::Engine;
use crate::job::Job;
use orch_core::overlap::{Footprint, Overlap, Touched};
use orch_core::plan::OverlapRules;
use orch_core::task::{State, Task};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The shortest time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);
/// Running tasks that are looked at in one go, and waiting ones whose words are read for that.
const MOST_TASKS: usize = 32;
const MOST_WAITING: usize = 200;

/// What is known. Nothing of it is stored.
#[derive(Debug, Default)]
pub(crate) struct Touching {
    files: Arc<Touched>,
    looked: Option<Instant>,
}

impl Engine {
    /// What planning needs to know of it.
    pub(crate) fn overlap_rules(&self) -> OverlapRules {
        let usual = self.settings.config.workflow.overlap;
        OverlapRules { usual, projects: self.settings.overlaps(), touched: Arc::clone(&self.touching.files) }
    }

    /// Looks at what running tasks have changed, where that may hold somebody up, and somebody waits.
    pub(crate) fn look_at_files_in_work(&mut self) {
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
    pub(crate) fn on_files_in_work(&mut self, touched: Touched) {
        self.touching.files = Arc::new(touched);
    }
}
