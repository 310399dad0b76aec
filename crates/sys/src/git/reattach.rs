//! Restores the branch of a task in its worktree after another branch or a detached commit was checked out there.

use super::call::{CHECKOUT, Call, Checkout};
use super::error::GitError;
use super::repo::{Head, Repo};
use super::status::Untracked;
use orch_core::base::names::BranchName;

impl Repo {
    /// Checks the branch out again in its worktree, if that loses no commit and no file. Commits that descend from the
    /// branch
    /// are added to it (fast-forward). Otherwise the worktree must be clean, and its commits must be on another branch. Returns a
    /// note of what was done, or `None` when nothing was. No process may work in the worktree.
    pub async fn reattach(&self, at: &Checkout, branch: &BranchName) -> Result<Option<String>, GitError> {
        let (found, sha) = match self.head_of(at).await? {
            Head::Branch { name, sha } if name != *branch => (Some(name), sha),
            Head::Detached { sha } => (None, sha),
            Head::Branch { .. } | Head::Unborn { .. } => return Ok(None),
        };
        if at.operation().is_some() {
            return Ok(None);
        }
        let tip = match (self.tip(branch).await?, &found) {
            (Some(tip), _) => Some(tip),
            (None, Some(name)) if self.was_renamed(at, branch, name).await? => None,
            (None, _) => return Ok(None),
        };
        let shown = found.as_ref().map_or_else(|| "no branch".to_owned(), ToString::to_string);
        at.clear_stale_locks(Some(branch)).await?;
        let full = branch.full_ref();
        let follows = match &tip {
            Some(tip) => self.is_ancestor(tip, &sha).await?,
            None => true,
        };
        if follows {
            let message = "orch: what follows the branch";
            let expected = tip.unwrap_or_default();
            let follow = Call::new(["update-ref", "--no-deref", "-m", message, &full, &sha, &expected]).durable();
            self.ask(at, follow).await?;
            self.ask(at, Call::new(["symbolic-ref", "-m", message, "HEAD", &full]).durable()).await?;
            return Ok(Some(format!("the agent left {branch} for {shown}; its commits there were taken over")));
        }
        let Some(tip) = tip else { return Ok(None) };
        let made = self.made_in(at).await?;
        let is_kept = self.is_ancestor(&sha, &tip).await?
            || found.is_some()
                && !self.commits_added(Some(&tip), &sha).await?.iter().any(|commit| made.contains(commit));
        if !is_kept || !self.status(at, Untracked::Files).await?.differences.is_empty() {
            return Ok(None);
        }
        self.ask(at, Call::new(["checkout", "--quiet", branch.as_str(), "--"]).durable().time_limit(CHECKOUT)).await?;
        Ok(Some(format!("the agent left {branch} for {shown}; the worktree is back on {branch}")))
    }
    /// Returns whether a branch was renamed while a checkout had it checked out, from that checkout's HEAD reflog.
    async fn was_renamed(&self, at: &Checkout, from: &BranchName, to: &BranchName) -> Result<bool, GitError> {
        let renamed = format!("Branch: renamed {} to {}", from.full_ref(), to.full_ref());
        Ok(self.log_of(at, "HEAD").await?.iter().any(|(_, why)| *why == renamed))
    }
}
