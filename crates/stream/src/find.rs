//! Finds lines of one transcript that match a pattern, with their numbers and surrounding lines. Only a chunk of the
//! transcript is in memory, and only a part of a very long line is returned.

use super::chunks::Pieces;
use super::text::Text;
use orch_core::economics::pattern::Pattern;
use orch_core::text::output::start_of_last_lines;
use std::io;
use std::ops::{ControlFlow, Range};

/// The size of a chunk that is read at once, in bytes.
const PIECE: usize = 1 << 20;
/// The longest part of one line that is returned, in bytes.
const SHOWN: usize = 4 << 10;
/// How much of a long line before its first match is returned, in bytes.
const LEAD: usize = 1 << 10;
/// How far back context lines are searched, in bytes.
const BACK: u64 = 1 << 20;

/// A matching line with its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The matching line.
    pub line: Line,
    /// The matches in its text, as byte ranges.
    pub matches: Vec<Range<usize>>,
    /// The context lines before it.
    pub before: Vec<Line>,
    /// The context lines after it.
    pub after: Vec<Line>,
}

/// A line, possibly shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line number in the transcript, from 1.
    pub number: u64,
    /// The byte offset of its start in the transcript.
    pub offset: u64,
    /// Its text, without the line feed; invalid UTF-8 is replaced.
    pub text: String,
    /// Whether only a part of the line is included.
    pub is_cut: bool,
}

/// A range of whole lines of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The offset of its first byte.
    pub begin: u64,
    /// The offset after its last byte.
    pub end: u64,
    /// The number of lines before it.
    pub lines: u64,
}

impl Span {
    /// Returns the range of a whole transcript.
    pub const ALL: Self = Self { begin: 0, end: u64::MAX, lines: 0 };
}

/// Searches a range of a transcript and calls `take` for every matching line, with `context` lines on both sides, until
/// it breaks.
///
/// # Errors
/// The transcript cannot be read.
pub fn find<B>(
    text: &Text,
    part: Span,
    pattern: &Pattern,
    context: usize,
    take: &mut dyn FnMut(Hit) -> ControlFlow<B>,
) -> io::Result<ControlFlow<B>> {
    let mut pieces = Pieces::new(text, part.begin, part.end, PIECE);
    let mut lines = part.lines;
    while let Some(piece) = pieces.read()? {
        let (mut from, mut counted) = (0, 0);
        while let Some(line) = pattern.next_line(piece.bytes, from) {
            from = line.end + 1;
            lines += count(&piece.bytes[counted..line.start]);
            counted = line.start;
            let hit = to_hit(text, piece.offset, piece.bytes, line, lines + 1, pattern, context)?;
            if let ControlFlow::Break(why) = take(hit) {
                return Ok(ControlFlow::Break(why));
            }
        }
        lines += count(&piece.bytes[counted..]);
    }
    Ok(ControlFlow::Continue(()))
}

/// Returns how many lines begin before `offset`, which is the start of a line.
///
/// # Errors
/// The transcript cannot be read.
pub fn lines_before(text: &Text, offset: u64) -> io::Result<u64> {
    let (mut pieces, mut lines) = (Pieces::new(text, 0, offset, PIECE), 0);
    while let Some(piece) = pieces.read()? {
        lines += count(piece.bytes);
    }
    Ok(lines)
}

/// Counts line feeds.
pub fn count(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn to_hit(
    text: &Text,
    at: u64,
    bytes: &[u8],
    line: Range<usize>,
    number: u64,
    pattern: &Pattern,
    context: usize,
) -> io::Result<Hit> {
    let offset = at + line.start as u64;
    let (before, after) = match context {
        0 => (Vec::new(), Vec::new()),
        _ => (before(text, offset, number, context)?, after(text, at + line.end as u64 + 1, number, context)?),
    };
    let line = &bytes[line];
    // Of a line of many megabytes, only the returned part is matched again.
    let first = pattern.first(line).unwrap_or(0..0);
    let begin = if line.len() <= SHOWN { 0 } else { first.start.saturating_sub(LEAD) };
    let shown = &line[begin..line.len().min(begin + SHOWN)];
    let spans = match shown.len() == line.len() {
        true => pattern.spans(shown),
        false => Vec::from_iter(Some(first.start - begin..(first.end - begin).min(shown.len()))),
    };
    let (content, matches) = as_text(shown, &spans);
    let line = Line { number, offset, text: content, is_cut: shown.len() < line.len() };
    Ok(Hit { line, matches, before, after })
}

/// Converts bytes to text, and their spans to ranges in it.
fn as_text(bytes: &[u8], spans: &[Range<usize>]) -> (String, Vec<Range<usize>>) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && spans.iter().all(|span| text.is_char_boundary(span.start) && text.is_char_boundary(span.end))
    {
        return (text.to_owned(), spans.to_vec());
    }
    let (mut text, mut moved, mut at) = (String::new(), Vec::new(), 0);
    for span in spans {
        text.push_str(&String::from_utf8_lossy(&bytes[at..span.start]));
        let begin = text.len();
        text.push_str(&String::from_utf8_lossy(&bytes[span.clone()]));
        moved.push(begin..text.len());
        at = span.end;
    }
    text.push_str(&String::from_utf8_lossy(&bytes[at..]));
    (text, moved)
}

fn line(number: u64, offset: u64, bytes: &[u8]) -> Line {
    let is_cut = bytes.len() > SHOWN;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned();
    Line { number, offset, text, is_cut }
}

/// Returns the lines that end before `offset`, the start of line `number`.
fn before(text: &Text, offset: u64, number: u64, context: usize) -> io::Result<Vec<Line>> {
    let mut distance: u64 = 16 << 10;
    loop {
        let begin = offset.saturating_sub(distance);
        let bytes = text.range(begin, offset)?;
        let start = start_of_last_lines(&bytes, context);
        if start == 0 && begin > 0 && distance < BACK {
            distance *= 4;
            continue;
        }
        let mut at = begin + start as u64;
        let mut lines = Vec::new();
        let numbers = number - count(&bytes[start..])..;
        for (number, bytes) in numbers.zip(bytes[start..].split_inclusive(|byte| *byte == b'\n')) {
            lines.push(line(number, at, bytes.strip_suffix(b"\n").unwrap_or(bytes)));
            at += bytes.len() as u64;
        }
        return Ok(lines);
    }
}

/// Returns the lines from `offset` on, the start of line `number` + 1.
fn after(text: &Text, mut offset: u64, mut number: u64, context: usize) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut pieces = Pieces::new(text, offset, u64::MAX, 16 << 10);
    while let Some(piece) = pieces.read()? {
        for bytes in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
            if lines.len() == context {
                return Ok(lines);
            }
            number += 1;
            lines.push(line(number, offset, bytes.strip_suffix(b"\n").unwrap_or(bytes)));
            offset += bytes.len() as u64;
        }
    }
    Ok(lines)
}
