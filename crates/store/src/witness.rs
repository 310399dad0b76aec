//! The witness: a small file beside the journal that records how far the journal had come, and how it was left. With
//! it, a journal that went back in time is recognized, which SQLite takes for a whole one: what it holds of a damaged
//! log is everything before the damage, without a word. And a journal that is byte for byte the one that was left need
//! not be examined. It is never flushed, so it may be behind the journal and is never ahead of it.

use orch_sys::fs::{Digest, FsError, read_limited};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of the file: one write, in one sector.
const LENGTH: usize = 256;

/// The content of the witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Testimony {
    /// Transactions that were committed.
    pub commits: u64,
    /// The highest number of a task that was given out.
    pub last_task_id: u64,
    /// The last place in the history.
    pub last_seq: u64,
    /// The journal's content when its engine left; `None` while one is there, or when it was killed.
    pub left: Option<Digest>,
}

/// The witness of one journal, open.
#[derive(Debug)]
pub(super) struct Witness(File);

/// Returns the path of the witness of a journal.
pub fn path_of(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push("-witness");
    PathBuf::from(name)
}

/// What the witness of this journal says; nothing when there is none, or it cannot be understood.
pub fn read(journal: &Path) -> Option<Testimony> {
    let read = |path: &Path| -> Result<Vec<u8>, FsError> { read_limited(path, LENGTH) };
    serde_json::from_slice(&read(&path_of(journal)).ok()?).ok()
}

impl Witness {
    /// Opens it to be written.
    pub(super) fn open(journal: &Path) -> io::Result<Self> {
        let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path_of(journal))?;
        options.set_len(LENGTH as u64)?;
        Ok(Self(options))
    }

    /// Writes down how far the journal is. One that cannot be written is behind, and nothing depends on it.
    pub(super) fn note(&self, testimony: &Testimony) {
        let Ok(mut text) = serde_json::to_vec(testimony) else { return };
        text.resize(LENGTH, b' ');
        if let Err(error) = self.0.write_all_at(&text, 0) {
            tracing::debug!(%error, "the journal's witness could not be written");
        }
    }
}
