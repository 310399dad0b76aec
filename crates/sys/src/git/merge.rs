//! Merges a finished branch: first in a scratch worktree, where the caller tests the result, and then, if nothing has
//! moved meanwhile, by moving the base branch. Both steps can be repeated after a crash at any point.
//!
//! Never here: a merge in a user's checkout that is not clean, a base that moves other than forward.

use super::super::crash::point;
use super::base::{is_elsewhere, require_sha};
use super::call::{CHECKOUT, Call, Checkout, failed};
use super::error::GitError;
use super::halfway::{Note, blocking, moving_mark};
use super::index_lock::IndexLock;
use super::inprogress::Operation;
use super::leftovers::{Author, clean_message};
pub use super::merge_error::{AdvanceError, MergeError};
use super::repo::Repo;
use crate::process::{self, RUN_MARK};
use orch_core::base::names::BranchName;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait for a command that switches a checkout.
const SWITCHING: Duration = Duration::from_secs(2);
/// How often the main checkout's index lock is tried before a branch that is not checked out moves without it.
const HELD_UP: usize = 3;
/// How long to wait for an operation of the user before the merge is held.
const BRIEF: Duration = Duration::from_secs(3);
/// How often to check.
const LOOK: Duration = Duration::from_millis(20);

/// What to merge, and where to try it.
#[derive(Debug, Clone, Copy)]
pub struct MergeRequest<'a> {
    /// The finished branch.
    pub branch: &'a BranchName,
    /// The branch to merge into.
    pub base: &'a BranchName,
    /// The absolute path of orch's scratch worktree. An existing one is recreated.
    pub scratch: &'a Path,
    /// The message of the merge commit.
    pub message: &'a str,
    /// The trailers of the message: lines of `Key: value`.
    pub trailers: &'a str,
    /// The tip that was judged or that a person approved: another one is not merged. `None` accepts any tip.
    pub expected: Option<&'a str>,
}

/// A successful merge that is not on the base branch yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The commit of the base branch before the merge.
    pub base_sha: String,
    /// The tip of the branch that was merged.
    pub branch_sha: String,
    /// The merge commit.
    pub merge_sha: String,
    /// The scratch worktree, with the merge checked out.
    pub checkout: Checkout,
}

/// The result of a merge without conflicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// The merge is to be tested, then to be put on the base branch with [`Repo::advance_base`].
    Ready(Candidate),
    /// The base branch contains it already.
    Already {
        /// The commit of the base branch.
        base_sha: String,
        /// The merge commit that brought it there, or the tip of the base if there was none.
        commit: String,
    },
}

/// The result of moving the base branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    /// The commit of the base branch.
    pub sha: String,
    /// The user's checkout that was moved with it.
    pub checkout: Option<PathBuf>,
    /// Whether it contained the merge before this call.
    pub already: bool,
}

impl Repo {
    /// Merges a branch into its base, in a scratch worktree, without moving the base branch. Where the base has lost
    /// the commit at which the branch forked off, the branch's commits are applied to the current base, and merged.
    pub async fn merge_candidate(&self, request: &MergeRequest<'_>) -> Result<Merged, MergeError> {
        let _held = self.hold().await?;
        let missing = |name: &BranchName| MergeError::BranchMissing { name: name.clone() };
        let base_sha = self.tip(request.base).await?.ok_or_else(|| missing(request.base))?;
        let branch_sha = self.tip(request.branch).await?.ok_or_else(|| missing(request.branch))?;
        if let Some(expected) = request.expected.filter(|expected| *expected != branch_sha) {
            let (name, expected) = (request.branch.clone(), expected.to_owned());
            return Err(MergeError::NotAsJudged { name, expected, found: branch_sha });
        }
        if self.is_ancestor(&branch_sha, &base_sha).await? {
            let commit = self.merge_of(&branch_sha, &base_sha).await?.unwrap_or_else(|| base_sha.clone());
            return Ok(Merged::Already { base_sha, commit });
        }
        let fork = self.lost_fork(&request.branch.full_ref(), request.base, &base_sha).await?;
        let merged = self.merge_aside(request, &branch_sha, &base_sha, fork.as_deref()).await;
        point!("merge.committed");
        if merged.is_err() {
            self.drop_scratch(request.scratch).await?;
        }
        merged
    }

