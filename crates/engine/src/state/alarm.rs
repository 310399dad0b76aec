//! A reader that finds the journal damaged says so here, and the engine leaves. Decides nothing about what is read.

use crate::state::archive::Archive;
use jiff::Timestamp;
use orch_core::audit::history::Fact;
use orch_core::base::ids::TaskId;
use orch_core::base::once::Answered;
use orch_core::economics::budget::Record;
use orch_core::economics::cost::Charge;
use orch_core::economics::track_record::Sample;
use orch_core::tasks::task::{Run, Status, Task};
use orch_store::journal::JournalError;
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Raised once, by the first who finds damage.
#[derive(Clone)]
pub(crate) struct Alarm {
    damaged: CancellationToken,
    found: Arc<OnceLock<String>>,
}

impl Alarm {
    /// One that has the engine leave by `damaged`.
    pub(crate) fn new(damaged: CancellationToken) -> Self {
        Self { damaged, found: Arc::default() }
    }

    /// Is raised when what a read failed with is damage.
    pub(crate) fn observe(&self, error: &JournalError) {
        if error.is_damage() {
            self.found.get_or_init(|| error.to_string());
            self.damaged.cancel();
        }
    }

    /// Returns the damage that was found.
    pub(crate) fn found(&self) -> Option<&String> {
        self.found.get()
    }
}

/// An archive whose damage is reported.
pub(crate) struct Watched {
    /// Where it is read.
    pub(crate) archive: Arc<dyn Archive>,
    /// The receiver of the report.
    pub(crate) alarm: Alarm,
}

impl Archive for Watched {
    fn task(&self, id: TaskId) -> Result<Option<Task>, JournalError> {
        self.archive.task(id).inspect_err(|error| self.alarm.observe(error))
    }

    fn settled_status(&self, id: TaskId) -> Result<Option<Status>, JournalError> {
        self.archive.settled_status(id).inspect_err(|error| self.alarm.observe(error))
    }

    fn last_work_run(&self, id: TaskId) -> Result<Option<Run>, JournalError> {
        self.archive.last_work_run(id).inspect_err(|error| self.alarm.observe(error))
    }

    fn charges_since(&self, since: Timestamp) -> Result<Vec<Charge>, JournalError> {
        self.archive.charges_since(since).inspect_err(|error| self.alarm.observe(error))
    }

    fn spends_since(&self, since: Timestamp) -> Result<Vec<Record>, JournalError> {
        self.archive.spends_since(since).inspect_err(|error| self.alarm.observe(error))
    }

    fn samples(&self) -> Result<Vec<Sample>, JournalError> {
        self.archive.samples().inspect_err(|error| self.alarm.observe(error))
    }

    fn answered(&self, key: &str) -> Result<Option<Answered>, JournalError> {
        self.archive.answered(key).inspect_err(|error| self.alarm.observe(error))
    }

    fn each_since(&self, since: Timestamp, take: &mut dyn FnMut(Fact)) -> Result<(), JournalError> {
        self.archive.each_since(since, take).inspect_err(|error| self.alarm.observe(error))
    }
}
