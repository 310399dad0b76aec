//! Lists the checkouts that are registered in a repository.

use super::call::{Call, Checkout};
use super::error::GitError;
use super::repo::Repo;
use crate::fs;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The lock reason with which git marks a worktree whose creation is not finished.
const UNFINISHED: &str = "initializing";

/// Whether the directory of a registered checkout exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It exists.
    There,
    /// It is missing (deleted by hand, or on an unavailable disk).
    Missing,
    /// git was killed during its creation: it contains no work.
    Unfinished,
}

/// A registered checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The directory of its files.
    pub(crate) path: PathBuf,
    /// The checked-out commit; `None` before the first one.
    pub(crate) head: Option<String>,
    /// The full name of the ref that is checked out; `None` when detached.
    pub(crate) branch: Option<String>,
    /// Whether it is no checkout (the first entry of a bare repository).
    pub(crate) bare: bool,
    /// The reason of its lock, if it is locked.
    pub(crate) locked: Option<String>,
}

impl Entry {
    pub(crate) fn presence(&self) -> Presence {
        if self.locked.as_deref() == Some(UNFINISHED) {
            return Presence::Unfinished;
        }
        if self.path.join(".git").symlink_metadata().is_ok() { Presence::There } else { Presence::Missing }
    }
}

impl Repo {
    /// Returns all checkouts, the main one first.
    pub(crate) async fn entries(&self) -> Result<Vec<Entry>, GitError> {
        let zero = self.git.version() >= (2, 36);
        let args: &[&str] =
            if zero { &["worktree", "list", "--porcelain", "-z"] } else { &["worktree", "list", "--porcelain"] };
        let output = self.ask(&self.main_checkout(), Call::new(args)).await?;
        let entries = parse_entries(&output.stdout, if zero { 0 } else { b'\n' });
        // The list always contains the main checkout.
        if entries.is_empty() { Err(GitError::unexpected("git worktree list", "it is empty")) } else { Ok(entries) }
    }

    /// Returns the directories of the linked checkout at `path`: the entry of `<common>/worktrees` that points to it.
    ///
    /// The pointer inside the checkout is ignored, because anyone who works there can change it.
    pub(crate) fn linked_checkout(&self, path: &Path) -> Result<Option<Checkout>, GitError> {
        let directory = self.common_dir.join("worktrees");
        let checkout = |git_dir| Checkout { work_tree: path.to_owned(), git_dir, common_dir: self.common_dir.clone() };
        // git names the entry after the directory, unless that name is taken.
        let likely = path.file_name().map(|name| directory.join(name)).filter(|git_dir| is_of(git_dir, path));
        if likely.is_some() {
            return Ok(likely.map(checkout));
        }
        let io = |source| GitError::Io { path: directory.clone(), source };
        let names = match std::fs::read_dir(&directory) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        for name in names {
            let git_dir = name.map_err(io)?.path();
            if is_of(&git_dir, path) {
                return Ok(Some(checkout(git_dir)));
            }
        }
        Ok(None)
    }
}

/// Returns whether a git directory belongs to the checkout at a path.
fn is_of(git_dir: &Path, path: &Path) -> bool {
    let Ok(pointer) = fs::read_limited(&git_dir.join("gitdir"), 16 << 10) else { return false };
    let file = git_dir.join(OsStr::from_bytes(pointer.trim_ascii_end()));
    file.file_name() == Some(OsStr::new(".git")) && file.parent().is_some_and(|dir| same_place(dir, path))
}

/// Returns whether two paths name the same directory, even if it no longer exists.
pub(crate) fn same_place(one: &Path, other: &Path) -> bool {
    one == other || (one.file_name() == other.file_name() && settled(one) == settled(other))
}

/// Resolves the symbolic links of a path's parent; its last component stays.
pub(crate) fn settled(path: &Path) -> PathBuf {
    match (path.parent().and_then(|parent| parent.canonicalize().ok()), path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

fn parse_entries(bytes: &[u8], separator: u8) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in bytes.split(|b| *b == separator) {
        let (key, value) = match line.iter().position(|b| *b == b' ') {
            Some(end) => (&line[..end], &line[end + 1..]),
            None => (line, &b""[..]),
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        if key == b"worktree" {
            let path = PathBuf::from(OsStr::from_bytes(value));
            entries.push(Entry { path, head: None, branch: None, bare: false, locked: None });
        } else if let Some(entry) = entries.last_mut() {
            match key {
                b"HEAD" => entry.head = value.iter().any(|b| *b != b'0').then(text),
                b"branch" => entry.branch = Some(text()),
                b"bare" => entry.bare = true,
                b"locked" => entry.locked = Some(text()),
                _later_or_unused => {}
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_worktrees_is_read() {
        let text = b"worktree /a b\0HEAD 0000\0branch refs/heads/main\0\0worktree /c\0HEAD 12ab\0detached\0locked initializing\0prunable gone\0\0";
        let entries = parse_entries(text, 0);
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].path.as_path(), entries[0].head.as_deref()), (Path::new("/a b"), None));
        assert_eq!(entries[0].branch.as_deref(), Some("refs/heads/main"));
        assert_eq!((entries[1].head.as_deref(), entries[1].branch.as_deref()), (Some("12ab"), None));
        assert_eq!(entries[1].presence(), Presence::Unfinished);
    }
}
