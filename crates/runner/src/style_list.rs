//! The styles of the transcript's lines, in a file beside it, see [`orch_core::styled`]. Each record is written before
//! its line, so that a reader of the line finds it. Nothing depends on it: what cannot be written is missing.

use super::fit::Rendered;
use orch_core::text::styled::LineStyle;
use std::fs::File;
use std::io::{self, Read, Write};

/// The largest list, in bytes. Styles beyond it are dropped.
const MAX_BYTES: u64 = 16 << 20;

/// The list of one run.
pub(super) struct StyleList {
    file: File,
    length: u64,
}

impl StyleList {
    /// Appends to `file`, which must be open for reading and appending.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// Removes the records of lines at `offset` and after, and a partial record.
    pub(super) fn cut(&mut self, offset: u64) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let is_before = |record: &str| LineStyle::parse(record).is_some_and(|style| style.offset < offset);
        let records = text.split_inclusive('\n');
        let kept: usize = records.take_while(|r| r.ends_with('\n') && is_before(r)).map(str::len).sum();
        self.length = kept as u64;
        self.file.set_len(self.length)
    }

    /// Returns the length of the list in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Shortens the list to an earlier length.
    pub(super) fn truncate(&mut self, length: u64) {
        if self.file.set_len(length).is_ok() {
            self.length = length;
        }
    }

    /// Adds the styles of lines that are about to stand at `offset` and after.
    pub(super) fn add<'a>(&mut self, mut offset: u64, lines: impl Iterator<Item = &'a Rendered>) {
        let mut records = String::new();
        for line in lines {
            records.extend(LineStyle::record(offset, line.text.len(), line.style.pen(), &line.spans));
            offset += line.text.len() as u64 + 1;
        }
        if records.is_empty() || self.length + records.len() as u64 > MAX_BYTES {
            return;
        }
        match self.file.write_all(records.as_bytes()) {
            Ok(()) => self.length += records.len() as u64,
            // A partial record would corrupt the next one.
            Err(_) => drop(self.file.set_len(self.length)),
        }
    }
}
