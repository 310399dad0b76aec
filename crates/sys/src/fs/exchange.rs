//! Writes a file that a person may have open: the new content is exchanged with the live file, and the displaced
//! content is compared with what the caller expected to replace. It never merges; it only reports that another program
//! saved.
//!
//! Races between our read of the file and our write, and their outcome:
//! - *An editor saved by rename before the exchange*: the displaced content differs, it is put back, the caller merges.
//! - *An editor truncated the file and is still writing it*: the displaced file differs (or is empty). The same file is
//!   put back, so that the editor's open descriptor continues to write into the live one.
//! - *An editor saves between the exchange and the putting back*: the file found under the live name is not ours. It is
//!   newer than the one being put back, so it is exchanged in again, until nothing newer appears.
//! - *An editor opened the file before the exchange and writes after the comparison*: it writes into the displaced
//!   file, which is therefore kept until the next write and checked then, and by [`super::reclaim_late`]. Where our text
//!   is still live, the displaced file takes its place again, so that the editor continues to write into the live one;
//!   where another program has saved since, it is set aside as rescued.
//! - *This process is killed anywhere*: the name of the displaced file contains our inode and the expected content's
//!   hash, so that the next write knows which of the two it has found and whether it was edited.

use super::super::crash::point;
use super::digest::{Digest, Digester, for_each_chunk};
use super::leftovers::{Late, SwapName, keep_aside, settle_leftovers, swap_path};
use super::staged::{TempFile, parent_of, sync_parent};
use super::{Durability, FileLock, Fingerprint, FsError, create_dir_private, lock_briefly, read_limited};
use rustix::fs::{CWD, Gid, Mode, RenameFlags, Uid, renameat_with};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The largest file that is exchanged, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The directory beside the lock where displaced files stay until the next write.
pub(super) const KEEP_DIR: &str = "swap";
/// The most symbolic links followed from the path to the file.
const MAX_LINKS: u32 = 40;
/// How often newer saves are put back before giving up on an editor that saves continuously.
const MAX_PUT_BACKS: u32 = 1_000;

/// The result of a successful write.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// The fingerprint of the file that was put in place. If another program has saved since, the live file has another one.
    pub fingerprint: Fingerprint,
    /// Files with edits that an editor saved into a file which an earlier write had already displaced. They are not
    /// in the live file: the caller tells the person where they are, or merges them.
    pub rescued: Vec<PathBuf>,
}

/// A write that did not happen: the file is as its last writer left it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody saved since the expected content was read. Read again (an editor may be in the middle of its save),
    /// merge and write again.
    #[error("somebody else saved the file meanwhile")]
    Changed {
        /// The current content; `None` when there is no file.
        current: Option<Vec<u8>>,
    },
    /// The operating system refused; the old file is unchanged.
    #[error("{0}; the file is unchanged")]
    Fs(#[from] FsError),
}

/// Replaces `expected_old` by `new` in a file that others write too; `None` means that there is no file yet. Symbolic
/// links are followed, mode and owner are kept (access lists and extended attributes are not). `lock` is the file that
/// all writers of orch lock for the moment of the write; its directory is made when missing.
///
/// # Errors
/// [`WriteError::Changed`] when the file holds something else; [`WriteError::Fs`] when it cannot be written. In both
/// cases the text of the last writer is in place.
pub fn exchange_write(
    path: &Path,
    lock: &Path,
    new: &[u8],
    expected_old: Option<&[u8]>,
) -> Result<Written, WriteError> {
    exchange_with(path, lock, new, expected_old, Late::Rescue)
}

/// Like [`exchange_write`], for a caller that merges: a late edit of an editor is put back in place instead of being
/// set aside, and the caller gets [`WriteError::Changed`].
///
/// # Errors
/// As for [`exchange_write`].
pub fn exchange_merged(
    path: &Path,
    lock: &Path,
    new: &[u8],
    expected_old: Option<&[u8]>,
) -> Result<Written, WriteError> {
    exchange_with(path, lock, new, expected_old, Late::PutBack)
}

fn exchange_with(
    path: &Path,
    lock: &Path,
    new: &[u8],
    expected_old: Option<&[u8]>,
    late: Late,
) -> Result<Written, WriteError> {
    let Place { _held, target, keep, rescued } = Place::enter(path, lock, late)?;
    let fingerprint = match (expected_old.map(Digest::from_bytes), digest_if_there(&target)?) {
        (None, None) => publish(&target, new)?,
        (Some(old), Some(current)) if old == current => {
            let swap = Swap::stage(&target, new, old)?;
            exchange(&swap, &target, &keep, Digest::from_bytes(new), old)?;
            swap.fingerprint
        }
        (Some(_) | None, _) => return Err(WriteError::Changed { current: read_if_there(&target)? }),
    };
    Ok(Written { fingerprint, rescued })
}

