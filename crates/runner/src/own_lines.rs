//! Records which lines of a transcript or record file orch itself wrote. After a crash the agent's output is rendered
//! again and the lines that are already in the file are skipped by count; orch's own lines must not be counted. The list
//! lies beside the file, is written before the lines themselves, and exists from the first such line to the report.

use orch_sys::fs::{self, Durability};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The suffix of the list's name, after the name of the file.
const SUFFIX: &str = ".own";

/// Why orch wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To report what it does, or what is missing.
    Aside,
    /// To mark that from here on only the end of the output was read.
    Skip,
    /// To close the file.
    End,
}

/// A block of orch's own lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Own {
    /// The byte offset at which they begin.
    pub(super) offset: u64,
    /// The number of lines.
    pub(super) lines: u64,
    /// How many lines of the agent's output are missing in their place.
    pub(super) stand_for: u64,
    /// Why they were written.
    pub(super) kind: Kind,
}

impl Own {
    fn record(self) -> String {
        let kind = match self.kind {
            Kind::Aside => "aside",
            Kind::Skip => "skip",
            Kind::End => "end",
        };
        format!("{} {} {} {kind}\n", self.offset, self.lines, self.stand_for)
    }

    fn parse(record: &str) -> Option<Self> {
        let mut words = record.split(' ');
        let mut number = || words.next()?.parse().ok();
        let (offset, lines, stand_for) = (number()?, number()?, number()?);
        let kind = match words.next()? {
            "aside" => Kind::Aside,
            "skip" => Kind::Skip,
            "end" => Kind::End,
            _ => return None,
        };
        Some(Self { offset, lines, stand_for, kind })
    }
}

/// The list beside one file.
pub(super) struct OwnLines {
    path: PathBuf,
    /// Opened when there is something to write.
    file: Option<File>,
}

impl OwnLines {
    /// Returns the list for this file.
    pub(super) fn for_file(file: &Path) -> Self {
        Self { path: list_path(file), file: None }
    }

    /// Adds lines that are about to be written. They replace an entry at the same offset, whose write failed.
    pub(super) fn add(&mut self, own: Own) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?),
        };
        let length = file.metadata()?.len();
        let written = file.write_all(own.record().as_bytes());
        if written.is_err() {
            // A partial record would corrupt the next one.
            let _ = file.set_len(length);
        }
        written
    }

    /// Loads the list, keyed by byte offset.
    pub(super) fn load(&self) -> io::Result<BTreeMap<u64, Own>> {
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let whole = text.rfind('\n').map_or("", |feed| &text[..feed]);
        Ok(whole.lines().filter_map(Own::parse).map(|own| (own.offset, own)).collect())
    }

    /// Replaces the list.
    pub(super) fn save(&mut self, own: &BTreeMap<u64, Own>) -> io::Result<()> {
        self.file = None;
        let text: String = own.values().map(|own| own.record()).collect();
        fs::write_private(&self.path, text.as_bytes(), Durability::Cached).map_err(io::Error::other)
    }
}

/// Removes the list of a file that no further reading will continue.
pub(super) fn forget(file: &Path) {
    // A list that stays is harmless: it is not read once the report exists.
    let _ = std::fs::remove_file(list_path(file));
}

fn list_path(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(SUFFIX);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_of_an_offset_counts_and_a_partial_record_does_not() {
        let home = tempfile::tempdir().expect("a directory");
        let mut list = OwnLines::for_file(&home.path().join("log"));
        let own = |offset, stand_for, kind| Own { offset, lines: 1, stand_for, kind };
        for one in [own(5, 0, Kind::Aside), own(5, 7, Kind::Aside), own(90, 0, Kind::Skip), own(99, 0, Kind::End)] {
            list.add(one).expect("writable");
        }
        list.file.as_mut().expect("open").write_all(b"100 1 0 en").expect("writable");
        let expected = [own(5, 7, Kind::Aside), own(90, 0, Kind::Skip), own(99, 0, Kind::End)];
        let loaded = list.load().expect("readable");
        assert_eq!(loaded.values().copied().collect::<Vec<_>>(), expected);
        list.save(&loaded).expect("writable");
        assert_eq!(list.load().expect("readable"), loaded);
    }
}
