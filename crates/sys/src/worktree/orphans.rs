//! Removes what deleted tasks left in a repository: branches, registrations, scratch worktrees, lock files of a killed
//! git. Each is checked again under the repository's lock, right before it is removed.

use super::WorktreeError;
use crate::git::{Call, GitError, Presence, Repo, same_place};
use crate::process::{program_of, working_in};
use orch_core::base::names::BranchName;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The age from which a lock of git is abandoned: git holds it for moments, an editor for as long as it is open.
const OLD: Duration = Duration::from_secs(600);

/// A lock file of git that seems abandoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldLock {
    /// The path of the lock file.
    pub path: PathBuf,
    /// Whether it belongs to a worktree or branch of a task, and not to the user's own checkout.
    pub of_a_task: bool,
}

impl Repo {
    /// Returns the registered worktrees below `root` whose directory is missing.
    pub async fn missing_below(&self, root: &Path) -> Result<Vec<PathBuf>, GitError> {
        let entries = self.entries().await?;
        let is_missing = |entry: &&crate::git::Entry| {
            entry.path.starts_with(root) && entry.presence() == Presence::Missing && entry.locked.is_none()
        };
        Ok(entries.iter().skip(1).filter(is_missing).map(|entry| entry.path.clone()).collect())
    }

    /// Removes such a registration; its commits are kept. Returns `false` if the directory is back or the registration
    /// gone.
    pub async fn forget_missing(&self, path: &Path) -> Result<bool, WorktreeError> {
        let _held = self.hold().await?;
        let entries = self.entries().await?;
        let entry = entries.iter().skip(1).find(|entry| same_place(&entry.path, path));
        match entry.filter(|entry| entry.presence() == Presence::Missing && entry.locked.is_none()) {
            Some(entry) => self.discard(entry).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Returns whether everything on a task's branch is also on another branch, a tag or a remote, and it is checked
    /// out nowhere.
    pub async fn is_spare(&self, branch: &BranchName) -> Result<bool, GitError> {
        let full = branch.full_ref();
        let is_used = self.entries().await?.iter().any(|entry| entry.branch.as_deref() == Some(full.as_str()));
        match self.tip(branch).await? {
            Some(tip) if branch.is_of_a_task() && !is_used => self.is_elsewhere(&tip, branch).await,
            Some(_) | None => Ok(false),
        }
    }

    /// Deletes such a branch, if it still is one. Commits known only to its reflog get a ref first.
    pub async fn drop_spare(&self, branch: &BranchName) -> Result<bool, GitError> {
        let _held = self.hold().await?;
        let Some(tip) = self.tip(branch).await? else { return Ok(false) };
        if !self.is_spare(branch).await? {
            return Ok(false);
        }
        self.keep_abandoned(None, branch, true).await?;
        let call = Call::new(["update-ref", "-d", &branch.full_ref(), &tip]);
        Ok(self.run(&self.main_checkout(), call).await?.success())
    }

    /// Returns old lock files that no process has open, while no git works there.
    pub async fn old_locks(&self, root: &Path, now: std::time::SystemTime) -> Result<Vec<OldLock>, GitError> {
        let mut found = Vec::new();
        for (index, entry) in self.entries().await?.iter().enumerate() {
            let is_task = index > 0 && entry.path.starts_with(root);
            let checkout = if index == 0 { Some(self.main_checkout()) } else { self.linked_checkout(&entry.path)? };
            let Some(checkout) = checkout.filter(|_| index == 0 || is_task) else { continue };
            let names = ["index.lock", "HEAD.lock", "config.lock", "packed-refs.lock"];
            let locks = names.iter().map(|name| checkout.git_dir.join(name));
            found.extend(locks.filter(|lock| is_old(lock, &checkout.work_tree, now)).map(|path| (path, is_task)));
        }
        let branches = self.common_dir().join("refs/heads/orch");
        let names = std::fs::read_dir(branches).into_iter().flatten().flatten().map(|entry| entry.path());
        let locks = names.filter(|path| path.extension().is_some_and(|end| end == "lock"));
        found.extend(locks.filter(|lock| is_old(lock, self.root(), now)).map(|path| (path, true)));
        Ok(found.into_iter().map(|(path, of_a_task)| OldLock { path, of_a_task }).collect())
    }

    /// Removes such a lock, if it still is one.
    pub async fn drop_old_lock(
        &self,
        lock: &OldLock,
        root: &Path,
        now: std::time::SystemTime,
    ) -> Result<bool, GitError> {
        let _held = self.hold().await?;
        if !lock.of_a_task || !self.old_locks(root, now).await?.contains(lock) {
            return Ok(false);
        }
        std::fs::remove_file(&lock.path).map_err(|source| GitError::Io { path: lock.path.clone(), source })?;
        Ok(true)
    }

    /// Returns whether a directory is a scratch worktree of this repository.
    pub async fn is_scratch(&self, path: &Path) -> Result<bool, GitError> {
        Ok(self.entries().await?.iter().skip(1).any(|entry| entry.is_scratch() && same_place(&entry.path, path)))
    }
}

fn is_old(lock: &Path, work_tree: &Path, now: std::time::SystemTime) -> bool {
    let Ok(meta) = lock.symlink_metadata() else { return false };
    let age = meta.modified().ok().and_then(|at| now.duration_since(at).ok());
    let is_held = || working_in(lock).is_none_or(|pids| !pids.is_empty());
    let is_worked = || {
        let pids = working_in(work_tree).unwrap_or_default();
        pids.into_iter().any(|pid| program_of(pid).starts_with("git"))
    };
    meta.is_file() && age.is_some_and(|age| age >= OLD) && !is_held() && !is_worked()
}
