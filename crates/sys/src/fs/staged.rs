//! Staged content: a file beside its target that is complete before it becomes visible under the target's name, and
//! that is removed if it is not used.

use super::{Durability, FsError};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The suffix of files that are still being written.
pub(super) const TEMP_SUFFIX: &str = ".orch-tmp";

/// A file beside its target, removed when dropped unless it was moved into place.
#[derive(Debug)]
pub(super) struct TempFile {
    path: PathBuf,
    file: File,
}

impl TempFile {
    /// Writes `bytes` to a new file in the directory of `target`.
    pub(super) fn create(target: &Path, bytes: &[u8], mode: u32, durability: Durability) -> Result<Self, FsError> {
        // The message names the file that the user knows, not the temporary one.
        let failed = |source| FsError::io("write", target, source);
        let mut temp = Self::open(target, mode)?;
        temp.file.write_all(bytes).map_err(failed)?;
        if durability == Durability::Synced {
            temp.file.sync_all().map_err(failed)?;
        }
        Ok(temp)
    }

    /// Creates an empty file in the directory of `target`.
    pub(super) fn open(target: &Path, mode: u32) -> Result<Self, FsError> {
        let path = temp_path(target);
        let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let file = made.map_err(|source| FsError::io("write", target, source))?;
        Ok(Self { path, file })
    }

    /// Writes the content with `write` and flushes it to the disk.
    pub(super) fn fill(
        &mut self,
        target: &Path,
        write: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<(), FsError> {
        let written = write(&mut self.file).and_then(|()| self.file.sync_all());
        written.map_err(|source| FsError::io("write", target, source))
    }

    /// Returns the open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Renames the file over `target`.
    pub(super) fn replace(self, target: &Path) -> Result<(), FsError> {
        // After the rename there is nothing left under the temporary name, so dropping `self` removes nothing.
        std::fs::rename(&self.path, target).map_err(|source| FsError::io("replace", target, source))
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // A failure leaves a file that the next write removes; it cannot be reported here.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes what killed writes of `target` left behind. Nobody else may be writing it.
pub(super) fn sweep(target: &Path) {
    let prefix = name_prefix(target);
    let Ok(entries) = parent_of(target).read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (name, prefix) = (name.as_encoded_bytes(), prefix.as_encoded_bytes());
        if name.starts_with(prefix) && name.ends_with(TEMP_SUFFIX.as_bytes()) {
            // One that stays does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Flushes the directory entry of `path` to the disk.
pub(super) fn sync_parent(path: &Path) -> Result<(), FsError> {
    let parent = parent_of(path);
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|source| FsError::io("flush the directory", parent, source))
}

/// Returns the directory of a path; `.` for a bare name.
pub(super) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Returns the common name prefix of all files that belong to writes of `target`.
pub(super) fn name_prefix(target: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name().unwrap_or(OsStr::new("file")));
    prefix.push(".");
    prefix
}

fn temp_path(target: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut name = name_prefix(target);
    name.push(format!("{}-{}{TEMP_SUFFIX}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    parent_of(target).join(name)
}
