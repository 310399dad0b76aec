//! The clocks of all jobs, and the changes of `jobs.yml` that are under way. Made from what is stored; nothing of it is stored.

use crate::files::file_job::Known;
use crate::files::jobs_file::Change;
use crate::state::reply::Reply;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_core::audit::actor::Actor;
use orch_core::operations::job::due::Timer;
use orch_core::operations::job::{FiringKey, JobId, JobRecord};
use orch_core::operations::schedule::Schedule;
use orch_sys::clock;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

/// The clocks of all jobs. Made from what is stored; nothing of it is stored.
#[derive(Default)]
pub struct Timetable {
    timers: BTreeMap<JobId, Timer>,
    /// When each job is due.
    due: BTreeSet<(Timestamp, JobId)>,
    planned: BTreeMap<JobId, Timestamp>,
    /// Jobs that wait for something else than a time.
    waiting: BTreeSet<JobId>,
    /// All jobs have their clocks.
    is_made: bool,
    /// When it was checked last.
    seen: Option<Timestamp>,
    /// What is wrong with `jobs.yml` now.
    problems: Vec<String>,
    /// The caller that waits for the change of the file that is under way.
    changing: Option<(Reply<Arc<JobRecord>>, Actor)>,
    /// Changes that wait for that one.
    changes: VecDeque<(Box<Change>, Reply<Arc<JobRecord>>, Actor)>,
    /// Raised with each change that begins or ends: what was read during one is not the present content.
    generation: u64,
    /// Firings that a person asked this engine for.
    by_hand: HashSet<FiringKey>,
}

impl Timetable {
    /// Returns what is wrong, for a person.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Returns what reading the files depends on.
    pub fn beside(&self, known: Known) -> Known {
        Known { jobs_generation: self.generation, ..known }
    }

    /// Returns whether orch has not changed the file since this was read.
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

    /// Plans when the job is due next.
    pub(crate) fn plan(&mut self, record: &JobRecord) {
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

    pub(crate) fn forget(&mut self, id: &JobId) {
        self.unplan(id);
        self.timers.remove(id);
    }

    /// Returns the next time at which a job is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Returns the jobs that are due now.
    pub fn ripe(&mut self, jobs: &BTreeMap<JobId, Arc<JobRecord>>, now: Timestamp) -> Vec<JobId> {
        if !std::mem::replace(&mut self.is_made, true) {
            jobs.values().for_each(|record| self.set(record));
        }
        let come = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id);
        let mut ripe: Vec<JobId> = come.chain(&self.waiting).cloned().collect::<BTreeSet<_>>().into_iter().collect();
        if self.seen.replace(now).is_none_or(|seen| now < seen) {
            // The clock was set back: jobs that were handled up to a time in the future are checked again.
            let is_ahead = |record: &&Arc<JobRecord>| record.through > now;
            ripe.extend(jobs.values().filter(is_ahead).map(|record| record.spec.id.clone()));
        }
        ripe
    }

    /// Returns the clock of a job.
    pub fn timer(&self, id: &JobId) -> Option<Timer> {
        self.timers.get(id).cloned()
    }

    /// The job is changed, or new.
    pub fn keep(&mut self, record: &JobRecord) {
        if self.is_made {
            self.set(record);
        }
    }

    /// The job waits for something else than a time.
    pub fn wait(&mut self, id: &JobId) {
        self.unplan(id);
        self.waiting.insert(id.clone());
    }

    /// Takes over what is wrong with `jobs.yml` now. Returns whether that is news.
    pub fn take_problems(&mut self, problems: Vec<String>) -> bool {
        let is_news = problems != self.problems && !problems.is_empty();
        self.problems = problems;
        is_news
    }

    /// A change of `jobs.yml` waits for those before it.
    pub fn queue(&mut self, change: Box<Change>, reply: Reply<Arc<JobRecord>>, actor: Actor) {
        self.changes.push_back((change, reply, actor));
    }

    /// Returns the change to be made now, if none is under way. Then it is.
    pub fn next_change(&mut self) -> Option<Box<Change>> {
        if self.changing.is_some() {
            return None;
        }
        let (change, reply, actor) = self.changes.pop_front()?;
        self.changing = Some((reply, actor));
        self.generation += 1;
        Some(change)
    }

    /// Ends the change that was under way. Returns the caller that waits for it.
    pub fn end_change(&mut self) -> Option<(Reply<Arc<JobRecord>>, Actor)> {
        let asked = self.changing.take()?;
        self.generation += 1;
        Some(asked)
    }

    /// A person asked this engine for a firing.
    pub fn fire_by_hand(&mut self, firing: FiringKey) {
        self.by_hand.insert(firing);
    }

    /// Returns whether a person asked this engine for a firing.
    pub fn is_by_hand(&self, firing: &FiringKey) -> bool {
        self.by_hand.contains(firing)
    }
}

/// Returns the clock of a job.
///
/// # Errors
/// The schedule or the zone is invalid here; the reason in words.
pub fn timer_of(record: &JobRecord) -> Result<Timer, String> {
    let schedule = Schedule::parse(&record.spec.schedule).map_err(|error| error.to_string())?;
    Ok(Timer { schedule, zone: zone_of(record)? })
}

pub(crate) fn zone_of(record: &JobRecord) -> Result<TimeZone, String> {
    clock::zone(record.spec.tz.as_deref())
}
