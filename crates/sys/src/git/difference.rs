//! The complete difference of a branch from its base, including what a commit added and a later one removed again.

use super::base::require_sha;
use super::call::{Call, Checkout};
use super::error::GitError;
use super::evidence::{DIFF, FileChange, Patch, range};
use super::repo::{Repo, is_sha};
use orch_core::tasks::change::{ChangedFile, Collision, NewPath, collisions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The most that is read of the difference and of the history, in bytes.
const PATCH: usize = 8 << 20;
const HISTORY: usize = 16 << 20;
/// How many files that attributes declare binary are inspected, and how many bytes of each.
const HIDDEN: usize = 100;
const ONE_HIDDEN: usize = 1 << 20;
/// How many whole trees are searched for colliding paths.
const TREES: usize = 100;

/// How a branch differs from its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The changed files with their modes.
    pub files: Vec<ChangedFile>,
    /// The diff text.
    pub patch: String,
    /// Files that were too large to inspect.
    pub omitted: Vec<PathBuf>,
    /// The patches of the single commits, if there are several; `None` when they are too large.
    pub history: Option<String>,
    /// Every file that some commit added, with its size in bytes.
    pub blobs: Vec<(String, u64)>,
    /// Every path that some commit added.
    pub names: Vec<NewPath>,
    /// Paths in the tree of some commit that collide on case-insensitive file systems.
    pub collisions: Vec<Collision>,
    /// The tree object of the branch's tip.
    pub tree: String,
}

impl Repo {
    /// Computes how `head` differs from `base`; `commits` lie between the two. Changes nothing.
    pub async fn difference(
        &self,
        at: &Checkout,
        base: &str,
        head: &str,
        commits: usize,
    ) -> Result<Difference, GitError> {
        let (files, patch, history, blobs, names, tree) = tokio::try_join!(
            self.changed_files(at, base, head),
            self.whole_patch(at, base, head),
            self.history_patch(at, base, head, commits),
            self.new_blobs(at, base, head),
            self.new_paths(at, base, head),
            self.tree_of(at, head),
        )?;
        // Three commands report the same files: where they disagree, one of the outputs is incomplete.
        let is_whole = files.is_empty() == (patch.text.is_empty() && patch.omitted.is_empty());
        if !is_whole {
            return Err(unexpected("git diff"));
        }
        let collisions = self.collisions(at, base, &names).await?;
        let (patch, omitted) = (patch.text, patch.omitted);
        Ok(Difference { files, patch, omitted, history, blobs, names, collisions, tree })
    }

    /// Returns the paths that each commit added, including those that a later one removes.
    async fn new_paths(&self, at: &Checkout, base: &str, head: &str) -> Result<Vec<NewPath>, GitError> {
        let log =
            ["log", "-z", "--format=%x01%H", "--name-only", "--diff-filter=A", "-m", "--no-renames", "--no-ext-diff"];
        let range = format!("{}..{}", require_sha(base)?, require_sha(head)?);
        let output = self.ask(at, Call::new(log).arg("--ignore-submodules=dirty").arg(range).arg("--")).await?;
        Ok(parse_names(&output.stdout))
    }

