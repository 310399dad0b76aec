//! Which lines of a file of lines the runner said of its own accord. Who reads the agent's output again after a crash
//! gets the same lines from it, counts those that are there already, and must not count these. The list stands beside
//! the file, is written before the lines themselves, and is only there while it is needed: between the first such line
//! and the report.

use orch_sys::fs::{self, Durability};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the name of the list has more than that of the file.
const SUFFIX: &str = ".own";

/// Why the runner said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To tell what it does, or what is missing.
    Aside,
    /// From here on only the end of the output was read.
    Skip,
    /// The last word.
    End,
}

/// Lines of its own that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Own {
    /// Where they begin, in bytes.
    pub(super) offset: u64,
    /// How many they are.
    pub(super) lines: u64,
    /// How many lines from the agent's output are missing in their place.
    pub(super) stand_for: u64,
    /// What they are.
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
    /// Made when there is something to write.
    file: Option<File>,
}

impl OwnLines {
    /// Beside this file.
    pub(super) fn beside(file: &Path) -> Self {
        Self { path: place(file), file: None }
    }

    /// Adds lines that are about to be written. What was about to be written at the same place before was not.
    pub(super) fn add(&mut self, own: Own) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?),
        };
        let length = file.metadata()?.len();
        let written = file.write_all(own.record().as_bytes());
        if written.is_err() {
            // Half a record would spoil the next one.
            let _ = file.set_len(length);
        }
        written
    }

    /// All that are on the list, by their places.
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

/// Removes the list beside a file that is read from the agent's output no more.
pub(super) fn forget(file: &Path) {
    // Gone already, or kept: nobody reads it once the report is there.
    let _ = std::fs::remove_file(place(file));
}

fn place(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(SUFFIX);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_place_counts_and_half_a_record_does_not() {
        let home = tempfile::tempdir().expect("a directory");
        let mut list = OwnLines::beside(&home.path().join("log"));
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
