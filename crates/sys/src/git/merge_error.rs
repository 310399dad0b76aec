//! Why a finished branch could not be merged, or the base branch not be moved, and what the user can do.

use super::concealed::Concealed;
use super::error::GitError;
use super::inprogress::Operation;
use crate::worktree::WorktreeError;
use orch_core::base::count::named;
use orch_core::base::external::{External, ExternalFailure};
use orch_core::base::names::BranchName;
use orch_core::text::shell::word;
use std::path::PathBuf;

/// Why a merge failed. No branch and no checkout was touched.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Both sides changed the same lines or files.
    #[error("the merge has conflicts in {}", files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "))]
    Conflict {
        /// Files with conflicts.
        files: Vec<PathBuf>,
        /// The commit of the base branch.
        base_sha: String,
        /// The conflicting changes of both sides, as text.
        sides: String,
    },
    /// The branch has moved since it was judged.
    #[error("{name} is at {found}, and {expected} was judged")]
    NotAsJudged {
        /// The name of the branch.
        name: BranchName,
        /// The commit that was judged or that a person approved.
        expected: String,
        /// The current commit of the branch.
        found: String,
    },
    /// The base branch has lost commits on which the work builds, and the work does not apply without them.
    #[error(
        "{base} was rewritten after the work on {branch} began: it does not have {lost} any more, and the work {why}"
    )]
    BaseRewritten {
        /// The name of the branch.
        branch: BranchName,
        /// The name of the base branch.
        base: BranchName,
        /// The first commit that the base has lost.
        lost: String,
        /// Why the work cannot be applied to the base as it is.
        why: String,
        /// The command with which a person can apply it.
        rebase: String,
    },
    /// The merge to be reverted is not on the base branch.
    #[error("{commit} is not a merge that {base} has")]
    NotAMerge {
        /// The hash of that commit.
        commit: String,
        /// The name of the base branch.
        base: BranchName,
    },
    /// The branch does not exist any more.
    #[error("branch {name} does not exist")]
    BranchMissing {
        /// The name of the branch.
        name: BranchName,
    },
    /// The scratch worktree could not be created.
    #[error(transparent)]
    Scratch(#[from] WorktreeError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl MergeError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict { .. } => {
                Some("merge the base branch into the task's branch and resolve the conflicts there".to_owned())
            }
            Self::BranchMissing { name } => {
                Some(format!("git reflog --all shows the last commit of {name}: git branch {name} <commit>"))
            }
            Self::NotAsJudged { name, .. } => Some(format!("`orch task diff` shows what is on {name} now")),
            Self::BaseRewritten { branch, base, rebase, .. } => {
                Some(format!("`{rebase}` applies it by hand, `git merge {branch}` on {base} brings everything back"))
            }
            Self::NotAMerge { commit, base } => Some(format!("git revert, on {base}, of what {commit} brought")),
            Self::Scratch(error) => error.hint(),
            Self::Git(error) => error.hint(),
        }
    }
}

impl External for MergeError {
    fn external(&self) -> Option<ExternalFailure> {
        match self {
            Self::Scratch(error) => error.external(),
            Self::Git(error) => error.external(),
            Self::Conflict { .. }
            | Self::NotAsJudged { .. }
            | Self::BaseRewritten { .. }
            | Self::NotAMerge { .. }
            | Self::BranchMissing { .. } => None,
        }
    }
}

