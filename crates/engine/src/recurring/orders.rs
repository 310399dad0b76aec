//! What a person asks of jobs: to see them, to change `jobs.yml`, to fire one now.

use crate::engine::Engine;
use crate::engine::timetable::zone_of;
use crate::error::EngineError;
use crate::files::jobs_file::{Change, Changed, JobsNews, missing};
use crate::job::Job;
use crate::recurring::Occasion;
use crate::state::ChangeSet;
use crate::state::reply::{Reply, answer};
use jiff::{SignedDuration, Timestamp};
use orch_core::operations::job::{Cause, Firing, FiringKey, JobId, JobRecord};
use std::sync::Arc;

/// What recurs, at one moment.
#[derive(Debug, Clone)]
pub struct JobsOverview {
    /// The time of this snapshot.
    pub now: Timestamp,
    /// All jobs, by their names.
    pub jobs: Vec<Arc<JobRecord>>,
    /// Those whose last firing is still under way.
    pub busy: Vec<JobId>,
}

impl Engine {
    pub(crate) fn jobs_overview(&self, now: Timestamp) -> JobsOverview {
        let busy = self.state.jobs.values().filter(|record| self.is_busy(record));
        JobsOverview {
            now,
            busy: busy.map(|record| record.spec.id.clone()).collect(),
            jobs: self.state.jobs.values().cloned().collect(),
        }
    }

    /// The file is changed beside the loop, one change after the other; who asked is answered when what it says then is
    /// taken over.
    pub(crate) fn change_jobs(&mut self, change_set: &ChangeSet, change: Box<Change>, reply: Reply<Arc<JobRecord>>) {
        self.timetable.queue(change, reply, change_set.actor().clone());
        self.next_change();
    }

    fn next_change(&mut self) {
        if let Some(change) = self.timetable.next_change() {
            self.jobs.order(Job::ChangeJobs { change });
        }
    }

    pub(crate) fn on_jobs_changed(
        &mut self,
        change_set: &mut ChangeSet,
        result: Result<Changed, EngineError>,
        now: Timestamp,
    ) {
        let Some((reply, actor)) = self.timetable.end_change() else { return };
        let changed = result.and_then(|Changed { doc, job }| {
            let before = self.state.jobs.get(&job).cloned();
            let stays = doc.entry(&job).is_some();
            change_set.by(actor, |change_set| self.on_jobs_file(change_set, JobsNews::Read(Box::new(doc)), now));
            let after = self.state.jobs.get(&job).cloned().filter(|_| stays);
            // The file has its entry, which has a mistake and never parsed.
            let mistaken = || EngineError::NotNow {
                message: format!("job {job} does not read; jobs.yml is changed all the same"),
                hint: "`orch job list` tells what is wrong with it".to_owned(),
            };
            after.or(before).ok_or_else(mistaken)
        });
        answer(change_set, reply, changed);
        self.read_files();
        self.next_change();
    }

    /// Fires a job because a person asks for it, whatever its schedule says.
    pub(crate) fn run_job(
        &mut self,
        change_set: &mut ChangeSet,
        id: &JobId,
        now: Timestamp,
    ) -> Result<Firing, EngineError> {
        let record = self.state.jobs.get(id).cloned().ok_or_else(|| missing(id))?;
        if record.spec.run.is_some()
            && let Some(why) = self.job_paused(&record)
        {
            let message = format!("the command of job {id} does not run now: {why}");
            return Err(EngineError::NotNow { message, hint: "`orch resume` ends a pause".to_owned() });
        }
        let zone = zone_of(&record).map_err(|message| EngineError::Invalid { message, hint: None })?;
        let mut next = JobRecord::clone(&record);
        // Times of schedules are whole seconds, so this differs from all of them.
        let mut due = Timestamp::from_millisecond(now.as_millisecond() | 1).unwrap_or(now);
        while self.timetable.is_by_hand(&FiringKey { job: id.clone(), due }) {
            due = due.checked_add(SignedDuration::from_millis(2)).unwrap_or(due);
        }
        let occasion = Occasion { due, cause: Cause::Person, zone: &zone };
        let firing = self.fire(change_set, &mut next, occasion, now);
        self.timetable.fire_by_hand(firing.key());
        if next != *record {
            change_set.put_job(&mut self.state, id, Some(next));
        }
        Ok(firing)
    }
}
