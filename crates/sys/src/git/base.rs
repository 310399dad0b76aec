//! Determines the base of a task's work: the branch and the commit on it.

use super::call::{Call, Checkout};
use super::error::GitError;
use super::repo::{Head, Repo, is_sha};
use crate::fs;
use orch_core::base::names::BranchName;
use std::path::Path;
use std::time::Duration;

/// Time limit of a fetch; afterwards the local state is used.
const FETCH: Duration = Duration::from_secs(20);

/// The commit that work starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The base branch.
    pub branch: BranchName,
    /// The commit on that branch.
    pub sha: String,
    /// A notice for the user, for instance that the remote was not reached.
    pub note: Option<String>,
}

/// The remote branch that a local branch follows.
struct Upstream {
    remote: String,
    /// The full name of the branch at the remote.
    theirs: String,
    /// The full name of the local remote-tracking ref.
    tracking: String,
}

/// Returns the branch that the HEAD file of the main checkout at `dir` names; `None` for a task's branch. Starts no
/// program.
pub fn checked_out(dir: &Path) -> Option<BranchName> {
    named_in(&dir.join(".git")).filter(|name| !name.is_of_a_task())
}

/// Returns whether the HEAD file of a checkout names another branch or none. Starts no program.
pub(super) fn is_elsewhere(at: &Checkout, branch: &BranchName) -> bool {
    let Ok(text) = fs::read_text(&at.git_dir.join("HEAD"), 4096) else { return false };
    // In a repository with reftables the file names no branch.
    let name = text.trim_end().strip_prefix("ref: refs/heads/");
    name.is_none_or(|name| name != ".invalid" && name != branch.as_str())
}

fn named_in(git_dir: &Path) -> Option<BranchName> {
    let text = fs::read_text(&git_dir.join("HEAD"), 4096).ok()?;
    BranchName::parse(text.trim_end().strip_prefix("ref: refs/heads/")?).ok()
}

pub(super) async fn default_branch(repo: &Repo, configured: Option<&str>) -> Result<BranchName, GitError> {
    if let Some(name) = configured {
        let known = match BranchName::parse(name) {
            Ok(branch) => repo.exists_anywhere(&branch).await?.then_some(branch),
            Err(_) => None,
        };
        return match known {
            Some(branch) => Ok(branch),
            None => Err(GitError::BaseBranchMissing { name: name.to_owned(), candidates: repo.branches().await? }),
        };
    }
    // The HEAD file needs no program; whether the branch has a commit is checked when it is used.
    if let Some(name) = repo.named_by_head_file().filter(|name| !name.is_of_a_task()) {
        return Ok(name);
    }
    let head = repo.head_state().await?;
    if let Head::Branch { name, .. } = &head
        // A user who has checked out a task's branch does not want other tasks based on it.
        && !name.is_of_a_task()
    {
        return Ok(name.clone());
    }
    for branch in repo.usual_branches().await? {
        if repo.exists_anywhere(&branch).await? {
            return Ok(branch);
        }
    }
    let candidates = repo.branches().await?;
    match head {
        Head::Branch { name, .. } | Head::Unborn { name } => {
            Err(GitError::BaseBranchMissing { name: name.as_str().to_owned(), candidates })
        }
        Head::Detached { .. } => Err(GitError::DetachedHead { path: repo.root.clone(), candidates }),
    }
}

impl Repo {
    /// Returns the commit to start from. With `fetch`, the remote is asked first, for at most 20 s; when it is not
    /// reached or there is none, the local state is used, with a note.
    ///
    /// Local commits are never left out: the remote's state is taken only where it contains the local one.
    pub async fn base(&self, branch: &BranchName, fetch: bool) -> Result<Base, GitError> {
        let local = self.tip(branch).await?;
        self.base_from(branch, local, fetch).await
    }

    /// Returns the same as [`Self::base`], where the local tip is known.
    pub(crate) async fn base_from(
        &self,
        branch: &BranchName,
        local: Option<String>,
        fetch: bool,
    ) -> Result<Base, GitError> {
        if let Some(sha) = local.clone().filter(|_| !fetch) {
            return Ok(Base { branch: branch.clone(), sha, note: None });
        }
        if let Some(sha) = local.clone()
            && !self.settings(&self.main_checkout()).await?.has_remote
        {
            return Ok(Base { branch: branch.clone(), sha, note: None });
        }
        let upstream = self.upstream(branch).await?;
        let mut note = match &upstream {
            Some(upstream) if fetch => self.fetch(upstream).await?,
            Some(_) | None => None,
        };
        let remote = match &upstream {
            Some(upstream) => self.commit_of(&upstream.tracking).await?,
            None => None,
        };
        let sha = match (local, remote) {
            (Some(local), None) => local,
            (None, Some(remote)) => remote,
            (Some(local), Some(remote)) => self.newer(branch, local, remote, &mut note).await?,
            (None, None) => {
                let candidates = self.branches().await?;
                return Err(GitError::BaseBranchMissing { name: branch.as_str().to_owned(), candidates });
            }
        };
        Ok(Base { branch: branch.clone(), sha, note })
    }

