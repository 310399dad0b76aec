//! What recurs: `jobs.yml`, the clock of each job, and what a job makes when its time comes. A firing is stored in the
//! turn that makes its task, so that a crash neither loses nor doubles it; when a job fires is decided by
//! `core::operations::job::due`.

mod file;
pub(crate) mod job_command;
pub(crate) mod orders;

use crate::deps::job_key::JobKey;
use crate::engine::Engine;
use crate::job::Job;
use crate::state::ChangeSet;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::{CommandRun, Due, Fired, JobFact, JobFailure, TaskFact};
use orch_core::base::ids::TaskId;
use orch_core::operations::job::due::{Move, advance};
use orch_core::operations::job::{Cause, CommandEnd, CommandState, Firing, FiringKey, JobId, JobRecord, Made, title};
use orch_core::planning::plan::Scope;
use orch_core::tasks::task::{FileState, Spec, Status, Task};
use std::time::Duration;

/// A time as a person reads it in the job's zone.
fn shown(due: Timestamp, zone: &TimeZone) -> Due {
    Due { at: due, local: due.to_zoned(zone.clone()).strftime("%F %H:%M %Z").to_string() }
}

/// What a job fires for: the time at which it is due, and in which zone; and what makes it fire.
#[derive(Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) due: Timestamp,
    pub(crate) cause: Cause,
    pub(crate) zone: &'a TimeZone,
}

impl Engine {
    /// Jobs fire by themselves where work begins by itself, while the engine was not asked to leave.
    fn jobs_fire(&self) -> bool {
        self.file.is_read() && self.lifetime.mode().scope() == Scope::All && self.lifetime.leaving().is_none()
    }

    /// Returns how long it takes until a job is due.
    pub(crate) fn next_firing(&self, now: Timestamp) -> Option<Duration> {
        let at = self.timetable.next().filter(|_| self.jobs_fire())?;
        let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        // The loop's timers do not reach far beyond a year; the tick comes much sooner anyway.
        Some(wait.clamp(Duration::from_millis(1), Duration::from_hours(24)))
    }

    /// Everything that recurs, and whose time has come.
    pub(crate) fn fire_jobs(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        if !self.jobs_fire() {
            return;
        }
        let ripe = self.timetable.ripe(&self.state.jobs, now);
        for id in ripe {
            self.advance_job(change_set, &id, now);
        }
    }

    fn advance_job(&mut self, change_set: &mut ChangeSet, id: &JobId, now: Timestamp) {
        let Some(record) = self.state.jobs.get(id).cloned() else { return self.timetable.forget(id) };
        if record.spec.run.is_some() && self.job_paused(&record).is_some() {
            // No command begins during a pause; what is missed meanwhile is caught up on.
            self.timetable.wait(id);
            return;
        }
        let Some(timer) = self.timetable.timer(id) else { return };
        let mut next = JobRecord::clone(&record);
        change_set.by(Actor::Schedule(id.to_string()), |change_set| {
            for one in advance(&mut next, &timer, self.is_busy(&record), now) {
                self.carry_out(change_set, &mut next, one, &timer.zone, now);
            }
        });
        self.timetable.plan(&next);
        if next != *record {
            change_set.put_job(&mut self.state, id, Some(next));
        }
    }

    /// Returns why nothing begins where its command runs.
    pub(crate) fn job_paused(&self, record: &JobRecord) -> Option<String> {
        self.state.pauses.description(record.spec.task.dir.as_deref(), None).map(str::to_owned)
    }

    /// Returns whether the job's last task or command is under way. A task that waits for a person does not count.
    fn is_busy(&self, record: &JobRecord) -> bool {
        let task = record.last_task.and_then(|id| self.state.tasks.get(&id));
        let works = task.is_some_and(|task| !task.status().is_final() && task.status() != Status::NeedsReview);
        works || self.state.firings.keys().any(|key| key.job == record.spec.id)
    }

