//! Reads the list of the styles of a transcript's lines, see [`orch_core::styled`]. A missing, short or damaged
//! list only means less colour: the text never depends on it.

use orch_core::text::styled::{LineStyle, Styles};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The longest record, in bytes.
const LONGEST: u64 = 1 << 20;

/// Reads styles along with a reader of the transcript, usually forwards.
pub struct StyleReader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// An incomplete record at the end of the list.
    half: String,
    /// Records read ahead.
    ahead: Option<LineStyle>,
    /// The line in which the last request may have ended.
    last: Option<LineStyle>,
    /// The end of the last request.
    asked: u64,
}

impl StyleReader {
    /// Creates a reader for the list at `path`, which may not exist yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, half: String::new(), ahead: None, last: None, asked: 0 }
    }

    /// Returns the styles of the lines that overlap a range of the transcript.
    pub fn between(&mut self, begin: u64, end: u64) -> Styles {
        if begin < self.asked {
            *self = Self::new(&self.path);
        }
        self.asked = end;
        let mut styles = Styles::new();
        let last = self.last.take().filter(|style| style.end() > begin);
        styles.extend(last.map(|style| (style.offset, style)));
        while let Some(style) = self.ahead.take().or_else(|| self.next()) {
            if style.offset >= end {
                self.ahead = Some(style);
                break;
            }
            if style.end() > begin {
                styles.insert(style.offset, style);
            }
        }
        // A long line comes in several chunks.
        self.last = styles.last_key_value().map(|(_, style)| style.clone()).filter(|style| style.end() > end);
        styles
    }

    /// Reads the next complete valid record.
    fn next(&mut self) -> Option<LineStyle> {
        loop {
            if self.file.is_none() {
                self.file = File::open(&self.path).ok().map(BufReader::new);
            }
            let mut bytes = Vec::new();
            self.file.as_mut()?.take(LONGEST).read_until(b'\n', &mut bytes).ok()?;
            self.half.push_str(&String::from_utf8_lossy(&bytes));
            if !self.half.ends_with('\n') {
                if self.half.len() as u64 > LONGEST {
                    self.half.clear();
                }
                // The rest may still be written.
                return None;
            }
            let style = LineStyle::parse(&self.half);
            self.half.clear();
            if style.is_some() {
                return style;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::text::styled::Pen;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn offsets(styles: &Styles) -> Vec<u64> {
        styles.keys().copied().collect()
    }

    #[test]
    fn styles_are_found_forwards_backwards_and_while_they_are_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("styles");
        let mut reader = StyleReader::new(&path);
        assert_eq!(offsets(&reader.between(0, 10)), [] as [u64; 0]);
        let mut file = OpenOptions::new().append(true).create(true).open(&path).expect("writable");
        let record =
            |offset, length| LineStyle::record(offset, length, Pen::from_parameters("2"), &[]).expect("a style");
        let late = record(40, 5);
        let (half, rest) = late.split_at(4);
        write!(file, "{}damaged\n{}{half}", record(0, 5), record(10, 25)).expect("writable");
        assert_eq!(offsets(&reader.between(10, 20)), [10]);
        assert_eq!(offsets(&reader.between(20, 30)), [10], "a long line goes on");
        assert_eq!(offsets(&reader.between(30, 50)), [10]);
        write!(file, "{rest}").expect("writable");
        assert_eq!(offsets(&reader.between(50, 60)), [] as [u64; 0]);
        assert_eq!(offsets(&reader.between(0, 50)), [0, 10, 40]);
    }
}
