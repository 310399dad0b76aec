//! Cleans up after a killed git: lock files in a worktree of orch's, and an incomplete worktree registration.

use super::call::{Checkout, write_common_dir};
use super::error::GitError;
use orch_core::base::names::BranchName;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, interval};

/// A lock that does not change for this time is abandoned: git holds it for milliseconds.
pub(super) const STILL: Duration = Duration::from_secs(1);
/// How long a running git may continue before the caller gets an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to check.
const LOOK: Duration = Duration::from_millis(20);

impl Checkout {
    /// Waits until the worktree's locks are gone, and removes one that does not change. Only for a worktree of orch's
    /// in which no run works; `branch` is the task's own.
    pub(crate) async fn clear_stale_locks(&self, branch: Option<&BranchName>) -> Result<(), GitError> {
        for lock in own_locks(&self.git_dir)? {
            clear(&lock).await?;
        }
        match branch {
            Some(branch) => clear_branch_lock(&self.common_dir, branch).await,
            None => Ok(()),
        }
    }
}

/// Returns the locks of a worktree's own index and references (`HEAD`, `ORIG_HEAD`, `AUTO_MERGE`, …).
fn own_locks(git_dir: &Path) -> Result<Vec<PathBuf>, GitError> {
    let failed = |source| GitError::Io { path: git_dir.to_owned(), source };
    let mut locks = Vec::new();
    for entry in std::fs::read_dir(git_dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            locks.push(path);
        }
    }
    Ok(locks)
}

/// Does the same for the lock of a task's branch, before it is moved.
pub(crate) async fn clear_branch_lock(common_dir: &Path, branch: &BranchName) -> Result<(), GitError> {
    if branch.is_of_a_task() { clear(&common_dir.join(branch.full_ref() + ".lock")).await } else { Ok(()) }
}

/// Writes the file that a killed `git worktree add` did not write. A running one does so within microseconds.
pub(super) async fn fill_common_dir(file: &Path) -> Result<(), GitError> {
    let mut look = interval(LOOK);
    let started = Instant::now();
    while started.elapsed() < STILL {
        look.tick().await;
        match file.metadata() {
            Ok(meta) if meta.len() == 0 => {}
            // It was written, or removed with the rest.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
    write_common_dir(file)
}

async fn clear(lock: &Path) -> Result<(), GitError> {
    let Some(mut seen) = fingerprint(lock) else { return Ok(()) };
    let started = Instant::now();
    let mut since = started;
    let mut look = interval(LOOK);
    while started.elapsed() < PATIENCE {
        look.tick().await;
        match fingerprint(lock) {
            None => return Ok(()),
            Some(now) if now != seen => (seen, since) = (now, Instant::now()),
            Some(_) if since.elapsed() >= STILL => return remove(lock),
            Some(_) => {}
        }
    }
    Err(GitError::Locked { lock: lock.to_owned(), holder: None })
}

/// Removes a file; a missing one is not an error.
pub(super) fn remove(lock: &Path) -> Result<(), GitError> {
    match std::fs::remove_file(lock) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(GitError::Io { path: PathBuf::from(lock), source }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Returns metadata that changes when the file is written or recreated.
pub(super) fn fingerprint(file: &Path) -> Option<(u64, u64, i64, i64)> {
    let m = file.symlink_metadata().ok()?;
    Some((m.ino(), m.size(), m.mtime(), m.mtime_nsec()))
}
