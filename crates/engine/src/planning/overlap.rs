//! Which files running tasks have changed so far. Read while others wait to begin, and only now and then:
//! who starts meanwhile is judged by words.

use crate::engine::Engine;
use crate::job::Job;
use orch_core::planning::overlap::{Footprint, Overlap, Touched};
use orch_core::planning::plan::OverlapRules;
use orch_core::tasks::task::{State, Task};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The most running tasks that are read in one go, and waiting ones whose words are read for that.
const MOST_TASKS: usize = 32;
const MOST_WAITING: usize = 200;

impl Engine {
    /// Returns what planning needs to know of it.
    pub(crate) fn overlap_rules(&self) -> OverlapRules {
        let usual = self.settings.config.workflow.overlap;
        OverlapRules { usual, projects: self.settings.overlaps(), touched: Arc::clone(self.planner.touched()) }
    }

    /// Reads what running tasks have changed, where that may hold a waiting task up.
    pub(crate) fn read_changed_files(&mut self) {
        if !self.planner.is_time_to_read_changes(self.deps.clock.instant()) {
            return;
        }
        let dirs = self.contested();
        let works = |task: &&Arc<Task>| matches!(task.state, State::InProgress { .. }) && task.place.is_some();
        let there = |task: &&Arc<Task>| self.dir_of(task.id).is_some_and(|dir| dirs.contains(&dir));
        let tasks = self.state.tasks.values().filter(works).filter(there).take(MOST_TASKS).cloned().collect::<Vec<_>>();
        if !tasks.is_empty() {
            self.jobs.order(Job::ReadChanges { tasks });
        }
    }

    /// Returns the projects with a waiting task whose words name files.
    fn contested(&self) -> BTreeSet<PathBuf> {
        let waits = |task: &&Arc<Task>| matches!(task.state, State::Routed { .. });
        let waiting = self.state.tasks.values().filter(waits).take(MOST_WAITING);
        let named = waiting.filter(|task| !Footprint::from_task(task).is_empty());
        let dirs = named.filter_map(|task| self.dir_of(task.id));
        dirs.filter(|dir| self.planner.capacity().overlap_rules.for_dir(Some(dir.as_path())) != Overlap::Off).collect()
    }

    /// Takes over what was found.
    pub(crate) fn on_files_in_work(&mut self, touched: Touched) {
        self.planner.set_touched(touched);
    }
}
