//! Surveys a worktree: what exists nowhere else and who works there, the facts that decide whether it may be removed.
//! Read-only.

use crate::fs;
use crate::git::{Call, Checkout, GitError, Head, Presence, Repo, Untracked};
use crate::process::working_in;
use orch_core::base::names::BranchName;
use orch_core::operations::gc::{Facts, Head as HeadFact, Presence as Who};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file in a worktree's own git directory that says that orch created it, and for which branch.
const MADE: &str = "orch-made";

/// Files of unfinished work beside those of an operation itself.
const UNFINISHED: &[&str] = &["sequencer", "MERGE_AUTOSTASH"];

/// A worktree of a task.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its path.
    pub path: &'a Path,
    /// The branch that is expected there.
    pub branch: &'a BranchName,
    /// The branch into which its work is merged.
    pub base: &'a BranchName,
}

/// Records that orch has created a worktree.
pub(super) fn note_made(checkout: &Checkout, branch: &BranchName) -> Result<(), GitError> {
    let file = checkout.git_dir.join(MADE);
    let written = fs::write_private(&file, branch.as_str().as_bytes(), fs::Durability::Cached);
    written.map_err(|error| GitError::Io { path: file, source: std::io::Error::other(error) })
}

impl Repo {
    /// Surveys the worktree at a path; `None` when none is registered there, or its directory is missing.
    pub async fn survey(&self, subject: &Subject<'_>) -> Result<Option<Facts>, GitError> {
        let Some(checkout) = self.there(subject.path).await? else { return Ok(None) };
        self.facts(&checkout, subject).await.map(Some)
    }

    /// Returns the registered worktree at a path, if its directory exists.
    pub(super) async fn there(&self, path: &Path) -> Result<Option<Checkout>, GitError> {
        let entries = self.entries().await?;
        let is_it = |path: &Path, other: &Path| crate::git::same_place(path, other);
        let entry = entries.iter().skip(1).find(|entry| is_it(&entry.path, path));
        let is_there = entry.is_some_and(|entry| entry.presence() == Presence::There);
        if is_there { self.linked_checkout(path) } else { Ok(None) }
    }

    /// Does the same for a checkout whose files may be in another directory for the moment.
    pub(super) async fn facts(&self, at: &Checkout, subject: &Subject<'_>) -> Result<Facts, GitError> {
        let walked = {
            let root = at.work_tree.clone();
            blocking(move || walk(&root)).await??
        };
        let who = {
            let root = at.work_tree.clone();
            blocking(move || working_in(&root)).await?
        };
        let head = self.head_of(at).await?;
        let status = self.status(at, Untracked::Files).await?;
        let tip = self.tip(subject.branch).await?;
        let (kept_elsewhere, merged) = match &tip {
            // Without the branch nothing of it can be lost here.
            None => (true, false),
            Some(tip) => (self.is_elsewhere(tip, subject.branch).await?, self.is_merged(tip, subject.base).await?),
        };
        Ok(Facts {
            made_by_orch: made_for(at).as_deref() == Some(subject.branch.as_str()),
            locked: lock_of(at),
            operation: operation(at),
            changed: status.differences.into_iter().map(|difference| difference.path).collect(),
            concealed: self.concealed(at).await?.into_iter().map(|file| file.path).collect(),
            nested: walked.nested,
            mounted: walked.mounted,
            stashes: self.stashes(subject.branch, matches!(head, Head::Detached { .. })).await?,
            own_refs: self.own_refs(at).await?,
            head: self.head_fact(head, subject.branch).await?,
            kept_elsewhere,
            merged,
            presence: match who {
                None => Who::Unknown,
                Some(pids) if pids.is_empty() => Who::Nobody,
                Some(pids) => Who::Processes(pids),
            },
            bytes: walked.bytes,
        })
    }

    async fn head_fact(&self, head: Head, branch: &BranchName) -> Result<HeadFact, GitError> {
        Ok(match head {
            Head::Branch { name, .. } if name == *branch => HeadFact::Own,
            Head::Branch { name, .. } => HeadFact::Other(name.to_string()),
            Head::Unborn { name } => HeadFact::Other(format!("{name}, which has no commit,")),
            Head::Detached { sha } => HeadFact::Detached { reachable: self.is_reachable(&sha).await? },
        })
    }

    /// Returns whether another branch, a tag or a remote contains a commit of a branch.
    pub(super) async fn is_elsewhere(&self, sha: &str, branch: &BranchName) -> Result<bool, GitError> {
        let call = Call::new(["for-each-ref", "--contains", sha, "--format=%(refname)"]);
        let call = call.arg("refs/heads/").arg("refs/tags/").arg("refs/remotes/");
        let names = self.ask(&self.main_checkout(), call).await?.text();
        let own = branch.full_ref();
        Ok(names.lines().any(|name| name != own))
    }

    async fn is_merged(&self, tip: &str, base: &BranchName) -> Result<bool, GitError> {
        match self.tip(base).await? {
            Some(base) => self.is_ancestor(tip, &base).await,
            None => Ok(false),
        }
    }

