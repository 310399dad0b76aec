//! The jobs that the stored state calls for: begun when they are not under way, after the turn is on disk. Decides nothing
//! that a restart would not decide again.

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::engine::mode::Mode;
use crate::job::Job;
use crate::runs::reviewing::review_of;
use jiff::Timestamp;
use orch_core::ids::TaskId;
use orch_core::outcome::RunKind;
use orch_core::plan::Scope;
use orch_core::task::{Phase, ReviewStage, State, StopFor};
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
            // A review that nobody waits for any more is stopped, and its end awaited: it has a price.
            let is_idle = run.kind == RunKind::Review && review_of(task) != Some(&run.id);
            let stopping = task.stopping().or(is_idle.then_some(StopFor::Cancel));
            if run.phase == Phase::Running
                && let Some(stop) = stopping
                && self.asked_to_stop.insert(run.id.clone())
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
                    if self.in_flight.contains(&JobKey::Judge(run.clone())) {
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
            self.spawn_once(job);
        }
        let pause = if self.mode == Mode::Serve { WRITE_PAUSE } else { Duration::ZERO };
        if self.file.is_due(self.deps.clock.instant(), pause)
            && let Some(job) = self.file.next_write(&self.state)
        {
            self.spawn_once(job);
        }
        if self.file.holds_outline() && self.state.tasks.is_empty() {
            self.file.rest();
        }
        self.look_at_files_in_work();
        self.write_sidecars();
        self.keep_up();
    }

    pub(super) fn write_sidecars(&mut self) {
        if self.in_flight.contains(&JobKey::Sidecars) || self.sidecars.is_empty() {
            return;
        }
        let tasks = std::mem::take(&mut self.sidecars).into_values().collect();
        self.spawn_once(Job::Sidecars { tasks });
    }

    pub(crate) fn responsible_for(&self, task: TaskId) -> bool {
        match self.mode.scope() {
            Scope::All => true,
            Scope::Only(id) => id == task,
            Scope::Nothing => false,
        }
    }

    /// Puts a job down to be begun when the turn is stored, unless the same is under way.
    pub(crate) fn spawn_once(&mut self, job: Job) {
        let key = job.key();
        if !self.in_flight.insert(key.clone()) {
            // What the running one has looked at already may have changed since.
            self.again.insert(key);
            return;
        }
        self.begun.push(job);
    }

    /// What the turn put down, handed over to whoever carries it out.
    pub(crate) fn take_begun(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.begun)
    }

    pub(super) fn begin_jobs(&mut self) {
        for job in self.take_begun() {
            let (key, deps, settings) = (job.key(), Arc::clone(&self.deps), Arc::clone(&self.settings));
            let (named, projects) = (key.clone(), self.state.projects.clone());
            let handle = self.jobs.spawn(async move { (key, job.run(&deps, &settings, &projects).await) });
            self.keys.insert(handle.id(), named);
        }
    }

    pub(crate) fn look_at_runs(&mut self) {
        let running: Vec<_> =
            self.state.runs.values().filter(|run| run.phase == Phase::Running).map(|run| run.id.clone()).collect();
        if running.is_empty() {
            return;
        }
        self.spawn_once(Job::Look { runs: running, listen: self.tasks_with_messages(), seen: self.seen.clone() });
    }

    pub(crate) fn read_files(&mut self) {
        if self.file.is_writing() {
            // What would be read is about to change; the end of the write reads again.
            return self.file.read_after_write();
        }
        let known = self.timetable.beside(self.file.known());
        self.spawn_once(Job::ReadFiles { known });
    }
}