    pub(super) async fn merge_in(
        &self,
        at: &Checkout,
        commit: &str,
        base_sha: &str,
        message: &str,
    ) -> Result<String, MergeError> {
        let message = format!("--message={}", clean_message(message));
        let call =
            Call::new(["merge", "--no-ff", "--no-edit", "--no-stat", "--quiet", "--no-verify", "--cleanup=whitespace"])
                .arg(message)
                .arg(commit)
                .durable()
                // For resolving a conflict, the common ancestor's text is useful, too.
                .setting("merge.conflictStyle", "diff3")
                .time_limit(CHECKOUT);
        let call = self.signed(at, call, Author::Configured).await?;
        let output = self.run(at, call).await?;
        if output.success() {
            let sha = self.commit_at(at, "HEAD").await?;
            return sha.ok_or_else(|| GitError::NoCommits { path: at.work_tree.clone() }.into());
        }
        let status = self.status(at, super::Untracked::No).await?;
        if status.unmerged.is_empty() {
            return Err(failed("git merge".to_owned(), &output).into());
        }
        let sides = self.sides(at, &status).await?;
        Err(MergeError::Conflict { files: status.unmerged, base_sha: base_sha.to_owned(), sides })
    }

    /// Moves the base branch from `expected_old` to `new_sha`, if it is still there, and with it the checkout that has
    /// it checked out, if that is clean.
    ///
    /// The index of that checkout is locked before it is read: concurrent `git add` is either kept or refused. A
    /// checkout that switches to the branch meanwhile is moved along.
    ///
    /// Dropping the future does not stop the move: a git killed while it works on the user's own checkout would leave
    /// its locks behind.
    pub async fn advance_base(
        &self,
        base: &BranchName,
        expected_old: &str,
        new_sha: &str,
    ) -> Result<Advanced, AdvanceError> {
        let (repo, base) = (self.clone(), base.clone());
        let (old, new) = (require_sha(expected_old)?.to_owned(), require_sha(new_sha)?.to_owned());
        let whole = tokio::spawn(async move { repo.advance(&base, &old, &new).await });
        let gone = |error: tokio::task::JoinError| GitError::Unexpected {
            command: "moving the base branch".to_owned(),
            detail: error.to_string(),
        };
        whole.await.map_err(gone)?
    }

    async fn advance(&self, base: &BranchName, old: &str, new: &str) -> Result<Advanced, AdvanceError> {
        let _held = self.hold().await?;
        self.finish_held_move().await?;
        let found = self.tip(base).await?;
        if let Some(sha) = &found
            && self.is_ancestor(new, sha).await?
        {
            return Ok(Advanced { sha: sha.clone(), checkout: None, already: true });
        }
        if found.as_deref() != Some(old) {
            return Err(AdvanceError::Moved { branch: base.clone(), found });
        }
        if !self.is_ancestor(old, new).await? {
            return Err(AdvanceError::NotForward { branch: base.clone() });
        }
        at_rest(self.main_checkout().work_tree).await;
        self.require_no_operation(base)?;
        let checkout = self.checkout_of(base).await?;
        // git flushes the files it writes, but not their directories: the base must never name objects that a power cut
        // may lose.
        self.make_durable(&self.main_checkout(), base, old, new).await?;
        let _moving = self.moving();
        let note = Note { branch: base.clone(), old: old.to_owned(), new: new.to_owned(), checkout };
        self.move_noted(&note).await?;
        let found = self.tip(base).await?;
        if found.as_deref() != Some(new) {
            return Err(AdvanceError::Moved { branch: base.clone(), found });
        }
        self.make_durable(&self.main_checkout(), base, old, new).await?;
        if note.checkout.is_none() {
            self.after_a_switch(base, old, new).await?;
        }
        Ok(Advanced { sha: new.to_owned(), checkout: note.checkout.map(|at| at.work_tree), already: false })
    }

