//! The git commands that run now, and which of them make no progress: a command that hangs is named while it does, and
//! ended when it goes on doing so.

use crate::process::{Invocation, Output, ProcessError, Watch, run_watched};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A command that has made no progress for so long is named.
const NAMED_AFTER: Duration = Duration::from_secs(2);

/// A git command that makes no progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hanging {
    /// For instance `git merge`.
    pub command: String,
    /// Its process.
    pub pid: u32,
    /// The common git directory of its repository, or the directory that it was to look at.
    pub place: PathBuf,
    /// For how long it has made no progress.
    pub quiet: Duration,
    /// After how long it is ended.
    pub limit: Duration,
}

/// The commands that run now.
#[derive(Debug, Clone, Default)]
pub(super) struct Ongoing {
    all: Arc<Mutex<BTreeMap<u64, Hanging>>>,
    last: Arc<AtomicU64>,
}

impl Ongoing {
    /// Runs a command, and knows of it while it runs.
    pub(super) async fn run(
        &self,
        invocation: &Invocation,
        label: &str,
        place: &Path,
        limit: Duration,
    ) -> Result<Output, ProcessError> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let _forget = Forget { ongoing: self, number };
        let seen = |pid, quiet| {
            let one = Hanging { command: label.to_owned(), pid, place: place.to_owned(), quiet, limit };
            self.locked().insert(number, one);
        };
        run_watched(invocation, Watch { limit, seen: &seen }).await
    }

    /// Those that make no progress.
    pub(super) fn hanging(&self) -> Vec<Hanging> {
        self.locked().values().filter(|one| one.quiet >= NAMED_AFTER).cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<u64, Hanging>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a command that is over, also where its caller went away.
struct Forget<'a> {
    ongoing: &'a Ongoing,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.ongoing.locked().remove(&self.number);
    }
}
