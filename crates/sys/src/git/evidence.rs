//! Collects the evidence of a task's work: what a branch holds beyond its base, read by orch itself, whatever the agent
//! says.

use super::base::require_sha;
use super::call::{Call, Checkout};
use super::error::GitError;
use super::inprogress::Operation;
use super::repo::Repo;
use super::status::Untracked;
use crate::process::ProcessError;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The most commits that are listed.
const COMMITS_MAX: &str = "--max-count=10000";
/// Options of every diff: no program of the repository runs, no submodule is inspected.
pub(super) const DIFF: [&str; 5] =
    ["diff", "--no-ext-diff", "--no-textconv", "--no-renames", "--ignore-submodules=dirty"];
/// How many files are requested one by one when they do not fit together.
const SINGLE: usize = 200;
/// Estimated bytes of a changed line in a patch, with its share of context: to guess which files fit.
const BYTES_PER_LINE: u64 = 80;

/// The state of a worktree compared with its base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The commit the work started from.
    pub base: String,
    /// The commit that is checked out now.
    pub head: String,
    /// The branch that is checked out there now; `None` when detached.
    pub branch: Option<String>,
    /// Commits from `base` to `head`, the oldest first, at most 10 000.
    pub commits: Vec<String>,
    /// The number of changed files.
    pub files: u64,
    /// The first changed files, at most 100.
    pub changed: Vec<PathBuf>,
    /// The number of added lines.
    pub insertions: u64,
    /// The number of removed lines.
    pub deletions: u64,
    /// Whether there are uncommitted changes.
    pub dirty: bool,
    /// The git operation that is in progress in the worktree, if any.
    pub operation: Option<Operation>,
}

/// The change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The path relative to the repository.
    pub path: PathBuf,
    /// Number of added lines; 0 for a binary file.
    pub insertions: u64,
    /// Number of removed lines; 0 for a binary file.
    pub deletions: u64,
}

/// A diff as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The diff. Bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Files that were left out because they did not fit.
    pub omitted: Vec<PathBuf>,
}

/// The most changed files that are listed.
const NAMED: usize = 100;

impl Repo {
    /// Inspects a worktree with three git commands. Changes nothing.
    pub async fn evidence(&self, at: &Checkout, base: &str) -> Result<Evidence, GitError> {
        require_sha(base)?;
        let status = self.status(at, Untracked::Directories).await?;
        let head = status.head.ok_or_else(|| GitError::NoCommits { path: at.work_tree.clone() })?;
        let range = format!("{base}..{head}");
        let list = Call::new(["rev-list", "--reverse", COMMITS_MAX, &range, "--"]);
        let (list, changes) = tokio::try_join!(self.ask(at, list), self.diff_stat(at, base, &head))?;
        self.require_whole(at, base, &head, &list.stdout, &changes).await?;
        Ok(Evidence {
            base: base.to_owned(),
            head,
            branch: status.branch,
            commits: list.text().lines().map(str::to_owned).collect(),
            files: changes.len() as u64,
            insertions: changes.iter().map(|change| change.insertions).sum(),
            deletions: changes.iter().map(|change| change.deletions).sum(),
            changed: changes.into_iter().take(NAMED).map(|change| change.path).collect(),
            dirty: !status.differences.is_empty(),
            operation: at.operation(),
        })
    }

    /// Rejects incomplete output: no commits between two commits although one follows the other, or no changed files
    /// although the trees differ.
    async fn require_whole(
        &self,
        at: &Checkout,
        base: &str,
        head: &str,
        list: &[u8],
        changes: &[FileChange],
    ) -> Result<(), GitError> {
        if head == base {
            return Ok(());
        }
        if list.is_empty() && !self.is_ancestor(head, base).await? {
            return Err(GitError::unexpected("git rev-list", "the answer breaks off"));
        }
        if changes.is_empty() && !list.is_empty() && self.tree_of(at, base).await? != self.tree_of(at, head).await? {
            // A change that the base has reverted since is no difference either.
            let shared = self.merge_base(base, head).await?;
            let is_changed = match shared {
                Some(shared) => self.tree_of(at, &shared).await? != self.tree_of(at, head).await?,
                None => true,
            };
            if is_changed {
                return Err(GitError::unexpected("git diff --numstat", "the answer breaks off"));
            }
        }
        Ok(())
    }

    /// Returns how many commits `head` has that `base` has not.
    pub async fn commits_between(&self, base: &str, head: &str) -> Result<usize, GitError> {
        let range = format!("{}..{}", require_sha(base)?, require_sha(head)?);
        let counted = self.ask(&self.main_checkout(), Call::new(["rev-list", "--count", &range, "--"])).await?.text();
        counted
            .parse()
            .map_err(|_| GitError::Unexpected { command: "git rev-list --count".to_owned(), detail: counted })
    }

    /// Returns the commits of `head` that `base` does not have, newest first: short hash and subject of at most `limit`
    /// commits.
    pub async fn subjects_between(&self, base: &str, head: &str, limit: usize) -> Result<Vec<String>, GitError> {
        let range = format!("{}..{}", require_sha(base)?, require_sha(head)?);
        let call = Call::new(["log", "--no-show-signature", "--no-decorate", "--no-color", "--format=%h %s"]);
        let call = call.arg(format!("--max-count={limit}")).arg(&range).arg("--");
        Ok(self.ask(&self.main_checkout(), call).await?.text().lines().map(str::to_owned).collect())
    }

