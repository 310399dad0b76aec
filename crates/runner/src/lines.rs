//! Splits a stream of bytes into whole lines, with bounded memory. PURE.

use std::borrow::Cow;

/// The longest line that is passed on, in bytes; what is beyond stays in the file only.
pub(super) const MAX_LINE: usize = 8 << 20;

/// One line, without its line feed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The text; bytes that are not UTF-8 are replaced.
    pub(super) text: Cow<'a, str>,
    /// How many bytes at its end were dropped.
    pub(super) dropped: u64,
}

/// Buffers the beginning of a line until its end arrives.
#[derive(Debug)]
pub(super) struct Splitter {
    longest: usize,
    partial: Vec<u8>,
    dropped: u64,
    /// Everything up to the next line feed is dropped.
    skipping: bool,
}

impl Splitter {
    pub(super) fn new(longest: usize) -> Self {
        Self { longest, partial: Vec::new(), dropped: 0, skipping: false }
    }

    /// Drops the rest of the current line, for a stream that begins in the middle of one.
    pub(super) fn skip_to_next_line(&mut self) {
        self.skipping = true;
    }

    /// Takes the next bytes and passes on every line that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], on_line: &mut dyn FnMut(Line<'_>)) {
        if self.skipping {
            let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return };
            bytes = &bytes[end + 1..];
            self.skipping = false;
        }
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.partial.is_empty() && self.dropped == 0 && line.len() <= self.longest {
                on_line(Line { text: String::from_utf8_lossy(line), dropped: 0 });
            } else {
                self.buffer(line);
                self.finish(on_line);
            }
            bytes = rest;
        }
        self.buffer(bytes);
    }

    /// Ends the stream: passes on a last line that has no line feed.
    pub(super) fn finish(&mut self, on_line: &mut dyn FnMut(Line<'_>)) {
        if !self.partial.is_empty() || self.dropped > 0 {
            on_line(Line { text: String::from_utf8_lossy(&self.partial), dropped: self.dropped });
        }
        self.partial.clear();
        // One huge line must not hold its memory for the rest of the run.
        self.partial.shrink_to(1 << 20);
        self.dropped = 0;
    }

    fn buffer(&mut self, bytes: &[u8]) {
        let space = self.longest.saturating_sub(self.partial.len()).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..space]);
        self.dropped += (bytes.len() - space) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(longest: usize, chunks: &[&[u8]]) -> Vec<(String, u64)> {
        let mut lines = Vec::new();
        let mut splitter = Splitter::new(longest);
        let mut on_line = |line: Line<'_>| lines.push((line.text.into_owned(), line.dropped));
        chunks.iter().for_each(|chunk| splitter.push(chunk, &mut on_line));
        splitter.finish(&mut on_line);
        lines
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_is_whole_again() {
        assert_eq!(split(4, &[b"abcd", b"ef\nxy\n"]), [("abcd".into(), 2), ("xy".into(), 0)]);
        assert_eq!(split(4, &[b"abcdef\n\nno end"]), [("abcd".into(), 2), (String::new(), 0), ("no e".into(), 2)]);
    }

    #[test]
    fn a_stream_that_begins_inside_a_line_is_read_from_the_next_one() {
        let mut lines = Vec::new();
        let mut splitter = Splitter::new(9);
        splitter.skip_to_next_line();
        for chunk in [b"half".as_slice(), b" a line\nwhole\n"] {
            splitter.push(chunk, &mut |line| lines.push(line.text.into_owned()));
        }
        assert_eq!(lines, ["whole"]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(split(99, &[b"a\xff\0b\n"]), [("a\u{fffd}\0b".into(), 0)]);
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_makes_no_difference(text in "[ab\n]{0,40}", cut in 0_usize..40, longest in 1_usize..9) {
            let at = cut.min(text.len());
            let (head, tail) = text.as_bytes().split_at(at);
            prop_assert_eq!(split(longest, &[head, tail]), split(longest, &[text.as_bytes()]));
        }
    }
}
