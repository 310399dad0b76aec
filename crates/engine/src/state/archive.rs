//! Where settled tasks are looked up: they are not in memory, however many there are.

use jiff::Timestamp;
use orch_core::audit::history::Fact;
use orch_core::base::ids::TaskId;
use orch_core::base::once::Answered;
use orch_core::economics::budget::Record;
use orch_core::economics::cost::Charge;
use orch_core::economics::track_record::Sample;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{Run, Status, Task};
use orch_store::journal::{Journal, JournalError};

/// The number of lines of the history that are read at once.
const PAGE: u32 = 1000;

/// Where settled tasks are looked up: the journal, or its replacement in a simulation.
pub trait Archive: Send + Sync {
    /// One task, settled or not.
    ///
    /// # Errors
    /// It cannot be read.
    fn task(&self, id: TaskId) -> Result<Option<Task>, JournalError>;

    /// How a task ended; `None` when it is not settled, or does not exist.
    ///
    /// # Errors
    /// It cannot be read.
    fn settled_status(&self, id: TaskId) -> Result<Option<Status>, JournalError>;

    /// Returns the last work run of a task.
    ///
    /// # Errors
    /// It cannot be read.
    fn last_work_run(&self, id: TaskId) -> Result<Option<Run>, JournalError>;

    /// Returns what the runs cost that ended at `since` or later.
    ///
    /// # Errors
    /// It cannot be read.
    fn charges_since(&self, since: Timestamp) -> Result<Vec<Charge>, JournalError>;

    /// Returns what a person says was spent beside these.
    ///
    /// # Errors
    /// It cannot be read.
    fn spends_since(&self, since: Timestamp) -> Result<Vec<Record>, JournalError>;

    /// Returns the runs that were judged.
    ///
    /// # Errors
    /// They cannot be read.
    fn samples(&self) -> Result<Vec<Sample>, JournalError>;

    /// Returns what the request with this key was answered, if one came before.
    ///
    /// # Errors
    /// It cannot be read.
    fn answered(&self, key: &str) -> Result<Option<Answered>, JournalError>;

    /// Hands over what happened since then, oldest first.
    ///
    /// # Errors
    /// It cannot be read.
    fn each_since(&self, since: Timestamp, take: &mut dyn FnMut(Fact)) -> Result<(), JournalError>;
}

impl Archive for Journal {
    fn task(&self, id: TaskId) -> Result<Option<Task>, JournalError> {
        Self::task(self, id)
    }

    fn settled_status(&self, id: TaskId) -> Result<Option<Status>, JournalError> {
        Self::settled_status(self, id)
    }

    fn last_work_run(&self, id: TaskId) -> Result<Option<Run>, JournalError> {
        let runs = self.runs_of(id)?;
        Ok(runs.into_iter().filter(|run| run.kind == RunKind::Work).max_by_key(|run| run.id.ordinal()))
    }

    fn charges_since(&self, since: Timestamp) -> Result<Vec<Charge>, JournalError> {
        Self::charges_since(self, Some(since))
    }

    fn spends_since(&self, since: Timestamp) -> Result<Vec<Record>, JournalError> {
        Self::spends_since(self, since)
    }

    fn samples(&self) -> Result<Vec<Sample>, JournalError> {
        Self::samples(self)
    }

    fn answered(&self, key: &str) -> Result<Option<Answered>, JournalError> {
        Self::answered(self, key)
    }

    fn each_since(&self, since: Timestamp, take: &mut dyn FnMut(Fact)) -> Result<(), JournalError> {
        let mut after = self.place_at(since)?;
        loop {
            let page = self.entries(after, None, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            page.into_iter().for_each(|entry| take(entry.fact));
        }
    }
}
