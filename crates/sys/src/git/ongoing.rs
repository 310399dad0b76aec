//! Tracks the running git commands and those that make no progress: a command that hangs is reported while it does, and
//! killed when it continues to.

use crate::process::{Invocation, Output, ProcessError, Watch, run_watched};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A command without progress for this time is reported.
const NAMED_AFTER: Duration = Duration::from_secs(2);

/// A git command that makes no progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hanging {
    /// The command, for instance `git merge`.
    pub command: String,
    /// The process number.
    pub pid: u32,
    /// The common git directory of its repository, or the directory it was to inspect.
    pub place: PathBuf,
    /// How long it has made no progress.
    pub quiet: Duration,
    /// The time after which it is killed.
    pub limit: Duration,
}

/// The running commands.
#[derive(Debug, Clone, Default)]
pub(super) struct Ongoing {
    all: Arc<Mutex<BTreeMap<u64, Hanging>>>,
    last: Arc<AtomicU64>,
}

impl Ongoing {
    /// Runs a command and tracks it meanwhile.
    pub(super) async fn run(
        &self,
        invocation: &Invocation,
        label: &str,
        place: &Path,
        limit: Duration,
    ) -> Result<Output, ProcessError> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let _forget = Forget { ongoing: self, number };
        let on_sample = |pid, quiet| {
            let one = Hanging { command: label.to_owned(), pid, place: place.to_owned(), quiet, limit };
            self.locked().insert(number, one);
        };
        run_watched(invocation, Watch { limit, on_sample: &on_sample }).await
    }

    /// Returns the commands that make no progress.
    pub(super) fn hanging(&self) -> Vec<Hanging> {
        self.locked().values().filter(|one| one.quiet >= NAMED_AFTER).cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<u64, Hanging>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a command that has ended, also when its caller was dropped.
struct Forget<'a> {
    ongoing: &'a Ongoing,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.ongoing.locked().remove(&self.number);
    }
}
