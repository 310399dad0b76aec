//! Handles work that forked off at a commit which its base has lost because it was amended, rebased or reset. A merge
//! would bring that commit back, so the work's commits are applied to the current base instead.

use super::super::crash::point;
use super::call::{CHECKOUT, Call, Checkout, failed};
use super::error::GitError;
use super::leftovers::Author;
use super::merge::{Candidate, MergeRequest, Merged};
use super::merge_error::MergeError;
use super::repo::Repo;
use orch_core::base::count::named;
use orch_core::base::names::BranchName;
use orch_core::text::shell::word;
use std::collections::BTreeSet;

/// How many lost commits are read: more than a message lists.
const READ: usize = 20;

impl Repo {
    /// Returns the newest commit of a branch that its base once had and lost, from the base's reflog. Commits made on
    /// the branch itself are its work, even if the base had them for a while.
    pub(crate) async fn lost_fork(
        &self,
        branch: &str,
        base: &BranchName,
        base_sha: &str,
    ) -> Result<Option<String>, GitError> {
        let log = self.log_of(&self.main_checkout(), &base.full_ref()).await?;
        let had: BTreeSet<&str> = log.iter().map(|(sha, _)| sha.as_str()).collect();
        if had.is_empty() {
            return Ok(None);
        }
        let lost: BTreeSet<String> = self.ahead_of(base_sha, had).await?.into_iter().collect();
        if lost.is_empty() {
            return Ok(None);
        }
        let own = self.made_on(branch).await?;
        let ahead = self.ahead_of(base_sha, [branch]).await?;
        Ok(ahead.into_iter().find(|commit| lost.contains(commit) && !own.contains(commit)))
    }

    /// Returns the commits that are in any of `heads` and not in `base_sha`, children first.
    async fn ahead_of(&self, base_sha: &str, heads: impl IntoIterator<Item = &str>) -> Result<Vec<String>, GitError> {
        let call = heads.into_iter().fold(Call::new(["rev-list", "--topo-order", "--ignore-missing"]), Call::arg);
        let call = call.arg(format!("^{base_sha}")).arg("--");
        Ok(self.ask(&self.main_checkout(), call).await?.text().lines().map(str::to_owned).collect())
    }

    /// Makes the merge in the scratch worktree. `fork` is the commit at which the branch forked off, if the base lost
    /// it.
    pub(super) async fn merge_aside(
        &self,
        request: &MergeRequest<'_>,
        branch_sha: &str,
        base_sha: &str,
        fork: Option<&str>,
    ) -> Result<Merged, MergeError> {
        let (mut tip, mut message) = (branch_sha.to_owned(), request.message.trim_end().to_owned());
        if let Some(fork) = fork {
            let checkout = self.make_scratch(request.scratch, branch_sha).await?;
            tip = self.replay(&checkout, request, fork, branch_sha, base_sha).await?;
            if tip == base_sha {
                return Ok(Merged::Already { base_sha: tip.clone(), commit: tip });
            }
            let (base, branch) = (request.base, request.branch);
            message.push_str(&format!(
                "\n\n{base} was rewritten after the work began at {fork}. These are the commits of\n{branch} ({branch_sha}),\n\
                 applied to {base} as it is now."
            ));
        }
        message.push_str(&format!("\n\n{}", request.trailers)); // git reads trailers from the last paragraph only
        let checkout = self.make_scratch(request.scratch, base_sha).await?;
        point!("merge.scratch.made");
        let merge_sha = self.merge_in(&checkout, &tip, base_sha, &message).await?;
        Ok(Merged::Ready(Candidate { base_sha: base_sha.to_owned(), branch_sha: tip, merge_sha, checkout }))
    }

    /// Applies the commits between `fork` and the tip of a branch to its base. Returns the last new commit; commits
    /// whose changes the base has already are skipped. `at` is a scratch worktree at the tip of the branch.
    ///
    /// # Errors
    /// [`MergeError::BaseRewritten`]: the commits do not apply without those that the base has lost, or include a
    /// merge.
    async fn replay(
        &self,
        at: &Checkout,
        request: &MergeRequest<'_>,
        fork: &str,
        tip: &str,
        base_sha: &str,
    ) -> Result<String, MergeError> {
        let range = format!("{fork}..{tip}");
        let merges = Call::new(["rev-list", "--merges", "--max-count=1", &range, "--"]);
        if !self.ask(at, merges).await?.text().trim().is_empty() {
            return Err(self.base_rewritten(request, fork, base_sha, "has a merge of its own").await?);
        }
        let call = Call::new(["rebase", "--quiet", "--no-verify", "--empty=drop", "--onto", base_sha, fork]);
        // The user's settings for rebases must not move other branches or combine commits.
        let off =
            ["rebase.updateRefs", "rebase.autoSquash", "rebase.autoStash", "rebase.rebaseMerges", "rebase.forkPoint"];
        let call = off.iter().fold(call, |call, key| call.setting(key, "false")).setting("rebase.backend", "merge");
        let call = self.signed(at, call.durable().time_limit(CHECKOUT), Author::Configured).await?;
        let output = self.run(at, call).await?;
        if output.success() {
            let sha = self.commit_at(at, "HEAD").await?;
            return sha.ok_or_else(|| GitError::NoCommits { path: at.work_tree.clone() }.into());
        }
        let unmerged = self.status(at, super::Untracked::No).await?.unmerged;
        if unmerged.is_empty() {
            return Err(failed("git rebase".to_owned(), &output).into());
        }
        let files = unmerged.iter().map(|file| file.display());
        let why = format!("does not apply without that ({})", named(files));
        Err(self.base_rewritten(request, fork, base_sha, &why).await?)
    }

    async fn base_rewritten(
        &self,
        request: &MergeRequest<'_>,
        fork: &str,
        base_sha: &str,
        why: &str,
    ) -> Result<MergeError, GitError> {
        let lost = self.subjects_between(base_sha, fork, READ).await?;
        let (branch, base) = (request.branch.clone(), request.base.clone());
        let entries = self.entries().await?;
        let at = entries.iter().find(|entry| entry.branch.as_deref() == Some(&branch.full_ref()));
        let rebase = match at {
            Some(at) => format!("git -C {} rebase --onto {base} {fork}", word(&at.path)),
            None => format!("git -C {} rebase --onto {base} {fork} {branch}", word(self.root())),
        };
        Ok(MergeError::BaseRewritten { branch, base, lost: named(lost), why: why.to_owned(), rebase })
    }
}