    /// Moves the branch, and its checkout if it has one. If any process dies meanwhile, the note says how to continue.
    async fn move_noted(&self, note: &Note) -> Result<(), AdvanceError> {
        if let Some(at) = &note.checkout {
            self.require_clean(at, note).await?;
        }
        self.note_move(note)?;
        point!("merge.noted");
        let moved = match &note.checkout {
            None => self.move_unchecked_out(note).await,
            Some(at) => match self.locked_index(at, note).await {
                Ok(index) => self.move_checkout(at, note, index).await,
                Err(error) => {
                    self.forget_move()?;
                    return Err(error);
                }
            },
        };
        point!("merge.moved");
        match moved {
            // git has refused before it touched anything.
            Ok(())
            | Err(
                AdvanceError::BaseDirty { .. }
                | AdvanceError::Concealed { .. }
                | AdvanceError::FilesInTheWay { .. }
                | AdvanceError::InProgress { .. }
                | AdvanceError::Moved { .. },
            ) => {
                self.forget_move()?;
                moved
            }
            Err(AdvanceError::Git(GitError::Failed { exit, .. })) if exit.signal.is_some() => self.settle_move().await,
            Err(error) => {
                self.settle_move().await?;
                Err(error)
            }
        }
    }

    /// Takes the index lock in a checkout that has the branch checked out and in which no operation is in progress.
    async fn locked_index(&self, at: &Checkout, note: &Note) -> Result<IndexLock, AdvanceError> {
        // A running git of the user takes the lock more than once, and must not find it taken in between.
        at_rest(at.work_tree.clone()).await;
        let index = match IndexLock::take(at) {
            Ok(index) => index,
            Err(error) => return Err(self.with_holder(at, error).await.into()),
        };
        let branch = note.branch.clone();
        if let Some(operation) = at.operation() {
            return Err(AdvanceError::InProgress { branch, path: at.work_tree.clone(), operation });
        }
        if is_elsewhere(at, &branch) {
            let found = self.tip(&branch).await?;
            return Err(AdvanceError::Moved { branch, found });
        }
        Ok(index)
    }

    /// Moves a branch that is not checked out, under the main checkout's index lock. Without it, a concurrent `git
    /// switch` to the branch would write the files of the old commit, which every later command reports as changed.
    /// When git commands keep the main checkout busy, the branch moves without the lock.
    async fn move_unchecked_out(&self, note: &Note) -> Result<(), AdvanceError> {
        let main = self.main_checkout();
        for _ in 0..HELD_UP {
            at_rest(main.work_tree.clone()).await;
            let index = IndexLock::take(&main);
            if index.is_ok() && !is_at_work(main.work_tree.clone()).await {
                if self.checkout_of(&note.branch).await?.is_some() {
                    return Err(AdvanceError::Moved { branch: note.branch.clone(), found: Some(note.old.clone()) });
                }
                return self.move_ref(&note.branch, &note.old, &note.new).await;
            }
            drop(index);
            tokio::time::sleep(LOOK).await;
        }
        self.move_ref(&note.branch, &note.old, &note.new).await
    }

    /// Updates a checkout that was switched to the branch during its move. It has the files of the old commit: the
    /// merge seems reverted, and the user's next commit would revert it. It is moved along where its index equals the
    /// old commit; git overwrites no changed file.
    ///
    /// # Errors
    /// The user began a merge into the old commit there. The branch is moved back to that commit, so that they can
    /// continue.
    async fn after_a_switch(&self, base: &BranchName, old: &str, new: &str) -> Result<(), AdvanceError> {
        at_rest(self.main_checkout().work_tree).await;
        let Some(at) = self.checkout_of(base).await? else { return Ok(()) };
        if self.tip(base).await?.as_deref() != Some(new) {
            return Ok(());
        }
        if let Some(operation) = at.operation() {
            // git records there where a merge begins; other operations leave the file as it is.
            if operation == Operation::Merge && self.commit_at(&at, "ORIG_HEAD").await?.as_deref() == Some(old) {
                self.move_ref(base, new, old).await?;
                return Err(AdvanceError::InProgress { branch: base.clone(), path: at.work_tree, operation });
            }
            return Ok(());
        }
        let is_of_old = Call::new(["diff-index", "--cached", "--quiet", "--no-ext-diff", old, "--"]);
        if self.holds(&at, is_of_old).await? {
            let call = Call::new(["read-tree", "-m", "-u", old, new]).durable().time_limit(CHECKOUT);
            if let Err(error) = self.ask(&at, call).await {
                tracing::warn!(branch = %base, %error, "a checkout that was switched meanwhile could not be brought along");
            }
        }
        Ok(())
    }

