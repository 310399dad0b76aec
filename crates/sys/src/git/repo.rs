//! A repository: its directories, refs and checked-out commits.

use super::call::{Call, Checkout, Known, QUIET, failed, shortened, unknown_checkout_call};
use super::error::GitError;
use super::lock::{Held, Moving};
use super::{Git, base};
use crate::fs;
use crate::process::Output;
use orch_core::base::names::{BRANCH_PREFIX, BranchName};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A repository with a main checkout. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repo {
    pub(super) git: Git,
    pub(super) root: PathBuf,
    pub(super) common_dir: PathBuf,
    pub(super) known: Arc<Known>,
}

/// What a checkout has checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A branch with at least one commit.
    Branch {
        /// The name of the branch.
        name: BranchName,
        /// The commit at its tip.
        sha: String,
    },
    /// A branch that has no commit yet.
    Unborn {
        /// The name of the branch.
        name: BranchName,
    },
    /// A commit without a branch.
    Detached {
        /// The commit that is checked out.
        sha: String,
    },
}

impl Repo {
    /// Opens the repository of `dir`, be it in its main checkout or in a linked one.
    pub async fn discover(git: &Git, dir: &Path) -> Result<Self, GitError> {
        if !dir.is_dir() {
            return Err(GitError::DirectoryMissing { path: dir.to_owned() });
        }
        let lines = discover_with(
            git,
            dir,
            &["rev-parse", "--path-format=absolute", "--git-common-dir", "--git-dir", "--is-bare-repository"],
        )
        .await?;
        let lines: Vec<&[u8]> = lines.split(|b| *b == b'\n').collect();
        let [common_dir, git_dir, is_bare] = lines.as_slice() else {
            return Err(GitError::Unreadable {
                path: dir.to_owned(),
                detail: "its path contains a line feed".to_owned(),
            });
        };
        if *is_bare == b"true" {
            return Err(GitError::Bare { path: as_path(common_dir) });
        }
        let known = Arc::default();
        let mut repo = Self { git: git.clone(), root: as_path(common_dir), common_dir: as_path(common_dir), known };
        repo.root = if let (Some(".git"), Some(root)) =
            (repo.common_dir.file_name().and_then(OsStr::to_str), repo.common_dir.parent())
        {
            // Not git's own answer: `core.worktree` could name any directory.
            root.to_owned()
        } else if common_dir == git_dir {
            as_path(
                &discover_with(git, dir, &["rev-parse", "--show-toplevel"])
                    .await
                    .map_err(|_| GitError::Bare { path: dir.to_owned() })?,
            )
        } else {
            repo.root_by_list(dir).await?
        };
        repo.require_commit().await?;
        Ok(repo)
    }

    /// Finds the main checkout of a linked one.
    async fn root_by_list(&self, dir: &Path) -> Result<PathBuf, GitError> {
        match self.entries().await?.into_iter().next() {
            Some(main) if main.bare => Err(GitError::Bare { path: main.path }),
            Some(main) => Ok(main.path),
            None => Err(GitError::NotARepository { path: dir.to_owned() }),
        }
    }

    async fn require_commit(&self) -> Result<(), GitError> {
        let refs = Call::new(["for-each-ref", "--count=1", "--format=%(objectname)", "refs/heads/", "refs/remotes/"]);
        if !self.ask(&self.main_checkout(), refs).await?.stdout.is_empty() || self.commit_of("HEAD").await?.is_some() {
            return Ok(());
        }
        Err(GitError::NoCommits { path: self.root.clone() })
    }

    /// Returns the committer identity in the main checkout: `Name <address>`.
    ///
    /// # Errors
    /// git knows none; the error holds its message.
    pub async fn author(&self) -> Result<String, GitError> {
        let ident = self.ask(&self.main_checkout(), Call::new(["var", "GIT_AUTHOR_IDENT"])).await?.text();
        // The time follows the address.
        Ok(ident.rfind('>').map_or(ident.clone(), |end| ident[..=end].to_owned()))
    }

    /// Returns the main checkout's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the git directory that all checkouts share; it identifies the repository.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Returns the main checkout.
    pub fn main_checkout(&self) -> Checkout {
        Checkout { work_tree: self.root.clone(), git_dir: self.common_dir.clone(), common_dir: self.common_dir.clone() }
    }

    /// Reads what is checked out in the main checkout.
    pub async fn head_state(&self) -> Result<Head, GitError> {
        self.head_of(&self.main_checkout()).await
    }

    /// Reads what is checked out in a checkout.
    pub async fn head_of(&self, at: &Checkout) -> Result<Head, GitError> {
        let name = self.word(at, Call::new(["symbolic-ref", "--quiet", "HEAD"])).await?;
        let sha = self.commit_at(at, "HEAD").await?;
        let unexpected =
            |detail: &str| GitError::Unexpected { command: "git symbolic-ref".to_owned(), detail: detail.to_owned() };
        let Some(name) = name else {
            let sha = sha.ok_or_else(|| unexpected("HEAD is neither a branch nor a commit"))?;
            return Ok(Head::Detached { sha });
        };
        let name = name.strip_prefix("refs/heads/").ok_or_else(|| unexpected(&format!("HEAD is {name:?}")))?;
        let name = BranchName::parse(name).map_err(|bad| unexpected(&bad.to_string()))?;
        Ok(match sha {
            Some(sha) => Head::Branch { name, sha },
            None => Head::Unborn { name },
        })
    }

