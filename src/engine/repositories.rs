//! The repositories that the engine works in: each is discovered once.

use super::doors::Doors;
use crate::adapters::git::{Git, GitError, Repo};
use std::path::Path;
use std::sync::PoisonError;

impl Doors {
    /// git, looked for once.
    pub async fn git(&self) -> Result<&Git, GitError> {
        let locks = self.home.state().join("locks");
        self.git.get_or_try_init(|| Git::locate(&self.environment, &locks)).await
    }

    /// The repository at a directory: discovered once, and again when its configuration changed.
    pub async fn repository(&self, dir: &Path) -> Result<Repo, GitError> {
        if let Some(repo) = self.known_repository(dir) {
            return Ok(repo);
        }
        let _one_looks = self.discovering.lock().await;
        if let Some(repo) = self.known_repository(dir) {
            return Ok(repo);
        }
        let repo = Repo::discover(self.git().await?, dir).await?;
        // Before anybody looks at a checkout that is half moved. Where that cannot be mended, the next move says so.
        if let Err(error) = repo.finish_move().await {
            tracing::warn!(repository = %dir.display(), %error, "a move of a base branch was cut off");
        }
        let entry = (repo.clone(), stamp_of(&repo));
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned(), entry);
        Ok(repo)
    }
}

impl Doors {
    fn known_repository(&self, dir: &Path) -> Option<Repo> {
        let known = self.repositories.lock().unwrap_or_else(PoisonError::into_inner).get(dir).cloned();
        known.filter(|(repo, seen)| seen.is_some() && stamp_of(repo) == *seen).map(|(repo, _)| repo)
    }
}

/// When a repository's configuration was changed last.
fn stamp_of(repo: &Repo) -> Option<std::time::SystemTime> {
    std::fs::metadata(repo.common_dir().join("config")).and_then(|m| m.modified()).ok()
}
