//! The clocks of all jobs, and the changes of `jobs.yml` that are under way. Made from what is stored; nothing of it is stored.

use crate::files::file_job::Known;
use crate::files::jobs_file::Change;
use crate::state::reply::Reply;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_core::actor::Actor;
use orch_core::job::due::Timer;
use orch_core::job::{FiringKey, JobId, JobRecord};
use orch_core::schedule::Schedule;
use orch_sys::clock;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

/// The clocks of all jobs. Made from what is stored; nothing of it is stored.
#[derive(Default)]
pub struct Timetable {
    pub(crate) timers: BTreeMap<JobId, Timer>,
    /// When each job has to be looked at.
    pub(crate) due: BTreeSet<(Timestamp, JobId)>,
    pub(crate) planned: BTreeMap<JobId, Timestamp>,
    /// Jobs that wait for something else than a time.
    pub(crate) waiting: BTreeSet<JobId>,
    /// All jobs have their clocks.
    pub(crate) is_made: bool,
    /// When it was looked at last.
    pub(crate) seen: Option<Timestamp>,
    /// What is wrong with `jobs.yml` now.
    pub(crate) problems: Vec<String>,
    /// Who waits for the change of the file that is under way.
    pub(crate) changing: Option<(Reply<Arc<JobRecord>>, Actor)>,
    /// Changes that wait for that one.
    pub(crate) changes: VecDeque<(Box<Change>, Reply<Arc<JobRecord>>, Actor)>,
    /// Raised with each change that begins or ends: what was read beside one is not what stands there now.
    pub(crate) generation: u64,
    /// Firings that a person asked this engine for.
    pub(crate) run_by_hand: HashSet<FiringKey>,
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
    pub(crate) fn set(&mut self, record: &JobRecord) {
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

    pub(crate) fn unplan(&mut self, id: &JobId) {
        if let Some(at) = self.planned.remove(id) {
            self.due.remove(&(at, id.clone()));
        }
        self.waiting.remove(id);
    }

    pub(crate) fn forget(&mut self, id: &JobId) {
        self.unplan(id);
        self.timers.remove(id);
    }

    /// The next time at which a job has to be looked at.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Those whose time has come, and those that wait.
    pub(crate) fn ripe(&self, now: Timestamp) -> Vec<JobId> {
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

pub(crate) fn zone_of(record: &JobRecord) -> Result<TimeZone, String> {
    clock::zone(record.spec.tz.as_deref())
}
