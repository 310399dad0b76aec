//! Errors of git operations, worded so that a user can act on them.

use crate::fs::FsError;
use crate::process::{ProcessError, how_of};
use orch_core::base::external::{External, ExternalFailure, How};
use orch_core::tasks::outcome::Exit;
use orch_core::text::shell::word;
use std::io;
use std::path::{Path, PathBuf};

/// The oldest supported git, that of Ubuntu 22.04 (`merge --no-overwrite-ignore`, `worktree add --lock --reason`,
/// configuration by environment).
pub const OLDEST_GIT: (u32, u32) = (2, 34);

/// Why a git operation failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git in `PATH`.
    #[error("git is not installed, or not in PATH")]
    GitMissing,
    /// git is too old for the commands that are needed.
    #[error("git {found} is too old: {}.{} or newer is needed", OLDEST_GIT.0, OLDEST_GIT.1)]
    TooOld {
        /// The installed version.
        found: String,
    },
    /// The directory does not exist.
    #[error("directory {} does not exist", path.display())]
    DirectoryMissing {
        /// The path of the directory.
        path: PathBuf,
    },
    /// The directory is not in a repository.
    #[error("{} is not a git repository", path.display())]
    NotARepository {
        /// The path of the directory.
        path: PathBuf,
    },
    /// The repository has no commit on any branch.
    #[error("the repository {} has no commit yet", path.display())]
    NoCommits {
        /// The repository's main checkout.
        path: PathBuf,
    },
    /// The repository is bare.
    #[error("{} is a bare repository", path.display())]
    Bare {
        /// The path of the repository.
        path: PathBuf,
    },
    /// git refuses to work in a directory of another user.
    #[error("{} belongs to another user, and git does not trust it", path.display())]
    AnotherOwner {
        /// The path of the directory.
        path: PathBuf,
    },
    /// The repository exists but cannot be read.
    #[error("the repository {} cannot be read: {detail}", path.display())]
    Unreadable {
        /// The path of the directory.
        path: PathBuf,
        /// The message of git.
        detail: String,
    },
    /// A required branch does not exist.
    #[error("branch {name:?} does not exist{}", listed(candidates))]
    BaseBranchMissing {
        /// The name of the branch.
        name: String,
        /// Branches that exist.
        candidates: Vec<String>,
    },
    /// No branch is checked out, and no other one is an obvious base.
    #[error("{} has a detached HEAD, and there is no base branch to choose{}", path.display(), listed(candidates))]
    DetachedHead {
        /// The path of the main checkout.
        path: PathBuf,
        /// Branches that exist.
        candidates: Vec<String>,
    },
    /// Another git command holds a lock.
    #[error("git's lock {} exists; {}", lock.display(), held_by(holder.as_deref()))]
    Locked {
        /// The path of the lock file.
        lock: PathBuf,
        /// The process that holds it, if known.
        holder: Option<String>,
    },
    /// Another operation on the same repository did not end in time.
    #[error("waited too long for other work on this repository (lock {})", lock.display())]
    Busy {
        /// The path of orch's lock file.
        lock: PathBuf,
    },
    /// A worktree's git directory names another repository: it was changed.
    #[error("{} does not lead to the worktree's own repository any more", file.display())]
    Redirected {
        /// The file with the wrong path.
        file: PathBuf,
    },
    /// A git command failed.
    #[error("{command} failed with {exit}: {detail}")]
    Failed {
        /// The command, for instance `git worktree`.
        command: String,
        /// Its exit code or signal.
        exit: Exit,
        /// The text that it printed to stderr.
        detail: String,
    },
    /// The output of a git command does not have the documented format.
    #[error("{command} gave an answer that cannot be read: {detail}")]
    Unexpected {
        /// The command, for instance `git status`.
        command: String,
        /// What was unexpected.
        detail: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the kernel.
        source: io::Error,
    },
    /// The git process did not start or did not end.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl GitError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        let oldest = format!("{}.{}", OLDEST_GIT.0, OLDEST_GIT.1);
        match self {
            Self::GitMissing => Some("install git (apt install git, dnf install git, brew install git)".to_owned()),
            Self::TooOld { .. } => Some(format!("upgrade git to {oldest} or newer")),
            Self::DirectoryMissing { .. } => Some("restore the directory, or change the task's `dir`".to_owned()),
            Self::NotARepository { path } => Some(format!("git -C {} init, or change to the repository", word(path))),
            Self::NoCommits { path } => Some(format!("git -C {} commit --allow-empty -m \"first commit\"", word(path))),
            Self::Bare { .. } => Some("use a checkout of it: git clone it, and run orch init there".to_owned()),
            Self::AnotherOwner { path } => Some(format!("git config --global --add safe.directory {}", path.display())),
            Self::BaseBranchMissing { .. } => Some("set workflow.base_branch to a branch that exists".to_owned()),
            Self::DetachedHead { .. } => Some("check out a branch, or set workflow.base_branch".to_owned()),
            Self::Locked { lock, .. } => Some(format!("if no git command runs any more: rm {}", lock.display())),
            Self::Busy { .. } => Some("try again; `orch doctor` shows who holds the lock".to_owned()),
            Self::Redirected { .. } => Some("run the task again: orch sets it right".to_owned()),
            Self::Unreadable { path, .. } => Some(format!("git -C {} fsck", word(path))),
            Self::Failed { .. } | Self::Unexpected { .. } | Self::Io { .. } | Self::Process(_) => None,
        }
    }
}