    fn carry_out(
        &mut self,
        change_set: &mut ChangeSet,
        record: &mut JobRecord,
        one: Move,
        zone: &TimeZone,
        now: Timestamp,
    ) {
        let id = record.spec.id.clone();
        let shown = |due: Timestamp| shown(due, zone);
        match one {
            Move::Fire { due, cause } => {
                self.fire(change_set, record, Occasion { due, cause, zone }, now);
            }
            Move::Queue { due } => {
                change_set.note(&mut self.state, now, None, None, JobFact::Queued { job: id, due: shown(due) });
            }
            Move::Skip { due, why } => {
                let made = Made::Nothing { why: why.to_owned() };
                let firing = Firing { job: id.clone(), due, at: now, cause: Cause::Schedule, made };
                change_set.put_firing(&mut self.state, firing);
                let fact = JobFact::Skipped { job: id, due: shown(due), why: why.to_owned() };
                change_set.note(&mut self.state, now, None, None, fact);
            }
            Move::Missed { span: (first, last), count, more } => {
                let (first, last, catch_up) = (shown(first), shown(last), record.spec.catch_up);
                let fact = JobFact::Missed { job: id, first, last, count, more, catch_up };
                change_set.note(&mut self.state, now, None, None, fact);
            }
        }
    }

    /// Fires the job: makes its task, or has its command run.
    pub(crate) fn fire(
        &mut self,
        change_set: &mut ChangeSet,
        record: &mut JobRecord,
        occasion: Occasion<'_>,
        now: Timestamp,
    ) -> Firing {
        let (id, Occasion { due, cause, zone }) = (record.spec.id.clone(), occasion);
        let made = match record.spec.command() {
            Some(command) => {
                let fact = JobFact::Fired { job: id.clone(), due: shown(due, zone), cause, makes: Fired::Command };
                change_set.note(&mut self.state, now, None, None, fact);
                command
            }
            None => self.make_task(change_set, record, occasion, now),
        };
        let firing = Firing { job: id, due, at: now, cause, made };
        change_set.put_firing(&mut self.state, firing.clone());
        firing
    }

    fn make_task(
        &mut self,
        change_set: &mut ChangeSet,
        record: &mut JobRecord,
        Occasion { due, cause, zone }: Occasion<'_>,
        now: Timestamp,
    ) -> Made {
        let job = &record.spec.id;
        let filled = |text: &str| title::fill(text, job, due, zone);
        let template = &record.spec.task;
        let spec = Spec { title: filled(&template.title), body: filled(&template.body), ..template.clone() };
        if let Err(error) = self.check_spec(&spec) {
            let failure = JobFailure::Task { job: job.clone(), due: shown(due, zone), why: error.to_string() };
            change_set.note(&mut self.state, now, None, None, JobFact::Failed(failure));
            return Made::Nothing { why: error.to_string() };
        }
        let task: TaskId = self.state.next_task_id();
        let title = spec.title.clone();
        let made = self.with_base_branch(Task::new(task, spec, FileState::Pending, now));
        change_set.put_task(&mut self.state, made);
        change_set.note(&mut self.state, now, Some(task), None, TaskFact::Made { title, part_of: None });
        let fact = JobFact::Fired { job: job.clone(), due: shown(due, zone), cause, makes: Fired::Task };
        change_set.note(&mut self.state, now, Some(task), None, fact);
        record.last_task = Some(task);
        Made::Task { task }
    }

    /// Returns the commands that are stored to run and that this engine has not started.
    pub(crate) fn commands_to_run(&self) -> Vec<Job> {
        let all = self.lifetime.mode().scope() == Scope::All;
        let mine = self.state.firings.iter().filter(|(key, _)| all || self.timetable.is_by_hand(key));
        let idle = mine.filter(|(key, _)| !self.jobs.is_under_way(&JobKey::RunCommand((*key).clone())));
        idle.map(|(_, firing)| Job::RunCommand { firing: Box::new(firing.clone()) }).collect()
    }

    pub(crate) fn on_command_ended(
        &mut self,
        change_set: &mut ChangeSet,
        key: &FiringKey,
        end: CommandEnd,
        now: Timestamp,
    ) {
        let Some(mut firing) = self.state.firings.get(key).cloned() else { return };
        let Made::Command { end: ended, .. } = &mut firing.made else { return };
        let run = CommandRun {
            job: key.job.clone(),
            state: end.state,
            exit_code: end.exit_code,
            duration_ms: end.duration_ms,
            last_line: end.tail.lines().next_back().map(str::to_owned),
        };
        let fact = if let CommandState::Passed = end.state {
            JobFact::Ran(run)
        } else {
            JobFact::Failed(JobFailure::Command(run))
        };
        *ended = Some(end);
        change_set.note(&mut self.state, now, None, None, fact);
        change_set.put_firing(&mut self.state, firing);
    }
}
