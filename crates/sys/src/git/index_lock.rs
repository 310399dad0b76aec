//! The lock of a checkout's index, held while orch moves that checkout. `git merge` reads the index before it locks it,
//! and would lose entries added in between. Here the lock is taken first, and git works on a copy.
//!
//! A process that dies meanwhile leaves the lock, the copy, or both; `halfway` interprets them.

use super::call::Checkout;
use super::error::GitError;
use super::stale;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The name of the copy on which git works, beside the index.
const COPY: &str = "index.orch";

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct IndexLock {
    index: PathBuf,
    lock: PathBuf,
    copy: PathBuf,
}

impl IndexLock {
    /// Takes the lock and copies the index.
    ///
    /// # Errors
    /// [`GitError::Locked`]: another process holds it, or the lock of HEAD.
    pub(super) fn take(at: &Checkout) -> Result<Self, GitError> {
        let lock = lock_of(&at.git_dir.join("index"));
        match OpenOptions::new().write(true).create_new(true).open(&lock) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(GitError::Locked { lock, holder: None });
            }
            Err(source) => return Err(GitError::Io { path: lock, source }),
        }
        let held = Self { index: at.git_dir.join("index"), lock, copy: copy_of(at) };
        // git would write the files before it finds that it cannot write HEAD.
        let head = lock_of(&at.git_dir.join("HEAD"));
        if head.exists() {
            return Err(GitError::Locked { lock: head, holder: None });
        }
        copy_with_time(&held.index, &held.copy).map_err(|source| GitError::Io { path: held.copy.clone(), source })?;
        Ok(held)
    }

    /// Returns the path of the copy, for git to work on.
    pub(super) fn copy(&self) -> &Path {
        &self.copy
    }

    /// Replaces the index by the copy.
    pub(super) fn commit(&self) -> Result<(), GitError> {
        std::fs::rename(&self.copy, &self.index).map_err(|source| GitError::Io { path: self.index.clone(), source })
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        for file in [lock_of(&self.copy), self.copy.clone(), self.lock.clone()] {
            if let Err(error) = stale::remove(&file) {
                tracing::warn!(file = %file.display(), %error, "it stays until the repository is used next");
            }
        }
    }
}

/// Settles what a dead orch has left of a move. `is_moved` means that the branch was moved, which happens after the
/// copy was written: the copy then becomes the index, as the lock has kept all others from changing it.
pub(super) fn settle(at: &Checkout, is_moved: bool) -> Result<(), GitError> {
    let copy = copy_of(at);
    let index = at.git_dir.join("index");
    if is_moved && copy.exists() && lock_of(&index).exists() {
        return std::fs::rename(&copy, &index).map_err(|source| GitError::Io { path: index, source });
    }
    stale::remove(&lock_of(&copy))?;
    stale::remove(&copy)
}

/// Returns the path of the lock, named as git names it.
fn lock_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn copy_of(at: &Checkout) -> PathBuf {
    at.git_dir.join(COPY)
}

/// Copies the index with its modification time, by which git knows which files may have changed unnoticed.
fn copy_with_time(index: &Path, copy: &Path) -> std::io::Result<()> {
    let time = match index.metadata() {
        Ok(found) => found.modified()?,
        // A checkout without a file has none.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    std::fs::copy(index, copy)?;
    File::options().write(true).open(copy)?.set_modified(time)
}
