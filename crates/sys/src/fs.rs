//! The adapter of the file system: private files and directories, bounded reads, locks, and writes that lose no
//! concurrent edit. It knows nothing of what the files mean.

mod digest;
mod exchange;
mod leftovers;
mod staged;
#[cfg(test)]
mod tests;
mod tree;

pub use digest::Digest;
pub use exchange::{WriteError, Written, dangling_link, exchange_append, exchange_merged, exchange_write};
pub use leftovers::{clear_cut_off, reclaim_late, set_aside};
pub use tree::{Bring, bring, names, names_place, relocate, remove_tree};

use super::crash::point;
use super::process::how_of;
use jiff::Timestamp;
use orch_core::base::external::{External, ExternalFailure, How};
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode of a private file.
const PRIVATE_FILE: u32 = 0o600;
/// The mode of a private directory.
const PRIVATE_DIR: u32 = 0o700;

/// A file operation that failed. The message names the operation, the path and the cause.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The file is larger than the caller accepts.
    #[error("cannot read {}: it is larger than {max} bytes", path.display())]
    TooLarge {
        /// The file's path.
        path: PathBuf,
        /// The limit, in bytes.
        max: usize,
    },
    /// The path is a directory, a pipe or a device.
    #[error("cannot read {}: it is not a regular file", path.display())]
    NotAFile {
        /// The path that was to be read.
        path: PathBuf,
    },
    /// The content is not UTF-8 text.
    #[error("cannot read {}: line {line} is not UTF-8 text", path.display())]
    NotText {
        /// The file's path.
        path: PathBuf,
        /// The first invalid line, counted from 1.
        line: usize,
    },
}

impl FsError {
    /// Creates an error of the operating system on `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Returns whether the file or a directory above it does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl External for FsError {
    fn external(&self) -> Option<ExternalFailure> {
        let Self::Io { source, .. } = self else { return None };
        // A file of orch's own that is missing stays missing.
        let how = Some(how_of(source)).filter(|how| *how != How::Vanished).unwrap_or(How::Refused);
        Some(ExternalFailure::new(how, self))
    }
}

/// Metadata of a file that changes when the file does; it is read without reading the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Fingerprint {
    /// Reads the fingerprint of `path`; `None` when nothing can be found there.
    pub fn read(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|found| Self::from(&found))
    }

    /// Returns when the file was last written to, by the file system's clock.
    pub fn modified(&self) -> Option<Timestamp> {
        Timestamp::new(self.modified.0, i32::try_from(self.modified.1).ok()?).ok()
    }

    /// Returns whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the fingerprint of a file that exists only in a simulation: `version` takes the place of its length.
    pub fn numbered(version: u64, saved: Timestamp) -> Self {
        Self { inode: 0, length: version, modified: (saved.as_second(), saved.subsec_nanosecond().into()) }
    }
}

impl From<&Metadata> for Fingerprint {
    fn from(found: &Metadata) -> Self {
        Self { inode: found.ino(), length: found.len(), modified: (found.mtime(), found.mtime_nsec()) }
    }
}

/// Whether a write must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// File and directory are flushed to the disk before the call returns.
    Synced,
    /// The change is atomic, but may be lost in a power cut.
    Cached,
}

/// Reads a regular file of at most `max` bytes. Never blocks on a pipe.
///
/// # Errors
/// The file is missing, unreadable, larger, or not a regular file.
pub fn read_limited(path: &Path, max: usize) -> Result<Vec<u8>, FsError> {
    let failed = |source| FsError::io("read", path, source);
    let file = open_regular(path)?;
    let found = file.metadata().map_err(failed)?;
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(found.len().min(limit)).unwrap_or(0).saturating_add(1));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > max {
        return Err(FsError::TooLarge { path: path.to_owned(), max });
    }
    Ok(bytes)
}

/// Opens a regular file for reading. Never blocks on a pipe.
fn open_regular(path: &Path) -> Result<File, FsError> {
    let failed = |source| FsError::io("read", path, source);
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(FsError::NotAFile { path: path.to_owned() });
    }
    Ok(file)
}

/// Reads a text file of at most `max` bytes.
///
/// # Errors
/// As for [`read_limited`]; also when the bytes are not UTF-8.
pub fn read_text(path: &Path, max: usize) -> Result<String, FsError> {
    String::from_utf8(read_limited(path, max)?).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
        FsError::NotText { path: path.to_owned(), line }
    })
}

/// Creates a directory that only its owner can enter, and its missing ancestors. An existing one is made private.
///
/// # Errors
/// It cannot be created, or belongs to another user.
pub fn create_dir_private(path: &Path) -> Result<(), FsError> {
    let failed = |source| FsError::io("make the directory", path, source);
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path).map_err(failed)?;
    let mode = path.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o777 != PRIVATE_DIR {
        std::fs::set_permissions(path, Permissions::from_mode(PRIVATE_DIR)).map_err(failed)?;
    }
    Ok(())
}

/// Creates a directory and its missing ancestors with the usual permissions. An existing one stays as it is.
///
/// # Errors
/// It cannot be created.
pub fn create_dirs(path: &Path) -> Result<(), FsError> {
    std::fs::create_dir_all(path).map_err(|source| FsError::io("make the directory", path, source))
}

/// Makes a file readable by all users, as an installed file is.
///
/// # Errors
/// The operating system refuses.
pub fn readable_by_all(path: &Path) -> Result<(), FsError> {
    let set = std::fs::set_permissions(path, Permissions::from_mode(0o644));
    set.map_err(|source| FsError::io("open to all", path, source))
}

