//! What watchers get: pieces of a run's readable output, each with its place in the transcript. PURE.

use super::ids::{RunId, TaskId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// File name of the readable output of a run: append-only.
pub const TRANSCRIPT: &str = "transcript.log";
/// What the name of a file that is watched gets when it was packed: `zstd` frames with a table of their places.
pub const PACKED: &str = "zst";
/// File name of the list that tells when which part of it was written, see [`super::timeline`].
pub const TIMELINE: &str = "transcript.times";
/// File name of the list that tells how its lines look on a terminal, see [`super::styled`].
pub const STYLES: &str = "transcript.styles";
/// File name of the agent's own lines, masked.
pub const RAW: &str = "agent.jsonl";
/// File name of what the agent did, one JSON document a line, masked.
pub const ACTIVITY: &str = "activity.jsonl";
/// File name of what the agent printed, raw: it may hold secrets, and is never shown.
pub const EVENTS: &str = "events.jsonl";
/// File name of what the agent wrote to its stderr, raw.
pub const STDERR: &str = "stderr.log";
/// File name of what an agent that only has a screen wrote to its terminal, raw.
pub const SCREEN: &str = "screen.raw";
/// File name of what the project's setup printed in the run's worktree.
pub const SETUP_LOG: &str = "setup.log";
/// File name of a run's report: when it is there, everything is written.
pub const OUTCOME: &str = "outcome.json";

/// What of a run is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What the agent says and does, for a person: the transcript.
    #[default]
    Output,
    /// The same for programs: structured events.
    Events,
    /// The agent's own lines.
    Raw,
}

/// A piece of the output of one run. The transcript is append-only, so an offset is a cursor: whoever has seen
/// everything up to [`OutputChunk::end`] goes on there, without loss and without doubles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputChunk {
    /// The task.
    pub task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    /// Where it begins, in bytes of the transcript.
    pub offset: u64,
    /// Where the next one begins. More than `offset` and the length of `content` only where bytes were no text.
    pub end: u64,
    /// When it was written, to within a quarter of a second; of what is seen live, when it was seen.
    pub timestamp: Timestamp,
    /// Text: whole lines, unless a line is longer than a piece.
    pub content: String,
    /// The run is over, and this is the last piece of it. Once per run.
    pub is_final: bool,
}

/// How many of `bytes` make the next piece of at most `most`: up to the last line feed, or, of a longer line, up to a
/// character's end. 0: the line is still being written.
pub fn piece_length(bytes: &[u8], most: usize, is_all: bool) -> usize {
    let room = &bytes[..bytes.len().min(most)];
    if let Some(end) = room.iter().rposition(|b| *b == b'\n') {
        return end + 1;
    }
    if bytes.len() < most {
        return if is_all { bytes.len() } else { 0 };
    }
    // A character is at most four bytes long; what is no text at all may be cut anywhere.
    let is_start = |at: &usize| bytes.get(*at).is_none_or(|b| b & 0xc0 != 0x80);
    (room.len().saturating_sub(3)..=room.len()).rev().find(is_start).filter(|at| *at > 0).unwrap_or(room.len())
}

/// Where the last `lines` lines of a text begin. A line feed at its end begins no line.
pub fn start_of_last_lines(bytes: &[u8], lines: usize) -> usize {
    if lines == 0 {
        return bytes.len();
    }
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut feeds = text.iter().enumerate().rev().filter(|(_, b)| **b == b'\n');
    feeds.nth(lines - 1).map_or(0, |(at, _)| at + 1)
}

/// The line of `text` that holds the byte at `at`, without its line feed.
pub fn line_at(text: &[u8], at: usize) -> Range<usize> {
    let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |feed| feed + 1);
    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |feed| at + feed);
    start..end
}

/// The last line of a text with something in it.
pub fn last_line_of(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_end_with_lines_or_at_least_with_characters() {
        assert_eq!(piece_length(b"one\ntwo\nth", 100, false), 8);
        assert_eq!(piece_length(b"th", 100, false), 0);
        assert_eq!(piece_length(b"th", 100, true), 2);
        assert_eq!(piece_length("ééé".as_bytes(), 3, false), 2);
        assert_eq!(piece_length("é🙂".as_bytes(), 5, false), 2);
        assert_eq!(piece_length(&[0x80; 9], 4, false), 4);
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let text = b"a\nbb\nccc\n";
        for (lines, start) in [(0, 9), (1, 5), (2, 2), (3, 0), (9, 0)] {
            assert_eq!(start_of_last_lines(text, lines), start, "{lines}");
        }
        assert_eq!(start_of_last_lines(b"a\nb", 1), 2);
        assert_eq!(start_of_last_lines(b"", 3), 0);
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_the_text(text in "[a-zé🙂\n]{0,60}", most in 4_usize..20) {
            let (mut left, mut told) = (text.as_bytes(), String::new());
            while !left.is_empty() {
                let length = piece_length(left, most, true);
                prop_assert!(length > 0 && length <= most);
                told.push_str(std::str::from_utf8(&left[..length]).expect("whole characters"));
                left = &left[length..];
            }
            prop_assert_eq!(told, text);
        }
    }
}
