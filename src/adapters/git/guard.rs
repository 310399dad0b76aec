//! What a run must leave alone, recorded before it and compared after it: the main checkout, refs, hooks,
//! configuration. How a change is weighed stands in [`super::changes`].
//!
//! Not seen: ignored files of the main checkout (builds change them all the time), and the inside of submodules.

use super::call::Call;
use super::changes::{Change, ChangeKind, Moved, RefMove, Refs, Weight, differing, moved_refs, moves_freely, shown};
use super::error::GitError;
use super::marks::{self, Mark};
use super::repo::Repo;
use super::settings::is_dangerous;
use super::status::{Status, Untracked};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// How many entries of the main checkout's HEAD log are looked at: more than anybody makes during a run.
const LOG_ENTRIES: &str = "--max-count=500";

/// A record of a repository before a run. Its size grows with the number of refs and of changed files; it holds no
/// content and no value of the configuration, only salted hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    salt: u64,
    /// Branch, or commit when detached.
    head: String,
    refs: Refs,
    /// Changed and unknown files of the main checkout: state letters and content.
    files: BTreeMap<String, (String, Mark)>,
    /// Hooks and the files beside the configuration.
    programs: BTreeMap<String, Mark>,
    /// Keys of the repository's scope.
    config: BTreeMap<String, u64>,
}

impl Guard {
    /// Records the repository, beside the making of the worktree: it takes no lock unless orch just moves the main checkout.
    pub async fn take(repo: &Repo) -> Result<Self, GitError> {
        Self::record(repo, marks::salt()).await
    }

    /// Compares the repository with the record. `ledger` is asked after the look: what orch itself moved since, or was
    /// about to move when it was ended, in order. Only a move that is exactly like one of them is explained by it.
    pub async fn check(&self, repo: &Repo, ledger: impl FnOnce() -> Vec<RefMove>) -> Result<Vec<Change>, GitError> {
        let now = Self::record(repo, self.salt).await?;
        let ledger = ledger();
        let mut changes = Vec::new();
        changes.extend(self.changed_files(&now));
        changes.extend(self.changed_head(&now));
        for moved in moved_refs(&self.refs, &now.refs, &ledger) {
            changes.push(self.changed_ref(repo, &moved).await?);
        }
        changes.extend(self.changed_programs(&now));
        changes.extend(self.changed_config(&now));
        Ok(changes)
    }

    /// What is there while orch does not move the main checkout.
    async fn record(repo: &Repo, salt: u64) -> Result<Self, GitError> {
        let before = repo.moves();
        if before.is_multiple_of(2) {
            let seen = Self::look(repo, salt).await?;
            if repo.moves() == before {
                return Ok(seen);
            }
        }
        let _held = repo.hold().await?;
        Self::look(repo, salt).await
    }

    async fn look(repo: &Repo, salt: u64) -> Result<Self, GitError> {
        let main = repo.main_checkout();
        let (status, refs, config) =
            tokio::try_join!(repo.status(&main, Untracked::Files), repo.protected_refs(), repo.configuration(&main))?;
        let head = status.branch.clone().or_else(|| status.head.clone()).unwrap_or_default();
        let (root, common) = (repo.root().to_owned(), repo.common_dir().to_owned());
        let read = tokio::task::spawn_blocking(move || (files(&root, &status, salt), marks::programs(&common, salt)));
        let (files, programs) = read.await.map_err(|gone| GitError::Unexpected {
            command: "reading the main checkout".to_owned(),
            detail: gone.to_string(),
        })?;
        let mut keys = BTreeMap::new();
        for entry in config.iter().filter(|entry| entry.of_repository) {
            let sum: &mut u64 = keys.entry(String::from_utf8_lossy(&entry.key).into_owned()).or_default();
            *sum = marks::hash(*sum ^ salt, &entry.value);
        }
        Ok(Self { salt, head, refs, files, programs, config: keys })
    }

