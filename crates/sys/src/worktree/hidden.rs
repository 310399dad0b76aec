//! Hides entries at the top of a checkout while an agent works there: files that its CLI would read as its own
//! settings, and execute. They are put back when the run is over.
//!
//! A note in the checkout's own git directory is written before the first file moves, and removed after the last one is
//! back, so that the files are restored after a crash. They are marked `skip-worktree` in the index, so that no status
//! and no commit shows them as deleted.

use super::survey::blocking;
use crate::fs::{self, Durability};
use crate::git::{CHECKOUT, Call, Checkout, GitError, Repo, Untracked};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name of the note, in the checkout's own git directory.
const NOTE: &str = "orch-hidden.json";
/// The directory of the hidden files, beside the note.
const STORE: &str = "orch-hidden";
/// The largest note that is read, in bytes.
const NOTE_LIMIT: usize = 64 << 20;

/// The note about what is hidden in a checkout.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    /// The hidden top-level entries.
    names: Vec<String>,
    /// The unmodified files in them, with their hash in the index.
    unchanged: BTreeMap<PathBuf, String>,
}

/// A file in the index.
struct Indexed {
    path: PathBuf,
    hash: String,
    /// Whether it is marked `skip-worktree`.
    is_skipped: bool,
}

impl Repo {
    /// Hides the top-level entries of a checkout that have one of these names, and returns their names. Case is
    /// ignored, as on some file systems. What is hidden already is put back first.
    ///
    /// No process may work in the checkout.
    ///
    /// # Errors
    /// git or the file system fails. What was moved by then is put back by [`Self::reveal`].
    pub async fn hide(&self, at: &Checkout, names: &'static [&'static str]) -> Result<Vec<String>, GitError> {
        self.reveal(at).await?;
        let root = at.work_tree.clone();
        let found = blocking(move || named(&root, names)).await??;
        if found.is_empty() {
            return Ok(found);
        }
        at.clear_stale_locks(None).await?;
        let indexed = self.indexed(at, &found).await?;
        let differs = |code: &str| code.as_bytes().get(1) != Some(&b'.');
        let differences = self.status(at, Untracked::No).await?.differences;
        let changed: BTreeSet<PathBuf> =
            differences.into_iter().filter(|one| differs(&one.code)).map(|one| one.path).collect();
        let unchanged = indexed.iter().filter(|file| !changed.contains(&file.path));
        let unchanged = unchanged.map(|file| (file.path.clone(), file.hash.clone())).collect();
        let note = serde_json::to_vec(&Note { names: found.clone(), unchanged });
        let note = note.map_err(|error| failed(at.git_dir.join(NOTE), io::Error::other(error)))?;
        fs::write_private(&at.git_dir.join(NOTE), &note, Durability::Synced)
            .map_err(|error| failed(at.git_dir.join(NOTE), io::Error::other(error)))?;
        self.mark_indexed(at, "--skip-worktree", indexed.iter().map(|file| &file.path)).await?;
        let (at, moving) = (at.clone(), found.clone());
        blocking(move || {
            let store = at.git_dir.join(STORE);
            moving.iter().try_for_each(|name| relocate(&at.work_tree.join(name), &store.join(name)))
        })
        .await??;
        Ok(found)
    }

    /// Puts back what [`Self::hide`] has hidden. A file that was created in the place of a hidden one stays; a file
    /// that git changed meanwhile is restored from git. Idempotent.
    ///
    /// # Errors
    /// git or the file system fails; the call has to be repeated.
    pub async fn reveal(&self, at: &Checkout) -> Result<(), GitError> {
        let file = at.git_dir.join(NOTE);
        let note = match fs::read_limited(&file, NOTE_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(failed(file, io::Error::other(error))),
        };
        let note: Note = serde_json::from_slice(&note).map_err(|error| failed(file.clone(), error.into()))?;
        at.clear_stale_locks(None).await?;
        let indexed = self.indexed(at, &note.names).await?;
        let skipped: Vec<PathBuf> =
            indexed.iter().filter(|file| file.is_skipped).map(|file| file.path.clone()).collect();
        let hashes: BTreeMap<PathBuf, String> = indexed.into_iter().map(|file| (file.path, file.hash)).collect();
        let back = {
            let at = at.clone();
            let is_back = move || put_back(&at.work_tree, &at.git_dir.join(STORE), &note, &hashes);
            blocking(is_back).await?
        };
        back?;
        let is_missing = |path: &&PathBuf| at.work_tree.join(path).symlink_metadata().is_err();
        let missing: Vec<u8> = skipped.iter().filter(is_missing).flat_map(|path| terminated(path)).collect();
        self.mark_indexed(at, "--no-skip-worktree", skipped.iter()).await?;
        if !missing.is_empty() {
            let call = Call::new(["checkout-index", "-u", "-z", "--stdin"]).stdin(missing).time_limit(CHECKOUT);
            self.ask(at, call).await?;
        }
        let store = at.git_dir.join(STORE);
        remove(&store).and_then(|()| remove(&file)).map_err(|source| failed(store, source))
    }

    /// Clears the flags that make git ignore changes of these files, whose content would be lost. Missing files stay as
    /// in the index.
    pub async fn look_everywhere(&self, at: &Checkout) -> Result<(), GitError> {
        let concealed = self.concealed(at).await?;
        if concealed.is_empty() {
            return Ok(());
        }
        at.clear_stale_locks(None).await?;
        let (skipped, assumed) =
            (concealed.iter().filter(|file| file.is_skipped), concealed.iter().filter(|file| file.is_assumed));
        self.mark_indexed(at, "--no-skip-worktree", skipped.map(|file| &file.path)).await?;
        self.mark_indexed(at, "--no-assume-unchanged", assumed.map(|file| &file.path)).await
    }

    /// Returns the files of the index below these entries.
    async fn indexed(&self, at: &Checkout, names: &[String]) -> Result<Vec<Indexed>, GitError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        // Paths are literal in every git call of orch, so that a name in another case is found only by listing all of
        // them.
        let listed = self.ask(at, Call::new(["ls-files", "-t", "-s", "-z"])).await?.stdout;
        let is_below = |path: &Path| {
            let top = path.components().next().map(|top| top.as_os_str().to_owned()).unwrap_or_default();
            names.iter().any(|name| top.eq_ignore_ascii_case(name))
        };
        // `H 100644 HASH 0<tab>PATH`
        let one = |line: &[u8]| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let (facts, path) = (std::str::from_utf8(line.get(..tab)?).ok()?, line.get(tab + 1..)?);
            let mut facts = facts.split(' ');
            let (tag, _mode, hash, stage) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
            let path = PathBuf::from(OsStr::from_bytes(path));
            (stage == "0" && is_below(&path)).then(|| Indexed { path, hash: hash.to_owned(), is_skipped: tag == "S" })
        };
        Ok(listed.split(|byte| *byte == 0).filter_map(one).collect())
    }

    async fn mark_indexed(
        &self,
        at: &Checkout,
        mark: &str,
        paths: impl Iterator<Item = &PathBuf>,
    ) -> Result<(), GitError> {
        let paths: Vec<u8> = paths.flat_map(|path| terminated(path)).collect();
        if paths.is_empty() {
            return Ok(());
        }
        self.ask(at, Call::new(["update-index", mark, "-z", "--stdin"]).stdin(paths)).await.map(drop)
    }
}