impl External for GitError {
    fn external(&self) -> Option<ExternalFailure> {
        let how = match self {
            Self::GitMissing => How::NotStarted,
            // Tasks work in repositories only: a directory that is none now was one before.
            Self::DirectoryMissing { .. } | Self::NotARepository { .. } => How::Vanished,
            Self::Locked { lock, holder } => How::Locked { lock: lock.clone(), holder: holder.clone() },
            Self::Busy { lock } => How::Locked { lock: lock.clone(), holder: None },
            Self::Failed { exit, detail, .. } => how_ended(*exit, detail),
            Self::Unexpected { .. } | Self::Unreadable { .. } => How::Unreadable,
            Self::Io { source, .. } => how_of(source),
            Self::Process(error) => return error.external(),
            // These are answers of git that stay the same until the repository changes.
            Self::TooOld { .. }
            | Self::NoCommits { .. }
            | Self::Bare { .. }
            | Self::AnotherOwner { .. }
            | Self::BaseBranchMissing { .. }
            | Self::DetachedHead { .. }
            | Self::Redirected { .. } => return None,
        };
        let is_away = matches!(self, Self::NotARepository { .. });
        let hint = if is_away { Some("restore its .git".to_owned()) } else { self.hint() };
        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        Some(ExternalFailure::new(how, format!("{self}{hint}")))
    }
}

/// Classifies a failure by git's text in the C locale, the only place where git reports a failed system call. Any
/// failure of git without an answer counts as transient.
fn how_ended(exit: Exit, detail: &str) -> How {
    const SHORT_OF: [&str; 7] = [
        "No space left on device",
        "Disk quota exceeded",
        "Read-only file system",
        "Too many open files",
        "Input/output error",
        "Cannot allocate memory",
        "Resource temporarily unavailable",
    ];
    match (exit.signal, exit.code) {
        (Some(signal), _) => How::Killed { signal },
        (None, _) if SHORT_OF.iter().any(|text| detail.contains(text)) => How::Resources,
        (None, Some(code)) => How::Exited { code },
        (None, None) => How::Unreadable,
    }
}

impl GitError {
    /// Wraps a failed file operation.
    pub(super) fn file(path: &Path, error: FsError) -> Self {
        match error {
            FsError::Io { path, source, .. } => Self::Io { path, source },
            FsError::TooLarge { .. } | FsError::NotAFile { .. } | FsError::NotText { .. } => {
                Self::Io { path: path.to_owned(), source: io::Error::other(error) }
            }
        }
    }

    /// Reports an output that does not have the documented format.
    pub(super) fn unexpected(command: &str, detail: impl Into<String>) -> Self {
        Self::Unexpected { command: command.to_owned(), detail: detail.into() }
    }
}

fn held_by(holder: Option<&str>) -> String {
    holder.map_or_else(|| "no running process is known to hold it".to_owned(), |holder| format!("{holder} holds it"))
}

fn listed(candidates: &[String]) -> String {
    let shown: Vec<&str> = candidates.iter().take(8).map(String::as_str).collect();
    if shown.is_empty() { String::new() } else { format!(" (there are: {})", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_that_gives_no_answer_passes_and_an_answer_does_not() {
        let failed = |code, signal, detail: &str| GitError::Failed {
            command: "git commit".to_owned(),
            exit: Exit { code, signal },
            detail: detail.to_owned(),
        };
        let how = |error: GitError| error.external().filter(ExternalFailure::is_transient).map(|failure| failure.how);
        assert_eq!(how(failed(None, Some(9), "")), Some(How::Killed { signal: 9 }));
        assert_eq!(how(failed(Some(128), None, "")), Some(How::Exited { code: 128 }));
        assert_eq!(how(failed(Some(128), None, "fatal: /x: No space left on device")), Some(How::Resources));
        assert_eq!(how(GitError::GitMissing), Some(How::NotStarted));
        let gone = GitError::Io { path: "/x".into(), source: io::ErrorKind::NotFound.into() };
        assert_eq!(how(gone), Some(How::Vanished));
        let missing = GitError::BaseBranchMissing { name: "main".to_owned(), candidates: Vec::new() };
        assert_eq!(how(missing), None);
    }
}
