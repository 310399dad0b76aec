//! Reverts a merge: tried in a scratch worktree like a merge, and moved to the base in the same way. Afterwards the
//! branch gets its work as a new commit on top, because git considers the old commits merged.

use super::base::require_sha;
use super::call::{CHECKOUT, Call, Checkout, failed};
use super::error::GitError;
use super::leftovers::{Author, clean_message};
use super::merge::{Candidate, MergeError, Merged};
use super::repo::{Repo, is_sha};
use orch_core::base::names::BranchName;
use std::path::Path;

/// The trailer that identifies the commit that reverted a merge.
const MARK: &str = "Orch-Takes-Back";

/// The merge to revert, and where to try it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevertRequest<'a> {
    /// The hash of the merge commit.
    pub merge: &'a str,
    /// The branch that contains it.
    pub base: &'a BranchName,
    /// The absolute path of orch's scratch worktree.
    pub scratch: &'a Path,
    /// The commit message, without the trailer.
    pub message: &'a str,
}

impl Repo {
    /// Reverts a merge in a scratch worktree, without moving the base branch.
    pub async fn revert_candidate(&self, request: &RevertRequest<'_>) -> Result<Merged, MergeError> {
        let _held = self.hold().await?;
        let merge = require_sha(request.merge)?;
        let missing = || MergeError::BranchMissing { name: request.base.clone() };
        let base_sha = self.tip(request.base).await?.ok_or_else(missing)?;
        if let Some(done) = self.taken_back(merge, &base_sha).await? {
            return Ok(Merged::Already { base_sha, commit: done });
        }
        if !self.is_ancestor(merge, &base_sha).await? || self.parents(merge).await?.len() != 2 {
            return Err(MergeError::NotAMerge { commit: merge.to_owned(), base: request.base.clone() });
        }
        let checkout = self.make_scratch(request.scratch, &base_sha).await?;
        let message = format!("{}\n\n{MARK}: {merge}\n", request.message.trim_end());
        let reverted = self.revert_in(&checkout, &["--mainline", "1", merge], &base_sha, &message).await;
        match reverted {
            Ok(merge_sha) => {
                Ok(Merged::Ready(Candidate { base_sha, branch_sha: merge.to_owned(), merge_sha, checkout }))
            }
            Err(error) => {
                self.drop_scratch(request.scratch).await?;
                Err(error)
            }
        }
    }

    /// Creates a commit on top of `revert` with the reverted work, for the branch whose tip is `tip`.
    pub async fn restored(
        &self,
        revert: &str,
        tip: &str,
        scratch: &Path,
        message: &str,
    ) -> Result<Candidate, MergeError> {
        let _held = self.hold().await?;
        let revert = require_sha(revert)?;
        let checkout = self.make_scratch(scratch, revert).await?;
        let merge_sha = self.revert_in(&checkout, &[revert], revert, message).await?;
        Ok(Candidate { base_sha: tip.to_owned(), branch_sha: revert.to_owned(), merge_sha, checkout })
    }

    /// Creates a scratch worktree at a commit, for inspection.
    pub async fn scratch_at(&self, scratch: &Path, sha: &str) -> Result<Checkout, MergeError> {
        let _held = self.hold().await?;
        Ok(self.make_scratch(scratch, require_sha(sha)?).await?)
    }

    async fn revert_in(
        &self,
        at: &Checkout,
        what: &[&str],
        base_sha: &str,
        message: &str,
    ) -> Result<String, MergeError> {
        let apply = Call::new(["revert", "--no-commit", "--no-edit"]).setting("merge.conflictStyle", "diff3");
        let apply = what.iter().fold(apply, Call::arg).time_limit(CHECKOUT);
        let apply = self.signed(at, apply, Author::Configured).await?;
        let output = self.run(at, apply).await?;
        if !output.success() {
            let status = self.status(at, super::Untracked::No).await?;
            if status.unmerged.is_empty() {
                return Err(failed("git revert".to_owned(), &output).into());
            }
            let sides = self.sides(at, &status).await?;
            return Err(MergeError::Conflict { files: status.unmerged, base_sha: base_sha.to_owned(), sides });
        }
        let message = format!("--message={}", clean_message(message));
        let commit = Call::new(["commit", "--quiet", "--allow-empty", "--no-verify", "--cleanup=whitespace"]);
        let commit = self.signed(at, commit.arg(message).durable().time_limit(CHECKOUT), Author::Configured).await?;
        self.ask(at, commit).await?;
        let sha = self.commit_at(at, "HEAD").await?;
        sha.ok_or_else(|| GitError::NoCommits { path: at.work_tree.clone() }.into())
    }

    /// Returns the commit of the base that reverted this merge, if any.
    async fn taken_back(&self, merge: &str, base_sha: &str) -> Result<Option<String>, GitError> {
        let (grep, range) = (format!("--grep={MARK}: {merge}"), format!("{merge}..{base_sha}"));
        let args = ["log", "--first-parent", "--max-count=1", "--format=%H", "--fixed-strings", &grep, &range, "--"];
        let found = self.ask(&self.main_checkout(), Call::new(args)).await?.text();
        Ok(is_sha(&found).then_some(found))
    }

    /// Returns the parents of a commit.
    pub async fn parents(&self, commit: &str) -> Result<Vec<String>, GitError> {
        let args = ["rev-list", "--parents", "--max-count=1", require_sha(commit)?, "--"];
        let text = self.ask(&self.main_checkout(), Call::new(args)).await?.text();
        Ok(text.split_ascii_whitespace().skip(1).map(str::to_owned).collect())
    }

    /// Returns the merge commit that brought `branch_sha` to the base, if it was a merge of its own.
    pub(super) async fn merge_of(&self, branch_sha: &str, base_sha: &str) -> Result<Option<String>, GitError> {
        let range = format!("{branch_sha}..{base_sha}");
        let args = ["rev-list", "--first-parent", "--ancestry-path", &range, "--"];
        let text = self.ask(&self.main_checkout(), Call::new(args)).await?.text();
        let Some(first) = text.lines().last().filter(|sha| is_sha(sha)) else { return Ok(None) };
        let is_merge = self.parents(first).await?.get(1).is_some_and(|parent| parent == branch_sha);
        Ok(is_merge.then(|| first.to_owned()))
    }
}
