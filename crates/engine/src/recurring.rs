//! What recurs: `jobs.yml`, the clock of each job, and what a job makes when its time comes. A firing is stored in the
//! turn that makes its task, so that a crash neither loses nor doubles it; when a job fires is decided by
//! `domain::job::due`.

mod command;
mod file;
mod orders;

pub use command::not_started;
pub use file::{Change, Changed, JobsNews, NameIs, read};
pub use orders::JobsLook;

use super::apply::{Job, JobKey, Report, blocking};
use super::command::Reply;
use super::deps::Deps;
use super::file_job::Known;
use super::main_loop::Engine;
use super::settings::Settings;
use super::state::ChangeSet;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_core::actor::Actor;
use orch_core::history::{CommandRun, Due, Fired, JobFact, JobFailure, TaskFact};
use orch_core::ids::TaskId;
use orch_core::job::due::{Move, Timer, advance};
use orch_core::job::{Cause, CommandEnd, CommandState, Firing, FiringKey, JobId, JobRecord, Made, title};
use orch_core::plan::Scope;
use orch_core::schedule::Schedule;
use orch_core::task::{FileState, Spec, Status, Task};
use orch_store::journal::Project;
use orch_sys::clock;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The clocks of all jobs. Made from what is stored; nothing of it is stored.
#[derive(Default)]
pub struct Timetable {
    timers: BTreeMap<JobId, Timer>,
    /// When each job has to be looked at.
    due: BTreeSet<(Timestamp, JobId)>,
    planned: BTreeMap<JobId, Timestamp>,
    /// Jobs that wait for something else than a time.
    waiting: BTreeSet<JobId>,
    /// All jobs have their clocks.
    is_made: bool,
    /// When it was looked at last.
    seen: Option<Timestamp>,
    /// What is wrong with `jobs.yml` now.
    problems: Vec<String>,
    /// Who waits for the change of the file that is under way.
    changing: Option<(Reply<Arc<JobRecord>>, Actor)>,
    /// Changes that wait for that one.
    changes: VecDeque<(Box<Change>, Reply<Arc<JobRecord>>, Actor)>,
    /// Raised with each change that begins or ends: what was read beside one is not what stands there now.
    generation: u64,
    /// Firings that a person asked this engine for.
    pub(super) run_by_hand: HashSet<FiringKey>,
}

impl Timetable {
    /// What is wrong, for a person.
    pub fn told(&self) -> &[String] {
        &self.problems
    }

    /// What a look at the files has to know.
    pub fn beside(&self, known: Known) -> Known {
        Known { jobs_generation: self.generation, ..known }
    }

    /// Whether what was read then is how the file stands now, as far as orch's own changes go.
    pub fn is_current(&self, known: &Known) -> bool {
        known.jobs_generation == self.generation && !self.is_changing()
    }

    /// A change of the file is under way; it is read when that is over.
    pub fn is_changing(&self) -> bool {
        self.changing.is_some()
    }

    /// Sets the clock of a job anew.
    fn set(&mut self, record: &JobRecord) {
        let id = &record.spec.id;
        match timer_of(record) {
            Ok(timer) => drop(self.timers.insert(id.clone(), timer)),
            Err(why) => {
                tracing::error!(job = %id, why, "a job that was stored has no clock");
                self.timers.remove(id);
            }
        }
        self.plan(record);
    }

    /// When the job is looked at next.
    fn plan(&mut self, record: &JobRecord) {
        let id = &record.spec.id;
        self.unplan(id);
        if let Some(at) = self.timers.get(id).and_then(|timer| timer.next(record)) {
            self.due.insert((at, id.clone()));
            self.planned.insert(id.clone(), at);
        }
        if !record.waiting.is_empty() {
            self.waiting.insert(id.clone());
        }
    }

    fn unplan(&mut self, id: &JobId) {
        if let Some(at) = self.planned.remove(id) {
            self.due.remove(&(at, id.clone()));
        }
        self.waiting.remove(id);
    }

    fn forget(&mut self, id: &JobId) {
        self.unplan(id);
        self.timers.remove(id);
    }

    /// The next time at which a job has to be looked at.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Those whose time has come, and those that wait.
    fn ripe(&self, now: Timestamp) -> Vec<JobId> {
        let come = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id);
        come.chain(&self.waiting).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The clock of a job.
///
/// # Errors
/// Its schedule or its zone is none here; in words.
pub fn timer_of(record: &JobRecord) -> Result<Timer, String> {
    let schedule = Schedule::parse(&record.spec.schedule).map_err(|error| error.to_string())?;
    Ok(Timer { schedule, zone: zone_of(record)? })
}

fn zone_of(record: &JobRecord) -> Result<TimeZone, String> {
    clock::zone(record.spec.tz.as_deref())
}

/// Changes `jobs.yml` as a person asks.
pub async fn change(deps: &Arc<Deps>, change: Change) -> Report {
    let deps = Arc::clone(deps);
    blocking(move || Report::JobsChanged { result: Box::new(file::change(&deps, &change)) }).await
}

/// Runs the command of a job.
pub async fn run_command(deps: &Arc<Deps>, settings: &Arc<Settings>, projects: &[Project], firing: &Firing) -> Report {
    Report::CommandEnded { key: firing.key(), end: command::run(deps, settings, projects, firing).await }
}

/// A time as a person reads it in the job's zone.
fn shown(due: Timestamp, zone: &TimeZone) -> Due {
    Due { at: due, local: due.to_zoned(zone.clone()).strftime("%F %H:%M %Z").to_string() }
}

impl Engine {
    /// Jobs fire by themselves where work begins by itself, while nobody has told the engine to leave.
    fn jobs_fire(&self) -> bool {
        self.looked && self.mode.scope() == Scope::All && self.lifetime.leaving().is_none()
    }

