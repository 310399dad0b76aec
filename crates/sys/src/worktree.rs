//! Worktrees: one per task, created once and found again, and scratch ones for trying a merge.
//!
//! Never here: overwriting a file of another program, and removing work that exists nowhere else. Anything unidentified
//! is kept.

mod error;
mod hidden;
mod orphans;
mod remove;
mod retire;
mod scratch;
mod survey;

pub use error::{RemoveError, WorktreeError};
pub use orphans::OldLock;
pub use retire::{Aside, Leftover, Retired, settle};
pub use survey::Subject;

use super::git::{
    Author, Base, Call, Checkout, Entry, GitError, LeftoversError, Presence, Repo, clear_branch_lock, mark,
    require_sha, same_place, settled,
};
use orch_core::base::names::BranchName;
use std::path::{Component, Path, PathBuf};

/// The message of the commit in which orch saves what a run left uncommitted.
const WORK_IN_PROGRESS: &str = "orch: work in progress";

/// The note about a worktree that no longer pointed to its repository.
const MENDED: &str = "its link to the repository was broken and was set right";

/// The description of a required worktree.
#[derive(Debug, Clone, Copy)]
pub struct WorktreeRequest<'a> {
    /// Its absolute path, computed from the task.
    pub path: &'a Path,
    /// The branch that is checked out there; created when it does not exist.
    pub branch: &'a BranchName,
    /// The branch from which the work starts.
    pub base: &'a BranchName,
    /// The commit from which it starts, if that is not the tip of `base`.
    pub start: Option<&'a str>,
    /// Whether to fetch from the remote first (at most 20 s).
    pub fetch: bool,
}

/// A worktree that is ready to work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Its path.
    pub path: PathBuf,
    /// The checked-out branch.
    pub branch: BranchName,
    /// The commit after which the task's own commits begin.
    pub base_sha: String,
    /// Whether this call created the directory.
    pub created: bool,
    /// Notices for the user, one sentence each.
    pub notes: Vec<String>,
    /// Its directories, for later commands.
    pub checkout: Checkout,
}

impl Repo {
    /// Creates the worktree of a task, or finds it again with its content.
    ///
    /// Calls are serialized per repository. Uncommitted work found there is committed first. After a crash at any
    /// point, a second call ends in the same state.
    pub async fn ensure_worktree(&self, request: &WorktreeRequest<'_>) -> Result<Worktree, WorktreeError> {
        let path = prepared(request.path)?;
        // Without a remote there is nothing to fetch.
        let fetch = request.fetch && self.settings(&self.main_checkout()).await?.has_remote;
        let fetched = match request.start {
            Some(sha) => Some(Base { branch: request.base.clone(), sha: require_sha(sha)?.to_owned(), note: None }),
            None if fetch => Some(self.base(request.base, true).await?),
            None => None,
        };
        let _held = self.hold().await?;
        if fetched.is_none()
            && let Some(made) = self.create_at_once(&path, request.branch, request.base).await?
        {
            return Ok(made);
        }
        let mut tips = self.tips(&[request.base, request.branch]).await?;
        let tip = tips.remove(request.branch);
        let base = match fetched {
            Some(base) => base,
            None => self.base_from(request.base, tips.remove(request.base), false).await?,
        };
        let is_new = tip.is_none() && path.symlink_metadata().is_err() && self.linked_checkout(&path)?.is_none();
        // A task's first run does not list all the other worktrees.
        if !is_new && let Some(found) = self.find_or_clear(&path, request.branch, &base).await? {
            return Ok(found);
        }
        clear_branch_lock(self.common_dir(), request.branch).await?;
        let was_missing = tip.is_none();
        match self.create(&path, request.branch, tip, &base).await {
            // git created the branch, then failed on another broken worktree, which is repaired now.
            Err(WorktreeError::Git(GitError::Failed { detail, .. }))
                if was_missing && detail.contains("already exists") =>
            {
                let tip = self.tip(request.branch).await?;
                self.create(&path, request.branch, tip, &base).await
            }
            made => made,
        }
    }

