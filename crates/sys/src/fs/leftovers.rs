//! Files that an earlier write has displaced: each stays until the next write, because an editor may still have it open
//! and write into it. The name of such a file says what it is, so that a killed writer leaves nothing unidentifiable.

use super::exchange::{KEEP_DIR, resolve, swap_names, version};
use super::staged::{TEMP_SUFFIX, name_prefix, parent_of, sync_parent};
use super::{FsError, create_dir_private, lock_briefly};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Marks the name of a file with an edit that could not be put back; the hash of its content follows.
const SET_ASIDE: &str = ".rescued-";
/// The suffix of a file that waits to be exchanged or was displaced.
const SWAP_SUFFIX: &str = ".orch-swap";

/// What happens to an edit that was saved into a displaced file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// It is set aside, and the caller is told where.
    Rescue,
    /// It takes its place again, where no other program has written since.
    PutBack,
}

/// Puts the file that our last write displaced back in its place, if an editor has written into it since and nobody
/// else has saved. Cheap where there is nothing to do. Returns whether it did.
///
/// # Errors
/// A file operation failed; both texts are still there.
pub fn reclaim_late(path: &Path, lock: &Path) -> Result<bool, FsError> {
    let keep = parent_of(lock).join(KEEP_DIR);
    if !keep.is_dir() {
        return Ok(false);
    }
    let target = resolve(path)?;
    let Ok(live) = target.metadata() else { return Ok(false) };
    let may_be_late = |path: &PathBuf| {
        let time = |found: &Metadata| (found.mtime(), found.mtime_nsec());
        path.metadata().is_ok_and(|found| time(&found) >= time(&live))
    };
    if !leftovers(&target, &keep)?.iter().any(|(path, _)| may_be_late(path)) {
        return Ok(false);
    }
    let _held = lock_briefly(lock)?;
    for (path, name) in leftovers(&target, &keep)? {
        if reclaim(&path, name, &target, &keep)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes what a killed writer has left beside the file, as the next write would. Nothing is lost: displaced files
/// move to the directory for them, or back into place when an editor wrote into them. Cheap where there is nothing to
/// do.
///
/// # Errors
/// A file operation failed; what was not removed is still there.
pub fn clear_cut_off(path: &Path, lock: &Path) -> Result<(), FsError> {
    let keep = parent_of(lock).join(KEEP_DIR);
    let target = resolve(path)?;
    let beside = parent_of(&target);
    if named_in(beside, &target, TEMP_SUFFIX)?.is_empty() && named_in(beside, &target, SWAP_SUFFIX)?.is_empty() {
        return Ok(());
    }
    let _held = lock_briefly(lock)?;
    create_dir_private(&keep)?;
    // Under the lock there is no other writer: everything found belongs to a killed one.
    for (path, _) in named_in(beside, &target, TEMP_SUFFIX)? {
        remove(&path)?;
    }
    for (path, name) in swaps_in(beside, &target)? {
        if reclaim(&path, name, &target, &keep)? {
            continue;
        }
        match version(&path)?.inode == name.own {
            true => remove(&path)?,
            false => keep_aside(&path, &keep),
        }
    }
    Ok(())
}

/// Returns the displaced files of a target with their parsed names.
fn leftovers(target: &Path, keep: &Path) -> Result<Vec<(PathBuf, SwapName)>, FsError> {
    let mut found = swaps_in(parent_of(target), target)?;
    found.extend(swaps_in(keep, target)?);
    Ok(found)
}

fn swaps_in(place: &Path, target: &Path) -> Result<Vec<(PathBuf, SwapName)>, FsError> {
    let named = named_in(place, target, SWAP_SUFFIX)?.into_iter();
    Ok(named.filter_map(|(path, middle)| Some((path, parse_swap_name(&middle)?))).collect())
}

/// Returns the files made for a target that have this suffix, with the middle part of their names.
fn named_in(place: &Path, target: &Path, suffix: &str) -> Result<Vec<(PathBuf, String)>, FsError> {
    let prefix = name_prefix(target);
    let entries = place.read_dir().map_err(|source| FsError::io("list", place, source))?;
    let named = entries.flatten().map(|entry| entry.path()).filter_map(|path| {
        let rest = path.file_name().and_then(|name| rest_of_name(name, &prefix));
        let middle = rest?.strip_suffix(suffix)?.to_owned();
        Some((path, middle))
    });
    Ok(named.collect())
}

/// Puts one displaced file back, if it was written to and the live file is still ours.
fn reclaim(path: &Path, name: SwapName, target: &Path, keep: &Path) -> Result<bool, FsError> {
    let SwapName { own, expected, new } = name;
    let found = version(path)?;
    if own == 0 || new.is_none() || found.inode == own || found.content == expected {
        return Ok(false);
    }
    let Ok(live) = version(target) else { return Ok(false) };
    if live.inode != own || Some(live.content) != new {
        return Ok(false);
    }
    let beside = swap_path(target, SwapName::foreign(live.content));
    let failed = |source| FsError::io("put back", target, source);
    if path != beside {
        // An exchange must not cross directories that are on different file systems.
        std::fs::rename(path, &beside).map_err(failed)?;
    }
    swap_names(&beside, target).map_err(|errno| failed(errno.into()))?;
    sync_parent(target)?;
    // The file that came out is ours, unless an editor saved into it just now: the next check finds out by the name.
    keep_aside(&beside, keep);
    Ok(true)
}

/// Returns the files with edits that could not be put back and that no person has removed yet: in the directory of the
/// locks or, if that is another file system, beside the target.
pub fn set_aside(paths: &[PathBuf], locks: &Path) -> Vec<PathBuf> {
    let targets = paths.iter().filter_map(|path| Some(parent_of(&resolve(path).ok()?).to_owned()));
    let places: BTreeSet<PathBuf> = targets.chain([locks.to_owned()]).collect();
    let entries = places.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().flatten();
    let is_such = |name: &OsStr| {
        let sum = name.to_str().and_then(|name| name.rsplit_once(SET_ASIDE)).map(|(_, sum)| sum);
        sum.is_some_and(|sum| sum.len() == 16 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut found: Vec<PathBuf> = entries.filter(|one| is_such(&one.file_name())).map(|one| one.path()).collect();
    found.sort();
    found
}

/// Keeps a displaced file until the next write, out of sight where the file system allows.
pub(super) fn keep_aside(path: &Path, keep: &Path) {
    if let Some(name) = path.file_name() {
        // On another file system it stays where it is; the next write finds it in either place.
        let _ = std::fs::rename(path, keep.join(name));
    }
}

/// Settles what earlier writes left behind. Called under the lock, so no other process uses these files.
pub(super) fn settle_leftovers(target: &Path, keep: &Path, late: Late) -> Result<Vec<PathBuf>, FsError> {
    for place in [parent_of(target), keep] {
        for (path, _) in named_in(place, target, TEMP_SUFFIX)? {
            remove(&path)?;
        }
    }
    let mut rescued = Vec::new();
    for (path, name) in leftovers(target, keep)? {
        // A file that was put back differs from what the caller expects, who reads it then.
        if late == Late::Rescue || !reclaim(&path, name, target, keep)? {
            rescued.extend(settle_swap(&path, name.own, name.expected, target, keep)?);
        }
    }
    Ok(rescued)
}

/// Removes a leftover that is ours or unchanged; sets one aside that was edited.
fn settle_swap(path: &Path, own: u64, expected: u64, target: &Path, keep: &Path) -> Result<Option<PathBuf>, FsError> {
    let found = version(path)?;
    if found.inode == own || found.content == expected {
        remove(path)?;
        return Ok(None);
    }
    let mut name = target.file_name().unwrap_or(OsStr::new("file")).to_owned();
    name.push(format!("{SET_ASIDE}{:016x}", found.content));
    let aside = parent_of(keep).join(&name);
    if std::fs::rename(path, &aside).is_ok() {
        return Ok(Some(aside));
    }
    let aside = parent_of(path).join(&name);
    std::fs::rename(path, &aside).map_err(|source| FsError::io("rename", path, source))?;
    Ok(Some(aside))
}

fn remove(path: &Path) -> Result<(), FsError> {
    std::fs::remove_file(path).map_err(|source| FsError::io("remove", path, source))
}

fn rest_of_name<'a>(name: &'a OsStr, prefix: &OsStr) -> Option<&'a str> {
    name.to_str()?.strip_prefix(prefix.to_str()?)
}

/// The parsed name of a displaced file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SwapName {
    /// The inode of our content; 0 when the file is not ours.
    pub(super) own: u64,
    /// The expected hash of the displaced content.
    pub(super) expected: u64,
    /// The hash of our content.
    pub(super) new: Option<u64>,
}

impl SwapName {
    pub(super) fn foreign(expected: u64) -> Self {
        Self { own: 0, expected, new: None }
    }
}

/// Returns the path where a file waits for its exchange or stays after it.
pub(super) fn swap_path(target: &Path, SwapName { own, expected, new }: SwapName) -> PathBuf {
    let mut name = name_prefix(target);
    let new = new.map(|new| format!("-{new:016x}")).unwrap_or_default();
    name.push(format!("{own:x}-{expected:016x}{new}{SWAP_SUFFIX}"));
    parent_of(target).join(name)
}

fn parse_swap_name(middle: &str) -> Option<SwapName> {
    let mut parts = middle.split('-').map(|part| u64::from_str_radix(part, 16).ok());
    let (own, expected) = (parts.next()??, parts.next()??);
    let new = parts.next().flatten();
    parts.next().is_none().then_some(SwapName { own, expected, new })
}
