//! Why a worktree was not made, or not removed.

use crate::git::{GitError, LeftoversError, Operation};
use orch_core::external::{External, ExternalFailure};
use orch_core::names::BranchName;
use orch_core::shell::word;
use std::path::PathBuf;

/// Why there is no worktree. Nothing of anybody's was touched.
#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    /// The path cannot be used.
    #[error("{} is no path for a worktree: it must be absolute, without \"..\"", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
    },
    /// There is something at the path that is not this repository's worktree.
    #[error("{} exists and is not a worktree of this task", path.display())]
    PathTaken {
        /// The path.
        path: PathBuf,
    },
    /// The branch is checked out in another place.
    #[error("branch {branch} is checked out in {}", path.display())]
    BranchInUse {
        /// The branch.
        branch: BranchName,
        /// Where.
        path: PathBuf,
    },
    /// The worktree has something else checked out.
    #[error("{} has {} checked out instead of {expected}", path.display(), found.as_deref().unwrap_or("no branch"))]
    WrongBranch {
        /// The worktree.
        path: PathBuf,
        /// The branch that belongs there.
        expected: BranchName,
        /// The one that is there; `None` when detached.
        found: Option<String>,
    },
    /// A branch of the right name has nothing in common with the base.
    #[error("branch {branch} exists and shares no history with {base}")]
    Unrelated {
        /// The branch.
        branch: String,
        /// The base.
        base: BranchName,
    },
    /// Uncommitted work could not be kept.
    #[error("uncommitted work could not be kept: {0}")]
    Leftovers(#[from] LeftoversError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl WorktreeError {
    /// What the user can do.
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
        /// The path.
        path: PathBuf,
    },
    /// There is something in it that is not committed.
    #[error("{} has uncommitted changes", path.display())]
    Dirty {
        /// The worktree.
        path: PathBuf,
        /// What is changed.
        files: Vec<PathBuf>,
    },
    /// Somebody is in the middle of something.
    #[error("a {operation} is in progress in {}", path.display())]
    InProgress {
        /// The worktree.
        path: PathBuf,
        /// What is going on.
        operation: Operation,
    },
    /// Its commits would be lost.
    #[error("commit {sha} in {} is on no branch", path.display())]
    Unreachable {
        /// The worktree.
        path: PathBuf,
        /// Its commit.
        sha: String,
    },
    /// Somebody locked it.
    #[error("{} is locked: {reason}", path.display())]
    Locked {
        /// The worktree.
        path: PathBuf,
        /// As it was given.
        reason: String,
    },
    /// An unfinished one could not be discarded, or git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl RemoveError {
    /// What the user can do.
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