/// Removes a file. Returns whether it existed; a missing file is not an error.
///
/// # Errors
/// The operating system refuses.
pub fn remove_file(path: &Path) -> Result<bool, FsError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(FsError::io("remove", path, source)),
    }
}

/// Replaces a file that only orch writes: a reader sees either the old or the new content, never a part. Mode 0600.
///
/// # Errors
/// The new content cannot be written; the old one is then unchanged.
pub fn write_private(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), FsError> {
    let temp = staged::TempFile::create(path, bytes, PRIVATE_FILE, durability)?;
    point!("private.staged");
    temp.replace(path)?;
    point!("private.placed");
    match durability {
        Durability::Synced => staged::sync_parent(path),
        Durability::Cached => Ok(()),
    }
}

/// Replaces a file that only the caller writes with content that does not fit into memory. It is flushed to the disk
/// before it gets its name; leftovers of killed writes are removed. Mode 0600.
///
/// # Errors
/// It cannot be written; the old content is then unchanged.
pub fn write_streamed(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), FsError> {
    staged::sweep(path);
    let mut temp = staged::TempFile::create(path, &[], PRIVATE_FILE, Durability::Cached)?;
    temp.fill(path, write)?;
    point!("streamed.staged");
    temp.replace(path)?;
    point!("streamed.placed");
    staged::sync_parent(path)
}

/// Flushes a directory, so that created, moved and removed names survive a power cut.
///
/// # Errors
/// It cannot be flushed.
pub fn sync_dir(path: &Path) -> Result<(), FsError> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(|source| FsError::io("flush the directory", path, source))
}

/// Flushes files that another program has written, and the directories between them and `below`. A missing file or
/// directory is not an error.
///
/// # Errors
/// One cannot be flushed.
pub fn sync_files(files: &[PathBuf], below: &Path) -> Result<(), FsError> {
    let mut dirs = std::collections::BTreeSet::new();
    for path in files {
        let failed = |source| FsError::io("flush", path, source);
        match File::open(path) {
            Ok(file) => file.sync_all().map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        }
        dirs.extend(path.ancestors().skip(1).take_while(|dir| dir.starts_with(below)));
    }
    // `git gc` removes empty directories: their former content is in a pack, which git has flushed.
    let flush = |dir| match sync_dir(dir) {
        Err(error) if error.is_not_found() => Ok(()),
        flushed => flushed,
    };
    dirs.into_iter().rev().try_for_each(flush)
}

/// Moves a file or a directory to a free name on the same disk. Returns whether there was one to move.
///
/// # Errors
/// The name is taken, or the operating system refuses.
pub fn move_aside(from: &Path, to: &Path) -> Result<bool, FsError> {
    if from.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(false);
    }
    if to.symlink_metadata().is_ok() {
        return Err(FsError::io("replace", to, io::ErrorKind::AlreadyExists.into()));
    }
    std::fs::rename(from, to).map_err(|source| FsError::io("move", from, source))?;
    Ok(true)
}

/// Copies a regular file to a private one and flushes it. Returns whether there was one to copy.
///
/// # Errors
/// It cannot be read, or the copy cannot be written.
pub fn copy_private(from: &Path, to: &Path) -> Result<bool, FsError> {
    let mut source = match open_regular(from) {
        Ok(source) => source,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error),
    };
    write_streamed(to, |file| io::copy(&mut source, file).map(drop))?;
    Ok(true)
}

/// Appends to a file in one write; creates it with mode 0600 when it is missing.
///
/// # Errors
/// It cannot be opened or written.
pub fn append_private(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let failed = |source| FsError::io("append to", path, source);
    let mut file = OpenOptions::new().append(true).create(true).mode(PRIVATE_FILE).open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)
}

/// An exclusive lock on a file, held until this value is dropped or the process ends in any way.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Replaces the content of the lock file with a note about its holder; others read it without the lock.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(text.as_bytes(), 0)
    }

    /// Returns whether the lock file is still at `path`: a removed lock file excludes no process any more.
    pub fn is_at(&self, path: &Path) -> bool {
        let own = self.file.metadata().map(|own| (own.dev(), own.ino()));
        own.is_ok_and(|own| Some(own) == file_id(path))
    }
}

/// Returns the device and inode of a file, which stay the same as long as it is the same file; `None` when there is
/// none.
pub fn file_id(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// Takes an exclusive lock, or returns `None` at once when it is held. The file is created when missing, and stays.
///
/// # Errors
/// The lock file cannot be opened, or the file system has no locks.
pub fn lock_exclusive(path: &Path) -> Result<Option<FileLock>, FsError> {
    let file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(FileLock { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(FsError::io("lock", path, source)),
    }
}

/// Waits for an exclusive lock that is only ever held briefly.
///
/// # Errors
/// The lock file cannot be opened, or the file system has no locks.
pub fn lock_briefly(path: &Path) -> Result<FileLock, FsError> {
    let file = open_lock(path)?;
    loop {
        match file.lock() {
            Ok(()) => return Ok(FileLock { file }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FsError::io("lock", path, source)),
        }
    }
}

fn open_lock(path: &Path) -> Result<File, FsError> {
    let failed = |source| FsError::io("open the lock", path, source);
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(PRIVATE_FILE).open(path).map_err(failed)
}