    /// Returns the files of a checkout that differ from `base`, committed or not. Takes no lock.
    pub async fn touched(&self, at: &Checkout, base: &str) -> Result<Vec<PathBuf>, GitError> {
        let changed = Call::new(DIFF).arg("--name-only").arg("-z").arg(require_sha(base)?).arg("--");
        let unknown = Call::new(["ls-files", "--others", "--exclude-standard", "-z", "--"]);
        let (changed, unknown) = tokio::try_join!(self.ask(at, changed), self.ask(at, unknown))?;
        let names = |bytes: Vec<u8>| {
            let names = bytes.split(|b| *b == 0).filter(|name| !name.is_empty());
            names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect::<Vec<_>>()
        };
        Ok([names(changed.stdout), names(unknown.stdout)].concat())
    }

    /// Returns the files that changed between the merge base of two commits and the second one.
    pub async fn diff_stat(&self, at: &Checkout, base: &str, head: &str) -> Result<Vec<FileChange>, GitError> {
        let call = Call::new(DIFF).arg("--numstat").arg("-z").arg(range(base, head)?).arg("--");
        let output = self.ask(at, call).await?;
        parse_numstat(&output.stdout).ok_or_else(|| GitError::Unexpected {
            command: "git diff --numstat".to_owned(),
            detail: "a line of an unknown form".to_owned(),
        })
    }

    /// Returns the diff text, at most `limit` bytes. Of a longer one, whole files are left out and named.
    pub async fn diff(&self, at: &Checkout, base: &str, head: &str, limit: usize) -> Result<Patch, GitError> {
        let all = Call::new(DIFF).arg(range(base, head)?).output_limit(limit).arg("--");
        if let Some(text) = self.unless_too_long(at, all).await? {
            return Ok(Patch { text, omitted: Vec::new() });
        }
        let changes = self.diff_stat(at, base, head).await?;
        let mut left = limit as u64;
        let (fitting, omitted): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| {
            let size = (change.insertions + change.deletions + 16) * BYTES_PER_LINE;
            let fits = size <= left;
            left -= if fits { size } else { 0 };
            fits
        });
        let mut omitted: Vec<PathBuf> = omitted.into_iter().map(|change| change.path).collect();
        let some = |paths: &[FileChange], limit: usize| -> Result<Call, GitError> {
            let call = Call::new(DIFF).arg(range(base, head)?).output_limit(limit).arg("--");
            Ok(paths.iter().fold(call, |call, change| call.arg(&change.path)))
        };
        if !fitting.is_empty()
            && let Some(text) = self.unless_too_long(at, some(&fitting, limit)?).await?
        {
            return Ok(Patch { text, omitted });
        }
        // Lines may be long: one file that is larger than estimated must not hide the others.
        let mut text = String::new();
        for (number, change) in fitting.into_iter().enumerate() {
            let left = limit.saturating_sub(text.len());
            let one = match number < SINGLE && left > 0 {
                true => self.unless_too_long(at, some(std::slice::from_ref(&change), left)?).await?,
                false => None,
            };
            match one {
                Some(one) => text.push_str(&one),
                None => omitted.push(change.path),
            }
        }
        Ok(Patch { text, omitted })
    }

    pub(super) async fn unless_too_long(&self, at: &Checkout, call: Call) -> Result<Option<String>, GitError> {
        match self.ask(at, call).await {
            Ok(output) => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
            Err(GitError::Process(ProcessError::TooMuchOutput { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn range(base: &str, head: &str) -> Result<String, GitError> {
    Ok(format!("{}...{}", require_sha(base)?, require_sha(head)?))
}

/// Parses `<added>\t<removed>\t<path>\0…`; `-` means "binary".
fn parse_numstat(bytes: &[u8]) -> Option<Vec<FileChange>> {
    let change = |line: &[u8]| {
        let mut fields = line.splitn(3, |b| *b == b'\t');
        let mut number = || {
            let text = std::str::from_utf8(fields.next()?).ok()?;
            if text == "-" { Some(0) } else { text.parse().ok() }
        };
        let (insertions, deletions) = (number()?, number()?);
        Some(FileChange { path: PathBuf::from(OsStr::from_bytes(fields.next()?)), insertions, deletions })
    };
    bytes.split(|b| *b == 0).filter(|line| !line.is_empty()).map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_for_text_and_binary_files() {
        let changes = parse_numstat(b"3\t1\ta\tb c\0-\t-\tx.png\0").expect("a numstat");
        assert_eq!(changes.len(), 2);
        assert_eq!((changes[0].insertions, changes[0].deletions), (3, 1));
        assert_eq!(changes[0].path, PathBuf::from("a\tb c"));
        assert_eq!((changes[1].insertions, changes[1].deletions), (0, 0));
        assert_eq!(parse_numstat(b"what\0"), None);
    }
}
