//! Merges several accepted commits into one from which further work begins.

use super::Untracked;
use super::base::require_sha;
use super::call::{CHECKOUT, Call, Checkout, failed};
use super::error::GitError;
use super::leftovers::Author;
use super::merge::MergeError;
use super::repo::Repo;
use std::path::Path;

/// The merge of several commits, in a scratch worktree. No branch points to it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The commit that contains them all.
    pub sha: String,
    /// The scratch worktree, with that commit checked out.
    pub checkout: Checkout,
}

impl Repo {
    /// Returns those of the commits that no other one contains, without duplicates, in the given order.
    pub async fn without_contained(&self, commits: &[String]) -> Result<Vec<String>, GitError> {
        let mut kept: Vec<String> = Vec::new();
        for (at, commit) in commits.iter().enumerate() {
            let mut is_contained = commits[..at].contains(commit);
            for other in commits.iter().filter(|other| *other != commit) {
                is_contained = is_contained || self.is_ancestor(commit, other).await?;
            }
            if !is_contained {
                kept.push(commit.clone());
            }
        }
        Ok(kept)
    }

    /// Merges `others` into `first`, one after the other, in a scratch worktree. The result is deterministic: message,
    /// author and date are computed from the commits, so that a repetition after a crash creates nothing twice.
    pub async fn joined(&self, first: &str, others: &[String], scratch: &Path) -> Result<Joined, MergeError> {
        let _held = self.hold().await?;
        let checkout = self.make_scratch(scratch, require_sha(first)?).await?;
        let mut sha = first.to_owned();
        for other in others {
            match self.join(&checkout, &sha, require_sha(other)?).await {
                Ok(joined) => sha = joined,
                Err(error) => {
                    self.drop_scratch(scratch).await?;
                    return Err(error);
                }
            }
        }
        Ok(Joined { sha, checkout })
    }

    async fn join(&self, at: &Checkout, first: &str, other: &str) -> Result<String, MergeError> {
        let date = Call::new(["show", "--no-patch", "--format=%ct +0000", other, "--"]);
        let date = format!("@{}", self.ask(at, date).await?.text());
        let merge =
            Call::new(["merge", "--no-ff", "--no-edit", "--no-stat", "--quiet", "--no-verify", "--no-gpg-sign"])
                .arg(format!("--message=orch: merge {} for work that builds on both", &other[..10]))
                .arg(other)
                .setting("merge.conflictStyle", "diff3")
                .time_limit(CHECKOUT);
        let merge = self.signed(at, merge, Author::Orch).await?;
        let merge = ["AUTHOR", "COMMITTER"].iter().fold(merge, |merge, who| {
            merge
                .variable(&format!("GIT_{who}_DATE"), &date)
                .variable(&format!("GIT_{who}_NAME"), "orch")
                .variable(&format!("GIT_{who}_EMAIL"), "orch@localhost")
        });
        let output = self.run(at, merge).await?;
        if output.success() {
            let sha = self.commit_at(at, "HEAD").await?;
            return sha.ok_or_else(|| GitError::NoCommits { path: at.work_tree.clone() }.into());
        }
        let status = self.status(at, Untracked::No).await?;
        if status.unmerged.is_empty() {
            return Err(failed("git merge".to_owned(), &output).into());
        }
        let sides = self.sides(at, &status).await?;
        Err(MergeError::Conflict { files: status.unmerged, base_sha: first.to_owned(), sides })
    }
}