/// Appends to a file that others write too, if its content is still the expected one: like [`exchange_merged`]
/// with the old and the new content, but holds neither in memory. Also returns the digest of the new content.
///
/// # Errors
/// As for [`exchange_write`].
pub fn exchange_append(
    path: &Path,
    lock: &Path,
    added: &[u8],
    expected_old: Digest,
) -> Result<(Written, Digest), WriteError> {
    let Place { _held, target, keep, rescued } = Place::enter(path, lock, Late::PutBack)?;
    let Some((swap, new)) = Swap::stage_appended(&target, added, expected_old)? else {
        return Err(WriteError::Changed { current: read_if_there(&target)? });
    };
    exchange(&swap, &target, &keep, new, expected_old)?;
    Ok((Written { fingerprint: swap.fingerprint, rescued }, new))
}

/// Returns the target of a dangling symbolic link; `None` for everything else.
pub fn dangling_link(path: &Path) -> Option<PathBuf> {
    let is_link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
    (is_link && path.metadata().is_err()).then(|| resolve(path).unwrap_or_else(|_| path.to_owned()))
}

/// The file to be written, under the lock that excludes other writers of orch.
struct Place {
    _held: FileLock,
    target: PathBuf,
    keep: PathBuf,
    rescued: Vec<PathBuf>,
}

impl Place {
    /// Takes the lock, resolves the file and settles what earlier writes have left.
    fn enter(path: &Path, lock: &Path, late: Late) -> Result<Self, FsError> {
        if !parent_of(lock).is_dir() {
            create_dir_private(parent_of(lock))?;
        }
        let held = lock_briefly(lock)?;
        let target = resolve(path)?;
        let keep = parent_of(lock).join(KEEP_DIR);
        create_dir_private(&keep)?;
        let rescued = settle_leftovers(&target, &keep, late)?;
        Ok(Self { _held: held, target, keep, rescued })
    }
}

/// Creates the file where there is none.
fn publish(target: &Path, new: &[u8]) -> Result<Fingerprint, WriteError> {
    let swap = Swap::stage(target, new, Digest::from_bytes(&[]))?;
    match rename_if_absent(&swap.path, target) {
        Ok(()) => {
            point!("exchange.published");
            sync_parent(target)?;
        }
        Err(Errno::EXIST) => return Err(WriteError::Changed { current: read_if_there(target)? }),
        Err(errno) => return Err(FsError::io("write", target, errno.into()).into()),
    }
    Ok(swap.fingerprint)
}

fn exchange(swap: &Swap, target: &Path, keep: &Path, new: Digest, old: Digest) -> Result<(), WriteError> {
    match swap_names(&swap.path, target) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(WriteError::Changed { current: read_if_there(target)? }),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            return replace_without_exchange(swap, target, keep, old);
        }
        Err(errno) => return Err(FsError::io("write", target, errno.into()).into()),
    }
    point!("exchange.exchanged");
    let displaced = Digest::of_file(&swap.path);
    if matches!(&displaced, Ok(content) if *content == old) {
        point!("exchange.compared");
        sync_parent(target)?;
        keep_aside(&swap.path, keep);
        point!("exchange.kept");
        return Ok(());
    }
    swap.put_back(target, keep, new)?;
    displaced?;
    Err(WriteError::Changed { current: read_if_there(target)? })
}

/// Replaces the file on file systems that cannot exchange: the old file gets a second name before the new one takes its
/// place. A save by rename between the two calls goes unnoticed; nothing narrower exists there.
pub(super) fn replace_without_exchange(swap: &Swap, target: &Path, keep: &Path, old: Digest) -> Result<(), WriteError> {
    let failed = |source| FsError::io("write", target, source);
    let second = swap_path(target, SwapName::foreign(old.hash()));
    std::fs::hard_link(target, &second).map_err(failed)?;
    std::fs::rename(&swap.path, target).map_err(failed)?;
    if Digest::of_file(&second)? == old {
        sync_parent(target)?;
        keep_aside(&second, keep);
        return Ok(());
    }
    std::fs::rename(&second, target).map_err(failed)?;
    sync_parent(target)?;
    Err(WriteError::Changed { current: read_if_there(target)? })
}

/// The file beside the target that holds the new content before the exchange and the displaced one after it.
pub(super) struct Swap {
    pub(super) path: PathBuf,
    /// The inode of the new content.
    own: u64,
    /// The fingerprint of the new content, taken before it is published: afterwards the name may hold another save.
    fingerprint: Fingerprint,
}

/// Identifies one saved version of a file.
#[derive(PartialEq, Eq)]
pub(super) struct Version {
    pub(super) inode: u64,
    pub(super) content: u64,
}

impl Swap {
    pub(super) fn stage(target: &Path, new: &[u8], old: Digest) -> Result<Self, FsError> {
        let like = target.metadata().ok();
        // A new file gets the mode that the user's umask gives; a replaced one is never more open than it was.
        let temp = TempFile::create(target, new, if like.is_some() { 0o600 } else { 0o666 }, Durability::Cached)?;
        Self::publish_staged(temp, target, like, old, Digest::from_bytes(new).hash())
    }

