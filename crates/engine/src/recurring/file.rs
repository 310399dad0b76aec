//! `jobs.yml`: read when it changed, and changed in place as a person asks. A file that does not read changes nothing.

use crate::engine::Engine;
use crate::files::jobs_file::JobsNews;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::actor::{Actor, JOBS};
use orch_core::audit::history::{FileFact, FileProblem, JobFact};
use orch_core::operations::job::{JobId, JobRecord, JobSpec};
use orch_store::jobs_file::JobsDoc;
use std::collections::BTreeSet;

impl Engine {
    /// `jobs.yml` was read.
    pub(crate) fn on_jobs_file(&mut self, change_set: &mut ChangeSet, news: JobsNews, now: Timestamp) {
        let path = self.deps.home.jobs_file();
        let mut problems = Vec::new();
        match news {
            JobsNews::Broken(why) => problems.push(why),
            JobsNews::Read(doc) if doc.is_blank && !self.state.jobs.is_empty() => problems.push(format!(
                "{} is empty or gone, but {} jobs were in it; they count on: restore it, or write `jobs: []` into it if \
                 that is meant",
                path.display(),
                self.state.jobs.len()
            )),
            JobsNews::Read(doc) => {
                problems.extend(doc.problems.iter().map(|problem| format!("{}: {problem}", path.display())));
                change_set.by_file(JOBS, |change_set| self.take_jobs(change_set, &doc, now));
            }
        }
        if self.timetable.take_problems(problems.clone()) {
            change_set.by(Actor::Orch, |change_set| {
                let fact = FileFact::Problem(FileProblem::Read { problems });
                change_set.note(&mut self.state, now, None, None, fact);
            });
        }
    }

    /// What the document says becomes what recurs.
    fn take_jobs(&mut self, change_set: &mut ChangeSet, doc: &JobsDoc, now: Timestamp) {
        for entry in &doc.entries {
            let Some(spec) = &entry.spec else { continue };
            match self.state.jobs.get(&spec.id).cloned() {
                Some(known) if known.spec == *spec => {}
                Some(known) => {
                    let record = known.with_spec(spec.clone(), now);
                    self.keep_job(
                        change_set,
                        record,
                        |job, schedule, enabled| JobFact::Changed { job, schedule, enabled },
                        now,
                    );
                }
                None => {
                    let record = JobRecord::new(spec.clone(), now);
                    self.keep_job(
                        change_set,
                        record,
                        |job, schedule, enabled| JobFact::Added { job, schedule, enabled },
                        now,
                    );
                }
            }
        }
        if doc.entries.iter().any(|entry| entry.id.is_none()) {
            // An entry with an invalid name may be any of the missing jobs.
            return;
        }
        let named: BTreeSet<&JobId> = doc.entries.iter().filter_map(|entry| entry.id.as_ref()).collect();
        let gone: Vec<JobId> = self.state.jobs.keys().filter(|id| !named.contains(id)).cloned().collect();
        for id in gone {
            change_set.put_job(&mut self.state, &id, None);
            self.timetable.forget(&id);
            change_set.note(&mut self.state, now, None, None, JobFact::Removed { job: id });
        }
    }

    fn keep_job(
        &mut self,
        change_set: &mut ChangeSet,
        record: JobRecord,
        fact: fn(JobId, String, bool) -> JobFact,
        now: Timestamp,
    ) {
        let JobSpec { id, schedule, enabled, .. } = &record.spec;
        let fact = fact(id.clone(), schedule.to_string(), *enabled);
        change_set.note(&mut self.state, now, None, None, fact);
        self.timetable.keep(&record);
        let id = id.clone();
        change_set.put_job(&mut self.state, &id, Some(record));
    }
}
