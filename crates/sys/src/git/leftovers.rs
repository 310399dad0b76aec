//! Commits changes that were left uncommitted, so that nothing is lost. Never during a merge or a rebase, and never on
//! another branch than the given one.

use super::call::{CHECKOUT, Call, Checkout};
use super::error::GitError;
use super::inprogress::Operation;
use super::repo::Repo;
use super::status::{Status, Untracked};
use orch_core::base::count::named;
use orch_core::base::external::{External, ExternalFailure};
use orch_core::base::names::BranchName;
use orch_core::text::shell::word;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The author name of orch's commits when none is configured.
const ORCH_NAME: &str = "orch";
/// The e-mail address of orch's commits: well-formed, but not deliverable.
const ORCH_EMAIL: &str = "orch@localhost";

/// The most uncommitted paths that are listed.
const NAMED: usize = 20;

/// The author of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The configured user, or orch when there is none.
    Configured,
    /// Always orch.
    Orch,
}

/// The result of committing leftovers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftovers {
    /// The commit; `None` when there was nothing to commit.
    pub sha: Option<String>,
    /// Repositories inside the worktree, which cannot be committed.
    pub left_out: Vec<PathBuf>,
}

/// Why leftovers were not committed. They are unchanged then.
#[derive(Debug, thiserror::Error)]
pub enum LeftoversError {
    /// A git operation is in progress.
    #[error("a {operation} is in progress in {}", path.display())]
    InProgress {
        /// The path of the worktree.
        path: PathBuf,
        /// The operation in progress.
        operation: Operation,
    },
    /// There are unresolved conflicts.
    #[error("{} has unresolved conflicts in {}", path.display(), named(files.iter().map(|file| file.display())))]
    Unmerged {
        /// The path of the worktree.
        path: PathBuf,
        /// Files with conflicts.
        files: Vec<PathBuf>,
    },
    /// Another branch is checked out.
    #[error("{} has {} checked out instead of {expected}", path.display(), found.as_deref().unwrap_or("no branch"))]
    WrongBranch {
        /// The path of the worktree.
        path: PathBuf,
        /// The expected branch.
        expected: BranchName,
        /// The branch that is checked out; `None` when detached.
        found: Option<String>,
    },
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl LeftoversError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InProgress { path, operation } => {
                Some(format!("finish it, or: git -C {} {operation} --abort", word(path)))
            }
            Self::Unmerged { path, .. } => Some(format!("resolve them in {}, then commit", path.display())),
            Self::WrongBranch { path, expected, .. } => Some(format!("git -C {} switch {expected}", word(path))),
            Self::Git(error) => error.hint(),
        }
    }
}

impl External for LeftoversError {
    fn external(&self) -> Option<ExternalFailure> {
        match self {
            Self::Git(error) => error.external(),
            Self::InProgress { .. } | Self::Unmerged { .. } | Self::WrongBranch { .. } => None,
        }
    }
}

impl Repo {
    /// Commits everything in a worktree that is neither committed nor ignored, on `branch`.
    ///
    /// For a worktree in which no process works any more: a lock that a killed git left behind is removed. A file whose
    /// filter driver is configured in the repository's own scope is committed as it is.
    pub async fn commit_leftovers(
        &self,
        at: &Checkout,
        branch: &BranchName,
        message: &str,
        author: Author,
    ) -> Result<Leftovers, LeftoversError> {
        if let Some(operation) = at.operation() {
            return Err(LeftoversError::InProgress { path: at.work_tree.clone(), operation });
        }
        let status = self.status(at, Untracked::Files).await?;
        if !status.unmerged.is_empty() {
            return Err(LeftoversError::Unmerged { path: at.work_tree.clone(), files: status.unmerged });
        }
        if status.branch.as_deref() != Some(branch.as_str()) {
            let (path, expected) = (at.work_tree.clone(), branch.clone());
            return Err(LeftoversError::WrongBranch { path, expected, found: status.branch });
        }
        let left_out = status.nested();
        if status.differences.len() == left_out.len() {
            return Ok(Leftovers { sha: None, left_out });
        }
        at.clear_stale_locks(Some(branch)).await?;
        self.stage(at, &status).await?;
        let sha = self.commit(at, message, author).await?;
        Ok(Leftovers { sha, left_out })
    }

    /// Lists what a worktree holds that is neither committed nor ignored: the first paths, with nested repositories
    /// marked.
    pub async fn uncommitted(&self, at: &Checkout) -> Result<Vec<String>, GitError> {
        let status = self.status(at, Untracked::Files).await?;
        let nested = status.nested();
        let describe = |path: &PathBuf| match nested.contains(path) {
            true => format!("{} is a git repository of its own", path.display()),
            false => path.display().to_string(),
        };
        Ok(status.differences.iter().take(NAMED).map(|difference| describe(&difference.path)).collect())
    }

    /// Stages everything except nested repositories.
    ///
    /// `git add --all` would run git inside every submodule, under a configuration of its own.
    async fn stage(&self, at: &Checkout, status: &Status) -> Result<(), GitError> {
        let nested = status.nested();
        let (mut gone, mut there) = (Vec::new(), Vec::new());
        for difference in status.differences.iter().filter(|difference| !nested.contains(&difference.path)) {
            let list = match difference.code.as_bytes().get(1) {
                // The index matches the checkout.
                Some(b'.') => continue,
                Some(b'D') => &mut gone,
                Some(_) | None => &mut there,
            };
            list.extend_from_slice(difference.path.as_os_str().as_bytes());
            list.push(0);
        }
        for (paths, args) in [(gone, &["--force-remove"][..]), (there, &["--add", "--replace"])] {
            if !paths.is_empty() {
                let call =
                    Call::new(["update-index"].iter().chain(args).chain(&["-z", "--stdin"])).stdin(paths).durable();
                self.ask(at, call.setting("core.safecrlf", "false").time_limit(CHECKOUT)).await?;
            }
        }
        Ok(())
    }

    /// Commits what is staged; `None` when there is nothing new.
    async fn commit(&self, at: &Checkout, message: &str, author: Author) -> Result<Option<String>, GitError> {
        let unchanged =
            Call::new(["diff", "--cached", "--quiet", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty"]);
        if self.holds(at, unchanged).await? {
            return Ok(None);
        }
        let call = Call::new(["commit", "--quiet", "--no-verify", "--cleanup=whitespace", "--file=-"]).durable();
        let call = self.signed(at, call.stdin(clean_message(message).into_bytes()), author).await?;
        self.ask(at, call.time_limit(CHECKOUT)).await?;
        self.commit_at(at, "HEAD").await
    }

    /// Sets the author and committer of a call.
    pub(super) async fn signed(&self, at: &Checkout, call: Call, author: Author) -> Result<Call, GitError> {
        let known = self.settings(at).await?.has_identity;
        let call = match author {
            Author::Orch => call.variable("GIT_AUTHOR_NAME", ORCH_NAME).variable("GIT_AUTHOR_EMAIL", ORCH_EMAIL),
            Author::Configured => call,
        };
        Ok(if known { call } else { call.setting("user.name", ORCH_NAME).setting("user.email", ORCH_EMAIL) })
    }
}

/// Makes a message acceptable to git: no NUL, and not empty.
pub(super) fn clean_message(message: &str) -> String {
    let text: String = message.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect();
    if text.trim().is_empty() { "orch".to_owned() } else { text }
}
