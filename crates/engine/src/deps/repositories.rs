//! The repositories that the engine works in: each is discovered once.

use crate::deps::Deps;
use orch_sys::git::{Git, GitError, Hanging, Repo};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// One gate for each directory: a repository whose git hangs does not keep a caller from another one.
#[derive(Debug, Default)]
pub struct Discovering(Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>);

impl Discovering {
    async fn change_set(&self, dir: &Path) -> tokio::sync::OwnedMutexGuard<()> {
        let gate = {
            let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(gates.entry(dir.to_owned()).or_default())
        };
        gate.lock_owned().await
    }
}

impl Deps {
    /// Returns git, which is located once.
    pub async fn git(&self) -> Result<&Git, GitError> {
        let locks = self.home.state().join("locks");
        self.git.get_or_try_init(|| Git::locate(&self.environment, &locks)).await
    }

    /// Returns the repository at a directory: discovered once, and again when its configuration changed.
    pub async fn repository(&self, dir: &Path) -> Result<Repo, GitError> {
        if let Some(repo) = self.known_repository(dir) {
            return Ok(repo);
        }
        let _one_looks = self.discovering.change_set(dir).await;
        if let Some(repo) = self.known_repository(dir) {
            return Ok(repo);
        }
        let repo = Repo::discover(self.git().await?, dir).await?;
        // Before any code reads a checkout that is half moved. Where that cannot be repaired, the next move says so.
        if let Err(error) = repo.finish_move().await {
            tracing::warn!(repository = %dir.display(), %error, "a move of a base branch was cut off");
        }
        let entry = (repo.clone(), stamp_of(&repo));
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned(), entry);
        Ok(repo)
    }
}

impl Deps {
    /// Returns whether any git command makes no progress now.
    pub fn is_any_hanging(&self) -> bool {
        self.git.get().is_some_and(|git| !git.hanging().is_empty())
    }

    /// A git command that makes no progress now in the repository at a directory.
    pub fn hanging_in(&self, dir: &Path) -> Option<Hanging> {
        let hanging = self.git.get()?.hanging();
        if hanging.is_empty() {
            return None;
        }
        let repositories = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        let common_dir = repositories.get(dir).map(|(repo, _)| repo.common_dir().to_owned());
        let mut there = hanging.into_iter().filter(|one| one.place == dir || Some(&one.place) == common_dir.as_ref());
        there.next()
    }

    fn known_repository(&self, dir: &Path) -> Option<Repo> {
        let known = self.repositories.lock().unwrap_or_else(PoisonError::into_inner).get(dir).cloned();
        known.filter(|(repo, seen)| seen.is_some() && stamp_of(repo) == *seen).map(|(repo, _)| repo)
    }
}

/// Returns when a repository's configuration was changed last.
fn stamp_of(repo: &Repo) -> Option<std::time::SystemTime> {
    std::fs::metadata(repo.common_dir().join("config")).and_then(|m| m.modified()).ok()
}