    /// Stages the content of the target with `added` at its end, and returns the digest of both; `None` when the target
    /// does not hold the old content.
    fn stage_appended(target: &Path, added: &[u8], old: Digest) -> Result<Option<(Self, Digest)>, FsError> {
        let failed = |source| FsError::io("write", target, source);
        let Ok(like) = target.metadata() else { return Ok(None) };
        let temp = TempFile::open(target, 0o600)?;
        let (mut digester, mut file) = (Digester::new(), temp.file());
        for_each_chunk(target, |chunk| {
            digester.update(chunk);
            file.write_all(chunk).map_err(failed)
        })?;
        if digester.finish() != old {
            return Ok(None);
        }
        digester.update(added);
        file.write_all(added).map_err(failed)?;
        let new = digester.finish();
        Ok(Some((Self::publish_staged(temp, target, Some(like), old, new.hash())?, new)))
    }

    /// Flushes the staged content and renames it to the name that describes it.
    fn publish_staged(
        temp: TempFile,
        target: &Path,
        like: Option<Metadata>,
        old: Digest,
        new: u64,
    ) -> Result<Self, FsError> {
        let failed = |source| FsError::io("write", target, source);
        if let Some(like) = like {
            copy_mode_and_owner(&temp, &like).map_err(|errno| failed(errno.into()))?;
        }
        point!("exchange.staged");
        temp.file().sync_all().map_err(failed)?;
        point!("exchange.synced");
        let staged = temp.file().metadata().map_err(failed)?;
        let name = SwapName { own: staged.ino(), expected: old.hash(), new: Some(new) };
        let path = swap_path(target, name);
        temp.replace(&path)?;
        point!("exchange.named");
        Ok(Self { path, own: staged.ino(), fingerprint: Fingerprint::from(&staged) })
    }

    /// Gives the live name back to the newest save that is not ours.
    pub(super) fn put_back(&self, target: &Path, keep: &Path, new: Digest) -> Result<(), FsError> {
        let failed = |errno: Errno| FsError::io("put back", target, errno.into());
        let mut live = Version { inode: self.own, content: new.hash() };
        for _ in 0..MAX_PUT_BACKS {
            let returning = version(&self.path)?;
            match swap_names(&self.path, target) {
                Ok(()) => {}
                // The editor has removed the old file and not yet made the new one.
                Err(Errno::NOENT) => match rename_if_absent(&self.path, target) {
                    Ok(()) => return sync_parent(target),
                    Err(Errno::EXIST) => continue,
                    Err(errno) => return Err(failed(errno)),
                },
                Err(errno) => return Err(failed(errno)),
            }
            point!("exchange.put_back");
            if version(&self.path)? == live {
                // Nobody saved while `live` was in place: it is ours, or was replaced by its own editor. An editor may
                // still have it open.
                let path = swap_path(target, SwapName::foreign(live.content));
                std::fs::rename(&self.path, &path).map_err(|source| FsError::io("rename", &self.path, source))?;
                keep_aside(&path, keep);
                return sync_parent(target);
            }
            live = returning;
        }
        Err(failed(Errno::BUSY))
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // Only our own content may be removed: after an exchange the name holds another text.
        if self.path.symlink_metadata().is_ok_and(|found| found.ino() == self.own) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

pub(super) fn version(path: &Path) -> Result<Version, FsError> {
    let found = path.metadata().map_err(|source| FsError::io("read", path, source))?;
    // A directory made in the file's place is put back like a save.
    let content = if found.is_dir() { 0 } else { Digest::of_file(path)?.hash() };
    Ok(Version { inode: found.ino(), content })
}

fn digest_if_there(path: &Path) -> Result<Option<Digest>, FsError> {
    match Digest::of_file(path) {
        Ok(digest) => Ok(Some(digest)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    match read_limited(path, MAX_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Resolves the file that a path leads to, whether or not it exists yet.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, FsError> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(link) => path = parent_of(&path).join(link),
            Err(_) => {
                let parent = parent_of(&path);
                let real = parent.canonicalize().map_err(|source| FsError::io("find", parent, source))?;
                return Ok(real.join(path.file_name().unwrap_or(OsStr::new(""))));
            }
        }
    }
    Err(FsError::io("follow the links of", &path, Errno::LOOP.into()))
}

/// Gives the new file the mode of the old one, and its owner where this user may.
fn copy_mode_and_owner(temp: &TempFile, like: &Metadata) -> Result<(), Errno> {
    let made = rustix::fs::fstat(temp.file())?;
    if (made.st_uid, made.st_gid) != (like.uid(), like.gid()) {
        // Permitted to root only; the content matters more than its owner.
        let _ = rustix::fs::fchown(temp.file(), Some(Uid::from_raw(like.uid())), Some(Gid::from_raw(like.gid())));
    }
    rustix::fs::fchmod(temp.file(), Mode::from_bits_truncate(like.mode() & 0o7777))
}

pub(super) fn swap_names(one: &Path, other: &Path) -> Result<(), Errno> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

/// Moves a file to a name that must be free.
fn rename_if_absent(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::link(from, to)?;
            rustix::fs::unlink(from)
        }
        done => done,
    }
}
