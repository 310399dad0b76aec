//! When runs that are over are packed, dropped and indexed: the loop's side of `upkeep`.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::mode::Mode;
use crate::job::Job;
use orch_core::task::Task;
use std::time::Duration;

/// Time between two looks at what is kept.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3600);

/// How long runs that ended are gathered before they are indexed: a burst has better things to do.
const GATHER: Duration = Duration::from_secs(2);

impl Engine {
    /// Starts what is due for runs that are over.
    pub(crate) fn keep_up(&mut self) {
        let at_start = match self.mode {
            Mode::Serve => true,
            Mode::Once | Mode::UntilIdle => false,
            Mode::Command | Mode::Task(_) => return,
        };
        let now = self.deps.clock.instant();
        if self.upkeep.next_look.is_none_or(|at| now >= at) {
            let is_due = at_start || self.upkeep.next_look.is_some();
            self.upkeep.next_look = Some(now + BETWEEN_LOOKS);
            let open = |task: &Task| !task.status().is_final();
            let open = self.state.tasks.values().filter(|task| open(task)).map(|task| task.id).collect();
            let is_idle = self.state.runs.is_empty();
            self.spawn_once(Job::Retain { open, is_due, is_idle });
            if at_start {
                self.collect_by_itself();
            }
        }
        let is_gathered = self.upkeep.gathering_since.is_some_and(|since| !at_start || now >= since + GATHER);
        if (self.upkeep.catch_up || is_gathered) && !self.is_under_way(&JobKey::Index) {
            let ended = std::mem::take(&mut self.upkeep.ended).into_iter().collect();
            self.upkeep.gathering_since = None;
            let runs = if std::mem::take(&mut self.upkeep.catch_up) { None } else { Some(ended) };
            self.spawn_once(Job::Index { runs });
        }
    }
}
