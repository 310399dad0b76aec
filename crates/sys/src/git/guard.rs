//! Records what a run must not change before it, and compares afterwards: the main checkout, refs, hooks,
//! configuration. It does not decide who made a change.
//!
//! Not covered: ignored files of the main checkout (builds change them all the time), and the inside of submodules.

use super::base::require_sha;
use super::call::{Call, Checkout};
use super::changes::{
    Change, Danger, Moved, RefChange, RefMove, Refs, STASH, differing, moved_refs, moves_freely, stash_entry,
};
use super::error::GitError;
use super::marks::{self, Mark};
use super::repo::Repo;
use super::settings::is_dangerous;
use super::status::{Status, Untracked};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How many reflog entries are read: more than any run produces.
const LOG_ENTRIES: &str = "--max-count=500";

/// A record of a repository before a run. Its size grows with the number of refs and changed files; it holds only
/// salted hashes, no content and no value of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    salt: u64,
    /// The checked-out branch, or the commit when detached.
    head: String,
    refs: Refs,
    /// Changed and untracked files of the main checkout: status letters and a mark of the content.
    files: BTreeMap<String, (String, Mark)>,
    /// Marks of hooks and of the files beside the configuration.
    programs: BTreeMap<String, Mark>,
    /// Configuration keys of the repository's scope.
    config: BTreeMap<String, u64>,
}

impl Guard {
    /// Records the repository, concurrently with the creation of the worktree: it takes no lock unless orch is moving
    /// the main checkout.
    pub async fn take(repo: &Repo) -> Result<Self, GitError> {
        Self::record(repo, marks::salt()).await
    }

    /// Compares the repository with the record. `ledger` is called after the comparison data is read and returns, in
    /// order, the moves that orch made since or was about to make. A change is explained only by an identical move.
    pub async fn check(&self, repo: &Repo, ledger: impl FnOnce() -> Vec<RefMove>) -> Result<Vec<Change>, GitError> {
        let now = Self::record(repo, self.salt).await?;
        // An interrupted move of orch's own leaves the main checkout half moved until it is settled.
        let is_half_moved = repo.move_note().exists();
        let ledger = ledger();
        let mut changes = Vec::new();
        changes.extend(self.changed_files(&now).filter(|_| !is_half_moved));
        changes.extend(self.changed_head(&now));
        changes.extend(moved_refs(&self.refs, &now.refs, &ledger).iter().map(|moved| self.changed_ref(&now, moved)));
        changes.extend(self.changed_programs(&now));
        changes.extend(self.changed_config(&now));
        Ok(changes)
    }

    /// Returns whether a file with uncommitted changes in the main checkout differs between two commits.
    ///
    /// # Errors
    /// git fails.
    pub async fn was_committed_between(&self, repo: &Repo, one: &str, two: &str) -> Result<bool, GitError> {
        let names = repo.names_between(&repo.main_checkout(), one, two).await?;
        Ok(self.files.keys().any(|path| names.contains(path)))
    }

    /// Returns whether a change only added things: it can be undone without knowing the previous state.
    pub fn is_undone_by_removing(&self, change: &Change) -> bool {
        match change {
            Change::Files { paths } => paths.iter().all(|path| !self.files.contains_key(path)),
            Change::Programs { paths } => paths.iter().all(|path| !self.programs.contains_key(path)),
            Change::Settings { keys, .. } => keys.iter().all(|key| !self.config.contains_key(key)),
            Change::Head { .. } | Change::Ref(_) => false,
        }
    }

    /// Returns whether a ref pointed to a commit.
    pub fn has_ref(&self, name: &str, at: &str) -> bool {
        self.refs.get(name).is_some_and(|there| there == at)
    }

    /// Returns what was checked out in the main checkout: a branch, or a commit.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Records the state at a moment when orch is not moving the main checkout.
    async fn record(repo: &Repo, salt: u64) -> Result<Self, GitError> {
        let before = repo.moves();
        if before.is_multiple_of(2) {
            let seen = Self::read(repo, salt).await?;
            if repo.moves() == before {
                return Ok(seen);
            }
        }
        let _held = repo.hold().await?;
        Self::read(repo, salt).await
    }

