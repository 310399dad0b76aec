//! Whether a checkout is in the middle of something: then nobody may commit or merge there in passing.

use super::call::Checkout;
use super::repo::Repo;
use crate::fs;
use orch_core::names::BranchName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The most that is read of git's notes on an operation, in bytes.
const NOTE: usize = 1 << 20;

/// A git operation that waits for somebody to go on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `git merge`, with conflicts or not committed.
    Merge,
    /// `git rebase`.
    Rebase,
    /// `git am`.
    #[serde(rename = "am")]
    ApplyMail,
    /// `git cherry-pick`.
    CherryPick,
    /// `git revert`.
    Revert,
    /// `git bisect`.
    Bisect,
}

/// The files by which git itself knows.
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
    /// What it is in the middle of.
    pub fn operation(&self) -> Option<Operation> {
        operation_in(&self.git_dir)
    }
}

impl Operation {
    /// How it is given up.
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
    /// The checkout in which an operation is in progress that works on `branch`, and which operation. git refuses to move
    /// such a branch by force, because the operation sets it when it ends, or goes back to it. While a branch is rebased or
    /// bisected, nothing is checked out there by name.
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
    // `git rebase --update-refs` sets more than one branch when it ends.
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
