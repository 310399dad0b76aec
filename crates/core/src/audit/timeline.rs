//! The timeline of a transcript: marks of fixed length that say when each part was written, so that the file can be
//! searched without reading all of it. Pure: the format and its arithmetic.

use jiff::Timestamp;

/// The length of a mark in bytes: `<offset, 16 hex digits> <milliseconds since 1970, 12 hex digits>\n`.
pub const MARK: usize = 30;

/// A mark: the text at and after `offset` was written at `at` or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The offset in the transcript, in bytes.
    pub offset: u64,
    /// The time of writing.
    pub at: Timestamp,
}

impl Mark {
    /// Renders the mark for the file.
    pub fn line(self) -> String {
        format!("{:016x} {:012x}\n", self.offset, self.at.as_millisecond().max(0))
    }

    /// Parses a mark; `None` if it is invalid.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (offset, at) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
        let at = Timestamp::from_millisecond(i64::from_str_radix(at, 16).ok()?).ok()?;
        Some(Self { offset: u64::from_str_radix(offset, 16).ok()?, at })
    }
}

/// Returns when the byte at `offset` was written; `None` if no mark shows it.
pub fn time_at(marks: &[u8], offset: u64) -> Option<Timestamp> {
    let count = marks.len() / MARK;
    let mark = |index: usize| Mark::parse(&marks[index * MARK..(index + 1) * MARK]);
    let after = first(count, |index| mark(index).is_some_and(|mark| mark.offset > offset));
    after.checked_sub(1).and_then(mark).map(|mark| mark.at)
}

/// Returns the offset of the first text written at `since` or later; `None` if there is none.
///
/// If the clock was set back in between, the first such offset counts.
pub fn offset_at(marks: &[u8], since: Timestamp) -> Option<u64> {
    marks.chunks_exact(MARK).filter_map(Mark::parse).find(|mark| mark.at >= since).map(|mark| mark.offset)
}

/// Returns the first index for which `is_after` holds; it must hold for all later ones.
fn first(count: usize, is_after: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if is_after(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).expect("a time")
    }

    #[test]
    fn a_place_has_a_time_and_a_time_has_a_place() {
        let list = [(0, 0), (100, 5), (250, 9)];
        let marks: String = list.iter().map(|&(offset, s)| Mark { offset, at: at(s) }.line()).collect();
        assert_eq!(marks.len(), 3 * MARK);
        let marks = marks.as_bytes();
        for (offset, seconds) in [(0, 0), (99, 0), (100, 5), (249, 5), (250, 9), (9999, 9)] {
            assert_eq!(time_at(marks, offset), Some(at(seconds)), "{offset}");
        }
        for (seconds, offset) in [(-5, Some(0)), (0, Some(0)), (1, Some(100)), (9, Some(250)), (10, None)] {
            assert_eq!(offset_at(marks, at(seconds)), offset, "{seconds}");
        }
    }

    #[test]
    fn after_a_jump_of_the_clock_more_is_shown_and_never_less() {
        let list = [(0, 0), (100, 3600), (200, 10), (300, 20)];
        let marks: String = list.iter().map(|&(offset, s)| Mark { offset, at: at(s) }.line()).collect();
        for since in 0..4000 {
            let shown = offset_at(marks.as_bytes(), at(since));
            let wanted = list.iter().filter(|(_, s)| *s >= since).map(|(offset, _)| *offset).min();
            assert_eq!(shown, wanted, "{since}");
        }
    }

    #[test]
    fn garbage_is_no_mark_and_stops_nobody() {
        assert_eq!(Mark::parse(b"what is this? not a mark.....\n"), None);
        assert_eq!(time_at(b"", 5), None);
        assert_eq!(time_at(&[0xff; MARK], 5), None);
        assert_eq!(offset_at(&[b'x'; 3 * MARK], at(0)), None);
    }
}