    /// How long until a job has to be looked at.
    pub(super) fn next_firing(&self, now: Timestamp) -> Option<Duration> {
        let at = self.timetable.next().filter(|_| self.jobs_fire())?;
        let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        // The loop's timers do not reach far beyond a year; the tick comes much sooner anyway.
        Some(wait.clamp(Duration::from_millis(1), Duration::from_hours(24)))
    }

    /// Everything that recurs, and whose time has come.
    pub(super) fn fire_jobs(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        if !self.jobs_fire() {
            return;
        }
        let jobs = &self.state.jobs;
        if !std::mem::replace(&mut self.timetable.is_made, true) {
            jobs.values().for_each(|record| self.timetable.set(record));
        }
        let seen = self.timetable.seen.replace(now);
        let mut ripe = self.timetable.ripe(now);
        if seen.is_none_or(|seen| now < seen) {
            // The clock was put back: what was dealt with up to a time that is still to come is looked at again.
            let is_ahead = |record: &&Arc<JobRecord>| record.through > now;
            ripe.extend(jobs.values().filter(is_ahead).map(|record| record.spec.id.clone()));
        }
        for id in ripe {
            self.look_at_job(change_set, &id, now);
        }
    }

    fn look_at_job(&mut self, change_set: &mut ChangeSet, id: &JobId, now: Timestamp) {
        let Some(record) = self.state.jobs.get(id).cloned() else { return self.timetable.forget(id) };
        if record.spec.run.is_some() && self.job_paused(&record).is_some() {
            // Whatever its command does, it is not to begin now; what passes meanwhile is caught up on.
            self.timetable.unplan(id);
            self.timetable.waiting.insert(id.clone());
            return;
        }
        let Some(timer) = self.timetable.timers.get(id).cloned() else { return };
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

    /// Why nothing begins where its command runs.
    pub(super) fn job_paused(&self, record: &JobRecord) -> Option<String> {
        self.state.pauses.description(record.spec.task.dir.as_deref(), None).map(str::to_owned)
    }

    /// What the job made last is still under way. One that waits for a person holds nothing up.
    fn is_busy(&self, record: &JobRecord) -> bool {
        let task = record.last_task.and_then(|id| self.state.tasks.get(&id));
        let works = task.is_some_and(|task| match task.status() {
            Status::New | Status::Routed | Status::InProgress | Status::InReview | Status::Blocked => true,
            Status::Done | Status::Cancelled | Status::NeedsReview => false,
        });
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
                self.fire(change_set, record, (due, cause), zone, now);
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

    /// The job fires: its task is made, or its command is to be run.
    pub(super) fn fire(
        &mut self,
        change_set: &mut ChangeSet,
        record: &mut JobRecord,
        (due, cause): (Timestamp, Cause),
        zone: &TimeZone,
        now: Timestamp,
    ) -> Firing {
        let id = record.spec.id.clone();
        let made = match record.spec.command() {
            Some(command) => {
                let fact = JobFact::Fired { job: id.clone(), due: shown(due, zone), cause, makes: Fired::Command };
                change_set.note(&mut self.state, now, None, None, fact);
                command
            }
            None => self.make_task(change_set, record, (due, cause), zone, now),
        };
        let firing = Firing { job: id, due, at: now, cause, made };
        change_set.put_firing(&mut self.state, firing.clone());
        firing
    }

    fn make_task(
        &mut self,
        change_set: &mut ChangeSet,
        record: &mut JobRecord,
        (due, cause): (Timestamp, Cause),
        zone: &TimeZone,
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

    /// Commands that are stored to run, and are not known to have been begun by this engine.
    pub(super) fn commands_to_run(&self) -> Vec<Job> {
        let all = self.mode.scope() == Scope::All;
        let mine = self.state.firings.iter().filter(|(key, _)| all || self.timetable.run_by_hand.contains(key));
        let idle = mine.filter(|(key, _)| !self.is_under_way(&JobKey::RunCommand((*key).clone())));
        idle.map(|(_, firing)| Job::RunCommand { firing: Box::new(firing.clone()) }).collect()
    }

    pub(super) fn on_command_ended(
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
        let fact = match end.state {
            CommandState::Passed => JobFact::Ran(run),
            CommandState::Failed | CommandState::TimedOut | CommandState::NotStarted | CommandState::Lost => {
                JobFact::Failed(JobFailure::Command(run))
            }
        };
        *ended = Some(end);
        change_set.note(&mut self.state, now, None, None, fact);
        change_set.put_firing(&mut self.state, firing);
    }
}
