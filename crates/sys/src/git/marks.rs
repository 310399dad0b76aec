//! Marks that identify a file's state without keeping its content.
//!
//! The hash is keyed with a random salt per record, so that no file can be prepared with the mark of another.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How many bytes are read for one record; beyond that, only size and times are compared.
pub(super) const READ_AT_MOST: u64 = 64 << 20;
/// The largest file that is read, in bytes.
const FILE_AT_MOST: u64 = 8 << 20;
/// Files beside the configuration that make git run, read or ignore something.
const BESIDE: &[&str] = &["info/attributes", "info/exclude", "info/grafts", "objects/info/alternates"];

/// The recorded state of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Inode, size, permissions, and the times of the last content and status change (seconds, nanoseconds).
    stamp: Option<(u64, u64, u32, [i64; 4])>,
    /// The hash of the content, or of a symbolic link's target.
    content: Option<u64>,
}

impl Mark {
    /// Marks the file at `path`; reads at most `left` bytes and subtracts what it read.
    pub(super) fn read(path: &Path, salt: u64, left: &mut u64) -> Self {
        let Ok(meta) = path.symlink_metadata() else { return Self { stamp: None, content: None } };
        if meta.is_dir() {
            // A nested repository, whose times change with everything that happens in it.
            return Self { stamp: None, content: Some(0) };
        }
        let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
        let stamp = Some((meta.ino(), meta.size(), meta.mode(), times));
        // Only regular files are opened: reading a pipe would block.
        let content = if meta.is_symlink() {
            std::fs::read_link(path).ok().map(|target| hash(salt, target.as_os_str().as_bytes()))
        } else if meta.is_file() && meta.size() <= FILE_AT_MOST.min(*left) {
            *left -= meta.size();
            std::fs::read(path).ok().map(|bytes| hash(salt, &bytes))
        } else {
            None
        };
        Self { stamp, content }
    }

    /// Returns whether it is the same file, or another one with the same content and permissions.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let mode = |mark: &Self| mark.stamp.map(|(_, _, mode, _)| mode);
        self == other || (self.content.is_some() && self.content == other.content && mode(self) == mode(other))
    }
}

/// Marks hooks and the files beside the configuration, by their names below the common directory.
pub(super) fn programs(common_dir: &Path, salt: u64) -> BTreeMap<String, Mark> {
    let hooks = std::fs::read_dir(common_dir.join("hooks")).into_iter().flatten().flatten();
    let hooks = hooks.map(|entry| format!("hooks/{}", entry.file_name().to_string_lossy()));
    // git installs sample hooks and runs none of them.
    let hooks = hooks.filter(|name| !name.ends_with(".sample"));
    let mut left = READ_AT_MOST;
    let mark = |name: String| {
        let mark = Mark::read(&common_dir.join(&name), salt, &mut left);
        (name, mark)
    };
    hooks.chain(BESIDE.iter().map(|name| (*name).to_owned())).map(mark).collect()
}

/// Returns a random salt for one record.
pub(super) fn salt() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(super) fn hash(salt: u64, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(salt);
    hasher.write(bytes);
    hasher.finish()
}