    async fn read(repo: &Repo, salt: u64) -> Result<Self, GitError> {
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
        let paths: Vec<String> = differing(&self.files, &now.files).into_iter().filter(|path| !same(path)).collect();
        (!paths.is_empty()).then_some(Change::Files { paths })
    }

    fn changed_head(&self, now: &Self) -> Option<Change> {
        // A commit on the checked-out branch shows as a move of that ref.
        (self.head != now.head).then(|| Change::Head { from: self.head.clone(), to: now.head.clone() })
    }

    fn changed_ref(&self, now: &Self, moved: &Moved<'_>) -> Change {
        let branch = moved.name.strip_prefix("refs/heads/");
        Change::Ref(RefChange {
            name: moved.name.to_owned(),
            before: moved.before.map(str::to_owned),
            after: moved.after.map(str::to_owned),
            is_checked_out: branch.is_some_and(|branch| [self.head.as_str(), now.head.as_str()].contains(&branch)),
        })
    }

    fn changed_programs(&self, now: &Self) -> Option<Change> {
        let paths: Vec<String> = differing(&self.programs, &now.programs)
            .into_iter()
            .filter(|name| match (self.programs.get(name), now.programs.get(name)) {
                (Some(before), Some(after)) => !before.is_same(after),
                (Some(_), None) | (None, Some(_)) | (None, None) => true,
            })
            .collect();
        (!paths.is_empty()).then_some(Change::Programs { paths })
    }

    fn changed_config(&self, now: &Self) -> Vec<Change> {
        let (dangerous, harmless): (Vec<String>, Vec<String>) =
            differing(&self.config, &now.config).into_iter().partition(|key| is_dangerous(key.as_bytes()));
        let change = |keys: Vec<String>, danger| (!keys.is_empty()).then_some(Change::Settings { keys, danger });
        [change(dangerous, Danger::Program), change(harmless, Danger::None)].into_iter().flatten().collect()
    }
}

impl Repo {
    async fn protected_refs(&self) -> Result<Refs, GitError> {
        let output =
            self.ask(&self.main_checkout(), Call::new(["for-each-ref", "--format=%(refname) %(objectname)"])).await?;
        let text = output.text();
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        let pairs = pairs.filter(|(name, _)| *name != STASH && !moves_freely(name));
        let mut refs: Refs = pairs.map(|(name, sha)| (name.to_owned(), sha.to_owned())).collect();
        if text.lines().any(|line| line.starts_with(STASH)) {
            let entries = self.log_of(&self.main_checkout(), STASH).await?;
            refs.extend(entries.into_iter().map(|(sha, _)| (stash_entry(&sha), sha)));
        }
        Ok(refs)
    }

    /// Returns whether the stash ref points to an entry that its missing reflog does not list. `git stash store`
    /// changes nothing then.
    pub async fn is_unlisted_stash(&self, entry: &str) -> Result<bool, GitError> {
        let main = self.main_checkout();
        Ok(self.commit_of(STASH).await?.as_deref() == Some(entry) && self.log_of(&main, STASH).await?.is_empty())
    }

    /// Returns the branch that was checked out when a stash entry was made, as git words it: `(no branch)` for none.
    pub async fn stashed_on(&self, entry: &str) -> Result<Option<String>, GitError> {
        let call = Call::new(["log", "--max-count=1", "--no-show-signature", "--format=%s"]).arg(require_sha(entry)?);
        let subject = self.ask(&self.main_checkout(), call.arg("--")).await?.text();
        let on = subject.strip_prefix("WIP on ").or_else(|| subject.strip_prefix("On "));
        Ok(on.and_then(|rest| rest.split_once(": ")).map(|(branch, _)| branch.to_owned()))
    }

