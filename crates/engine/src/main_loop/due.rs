//! The jobs that the stored state calls for: started when they are not under way, after the turn is on disk. Decides
//! nothing that a restart would not decide again.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::mode::Mode;
use crate::job::Job;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::planning::plan::Scope;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{Phase, ReviewStage, State, StopFor};
use std::sync::Arc;
use std::time::Duration;

/// How long the daemon gathers changes for one write of `tasks.yml`.
const WRITE_PAUSE: Duration = Duration::from_millis(50);

impl Engine {
    /// Starts whatever the stored state says must be under way and is not.
    pub(super) fn act(&mut self, now: Timestamp) {
        let mut due = Vec::new();
        for run in self.state.runs.values() {
            let Some(task) = self.state.tasks.get(&run.task) else { continue };
            // A review that is no longer needed is stopped, and its end awaited: it has a price.
            let is_idle = run.kind == RunKind::Review && task.state.reviewed_by() != Some(&run.id);
            let stopping = task.stopping().or(is_idle.then_some(StopFor::Cancel));
            if run.phase == Phase::Running
                && let Some(stop) = stopping
                && self.watch.asks_to_stop(&run.id)
            {
                due.push(Job::Stop { run: run.id.clone(), reason: stop.reason() });
            } else if run.phase == Phase::Starting && self.responsible_for(task.id) {
                let said = self.said_in_prompt(&run.id);
                due.push(Job::Start { task: Arc::clone(task), run: Box::new(run.clone()), said });
            }
        }
        for task in self.state.tasks.values().filter(|t| self.responsible_for(t.id)) {
            let State::InReview { run, review } = &task.state else { continue };
            match review {
                ReviewStage::Judging => {
                    if self.jobs.is_under_way(&JobKey::Judge(run.clone())) {
                        continue;
                    }
                    let standing = self.delegation_context(task);
                    due.push(Job::Judge { task: Arc::clone(task), standing, run: run.clone() });
                }
                ReviewStage::Reviewing { .. } => {}
                ReviewStage::Integrating { waiting, .. } => {
                    if waiting.as_ref().is_none_or(|w| w.until <= now) {
                        due.push(Job::Integrate { task: Arc::clone(task), run: run.clone() });
                    }
                }
            }
        }
        due.extend(self.deliveries());
        due.extend(self.commands_to_run());
        for job in due {
            self.jobs.order(job);
        }
        let pause = if self.lifetime.mode() == Mode::Serve { WRITE_PAUSE } else { Duration::ZERO };
        if self.file.is_due(self.deps.clock.instant(), pause)
            && let Some(job) = self.file.next_write(&self.state)
        {
            self.jobs.order(job);
        }
        if self.file.holds_outline() && self.state.tasks.is_empty() {
            self.file.rest();
        }
        self.read_changed_files();
        self.write_sidecars();
        self.keep_up();
    }

    pub(super) fn write_sidecars(&mut self) {
        if self.jobs.is_under_way(&JobKey::Sidecars) {
            return;
        }
        let tasks = self.storage.take_sidecars();
        if !tasks.is_empty() {
            self.jobs.order(Job::Sidecars { tasks });
        }
    }

    pub(crate) fn responsible_for(&self, task: TaskId) -> bool {
        match self.lifetime.mode().scope() {
            Scope::All => true,
            Scope::Only(id) => id == task,
            Scope::Nothing => false,
        }
    }

    pub(super) fn begin_jobs(&mut self) {
        for job in self.jobs.take_ordered() {
            let (key, deps, settings) = (job.key(), Arc::clone(&self.deps), Arc::clone(&self.settings));
            let projects = self.state.projects.clone();
            self.jobs.spawn(key, async move { job.run(&deps, &settings, &projects).await });
        }
    }

    pub(crate) fn poll_runs(&mut self) {
        let running: Vec<_> =
            self.state.runs.values().filter(|run| run.phase == Phase::Running).map(|run| run.id.clone()).collect();
        if running.is_empty() {
            return;
        }
        self.jobs.order(Job::Poll {
            runs: running,
            listen: self.tasks_with_messages(),
            seen: self.watch.seen().clone(),
        });
    }

    pub(crate) fn read_files(&mut self) {
        if self.file.is_writing() {
            // What would be read is about to change; the end of the write reads again.
            return self.file.read_after_write();
        }
        let known = self.timetable.beside(self.file.known());
        self.jobs.order(Job::ReadFiles { known });
    }
}
