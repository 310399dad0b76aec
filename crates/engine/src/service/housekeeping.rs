//! When runs that are over are packed, dropped and indexed: the loop's side of `upkeep`.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::mode::Mode;
use crate::job::Job;
use orch_core::tasks::task::Task;

impl Engine {
    /// Starts what is due for runs that are over.
    pub(crate) fn keep_up(&mut self) {
        let at_start = match self.lifetime.mode() {
            Mode::Serve => true,
            Mode::Once | Mode::UntilIdle => false,
            Mode::Command | Mode::Task(_) => return,
        };
        let now = self.deps.clock.instant();
        if let Some(is_due) = self.watch.take_retention(now, at_start) {
            let open = |task: &Task| !task.status().is_final();
            let open = self.state.tasks.values().filter(|task| open(task)).map(|task| task.id).collect();
            let is_idle = self.state.runs.is_empty();
            self.jobs.order(Job::Retain { open, is_due, is_idle });
            if at_start {
                self.collect_by_itself();
            }
        }
        if self.watch.is_index_due(now, at_start) && !self.jobs.is_under_way(&JobKey::Index) {
            let runs = self.watch.take_for_index();
            self.jobs.order(Job::Index { runs });
        }
    }
}
