//! Serializes changes per repository: parallel `git worktree add`, merges and branch moves would interfere.
//!
//! Two locks: one among the tasks of this process (fair, wakes at once), and a file lock among processes (the daemon
//! and a CLI that runs the same engine). Both end with their holder, also when it is killed.

use super::error::GitError;
use crate::fs::{self, FileLock};
use orch_core::base::names::short_hash;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};

/// How long to wait for another process before the call fails; callers retry.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to check whether the other process is done.
const LOOK: Duration = Duration::from_millis(10);

/// The locks of all repositories.
#[derive(Debug, Clone)]
pub(super) struct Locks {
    directory: Arc<Path>,
    here: Arc<Mutex<HashMap<PathBuf, Arc<Gate>>>>,
}

/// The state that the tasks of this process share about one repository.
#[derive(Debug, Default)]
struct Gate {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Incremented before and after orch moves the main checkout: odd during a move.
    moves: AtomicU64,
}

/// Marks that orch is moving the main checkout, while it lives.
#[derive(Debug)]
pub(super) struct Moving(Arc<Gate>);

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.moves.fetch_add(1, Ordering::SeqCst);
    }
}

/// The lock of a repository, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _file: FileLock,
    _here: OwnedMutexGuard<()>,
}

impl Locks {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.into(), here: Arc::default() }
    }

    /// Waits for the lock of the repository with this common directory.
    pub(super) async fn hold(&self, common_dir: &Path) -> Result<Held, GitError> {
        let here = Arc::clone(&self.state_of(common_dir).turn).lock_owned().await;
        let path = self.file(common_dir, "lock");
        let io = |source| GitError::Io { path: path.clone(), source };
        std::fs::create_dir_all(&self.directory).map_err(io)?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match fs::lock_exclusive(&path) {
                Ok(Some(file)) => return Ok(Held { _file: file, _here: here }),
                Ok(None) => sleep(LOOK).await,
                Err(error) => return Err(GitError::file(&path, error)),
            }
        }
        Err(GitError::Busy { lock: path })
    }

    /// Returns the path of the note about a base-branch move in progress.
    pub(super) fn note(&self, common_dir: &Path) -> PathBuf {
        self.file(common_dir, "move")
    }

    fn file(&self, common_dir: &Path, kind: &str) -> PathBuf {
        self.directory.join(format!("git-{}.{kind}", short_hash(common_dir.as_os_str().as_encoded_bytes())))
    }

    /// Marks the begin of a move of the main checkout. The caller must hold the repository's lock.
    pub(super) fn moving(&self, common_dir: &Path) -> Moving {
        let gate = self.state_of(common_dir);
        gate.moves.fetch_add(1, Ordering::SeqCst);
        Moving(gate)
    }

    /// Returns how often orch began or ended to move the main checkout: data read between two equal even numbers shows
    /// no half-moved state.
    pub(super) fn moves(&self, common_dir: &Path) -> u64 {
        self.state_of(common_dir).moves.load(Ordering::SeqCst)
    }

    fn state_of(&self, common_dir: &Path) -> Arc<Gate> {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(here.entry(common_dir.to_owned()).or_default())
    }
}