    /// Creates the worktree of a new branch from the local base, without checking anything first: git refuses by itself
    /// if something is in the way. Returns `None` then, or when the base cannot be read so simply.
    async fn create_at_once(
        &self,
        path: &Path,
        branch: &BranchName,
        base: &BranchName,
    ) -> Result<Option<Worktree>, WorktreeError> {
        let there = |path: &Path| path.symlink_metadata().is_ok();
        if there(path) || there(&self.common_dir().join(branch.full_ref())) || self.linked_checkout(path)?.is_some() {
            return Ok(None);
        }
        clear_branch_lock(self.common_dir(), branch).await?;
        let add = Call::new(["worktree", "add", "--quiet", "--no-track"]);
        let add = add.arg("-b").arg(branch.as_str()).arg("--").arg(path).arg(base.full_ref());
        if !self.run(&self.main_checkout(), scratch::making(add, path)).await?.success() {
            return Ok(None);
        }
        let Some(sha) = self.loose_tip(branch) else { return Ok(None) };
        self.made(path, branch, sha, Vec::new()).await.map(Some)
    }

    /// Finds the worktree again, or removes what a crash or a manual deletion left of it.
    async fn find_or_clear(
        &self,
        path: &Path,
        branch: &BranchName,
        base: &Base,
    ) -> Result<Option<Worktree>, WorktreeError> {
        let entries = self.entries().await?;
        let registered = entries.iter().skip(1).find(|entry| same_place(&entry.path, path));
        match registered.map(|entry| (entry, entry.presence())) {
            Some((entry, Presence::There)) => return self.adopt(entry, path, branch, base).await.map(Some),
            Some((entry, Presence::Missing | Presence::Unfinished)) => self.discard(entry).await?,
            None => {}
        }
        require_free(path)?;
        self.free_branch(&entries, path, branch).await?;
        Ok(None)
    }

    /// Returns the value of `ORCH_RUN_ID` in git commands that create or use the worktree at `path`.
    pub fn worktree_mark(path: &Path) -> String {
        mark(&settled(path))
    }

    /// Opens the worktree at a path for inspection, if it is registered there.
    pub fn open_worktree(&self, path: &Path) -> Result<Option<Checkout>, GitError> {
        self.linked_checkout(&settled(path))
    }

    /// Reuses an existing worktree.
    async fn adopt(
        &self,
        entry: &Entry,
        path: &Path,
        branch: &BranchName,
        base: &Base,
    ) -> Result<Worktree, WorktreeError> {
        let checkout = self.linked_checkout(path)?.ok_or_else(|| WorktreeError::PathTaken { path: path.to_owned() })?;
        let mut notes: Vec<String> = base.note.iter().cloned().collect();
        notes.extend(self.repair_pointer(&checkout).await?);
        if entry.branch.as_deref() != Some(branch.full_ref().as_str()) && checkout.operation().is_none() {
            let found = entry.branch.as_ref().map(|name| name.trim_start_matches("refs/heads/").to_owned());
            return Err(WorktreeError::WrongBranch { path: path.to_owned(), expected: branch.clone(), found });
        }
        match self.commit_leftovers(&checkout, branch, WORK_IN_PROGRESS, Author::Orch).await {
            Ok(kept) => {
                notes.extend(
                    kept.sha.map(|sha| format!("uncommitted work was found and kept as commit {}", &sha[..10])),
                );
                notes.extend(
                    kept.left_out
                        .iter()
                        .map(|dir| format!("{} is a repository of its own, left as it is", dir.display())),
                );
            }
            Err(LeftoversError::InProgress { operation, .. }) => {
                notes.push(format!("a {operation} is in progress, left as it is"))
            }
            Err(LeftoversError::Unmerged { files, .. }) => {
                notes.push(format!("{} files have unresolved conflicts, left as they are", files.len()))
            }
            Err(error @ (LeftoversError::WrongBranch { .. } | LeftoversError::Git(_))) => return Err(error.into()),
        }
        let base_sha = self.shared_with(&branch.full_ref(), base).await?;
        Ok(Worktree { path: path.to_owned(), branch: branch.clone(), base_sha, created: false, notes, checkout })
    }

