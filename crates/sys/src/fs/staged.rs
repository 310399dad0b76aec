//! New content on its way to a path: a file beside the target that is complete before anybody can see it under the
//! target's name, and that is gone again when it was not used.

use super::{Durability, FsError};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// End of the name of a file that is still being written.
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

    /// Makes an empty file in the directory of `target`.
    pub(super) fn open(target: &Path, mode: u32) -> Result<Self, FsError> {
        let path = temp_path(target);
        let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let file = made.map_err(|source| FsError::io("write", target, source))?;
        Ok(Self { path, file })
    }

    /// Writes the rest of it and flushes it to the disk.
    pub(super) fn fill(
        &mut self,
        target: &Path,
        write: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<(), FsError> {
        let written = write(&mut self.file).and_then(|()| self.file.sync_all());
        written.map_err(|source| FsError::io("write", target, source))
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Moves it over `target`.
    pub(super) fn replace(self, target: &Path) -> Result<(), FsError> {
        // After the rename there is nothing left under the temporary name, so dropping `self` removes nothing.
        std::fs::rename(&self.path, target).map_err(|source| FsError::io("replace", target, source))
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // A failure leaves a file that the next write sweeps; there is nobody to tell it to here.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes what writes of `target` left behind that were killed. Nobody else may be writing it.
pub(super) fn sweep(target: &Path) {
    let prefix = name_prefix(target);
    let Ok(entries) = parent_of(target).read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (name, prefix) = (name.as_encoded_bytes(), prefix.as_encoded_bytes());
        if name.starts_with(prefix) && name.ends_with(TEMP_SUFFIX.as_bytes()) {
            // One that stays is in nobody's way.
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

/// The directory of a path; `.` for a bare name.
pub(super) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// How the names of all files begin that belong to writes of `target`.
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