    /// Resolves a ref or a full hash to a commit; `None` when there is none.
    pub async fn commit_of(&self, name: &str) -> Result<Option<String>, GitError> {
        self.commit_at(&self.main_checkout(), name).await
    }

    pub(super) async fn commit_at(&self, at: &Checkout, name: &str) -> Result<Option<String>, GitError> {
        let revision = format!("{name}^{{commit}}");
        self.sha(at, Call::new(["rev-parse", "--verify", "--quiet", "--end-of-options", &revision])).await
    }

    /// Returns the hash that a command prints; `None` where it exits with 1. A killed git is an error.
    async fn sha(&self, at: &Checkout, call: Call) -> Result<Option<String>, GitError> {
        match self.word(at, call).await? {
            Some(sha) if is_sha(&sha) => Ok(Some(sha)),
            Some(other) => Err(GitError::unexpected("git rev-parse", format!("{other:?} is no hash"))),
            None => Ok(None),
        }
    }

    /// Returns the commit at the tip of a branch.
    pub async fn tip(&self, branch: &BranchName) -> Result<Option<String>, GitError> {
        self.commit_of(&branch.full_ref()).await
    }

    /// Returns the names of all local branches in the namespace of tasks.
    pub async fn task_branches(&self) -> Result<Vec<String>, GitError> {
        let space = format!("refs/heads/{BRANCH_PREFIX}");
        let call = Call::new(["for-each-ref", "--format=%(refname:lstrip=2)"]).arg(space);
        Ok(self.ask(&self.main_checkout(), call).await?.text().lines().map(str::to_owned).collect())
    }

    /// Reads the tip of a branch without a program, if it is in a file of its own, as after each change of it.
    pub(crate) fn loose_tip(&self, branch: &BranchName) -> Option<String> {
        let text = fs::read_text(&self.common_dir.join(branch.full_ref()), 4096).ok()?;
        let sha = text.trim_end();
        is_sha(sha).then(|| sha.to_owned())
    }

    /// Returns the tips of several branches with one command; missing ones are left out.
    pub(crate) async fn tips(&self, branches: &[&BranchName]) -> Result<HashMap<BranchName, String>, GitError> {
        let names = branches.iter().map(|branch| branch.full_ref());
        let call = names.fold(Call::new(["for-each-ref", "--format=%(objectname) %(refname)"]), Call::arg);
        let text = self.ask(&self.main_checkout(), call).await?.text();
        let found: HashMap<&str, &str> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(sha, name)| (name, sha)).collect();
        // A pattern also matches names below it, so each result is looked up by its full name.
        let tip =
            |branch: &&BranchName| Some(((*branch).clone(), (*found.get(branch.full_ref().as_str())?).to_owned()));
        Ok(branches.iter().filter_map(tip).collect())
    }

    /// Returns the branch that work starts from and is merged into: `configured`, else what is checked out in the main
    /// checkout, else the remote's default, else `main` or `master`.
    pub async fn default_branch(&self, configured: Option<&str>) -> Result<BranchName, GitError> {
        base::default_branch(self, configured).await
    }

    /// Returns whether `ancestor` is reachable from `descendant`; both are full hashes or full ref names.
    pub async fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, GitError> {
        self.holds(&self.main_checkout(), Call::new(["merge-base", "--is-ancestor", ancestor, descendant])).await
    }

    /// Returns the newest common ancestor; `None` when the two share no history.
    pub async fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, GitError> {
        self.sha(&self.main_checkout(), Call::new(["merge-base", one, other])).await
    }

    /// Waits for orch's lock on changes of this repository.
    pub(crate) async fn hold(&self) -> Result<Held, GitError> {
        self.git.locks.hold(&self.common_dir).await
    }

    /// Marks that orch is moving the main checkout, until the returned value is dropped.
    pub(super) fn moving(&self) -> Moving {
        self.git.locks.moving(&self.common_dir)
    }

    /// Returns the path of the note about a base-branch move in progress.
    pub(super) fn move_note(&self) -> PathBuf {
        self.git.locks.note(&self.common_dir)
    }

    /// Returns how often orch began or ended to move the main checkout; odd during a move.
    pub(super) fn moves(&self) -> u64 {
        self.git.locks.moves(&self.common_dir)
    }
}

/// Returns whether a text is a full hash, SHA-1 or SHA-256.
pub(crate) fn is_sha(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn as_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Runs git in a directory that is not known yet. Returns the output without its last line feed.
async fn discover_with(git: &Git, dir: &Path, args: &[&str]) -> Result<Vec<u8>, GitError> {
    let call = unknown_checkout_call(git, dir, args);
    let mut output = git.ongoing.run(&call, &call.label(), dir, QUIET).await?;
    if !output.success() {
        return Err(unreadable(dir, &output));
    }
    output.stdout.pop_if(|last| *last == b'\n');
    Ok(output.stdout)
}

fn unreadable(dir: &Path, output: &Output) -> GitError {
    let (path, detail) = (dir.to_owned(), output.error_text());
    if detail.contains("not a git repository") {
        GitError::NotARepository { path }
    } else if detail.contains("dubious ownership") {
        GitError::AnotherOwner { path }
    } else if output.exit.code == Some(128) {
        GitError::Unreadable { path, detail: shortened(&detail) }
    } else {
        failed("git rev-parse".to_owned(), output)
    }
}
