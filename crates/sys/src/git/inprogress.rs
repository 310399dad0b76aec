//! Detects a git operation in progress in a checkout; nothing may be committed or merged there meanwhile.

use super::call::Checkout;
use super::repo::Repo;
use crate::fs;
use orch_core::base::names::BranchName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The most that is read of git's files about an operation, in bytes.
const NOTE: usize = 1 << 20;

/// A git operation in progress that waits to be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `git merge`, with conflicts or uncommitted.
    Merge,
    /// An unfinished `git rebase`.
    Rebase,
    /// An unfinished `git am`.
    #[serde(rename = "am")]
    ApplyMail,
    /// An unfinished `git cherry-pick`.
    CherryPick,
    /// An unfinished `git revert`.
    Revert,
    /// An unfinished `git bisect`.
    Bisect,
}

/// The files by which git itself recognizes each operation.
const SIGNS: &[(&str, Operation)] = &[
    ("rebase-merge", Operation::Rebase),
    ("rebase-apply/applying", Operation::ApplyMail),
    ("rebase-apply", Operation::Rebase),
    ("MERGE_HEAD", Operation::Merge),
    ("CHERRY_PICK_HEAD", Operation::CherryPick),
    ("REVERT_HEAD", Operation::Revert),
    ("BISECT_LOG", Operation::Bisect),
];

impl Checkout {
    /// Returns the operation in progress, if any.
    pub fn operation(&self) -> Option<Operation> {
        operation_in(&self.git_dir)
    }
}

impl Operation {
    /// Returns the command that aborts the operation.
    pub fn abort(self) -> &'static str {
        match self {
            Self::Merge => "merge --abort",
            Self::Rebase => "rebase --abort",
            Self::ApplyMail => "am --abort",
            Self::CherryPick => "cherry-pick --abort",
            Self::Revert => "revert --abort",
            Self::Bisect => "bisect reset",
        }
    }
}

impl Repo {
    /// Returns the checkout in which an operation on `branch` is in progress, and the operation. git refuses to
    /// force-move such a branch, because the operation sets it at its end or returns to it. During a rebase or
    /// bisection the branch is not checked out by name.
    pub(super) fn operation_on(&self, branch: &BranchName) -> Option<(PathBuf, Operation)> {
        let linked = std::fs::read_dir(self.common_dir.join("worktrees")).into_iter().flatten().flatten();
        let of_linked = linked.filter_map(|entry| {
            let git_dir = entry.path();
            let pointer = fs::read_text(&git_dir.join("gitdir"), NOTE).ok()?;
            Some((PathBuf::from(pointer.trim_end()).parent()?.to_owned(), git_dir))
        });
        std::iter::once((self.root.clone(), self.common_dir.clone()))
            .chain(of_linked)
            .find_map(|(work_tree, git_dir)| Some((work_tree, on_branch(&git_dir, branch)?)))
    }
}

fn on_branch(git_dir: &Path, branch: &BranchName) -> Option<Operation> {
    let full = branch.full_ref();
    let text = |name: &str| fs::read_text(&git_dir.join(name), NOTE).unwrap_or_default();
    // `git rebase --update-refs` sets more than one branch at its end.
    let rebases = ["rebase-merge/head-name", "rebase-apply/head-name", "rebase-merge/update-refs"];
    if rebases.iter().any(|name| text(name).lines().any(|line| line.trim_end() == full)) {
        return Some(Operation::Rebase);
    }
    if text("BISECT_START").trim_end() == branch.as_str() {
        return Some(Operation::Bisect);
    }
    let is_here = text("HEAD").trim_end().strip_prefix("ref: ") == Some(full.as_str());
    operation_in(git_dir).filter(|_| is_here)
}

fn operation_in(git_dir: &Path) -> Option<Operation> {
    SIGNS.iter().find(|(sign, _)| git_dir.join(sign).symlink_metadata().is_ok()).map(|(_, operation)| *operation)
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Merge => "merge",
            Self::Rebase => "rebase",
            Self::ApplyMail => "am",
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
            Self::Bisect => "bisect",
        })
    }
}
