//! Reads a transcript in chunks of whole lines, with one chunk in memory.

use super::text::Text;
use std::io;

/// The longest line that fits into one chunk, in bytes: a longer one is split.
const LONGEST: usize = 64 << 20;

/// Reads a range of a text in chunks.
pub struct Pieces<'a> {
    text: &'a Text,
    /// The offset of the next chunk.
    at: u64,
    until: u64,
    size: usize,
    longest: usize,
    /// The bytes read from `at - given` on.
    buffer: Vec<u8>,
    /// How many of these bytes were returned already.
    given: usize,
}

/// A chunk of whole lines, unless a line is longer than any chunk.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The offset of its first byte in the text.
    pub offset: u64,
    /// Its bytes, never empty.
    pub bytes: &'a [u8],
}

impl<'a> Pieces<'a> {
    /// Reads from `begin`, the start of a line, to `until` or the end of the text, in chunks of about `size` bytes.
    pub fn new(text: &'a Text, begin: u64, until: u64, size: usize) -> Self {
        Self { text, at: begin, until, size, longest: LONGEST, buffer: Vec::new(), given: 0 }
    }

    pub(super) fn longest(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    /// Reads the next chunk; `None` at the end.
    ///
    /// # Errors
    /// The text cannot be read.
    pub fn read(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.buffer.drain(..self.given);
        self.given = 0;
        let mut wanted = self.size;
        loop {
            let is_end = self.fill(wanted)?;
            let feed = memchr::memrchr(b'\n', &self.buffer[..self.buffer.len().min(wanted)]);
            self.given = match feed {
                Some(feed) => feed + 1,
                None if is_end || wanted >= self.longest => self.buffer.len().min(wanted),
                None => {
                    wanted = (wanted * 2).min(self.longest);
                    continue;
                }
            };
            break;
        }
        if self.given == 0 {
            return Ok(None);
        }
        let offset = self.at;
        self.at += self.given as u64;
        Ok(Some(Piece { offset, bytes: &self.buffer[..self.given] }))
    }

    /// Reads until `wanted` bytes are buffered. Returns whether the end was reached.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        let held = self.buffer.len();
        if held >= wanted {
            return Ok(false);
        }
        let from = self.at + held as u64;
        let space = usize::try_from(self.until.saturating_sub(from)).unwrap_or(usize::MAX).min(wanted - held);
        self.buffer.resize(held + space, 0);
        let count = self.text.read_at(&mut self.buffer[held..], from)?;
        self.buffer.truncate(held + count);
        Ok(held + count < wanted)
    }
}
