//! Jobs between the turn that asks for them and their report. No two with the same key are under way.

use crate::deps::job_key::JobKey;
use crate::job::Job;
use crate::job::report::Report;
use std::collections::{HashMap, HashSet};
use tokio::task::{Id, JoinError, JoinSet};

/// The jobs of the loop.
#[derive(Default)]
pub(crate) struct JobsInFlight {
    /// The jobs that are spawned when the turn is stored.
    ordered: Vec<Job>,
    running: JoinSet<(JobKey, Report)>,
    keys: HashMap<Id, JobKey>,
    /// Ordered or running.
    in_flight: HashSet<JobKey>,
    /// Asked for once more while under way.
    again: HashSet<JobKey>,
}

impl JobsInFlight {
    /// Orders a job, to be spawned when the turn is stored, unless the same is under way.
    pub(crate) fn order(&mut self, job: Job) {
        let key = job.key();
        if self.in_flight.insert(key.clone()) {
            self.ordered.push(job);
        } else {
            // What the running one has read already may have changed since.
            self.again.insert(key);
        }
    }

    /// Returns what the turn ordered, for the caller to carry out.
    pub(crate) fn take_ordered(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.ordered)
    }

    /// Runs a job beside the loop.
    pub(crate) fn spawn(&mut self, key: JobKey, work: impl Future<Output = Report> + Send + 'static) {
        let named = key.clone();
        let handle = self.running.spawn(async move { (key, work.await) });
        self.keys.insert(handle.id(), named);
    }

    /// Waits for the next report. `None`: nothing runs.
    pub(crate) async fn next(&mut self) -> Option<(JobKey, Report)> {
        let done = self.running.join_next_with_id().await?;
        Some(self.joined(done))
    }

    /// A report that is there already.
    pub(crate) fn try_next(&mut self) -> Option<(JobKey, Report)> {
        let done = self.running.try_join_next_with_id()?;
        Some(self.joined(done))
    }

    fn joined(&mut self, done: Result<(Id, (JobKey, Report)), JoinError>) -> (JobKey, Report) {
        match done {
            Ok((id, reported)) => {
                self.keys.remove(&id);
                reported
            }
            Err(error) => {
                let key = self.keys.remove(&error.id()).unwrap_or(JobKey::Poll);
                tracing::error!(job = ?key, %error, "a job ended without a report");
                (key, Report::Broken(error.to_string()))
            }
        }
    }

    /// A job is over: the same may be ordered again.
    pub(crate) fn end(&mut self, key: &JobKey) {
        self.in_flight.remove(key);
    }

    /// Returns whether it was asked for once more meanwhile; asked once.
    pub(crate) fn take_again(&mut self, key: &JobKey) -> bool {
        self.again.remove(key)
    }

    pub(crate) fn is_under_way(&self, key: &JobKey) -> bool {
        self.in_flight.contains(key)
    }

    pub(crate) fn is_any_under_way(&self, which: impl Fn(&JobKey) -> bool) -> bool {
        self.in_flight.iter().any(which)
    }

    /// Returns whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Aborts everything that runs, and waits until it is gone.
    pub(crate) async fn abort(&mut self) {
        self.running.shutdown().await;
    }
}