    fn changed_files(&self, now: &Self) -> Option<Change> {
        let same = |path: &String| match (self.files.get(path), now.files.get(path)) {
            (Some((code, mark)), Some((code_now, mark_now))) => code == code_now && mark.is_same(mark_now),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let names: Vec<String> = differing(&self.files, &now.files).into_iter().filter(|path| !same(path)).collect();
        let detail = format!("changed in the main checkout: {}", shown(&names));
        (!names.is_empty()).then_some(Change { kind: ChangeKind::WorkTree, weight: Weight::Suspicion, detail, names })
    }

    fn changed_head(&self, now: &Self) -> Option<Change> {
        // A commit on the branch that is checked out shows as a move of that ref.
        (self.head != now.head).then(|| Change {
            kind: ChangeKind::Head,
            weight: Weight::Suspicion,
            detail: format!("the main checkout went from {} to {}", self.head, now.head),
            names: vec![now.head.clone()],
        })
    }

    async fn changed_ref(&self, repo: &Repo, moved: &Moved<'_>) -> Result<Change, GitError> {
        let is_checked_out = moved.name.strip_prefix("refs/heads/") == Some(self.head.as_str());
        let weight = match moved.after {
            Some(sha) if is_checked_out && repo.main_head_was_at(sha).await? => Weight::Suspicion,
            Some(_) | None if is_checked_out => Weight::Violation,
            Some(_) | None => Weight::Suspicion,
        };
        Ok(Change { kind: ChangeKind::Ref, weight, detail: moved.describe(), names: vec![moved.name.to_owned()] })
    }

    fn changed_programs(&self, now: &Self) -> Option<Change> {
        let names: Vec<String> = differing(&self.programs, &now.programs)
            .into_iter()
            .filter(|name| match (self.programs.get(name), now.programs.get(name)) {
                (Some(before), Some(after)) => !before.is_same(after),
                (Some(_), None) | (None, Some(_)) | (None, None) => true,
            })
            .collect();
        let kind =
            if names.iter().any(|name| name.starts_with("hooks/")) { ChangeKind::Hooks } else { ChangeKind::Config };
        let detail = format!("changed in the repository's git directory: {}", shown(&names));
        (!names.is_empty()).then_some(Change { kind, weight: Weight::Violation, detail, names })
    }

    fn changed_config(&self, now: &Self) -> Vec<Change> {
        let (dangerous, harmless): (Vec<String>, Vec<String>) =
            differing(&self.config, &now.config).into_iter().partition(|key| is_dangerous(key.as_bytes()));
        let change = |names: Vec<String>, weight| {
            let detail = format!("changed in the repository's configuration: {}", shown(&names));
            (!names.is_empty()).then_some(Change { kind: ChangeKind::Config, weight, detail, names })
        };
        [change(dangerous, Weight::Violation), change(harmless, Weight::Suspicion)].into_iter().flatten().collect()
    }
}

impl Repo {
    async fn protected_refs(&self) -> Result<Refs, GitError> {
        let output =
            self.ask(&self.main_checkout(), Call::new(["for-each-ref", "--format=%(refname) %(objectname)"])).await?;
        let text = output.text();
        let pairs = text.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| !moves_freely(name));
        Ok(pairs.map(|(name, sha)| (name.to_owned(), sha.to_owned())).collect())
    }

    /// Whether the main checkout itself has been at a commit: only git commands that run there write its HEAD log.
    async fn main_head_was_at(&self, sha: &str) -> Result<bool, GitError> {
        let call =
            Call::new(["log", "--walk-reflogs", LOG_ENTRIES, "--no-show-signature", "--format=%H", "HEAD", "--"]);
        let output = self.run(&self.main_checkout(), call).await?;
        Ok(output.success() && output.text().lines().any(|line| line == sha))
    }
}

/// Marks of what differs in the main checkout.
fn files(root: &Path, status: &Status, salt: u64) -> BTreeMap<String, (String, Mark)> {
    let mut left = marks::READ_AT_MOST;
    let mark = |difference: &super::status::Difference| {
        let mark = Mark::of(&root.join(&difference.path), salt, &mut left);
        (difference.path.to_string_lossy().into_owned(), (difference.code.clone(), mark))
    };
    status.differences.iter().map(mark).collect()
}