    /// Returns whether the main checkout itself has been at a commit: only git commands that run there write its HEAD
    /// reflog.
    pub async fn main_head_was_at(&self, sha: &str) -> Result<bool, GitError> {
        Ok(self.log_of(&self.main_checkout(), "HEAD").await?.iter().any(|(at, _)| at == sha))
    }

    /// Returns whether the last move of the main checkout's HEAD went to a commit. A branch moved elsewhere does not
    /// count.
    pub async fn main_head_moved_to(&self, sha: &str) -> Result<bool, GitError> {
        Ok(self.log_of(&self.main_checkout(), "HEAD").await?.first().is_some_and(|(at, _)| at == sha))
    }

    /// Returns the commits made in a checkout, from its own HEAD reflog, which no other checkout writes.
    pub async fn made_in(&self, at: &Checkout) -> Result<BTreeSet<String>, GitError> {
        self.made_by_log(at, "HEAD").await
    }

    /// Returns the commits at which a branch was while a checkout had it checked out, from that checkout's HEAD reflog.
    pub async fn moved_in(&self, at: &Checkout, full: &str) -> Result<BTreeSet<String>, GitError> {
        let mut entries = self.log_of(at, "HEAD").await?;
        entries.reverse();
        let mut is_there = false;
        let mut moved = BTreeSet::new();
        for (sha, why) in entries {
            match why.strip_prefix("checkout: moving from ").and_then(|why| why.split_once(" to ")) {
                Some((_, to)) => is_there = full.strip_prefix("refs/heads/") == Some(to),
                None if is_there => drop(moved.insert(sha)),
                None => {}
            }
        }
        Ok(moved)
    }

    /// Returns the commits made while a branch was checked out anywhere, from the branch's reflog.
    pub async fn made_on(&self, full: &str) -> Result<BTreeSet<String>, GitError> {
        self.made_by_log(&self.main_checkout(), full).await
    }

    async fn made_by_log(&self, at: &Checkout, name: &str) -> Result<BTreeSet<String>, GitError> {
        let made = self.log_of(at, name).await?.into_iter().filter(|(_, why)| why.starts_with("commit"));
        Ok(made.map(|(sha, _)| sha).collect())
    }

    /// Returns the commits at which a ref or a checkout has been with the reason of each move, newest first.
    pub(super) async fn log_of(&self, at: &Checkout, name: &str) -> Result<Vec<(String, String)>, GitError> {
        let format = "--format=%H %gs";
        let call = Call::new(["log", "--walk-reflogs", LOG_ENTRIES, "--no-show-signature", format, name, "--"]);
        let output = self.run(at, call).await?;
        let pair = |line: &str| line.split_once(' ').map(|(sha, why)| (sha.to_owned(), why.to_owned()));
        // Fails without a reflog: then nothing is known.
        Ok(output.text().lines().filter(|_| output.success()).filter_map(pair).collect())
    }

    /// Returns the commits that a move added to a ref, newest first, up to the number that a run can make.
    pub async fn commits_added(&self, before: Option<&str>, after: &str) -> Result<Vec<String>, GitError> {
        let mut call = Call::new(["rev-list", LOG_ENTRIES]).arg(require_sha(after)?);
        if let Some(before) = before {
            call = call.arg(format!("^{}", require_sha(before)?));
        }
        Ok(self.ask(&self.main_checkout(), call.arg("--")).await?.text().lines().map(str::to_owned).collect())
    }
}

/// Returns marks of the changed files of the main checkout.
fn files(root: &Path, status: &Status, salt: u64) -> BTreeMap<String, (String, Mark)> {
    let mut left = marks::READ_AT_MOST;
    let mark = |difference: &super::status::Difference| {
        let mark = Mark::read(&root.join(&difference.path), salt, &mut left);
        (difference.path.to_string_lossy().into_owned(), (difference.code.clone(), mark))
    };
    status.differences.iter().map(mark).collect()
}