/// Why the base branch was not moved. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The base branch is checked out with changes that the merge would touch or might mix with.
    #[error("{branch} is checked out in {} with uncommitted changes: {}", path.display(), listed(files))]
    BaseDirty {
        /// The name of the base branch.
        branch: BranchName,
        /// The path of its checkout.
        path: PathBuf,
        /// The changed files.
        files: Vec<PathBuf>,
    },
    /// The merge would overwrite files of the base branch's checkout whose changes git hides.
    #[error("the merge of {branch} changes files in {} whose changes git was told not to show: {}", path.display(), listed_concealed(files))]
    Concealed {
        /// The name of the base branch.
        branch: BranchName,
        /// The path of its checkout.
        path: PathBuf,
        /// The hidden files; at least one.
        files: Vec<Concealed>,
    },
    /// Untracked or ignored files are in the way of files of the merge.
    #[error("{} has files that git does not track, where the merge of {branch} puts its own: {}", path.display(), listed(files))]
    FilesInTheWay {
        /// The name of the base branch.
        branch: BranchName,
        /// The path of its checkout.
        path: PathBuf,
        /// The first of these files.
        files: Vec<PathBuf>,
    },
    /// An earlier move was interrupted, and cannot be completed without touching later changes of another program.
    #[error("a move of {branch} in {} was cut off, and {reason}", path.display())]
    HalfMoved {
        /// The name of the base branch.
        branch: BranchName,
        /// The path of its checkout.
        path: PathBuf,
        /// The reason why it cannot be completed.
        reason: String,
    },
    /// A git operation on the base branch is in progress, which would fail if the branch moved.
    #[error("a {operation} of {branch} is in progress in {}", path.display())]
    InProgress {
        /// The name of the base branch.
        branch: BranchName,
        /// The path of the checkout.
        path: PathBuf,
        /// The operation in progress.
        operation: Operation,
    },
    /// The base branch is checked out in a directory that does not exist now.
    #[error("{branch} is checked out in {}, which is not there", path.display())]
    CheckoutMissing {
        /// The name of the base branch.
        branch: BranchName,
        /// The path of the missing directory.
        path: PathBuf,
    },
    /// The merge touches files of a filter that orch does not run in the user's checkout.
    #[error("the merge changes files in {} whose filter is configured in the repository only, and orch does not run it", path.display())]
    FilterOff {
        /// The path of the checkout.
        path: PathBuf,
        /// The name of the base branch.
        branch: BranchName,
        /// The hash of the merge commit.
        sha: String,
    },
    /// Somebody moved the base branch meanwhile: merge again.
    #[error("{branch} has moved meanwhile")]
    Moved {
        /// The name of the base branch.
        branch: BranchName,
        /// Its current commit; `None` when it was deleted.
        found: Option<String>,
    },
    /// The new commit does not contain the old one.
    #[error("{branch} would lose commits")]
    NotForward {
        /// The name of the base branch.
        branch: BranchName,
    },
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl AdvanceError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BaseDirty { path, .. } => Some(format!("commit or stash the changes in {}", path.display())),
            Self::Concealed { path, files, .. } => files.first().map(|file| {
                let (path, shown_by) = (word(path), file.shown_by());
                format!("keep what they hold elsewhere, then: cd {path} && git update-index {shown_by} {0} && git checkout {0}", word(&file.path))
            }),
            Self::FilesInTheWay { path, files, .. } => {
                let files = files.iter().map(word).collect::<Vec<_>>().join(" ");
                Some(format!("move them elsewhere or delete them: cd {} && mv {files} …", word(path)))
            }
            Self::InProgress { path, operation, .. } => {
                Some(format!("finish it, or: git -C {} {}", word(path), operation.abort()))
            }
            Self::HalfMoved { path, .. } => Some(format!(
                "see what git -C {} status tells, and commit it or put it away; remove the lock files when no git is at work",
                word(path)
            )),
            Self::CheckoutMissing { .. } => Some("git worktree prune, if it will not come back".to_owned()),
            Self::FilterOff { path, sha, .. } => Some(format!(
                "git -C {} merge --ff-only {sha}, or configure the filter in ~/.gitconfig",
                word(path)
            )),
            Self::Moved { .. } | Self::NotForward { .. } => None,
            Self::Git(error) => error.hint(),
        }
    }
}

impl External for AdvanceError {
    fn external(&self) -> Option<ExternalFailure> {
        if let Self::Git(error) = self { error.external() } else { None }
    }
}

fn listed(files: &[PathBuf]) -> String {
    named(files.iter().map(|file| file.display()))
}

fn listed_concealed(files: &[Concealed]) -> String {
    named(files.iter().map(|file| file.path.display()))
}
