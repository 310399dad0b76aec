//! Removes worktrees: only what is committed, reachable from a branch or tag, and not in use.

use super::{RemoveError, WorktreeError};
use crate::git::{Call, Entry, GitError, Presence, Repo, Untracked, same_place, settled};
use std::path::Path;

/// The ref prefix that keeps commits of vanished worktrees from git's garbage collection.
const KEPT: &str = "refs/orch/kept/";

impl Repo {
    /// Removes the worktree at `path`; its branch stays. Returns `false` when there was none.
    ///
    /// It is kept, with the reason, when anything is uncommitted, a merge or rebase is in progress, it is locked, or
    /// its
    /// commit is reachable from no branch or tag.
    pub async fn remove_worktree(&self, path: &Path) -> Result<bool, RemoveError> {
        let path = settled(path);
        let _held = self.hold().await?;
        let entries = self.entries().await?;
        let Some(index) = entries.iter().position(|entry| same_place(&entry.path, &path)) else {
            return if path.symlink_metadata().is_ok() { Err(RemoveError::NotOurs { path }) } else { Ok(false) };
        };
        let entry = &entries[index];
        if index == 0 {
            return Err(RemoveError::NotOurs { path });
        }
        if entry.is_scratch() || entry.presence() == Presence::Unfinished {
            return Ok(self.remove_by_force(entry).await.map(|()| true)?);
        }
        if let Some(reason) = &entry.locked {
            return Err(RemoveError::Locked { path, reason: reason.clone() });
        }
        self.require_nothing_to_lose(entry).await?;
        // Without --force, git checks once more itself.
        self.ask(&self.main_checkout(), Call::new(["worktree", "remove", "--"]).arg(&path)).await?;
        Ok(true)
    }

    async fn require_nothing_to_lose(&self, entry: &Entry) -> Result<(), RemoveError> {
        let path = entry.path.clone();
        if let Some(checkout) = self.linked_checkout(&path)? {
            if let Some(operation) = checkout.operation() {
                return Err(RemoveError::InProgress { path, operation });
            }
            if entry.presence() == Presence::There {
                let files = self.status(&checkout, Untracked::Files).await?.differences;
                if !files.is_empty() {
                    return Err(RemoveError::Dirty { path, files: files.into_iter().map(|file| file.path).collect() });
                }
            } else if path.symlink_metadata().is_ok() {
                // Files without a pointer to the repository: their owner is unknown.
                return Err(RemoveError::NotOurs { path });
            }
        }
        match &entry.head {
            Some(sha) if !self.is_reachable(sha).await? => Err(RemoveError::Unreachable { path, sha: sha.clone() }),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) async fn is_reachable(&self, sha: &str) -> Result<bool, GitError> {
        let call = Call::new(["for-each-ref", "--count=1", "--contains", sha, "--format=%(refname)"]);
        let call = call.arg("refs/heads/").arg("refs/tags/").arg("refs/remotes/").arg(KEPT);
        Ok(!self.ask(&self.main_checkout(), call).await?.stdout.is_empty())
    }

    /// Creates a ref for a commit that only this worktree knows, before the worktree is removed.
    async fn keep_reachable(&self, entry: &Entry) -> Result<(), GitError> {
        let Some(sha) = entry.head.as_deref().filter(|_| entry.branch.is_none()) else { return Ok(()) };
        if self.is_reachable(sha).await? {
            return Ok(());
        }
        self.ask(&self.main_checkout(), Call::new(["update-ref", &format!("{KEPT}{sha}"), sha])).await.map(drop)
    }

    /// Unregisters a worktree whose directory is missing, or whose creation was not finished.
    pub(super) async fn discard(&self, entry: &Entry) -> Result<(), WorktreeError> {
        if entry.presence() == Presence::Unfinished {
            return Ok(self.remove_by_force(entry).await?);
        }
        if entry.path.symlink_metadata().is_ok() && std::fs::remove_dir(&entry.path).is_err() {
            return Err(WorktreeError::PathTaken { path: entry.path.clone() });
        }
        self.keep_reachable(entry).await?;
        // Without --force, git refuses to touch work in the directory, should it be back.
        let forget = Call::new(["worktree", "remove", "--"]).arg(&entry.path);
        self.ask(&self.main_checkout(), forget).await.map(drop).map_err(|error: GitError| error.into())
    }
}