fn terminated(path: &Path) -> Vec<u8> {
    [path.as_os_str().as_bytes(), &[0]].concat()
}

fn failed(path: PathBuf, source: io::Error) -> GitError {
    GitError::Io { path, source }
}

/// Returns the entries of a directory that have one of the names.
fn named(root: &Path, names: &[&str]) -> Result<Vec<String>, GitError> {
    let entries = std::fs::read_dir(root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|source| failed(root.to_owned(), source))?;
    let texts = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> = texts.filter(|name| names.iter().any(|one| one.eq_ignore_ascii_case(name))).collect();
    found.sort();
    Ok(found)
}

/// Moves the hidden entries back to their place. `hashes` is what the index has there now.
fn put_back(root: &Path, store: &Path, note: &Note, hashes: &BTreeMap<PathBuf, String>) -> Result<(), GitError> {
    let goes_back = |path: &Path| {
        let before = note.unchanged.get(path);
        // Files that git has changed or removed meanwhile are restored by git.
        before.is_none_or(|hash| hashes.get(path) == Some(hash))
    };
    let all_go_back = |below: &Path| note.unchanged.keys().filter(|path| path.starts_with(below)).all(|p| goes_back(p));
    note.names.iter().try_for_each(|name| restore(root, store, Path::new(name), &goes_back, &all_go_back))
}

/// Restores one entry, whole where that is possible.
fn restore(
    root: &Path,
    store: &Path,
    path: &Path,
    goes_back: &dyn Fn(&Path) -> bool,
    all_go_back: &dyn Fn(&Path) -> bool,
) -> Result<(), GitError> {
    let (from, to) = (store.join(path), root.join(path));
    let Ok(stored) = from.symlink_metadata() else { return Ok(()) };
    let there = to.symlink_metadata().ok();
    if there.is_none() && (if stored.is_dir() { all_go_back(path) } else { goes_back(path) }) {
        return relocate(&from, &to);
    }
    // Nothing is written through a link that was created there.
    if !stored.is_dir() || there.is_some_and(|there| !there.is_dir()) {
        return Ok(());
    }
    let entries = std::fs::read_dir(&from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|source| failed(from, source))?;
    entries.iter().try_for_each(|one| restore(root, store, &path.join(one.file_name()), goes_back, all_go_back))
}

/// Moves a file or a directory, also across file systems. The target appears complete or not at all.
fn relocate(from: &Path, to: &Path) -> Result<(), GitError> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(|source| failed(parent.to_owned(), source))?;
    }
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {}
        done => return done.map_err(|source| failed(from.to_owned(), source)),
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".orch-moving");
    let whole = to.with_file_name(name);
    remove(&whole)
        .and_then(|()| copy(from, &whole))
        .and_then(|()| std::fs::rename(&whole, to))
        .and_then(|()| remove(from))
        .map_err(|source| failed(from.to_owned(), source))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let kind = from.symlink_metadata()?.file_type();
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
    }
    if !kind.is_dir() {
        return std::fs::copy(from, to).map(drop);
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Removes a file or directory; a missing one is not an error.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
