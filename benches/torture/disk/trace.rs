//! Reads the layer's record: every call that changed something below the roots, in the order of all processes.

use std::path::{Path, PathBuf};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A name with a new file.
    Create { path: PathBuf, file: u64 },
    /// Bytes of a file.
    Write { file: u64, at: u64, bytes: Vec<u8> },
    /// A length.
    Truncate { file: u64, to: u64 },
    /// The content of a file is on the disk.
    Sync { file: u64 },
    /// The names in a directory are.
    SyncDir { path: PathBuf },
    /// Everything is.
    SyncAll,
    /// A name moves.
    Rename { from: PathBuf, to: PathBuf },
    /// Two names change their files.
    Exchange { one: PathBuf, other: PathBuf },
    /// A second name.
    Link { from: PathBuf, to: PathBuf },
    /// A name goes.
    Unlink { path: PathBuf },
    /// A directory.
    Mkdir { path: PathBuf },
    /// It goes.
    Rmdir { path: PathBuf },
    /// A symbolic link.
    Symlink { path: PathBuf, target: PathBuf },
}

/// A call, and where in the trace it ends.
#[derive(Debug, Clone)]
pub struct Record {
    /// What.
    pub call: Call,
    /// Bytes of the trace up to here.
    pub end: u64,
}

/// Bytes of a record before its paths.
const HEAD: usize = 40;

/// Reads a trace.
pub fn read(path: &Path) -> Vec<Record> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let (mut at, mut records) = (0, Vec::new());
    while let Some(head) = bytes.get(at..at + HEAD) {
        let short = |from: usize| u32::from_ne_bytes(head[from..from + 4].try_into().expect("four bytes")) as usize;
        let long = |from: usize| u64::from_ne_bytes(head[from..from + 8].try_into().expect("eight bytes"));
        let (length, kind, file, offset) = (short(0), short(4), long(8), long(16));
        let (first, second) = (at + HEAD, at + HEAD + short(24));
        let third = second + short(28);
        let text = |from: usize, to: usize| PathBuf::from(String::from_utf8_lossy(&bytes[from..to]).into_owned());
        let (path, other) = (text(first, second), text(second, third));
        at += length;
        let call = match kind {
            1 => Call::Create { path, file },
            2 => Call::Write { file, at: offset, bytes: bytes[third..at].to_vec() },
            3 => Call::Truncate { file, to: offset },
            4 => Call::Sync { file },
            5 => Call::SyncDir { path },
            6 => Call::SyncAll,
            7 => Call::Rename { from: path, to: other },
            8 => Call::Exchange { one: path, other },
            9 => Call::Link { from: path, to: other },
            10 => Call::Unlink { path },
            11 => Call::Mkdir { path },
            12 => Call::Rmdir { path },
            13 => Call::Symlink { path, target: other },
            unknown => panic!("a call of kind {unknown} at byte {at} of the trace"),
        };
        records.push(Record { call, end: at as u64 });
    }
    records
}