    /// Returns the checkout that has a branch checked out.
    async fn checkout_of(&self, branch: &BranchName) -> Result<Option<Checkout>, AdvanceError> {
        let full = branch.full_ref();
        let entries = self.entries().await?;
        let Some(index) = entries.iter().position(|entry| entry.branch.as_deref() == Some(full.as_str())) else {
            return Ok(None);
        };
        if index == 0 {
            return Ok(Some(self.main_checkout()));
        }
        let path = entries[index].path.clone();
        let checkout = self.linked_checkout(&path)?.filter(|at| at.work_tree.join(".git").exists());
        checkout.map(Some).ok_or_else(|| AdvanceError::CheckoutMissing { branch: branch.clone(), path })
    }

    pub(super) async fn move_ref(&self, base: &BranchName, old: &str, new: &str) -> Result<(), AdvanceError> {
        let call = Call::new(["update-ref", "--no-deref", "-m", "orch: merge", &base.full_ref(), new, old]).durable();
        match self.ask(&self.main_checkout(), call).await {
            Ok(_) => Ok(()),
            Err(GitError::Failed { detail, .. }) if detail.contains("but expected") => {
                Err(AdvanceError::Moved { branch: base.clone(), found: self.tip(base).await? })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Checks whether the base branch could be moved now, for callers that want to know before a long preparation.
    pub async fn require_movable(&self, base: &BranchName) -> Result<(), AdvanceError> {
        self.finish_move().await?;
        // Most operations of a user end in a moment; a held merge is checked again much later.
        let until = Instant::now() + BRIEF;
        while self.operation_on(base).is_some() && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        self.require_no_operation(base)?;
        match self.checkout_of(base).await? {
            Some(at) => self.require_unchanged(&at, base).await,
            None => Ok(()),
        }
    }

    fn require_no_operation(&self, branch: &BranchName) -> Result<(), AdvanceError> {
        let branch = branch.clone();
        match self.operation_on(&branch) {
            Some((path, operation)) => Err(AdvanceError::InProgress { branch, path, operation }),
            None => Ok(()),
        }
    }

    async fn require_unchanged(&self, at: &Checkout, branch: &BranchName) -> Result<(), AdvanceError> {
        let status = self.status(at, super::Untracked::No).await?;
        if let Some(operation) = at.operation() {
            let (branch, path) = (branch.clone(), at.work_tree.clone());
            return Err(AdvanceError::InProgress { branch, path, operation });
        }
        if !status.differences.is_empty() {
            return Err(dirty(at, branch, status.differences.into_iter().map(|difference| difference.path).collect()));
        }
        Ok(())
    }

    /// Rejects a checkout that is in use.
    async fn require_clean(&self, at: &Checkout, note: &Note) -> Result<(), AdvanceError> {
        self.require_index_free(at).await?;
        self.require_unchanged(at, &note.branch).await?;
        if self.touches_filter(at, &note.old, &note.new).await? {
            let (path, branch, sha) = (at.work_tree.clone(), note.branch.clone(), note.new.clone());
            return Err(AdvanceError::FilterOff { path, branch, sha });
        }
        Ok(())
    }

    async fn move_checkout(&self, at: &Checkout, note: &Note, index: IndexLock) -> Result<(), AdvanceError> {
        point!("merge.locked");
        let args = [
            "merge",
            "--ff-only",
            "--no-autostash",
            "--no-overwrite-ignore",
            "--no-stat",
            "--quiet",
            "--no-verify",
            &note.new,
        ];
        let call = Call::new(args)
            .variable("GIT_REFLOG_ACTION", "orch: merge")
            .variable("GIT_INDEX_FILE", &index.copy().to_string_lossy())
            .variable(RUN_MARK, &moving_mark(&at.work_tree));
        let merged = self.ask(at, call.durable().time_limit(CHECKOUT)).await;
        // Also when git was killed: the branch moves last, after the copy is written.
        if merged.is_ok() || self.commit_at(at, "HEAD").await?.as_deref() == Some(&note.new) {
            point!("merge.index.before");
            index.commit()?;
        }
        drop(index);
        match merged {
            Ok(_) => Ok(()),
            // git has checked again, including untracked and ignored files, and refused.
            Err(GitError::Failed { detail, .. })
                if ["untracked working tree files", "lose untracked files"].iter().any(|why| detail.contains(why)) =>
            {
                let (branch, path) = (note.branch.clone(), at.work_tree.clone());
                let files = self.files_in_the_way(at, paths_in(&detail)).await?;
                Err(AdvanceError::FilesInTheWay { branch, path, files })
            }
            Err(GitError::Failed { detail, .. }) if detail.contains("overwritten") => {
                let overwritten = paths_in(&detail);
                let mut files = self.concealed(at).await?;
                files.retain(|file| overwritten.contains(&file.path));
                if files.is_empty() {
                    return Err(dirty(at, &note.branch, overwritten));
                }
                Err(AdvanceError::Concealed { branch: note.branch.clone(), path: at.work_tree.clone(), files })
            }
            Err(GitError::Failed { detail, .. }) if detail.contains("fast-forward") => {
                Err(AdvanceError::Moved { branch: note.branch.clone(), found: self.tip(&note.branch).await? })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the files in the way of a merge: of a directory that git names, the untracked files in it, or the
    /// directory itself where nothing in it is tracked.
    async fn files_in_the_way(&self, at: &Checkout, named: Vec<PathBuf>) -> Result<Vec<PathBuf>, GitError> {
        let mut files = Vec::new();
        for path in named {
            if !at.work_tree.join(&path).is_dir() {
                files.push(path);
                continue;
            }
            let call = Call::new(["ls-files", "--others", "--directory", "-z", "--"]).arg(path.join("").as_os_str());
            let listed = self.ask(at, call).await?.stdout;
            let others = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
            files.extend(others.map(|name| PathBuf::from(OsStr::from_bytes(name))));
        }
        Ok(files)
    }

    /// Returns whether a changed file between two commits has a filter that is disabled here: git would write the
    /// stored form, for instance a pointer instead of a picture, into the user's checkout.
    async fn touches_filter(&self, at: &Checkout, old: &str, new: &str) -> Result<bool, GitError> {
        let settings = self.settings(at).await?;
        if settings.filters_off.is_empty() {
            return Ok(false);
        }
        let names =
            self.ask(at, Call::new(["diff-tree", "-r", "--name-only", "--no-renames", "-z", old, new])).await?.stdout;
        if names.split(|b| *b == 0).any(|name| name.ends_with(b".gitattributes")) {
            return Ok(true);
        }
        let output = self.ask(at, Call::new(["check-attr", "-z", "--stdin", "filter"]).stdin(names)).await?;
        let fields: Vec<&[u8]> = output.stdout.split(|b| *b == 0).collect();
        Ok(fields.chunks_exact(3).any(|triple| settings.filters_off.contains(triple[2])))
    }
}

/// Returns the git commands that run in a checkout.
fn at_work(work_tree: &Path) -> Vec<u32> {
    let pids = process::working_in(work_tree).unwrap_or_default();
    pids.into_iter().filter(|pid| process::program_of(*pid) == "git").collect()
}

async fn is_at_work(work_tree: PathBuf) -> bool {
    blocking(move || at_work(&work_tree)).await.is_ok_and(|pids| !pids.is_empty())
}

/// Waits, for a limited time, until the git commands that run in a checkout now are done.
async fn at_rest(work_tree: PathBuf) {
    let at_work = move || at_work(&work_tree);
    let Ok(mut waited_for) = blocking(at_work.clone()).await else { return };
    let until = Instant::now() + SWITCHING;
    while !waited_for.is_empty() && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        let Ok(still) = blocking(at_work.clone()).await else { return };
        waited_for.retain(|pid| still.contains(pid));
    }
}

fn dirty(at: &Checkout, branch: &BranchName, files: Vec<PathBuf>) -> AdvanceError {
    AdvanceError::BaseDirty { branch: branch.clone(), path: at.work_tree.clone(), files }
}

/// Parses the paths that git lists in a refusal: one per line, indented.
fn paths_in(detail: &str) -> Vec<PathBuf> {
    detail.lines().filter_map(|line| line.strip_prefix('\t')).map(PathBuf::from).collect()
}
