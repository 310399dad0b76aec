//! Reading what recurs and what belongs together: firings of jobs, and batches.

use super::{Journal, JournalError};
use crate::{batches, jobs};
use orch_core::operations::job::{Firing, JobId};
use orch_core::planning::batch::{Batch, BatchName};
use rusqlite::params;
use std::sync::PoisonError;

impl Journal {
    /// The newest firings of a job, or of all jobs, newest first. Blocking.
    pub fn firings(&self, job: Option<&JobId>, limit: u32) -> Result<Vec<Firing>, JournalError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        jobs::newest(&reader, job, limit).map_err(|source| self.sqlite(source))
    }

    /// The last firing of each job. Blocking.
    pub fn last_firings(&self) -> Result<Vec<Firing>, JournalError> {
        self.rows("firing", jobs::LAST, [])
    }

    /// The newest batches that have ended, newest first. Blocking.
    pub fn ended_batches(&self, limit: u32) -> Result<Vec<Batch>, JournalError> {
        self.rows("batch", batches::ENDED, params![limit])
    }

    /// The newest batch of a name, open or not. Blocking.
    pub fn batch(&self, name: &BatchName) -> Result<Option<Batch>, JournalError> {
        let rows = self.rows("batch", batches::NAMED, params![name.as_str()])?;
        Ok(rows.into_iter().next())
    }
}
