//! Scratch worktrees: detached, orch's own, and disposable. They are identified by the reason of their lock, so that a
//! worktree with work in it is never taken for one.

use super::{WorktreeError, prepared, require_free};
use crate::git::{CHECKOUT, Call, Checkout, Entry, GitError, Repo, mark, same_place, settled};
use crate::process;
use std::path::Path;
use std::time::Duration;

/// The reason that marks a scratch worktree. The lock also keeps `git worktree prune` away.
const REASON: &str = "orch scratch";
/// How long to wait before a failed removal is retried: a disk may be full or read-only for a while.
const REMOVE_AGAIN: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

impl Entry {
    /// Returns whether it is a scratch worktree.
    pub(super) fn is_scratch(&self) -> bool {
        self.locked.as_deref() == Some(REASON) && self.branch.is_none()
    }
}

impl Repo {
    /// Creates a scratch worktree at a commit and removes an old one at this path. The caller holds the repository's
    /// lock.
    pub(crate) async fn make_scratch(&self, path: &Path, sha: &str) -> Result<Checkout, WorktreeError> {
        let path = prepared(path)?;
        self.drop_scratch(&path).await?;
        require_free(&path)?;
        let call = Call::new(["worktree", "add", "--quiet", "--detach", "--lock", "--reason", REASON, "--"]);
        self.ask(&self.main_checkout(), making(call, &path).arg(&path).arg(sha)).await?;
        self.linked_checkout(&path)?.ok_or(WorktreeError::PathTaken { path })
    }

    /// Creates a scratch worktree at a commit and removes an old one at this path.
    pub async fn checkout_aside(&self, path: &Path, sha: &str) -> Result<Checkout, WorktreeError> {
        let _held = self.hold().await?;
        self.make_scratch(path, sha).await
    }

    /// Removes a scratch worktree; a missing one is not an error. A failure is retried, because nothing else will clean
    /// up and a disk may be full only for a while.
    pub async fn remove_scratch(&self, path: &Path) -> Result<(), WorktreeError> {
        let mut pauses = REMOVE_AGAIN.iter();
        loop {
            let removed = async {
                let _held = self.hold().await?;
                self.drop_scratch(path).await
            };
            match (removed.await, pauses.next()) {
                (Ok(()), _) => return Ok(()),
                (Err(error @ WorktreeError::PathTaken { .. }), _) | (Err(error), None) => return Err(error),
                (Err(_), Some(pause)) => tokio::time::sleep(*pause).await,
            }
        }
    }

    /// Does the same as [`Self::remove_scratch`], for a caller that holds the repository's lock.
    pub(crate) async fn drop_scratch(&self, path: &Path) -> Result<(), WorktreeError> {
        let path = settled(path);
        let entries = self.entries().await?;
        let Some(entry) = entries.iter().skip(1).find(|entry| same_place(&entry.path, &path)) else { return Ok(()) };
        if !entry.is_scratch() {
            return Err(WorktreeError::PathTaken { path });
        }
        self.remove_by_force(entry).await.map_err(WorktreeError::from)
    }

    /// Removes a complete or incomplete worktree with its content. Only for worktrees without work.
    pub(super) async fn remove_by_force(&self, entry: &Entry) -> Result<(), GitError> {
        end_orphans(&entry.path).await?;
        let git_dir = self.linked_checkout(&entry.path)?.map(|checkout| checkout.git_dir);
        let remove = Call::new(["worktree", "remove", "--force", "--force", "--"]).arg(&entry.path);
        let Err(error) = self.ask(&self.main_checkout(), remove.time_limit(CHECKOUT)).await else { return Ok(()) };
        // git refuses one that it has hardly begun to create: then its registration is removed, and the directory if
        // empty.
        let Some(git_dir) = git_dir.filter(|dir| dir.parent() == Some(&self.common_dir().join("worktrees"))) else {
            return Err(error);
        };
        if entry.path.join(".git").exists() && std::fs::remove_file(entry.path.join(".git")).is_err() {
            return Err(error);
        }
        std::fs::remove_dir_all(&git_dir).map_err(|source| GitError::Io { path: git_dir, source })
    }
}

/// Completes a command that creates a checkout: it carries the checkout's mark, and writes every file, even if the
/// user's own checkout is sparse.
pub(super) fn making(call: Call, path: &Path) -> Call {
    call.variable(process::RUN_MARK, &mark(path)).setting("core.sparseCheckout", "false").time_limit(CHECKOUT)
}

/// Ends git commands that a killed daemon left running in a checkout.
async fn end_orphans(path: &Path) -> Result<(), GitError> {
    let mark = mark(path);
    let swept = tokio::task::spawn_blocking(move || process::sweep(&mark, Duration::ZERO)).await;
    let gone = |error: tokio::task::JoinError| GitError::Unexpected {
        command: "ending git".to_owned(),
        detail: error.to_string(),
    };
    swept.map(drop).map_err(gone)
}