    async fn newer(
        &self,
        branch: &BranchName,
        local: String,
        remote: String,
        note: &mut Option<String>,
    ) -> Result<String, GitError> {
        if local == remote || self.is_ancestor(&local, &remote).await? {
            return Ok(remote);
        }
        if !self.is_ancestor(&remote, &local).await? {
            let diverged = format!("{branch} and its remote have diverged: the local branch was used");
            *note = Some(note.take().map_or(diverged.clone(), |note| format!("{note}; {diverged}")));
        }
        Ok(local)
    }

    /// Fetches a remote branch. A failure is a note, not an error.
    async fn fetch(&self, upstream: &Upstream) -> Result<Option<String>, GitError> {
        let refspec = format!("+{}:{}", upstream.theirs, upstream.tracking);
        let call = Call::new(["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"])
            // Set here, because the repository's own setting is a program that git would start.
            .arg("--upload-pack=git-upload-pack")
            .arg("--")
            .arg(&upstream.remote)
            .arg(refspec)
            .time_limit(FETCH);
        let failure = match self.ask(&self.main_checkout(), call).await {
            Ok(_) => return Ok(None),
            Err(error @ (GitError::Failed { .. } | GitError::Locked { .. } | GitError::Process(_))) => error,
            Err(error) => return Err(error),
        };
        let remote = &upstream.remote;
        Ok(Some(format!("{remote} was not reached, the local state was used ({failure})")))
    }

    /// Returns the remote branch of `branch`: the configured one, else the one of the same name at `origin`.
    async fn upstream(&self, branch: &BranchName) -> Result<Option<Upstream>, GitError> {
        let format = "--format=%(upstream)%00%(upstream:remotename)%00%(upstream:remoteref)";
        let output = self.ask(&self.main_checkout(), Call::new(["for-each-ref", format, &branch.full_ref()])).await?;
        let text = output.text();
        let fields: Vec<&str> = text.split('\0').collect();
        if let [tracking, remote, theirs] = fields.as_slice()
            && tracking.starts_with("refs/remotes/")
            && theirs.starts_with("refs/heads/")
        {
            let (remote, theirs, tracking) = ((*remote).to_owned(), (*theirs).to_owned(), (*tracking).to_owned());
            return Ok(Some(Upstream { remote, theirs, tracking }));
        }
        if !self.holds(&self.main_checkout(), Call::new(["config", "--get", "remote.origin.url"])).await? {
            return Ok(None);
        }
        let (theirs, tracking) = (branch.full_ref(), format!("refs/remotes/origin/{branch}"));
        Ok(Some(Upstream { remote: "origin".to_owned(), theirs, tracking }))
    }

    /// Returns the branch that the main checkout's HEAD file names, if any.
    fn named_by_head_file(&self) -> Option<BranchName> {
        named_in(&self.main_checkout().git_dir)
    }

    async fn exists_anywhere(&self, branch: &BranchName) -> Result<bool, GitError> {
        let at_origin = format!("refs/remotes/origin/{branch}");
        Ok(self.tip(branch).await?.is_some() || self.commit_of(&at_origin).await?.is_some())
    }

    /// Returns the remote's default branch, then the most common names.
    async fn usual_branches(&self) -> Result<Vec<BranchName>, GitError> {
        let output =
            self.run(&self.main_checkout(), Call::new(["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"])).await?;
        let text = output.text();
        let names = text.strip_prefix("refs/remotes/origin/").into_iter().chain(["main", "master"]);
        Ok(names.filter_map(|name| BranchName::parse(name).ok()).collect())
    }

    /// Returns the local branches that are not tasks', the most recently changed first.
    async fn branches(&self) -> Result<Vec<String>, GitError> {
        let format = "--format=%(refname:lstrip=2)";
        let call = Call::new(["for-each-ref", "--count=50", "--sort=-committerdate", format, "refs/heads/"]);
        let text = self.ask(&self.main_checkout(), call).await?.text();
        let is_of_a_person = |name: &&str| BranchName::parse(name).is_ok_and(|name| !name.is_of_a_task());
        Ok(text.lines().filter(is_of_a_person).take(20).map(str::to_owned).collect())
    }
}

/// Rejects text that is not a hash, before it reaches a command line.
pub(crate) fn require_sha(text: &str) -> Result<&str, GitError> {
    if is_sha(text) {
        return Ok(text);
    }
    let detail = format!("{text:?} is not a full commit hash");
    Err(GitError::Unexpected { command: "orch".to_owned(), detail })
}
