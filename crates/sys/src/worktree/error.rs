//! Why a worktree was not created, or not removed.

use crate::git::{GitError, LeftoversError, Operation};
use orch_core::base::external::{External, ExternalFailure};
use orch_core::base::names::BranchName;
use orch_core::text::shell::word;
use std::path::PathBuf;

/// Why a worktree could not be created. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    /// The path cannot be used.
    #[error("{} is no path for a worktree: it must be absolute, without \"..\"", path.display())]
    BadPath {
        /// The path in question.
        path: PathBuf,
    },
    /// The path exists, but is no worktree of this repository.
    #[error("{} exists and is not a worktree of this task", path.display())]
    PathTaken {
        /// The path in question.
        path: PathBuf,
    },
    /// The branch is checked out in another place.
    #[error("branch {branch} is checked out in {}", path.display())]
    BranchInUse {
        /// The name of the branch.
        branch: BranchName,
        /// The path of that checkout.
        path: PathBuf,
    },
    /// The worktree has something else checked out.
    #[error("{} has {} checked out instead of {expected}", path.display(), found.as_deref().unwrap_or("no branch"))]
    WrongBranch {
        /// The path of the worktree.
        path: PathBuf,
        /// The expected branch.
        expected: BranchName,
        /// The branch that is checked out; `None` when detached.
        found: Option<String>,
    },
    /// A branch of that name exists and shares no history with the base.
    #[error("branch {branch} exists and shares no history with {base}")]
    Unrelated {
        /// The name of the branch.
        branch: String,
        /// The name of the base branch.
        base: BranchName,
    },
    /// Uncommitted work could not be saved.
    #[error("uncommitted work could not be kept: {0}")]
    Leftovers(#[from] LeftoversError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl WorktreeError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BadPath { .. } => Some("set ORCH_WORKTREES to an absolute path".to_owned()),
            Self::PathTaken { path } => Some(format!("move {} away, then retry the task", path.display())),
            Self::BranchInUse { path, branch } => {
                Some(format!("switch {} to another branch than {branch}", path.display()))
            }
            Self::WrongBranch { path, expected, .. } => Some(format!("git -C {} switch {expected}", word(path))),
            Self::Unrelated { branch, .. } => Some(format!("rename the branch: git branch -m {branch} <new name>")),
            Self::Leftovers(error) => error.hint(),
            Self::Git(error) => error.hint(),
        }
    }
}

impl External for WorktreeError {
    fn external(&self) -> Option<ExternalFailure> {
        match self {
            Self::Leftovers(error) => error.external(),
            Self::Git(error) => error.external(),
            Self::BadPath { .. }
            | Self::PathTaken { .. }
            | Self::BranchInUse { .. }
            | Self::WrongBranch { .. }
            | Self::Unrelated { .. } => None,
        }
    }
}

/// Why a worktree was kept.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// It is not a linked worktree of this repository.
    #[error("{} is not a worktree of this repository", path.display())]
    NotOurs {
        /// The path in question.
        path: PathBuf,
    },
    /// It has uncommitted changes.
    #[error("{} has uncommitted changes", path.display())]
    Dirty {
        /// The path of the worktree.
        path: PathBuf,
        /// The changed files.
        files: Vec<PathBuf>,
    },
    /// A git operation is in progress.
    #[error("a {operation} is in progress in {}", path.display())]
    InProgress {
        /// The path of the worktree.
        path: PathBuf,
        /// The operation in progress.
        operation: Operation,
    },
    /// Its commits are reachable from no branch or tag.
    #[error("commit {sha} in {} is on no branch", path.display())]
    Unreachable {
        /// The path of the worktree.
        path: PathBuf,
        /// The checked-out commit.
        sha: String,
    },
    /// Somebody locked it.
    #[error("{} is locked: {reason}", path.display())]
    Locked {
        /// The path of the worktree.
        path: PathBuf,
        /// The reason given for the lock.
        reason: String,
    },
    /// An unfinished one could not be discarded, or git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl RemoveError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotOurs { .. } => None,
            Self::Dirty { path, .. } => Some(format!("git -C {} status; commit what is worth keeping", word(path))),
            Self::InProgress { path, operation } => {
                Some(format!("finish it, or: git -C {} {operation} --abort", word(path)))
            }
            Self::Unreachable { path, sha } => Some(format!("git -C {} branch <name> {sha}", word(path))),
            Self::Locked { path, .. } => Some(format!("git worktree unlock {}", word(path))),
            Self::Git(error) => error.hint(),
        }
    }
}