    /// Stashes belong to the repository; their message says where they were made.
    async fn stashes(&self, branch: &BranchName, is_detached: bool) -> Result<usize, GitError> {
        if self.commit_of("refs/stash").await?.is_none() {
            return Ok(0);
        }
        let call = Call::new(["log", "--walk-reflogs", "--format=%gs", "refs/stash", "--"]);
        let messages = self.ask(&self.main_checkout(), call).await?.text();
        let of = |place: &str, message: &str| {
            let rest = message.strip_prefix("WIP on ").or_else(|| message.strip_prefix("On "));
            rest.and_then(|rest| rest.strip_prefix(place)).is_some_and(|rest| rest.starts_with(':'))
        };
        let is_here = |line: &&str| of(branch.as_str(), line) || (is_detached && of("(no branch)", line));
        Ok(messages.lines().filter(is_here).count())
    }

    async fn own_refs(&self, at: &Checkout) -> Result<usize, GitError> {
        let call = Call::new(["for-each-ref", "--format=%(refname)", "refs/worktree", "refs/bisect", "refs/rewritten"]);
        Ok(self.ask(at, call).await?.text().lines().count())
    }

    /// Returns commits that were checked out there and that no branch, tag or remote, nor the reflog of a remaining
    /// branch contains: those that were amended, reset or abandoned. `leaving` means that the branch is deleted too.
    pub(super) async fn abandoned(
        &self,
        at: Option<&Checkout>,
        branch: &BranchName,
        leaving: bool,
    ) -> Result<Vec<String>, GitError> {
        let of_head = match at {
            Some(at) => self.logged(at, "HEAD").await?,
            None => BTreeSet::new(),
        };
        let of_branch = match self.tip(branch).await? {
            Some(_) => self.logged(&self.main_checkout(), &branch.full_ref()).await?,
            None => BTreeSet::new(),
        };
        let seen: Vec<String> = if leaving {
            of_head.union(&of_branch).cloned().collect()
        } else {
            of_head.difference(&of_branch).cloned().collect()
        };
        let mut lost = Vec::new();
        for part in seen.chunks(500) {
            let mut call = part.iter().fold(Call::new(["rev-list"]), Call::arg).arg("--not");
            if leaving {
                call = call.arg(format!("--exclude={branch}"));
            }
            let call = call.arg("--branches").arg("--tags").arg("--remotes").arg("--glob=refs/orch/kept/*").arg("--");
            let text = self.ask(&self.main_checkout(), call).await?.text();
            let unknown: BTreeSet<&str> = text.lines().collect();
            lost.extend(part.iter().filter(|sha| unknown.contains(sha.as_str())).cloned());
        }
        Ok(lost)
    }

    async fn logged(&self, at: &Checkout, name: &str) -> Result<BTreeSet<String>, GitError> {
        let call = Call::new(["log", "--walk-reflogs", "--format=%H", name, "--"]);
        Ok(self.ask(at, call).await?.text().lines().map(str::to_owned).collect())
    }
}

fn made_for(at: &Checkout) -> Option<String> {
    fs::read_text(&at.git_dir.join(MADE), 4096).ok()
}

fn lock_of(at: &Checkout) -> Option<String> {
    let file = at.git_dir.join("locked");
    let said = || fs::read_text(&file, 4096).unwrap_or_default().trim().to_owned();
    file.symlink_metadata().is_ok().then(said)
}

fn operation(at: &Checkout) -> Option<String> {
    let unfinished = || UNFINISHED.iter().any(|sign| at.git_dir.join(sign).symlink_metadata().is_ok());
    at.operation().map(|operation| operation.to_string()).or_else(|| unfinished().then(|| "merge".to_owned()))
}

/// The content of a directory that git does not report.
#[derive(Debug, Default)]
struct Walked {
    nested: Vec<PathBuf>,
    mounted: Vec<PathBuf>,
    bytes: u64,
}

/// Walks the whole directory, including ignored files; follows no link and enters no nested repository. Blocking.
fn walk(root: &Path) -> Result<Walked, GitError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| GitError::Io { path, source }
    };
    let device = root.symlink_metadata().map_err(io(root))?.dev();
    let mut walked = Walked::default();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        let short = || dir.strip_prefix(root).unwrap_or(&dir).to_owned();
        let mut signs = [false; 4];
        let mut below = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(io(&dir))? {
            let path = entry.map_err(io(&dir))?.path();
            let meta = path.symlink_metadata().map_err(io(&path))?;
            let name = path.file_name().unwrap_or_default();
            signs[0] |= name == ".git";
            signs[1] |= name == "HEAD" && meta.is_file();
            signs[2] |= name == "objects" && meta.is_dir();
            signs[3] |= name == "refs" && meta.is_dir();
            // A file with another hard link is not freed.
            if meta.is_dir() || meta.nlink() == 1 {
                walked.bytes += meta.blocks() * 512;
            }
            if meta.is_dir() && meta.dev() != device {
                walked.mounted.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
            } else if meta.is_dir() {
                below.push(path);
            }
        }
        let is_repository = (signs[0] && dir != root) || (signs[1] && signs[2] && signs[3]);
        if is_repository {
            walked.nested.push(short());
        } else {
            open.extend(below);
        }
    }
    Ok(walked)
}

/// Runs a blocking function outside of the async runtime.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, GitError> {
    let gone = |error: tokio::task::JoinError| GitError::Unexpected {
        command: "looking at a worktree".to_owned(),
        detail: error.to_string(),
    };
    tokio::task::spawn_blocking(work).await.map_err(gone)
}