    /// Repairs the files by which a worktree finds its repository: the repository was moved, or they were changed.
    async fn repair_pointer(&self, checkout: &Checkout) -> Result<Option<String>, WorktreeError> {
        let file = checkout.work_tree.join(".git");
        let taken = || WorktreeError::PathTaken { path: checkout.work_tree.clone() };
        if !file.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            return Err(taken());
        }
        let points_home = || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let target = text.strip_prefix("gitdir: ").map(|target| checkout.work_tree.join(target.trim_end()));
            target.is_some_and(|target| same_place(&target, &checkout.git_dir))
        };
        let restored = checkout.restore_common_dir()?;
        if points_home() {
            return Ok(restored.then(|| MENDED.to_owned()));
        }
        self.ask(&self.main_checkout(), Call::new(["worktree", "repair", "--"]).arg(&checkout.work_tree)).await?;
        if points_home() { Ok(Some(MENDED.to_owned())) } else { Err(taken()) }
    }

    /// Checks that a branch is checked out nowhere else.
    async fn free_branch(&self, entries: &[Entry], path: &Path, branch: &BranchName) -> Result<(), WorktreeError> {
        let full = branch.full_ref();
        let elsewhere =
            |entry: &&Entry| entry.branch.as_deref() == Some(full.as_str()) && !same_place(&entry.path, path);
        let Some(entry) = entries.iter().find(elsewhere) else { return Ok(()) };
        let is_main = entries.first() == Some(entry);
        match entry.presence() {
            Presence::Missing if !is_main && entry.locked.is_none() => self.discard(entry).await,
            Presence::Missing | Presence::There | Presence::Unfinished => {
                Err(WorktreeError::BranchInUse { branch: branch.clone(), path: entry.path.clone() })
            }
        }
    }

    /// Creates the worktree, on the existing branch (at `tip`) if there is one.
    async fn create(
        &self,
        path: &Path,
        branch: &BranchName,
        tip: Option<String>,
        base: &Base,
    ) -> Result<Worktree, WorktreeError> {
        let mut notes: Vec<String> = base.note.iter().cloned().collect();
        let add = Call::new(["worktree", "add", "--quiet", "--no-track"]);
        let (add, base_sha) = match tip {
            None => (add.arg("-b").arg(branch.as_str()).arg("--").arg(path).arg(&base.sha), base.sha.clone()),
            // The branch has no commits of its own: nothing is lost when it starts from the newest base.
            Some(tip) if self.is_ancestor(&tip, &base.sha).await? => {
                (add.arg("-B").arg(branch.as_str()).arg("--").arg(path).arg(&base.sha), base.sha.clone())
            }
            Some(_) => {
                let shared = self.shared_with(&branch.full_ref(), base).await?;
                notes.push(format!("branch {branch} was there already, its commits are kept"));
                let add = Call::new(["worktree", "add", "--quiet", "--"]);
                (add.arg(path).arg(branch.as_str()), shared)
            }
        };
        self.ask(&self.main_checkout(), scratch::making(add, path)).await?;
        self.made(path, branch, base_sha, notes).await
    }

    /// Returns the notices about a worktree that was just created.
    async fn made(
        &self,
        path: &Path,
        branch: &BranchName,
        base_sha: String,
        mut notes: Vec<String>,
    ) -> Result<Worktree, WorktreeError> {
        let checkout = self.linked_checkout(path)?.ok_or_else(|| GitError::Unexpected {
            command: "git worktree add".to_owned(),
            detail: format!("{} is not registered", path.display()),
        })?;
        survey::note_made(&checkout, branch)?;
        let off = &self.settings(&self.main_checkout()).await?.filters_off;
        notes.extend(off.iter().map(|name| {
            format!("filter {:?} is configured in the repository itself and was not run", String::from_utf8_lossy(name))
        }));
        Ok(Worktree { path: path.to_owned(), branch: branch.clone(), base_sha, created: true, notes, checkout })
    }

    /// Returns the commit at which a branch forked off its base, even if the base has lost that commit since.
    async fn shared_with(&self, branch: &str, base: &Base) -> Result<String, WorktreeError> {
        if let Some(fork) = self.lost_fork(branch, &base.branch, &base.sha).await? {
            return Ok(fork);
        }
        let shared = self.merge_base(branch, &base.sha).await?;
        shared.ok_or_else(|| WorktreeError::Unrelated { branch: branch.to_owned(), base: base.branch.clone() })
    }
}

/// Creates the parent directory and returns the path in the form that git records.
fn prepared(path: &Path) -> Result<PathBuf, WorktreeError> {
    let plain =
        path.is_absolute() && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let parent = path.parent().filter(|_| plain).ok_or_else(|| WorktreeError::BadPath { path: path.to_owned() })?;
    std::fs::create_dir_all(parent).map_err(|source| GitError::Io { path: parent.to_owned(), source })?;
    Ok(settled(path))
}

/// Rejects a path with anything but an empty directory.
fn require_free(path: &Path) -> Result<(), WorktreeError> {
    let taken = || WorktreeError::PathTaken { path: path.to_owned() };
    let Ok(meta) = path.symlink_metadata() else { return Ok(()) };
    if !meta.is_dir() {
        return Err(taken());
    }
    let mut entries = std::fs::read_dir(path).map_err(|source| GitError::Io { path: path.to_owned(), source })?;
    if entries.next().is_some() { Err(taken()) } else { Ok(()) }
}