    /// Returns the paths that collide in the tree of the commit that added one of them. Only trees of commits that
    /// added a path which collides with another one of the base or the branch are read.
    async fn collisions(&self, at: &Checkout, base: &str, names: &[NewPath]) -> Result<Vec<Collision>, GitError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let paths = || names.iter().map(|name| name.path.as_str());
        let before = self.paths_of(at, base).await?;
        let suspected = collisions(before.iter().map(String::as_str).chain(paths()), paths());
        let is_suspected = |name: &&NewPath| {
            let is_of =
                |path: &str| name.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            suspected.iter().any(|one| is_of(&one.path))
        };
        let mut by_commit: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in names.iter().filter(is_suspected) {
            by_commit.entry(&name.commit).or_default().push(&name.path);
        }
        let mut found = BTreeSet::new();
        for (commit, new) in by_commit.into_iter().take(TREES) {
            let tree = self.paths_of(at, commit).await?;
            found.extend(collisions(tree.iter().map(String::as_str), new.into_iter()));
        }
        Ok(found.into_iter().collect())
    }

    /// Returns all paths of a commit's tree.
    async fn paths_of(&self, at: &Checkout, commit: &str) -> Result<Vec<String>, GitError> {
        let call = Call::new(["ls-tree", "-r", "-z", "--name-only", "--full-tree", require_sha(commit)?]);
        let names = self.ask(at, call).await?.stdout;
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// Returns the diff text, including files that the branch's own attributes declare binary.
    async fn whole_patch(&self, at: &Checkout, base: &str, head: &str) -> Result<Patch, GitError> {
        let mut patch = self.diff(at, base, head, PATCH).await?;
        let changes = self.diff_stat(at, base, head).await?;
        let no_lines = |change: &FileChange| change.insertions + change.deletions == 0;
        for change in changes.into_iter().filter(no_lines).take(HIDDEN) {
            let call = Call::new(DIFF).arg("--text").arg(range(base, head)?).output_limit(ONE_HIDDEN);
            if let Some(text) = self.unless_too_long(at, call.arg("--").arg(&change.path)).await?
                && !text.contains('\0')
            {
                patch.text.push_str(&text);
            }
        }
        Ok(patch)
    }

    /// Returns the files that `other` changed since it forked from `own`, and that `head`, a merge of both, has as in
    /// `own`.
    pub async fn undone(&self, at: &Checkout, own: &str, other: &str, head: &str) -> Result<Vec<String>, GitError> {
        let Some(parting) = self.merge_base(own, other).await? else { return Ok(Vec::new()) };
        let (theirs, taken, kept) = tokio::try_join!(
            self.names_between(at, &parting, other),
            self.names_between(at, other, head),
            self.names_between(at, own, head),
        )?;
        Ok(theirs.intersection(&taken).filter(|path| !kept.contains(*path)).cloned().collect())
    }

    /// Returns the paths in which two commits differ.
    pub(super) async fn names_between(
        &self,
        at: &Checkout,
        one: &str,
        two: &str,
    ) -> Result<BTreeSet<String>, GitError> {
        let call = Call::new(["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff"]);
        let names = self.ask(at, call.arg(require_sha(one)?).arg(require_sha(two)?).arg("--")).await?.stdout;
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// Returns the tree object of a commit.
    pub async fn tree_of(&self, at: &Checkout, commit: &str) -> Result<String, GitError> {
        let call =
            Call::new(["rev-parse", "--verify", "--end-of-options"]).arg(format!("{}^{{tree}}", require_sha(commit)?));
        Ok(self.ask(at, call).await?.text())
    }

    async fn changed_files(&self, at: &Checkout, base: &str, head: &str) -> Result<Vec<ChangedFile>, GitError> {
        let call = Call::new(DIFF).args(["--raw", "--no-abbrev", "-z"]).arg(range(base, head)?).arg("--");
        parse_raw(&self.ask(at, call).await?.stdout).ok_or_else(|| unexpected("git diff --raw"))
    }

    async fn history_patch(
        &self,
        at: &Checkout,
        base: &str,
        head: &str,
        commits: usize,
    ) -> Result<Option<String>, GitError> {
        if commits < 2 {
            return Ok(Some(String::new()));
        }
        let log = ["log", "--patch", "--format=", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color"];
        let call = || -> Result<Call, GitError> {
            Ok(Call::new(log).arg(format!("{}..{}", require_sha(base)?, require_sha(head)?)).output_limit(HISTORY))
        };
        match self.unless_too_long(at, call()?.arg("--text").arg("--")).await? {
            Some(text) => Ok(Some(text)),
            None => self.unless_too_long(at, call()?.arg("--")).await,
        }
    }

    async fn new_blobs(&self, at: &Checkout, base: &str, head: &str) -> Result<Vec<(String, u64)>, GitError> {
        let list = Call::new(["rev-list", "--objects"]).arg(require_sha(head)?).arg(format!("^{}", require_sha(base)?));
        let objects = self.ask(at, list.arg("--")).await?.stdout;
        let asked = objects.iter().filter(|byte| **byte == b'\n').count();
        if asked == 0 {
            return Ok(Vec::new());
        }
        let sizes = Call::new(["cat-file", "--batch-check=%(objecttype) %(objectsize) %(rest)"]).stdin(objects);
        let sizes = self.ask(at, sizes).await?.stdout;
        let blob = |line: &str| {
            let (size, path) = line.strip_prefix("blob ")?.split_once(' ')?;
            Some((path.to_owned(), size.parse().ok()?))
        };
        let sizes_text = String::from_utf8_lossy(&sizes);
        if sizes_text.lines().count() != asked {
            return Err(GitError::unexpected("git cat-file", "the answer breaks off"));
        }
        Ok(sizes_text.lines().filter_map(blob).collect())
    }

    /// Returns the text of a file at `commit`; `None` when it is missing or longer than `limit` bytes.
    pub async fn text_at(
        &self,
        at: &Checkout,
        commit: &str,
        path: &str,
        limit: usize,
    ) -> Result<Option<String>, GitError> {
        let object = format!("{}:{path}", require_sha(commit)?);
        if !self.has_object(at, &object).await? {
            return Ok(None);
        }
        self.unless_too_long(at, Call::new(["cat-file", "-p"]).output_limit(limit).arg(object)).await
    }

    /// Resets the tracked files of a checkout to its commit.
    pub async fn restore_tracked(&self, at: &Checkout) -> Result<(), GitError> {
        self.ask(at, Call::new(["reset", "--quiet", "--hard"])).await.map(drop)
    }

    /// Resets a scratch checkout to its commit, except for ignored files.
    pub async fn take_back_changes(&self, at: &Checkout) -> Result<(), GitError> {
        self.ask(at, Call::new(["reset", "--quiet", "--hard"])).await?;
        self.ask(at, Call::new(["clean", "--quiet", "-d", "--force"])).await?;
        Ok(())
    }

    /// Restores files of a scratch checkout from `commit`; those that it does not contain are removed.
    pub async fn restore_files(&self, at: &Checkout, commit: &str, paths: &[String]) -> Result<(), GitError> {
        for path in paths {
            if self.has_object(at, &format!("{}:{path}", require_sha(commit)?)).await? {
                let call = Call::new(["checkout", "--quiet", "--no-overlay"]).arg(commit).arg("--").arg(path);
                self.ask(at, call).await?;
            } else if let Err(source) = std::fs::remove_file(at.work_tree.join(path))
                && source.kind() != std::io::ErrorKind::NotFound
            {
                return Err(GitError::Io { path: at.work_tree.join(path), source });
            }
        }
        Ok(())
    }
}

fn unexpected(command: &str) -> GitError {
    GitError::Unexpected { command: command.to_owned(), detail: "a line of an unknown form".to_owned() }
}

/// Parses `\x01<commit>\0\n<path>\0<path>\0…`.
fn parse_names(bytes: &[u8]) -> Vec<NewPath> {
    let (mut names, mut commit, mut is_first) = (Vec::new(), String::new(), false);
    for field in bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
        let text = String::from_utf8_lossy(field);
        if let Some(sha) = text.strip_prefix('\u{1}').filter(|sha| is_sha(sha)) {
            (commit, is_first) = (sha.to_owned(), true);
            continue;
        }
        let path = if std::mem::take(&mut is_first) { text.strip_prefix('\n').unwrap_or(&*text) } else { &*text };
        names.push(NewPath { commit: commit.clone(), path: path.to_owned() });
    }
    names
}

/// Parses `:<old mode> <new mode> <old> <new> <status>\0<path>\0…`, without renames.
fn parse_raw(bytes: &[u8]) -> Option<Vec<ChangedFile>> {
    let mut fields = bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let mut files = Vec::new();
    while let Some(head) = fields.next() {
        let head = std::str::from_utf8(head.strip_prefix(b":")?).ok()?;
        let mut modes = head.split(' ').map(|mode| u32::from_str_radix(mode, 8).ok());
        let (old_mode, new_mode) = (modes.next()??, modes.next()??);
        let path = String::from_utf8_lossy(fields.next()?).into_owned();
        files.push(ChangedFile { path, old_mode, new_mode });
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_came_are_read_with_their_commits() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let names = parse_names(format!("\u{1}{one}\0\n.GIT/x\0b c\0\u{1}{two}\0\na\0").as_bytes());
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (&name.commit[..1], name.path.as_str())).collect();
        assert_eq!(pairs, [("1", ".GIT/x"), ("1", "b c"), ("2", "a")]);
    }

    #[test]
    fn modes_and_names_of_changed_files_are_read() {
        let raw = b":000000 120000 0000 1234 A\0a\tb\0:100644 000000 1234 0000 D\0c d\0";
        let files = parse_raw(raw).expect("a raw diff");
        assert_eq!(files[0], ChangedFile { path: "a\tb".into(), old_mode: 0, new_mode: 0o120_000 });
        assert_eq!(files[1], ChangedFile { path: "c d".into(), old_mode: 0o100_644, new_mode: 0 });
        assert_eq!(parse_raw(b"what\0a\0"), None);
    }
}
