//! The output of a run for watchers: chunks of its transcript with their offsets. Pure.

use crate::base::ids::{RunId, TaskId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// File name of the readable output of a run, which is append-only.
pub const TRANSCRIPT: &str = "transcript.log";
/// The suffix of packed files: `zstd` frames with a seek table.
pub const PACKED: &str = "zst";
/// File name of the list of times at which parts of the transcript were written, see [`crate::audit::timeline`].
pub const TIMELINE: &str = "transcript.times";
/// File name of the list of the lines' terminal styles, see [`super::styled`].
pub const STYLES: &str = "transcript.styles";
/// File name of the agent's own output lines, with secrets masked.
pub const RAW: &str = "agent.jsonl";
/// File name of the agent's activity, one JSON document per line, with secrets masked.
pub const ACTIVITY: &str = "activity.jsonl";
/// File name of the agent's raw stdout: it may contain secrets and is never shown.
pub const EVENTS: &str = "events.jsonl";
/// File name of the agent's raw stderr.
pub const STDERR: &str = "stderr.log";
/// File name of the raw terminal output of an agent that only has a screen.
pub const SCREEN: &str = "screen.raw";
/// File name of the output of the project's setup in the run's worktree.
pub const SETUP_LOG: &str = "setup.log";
/// File name of a run's report: once it exists, all files are complete.
pub const OUTCOME: &str = "outcome.json";

/// The part of a run's output that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The agent's text and actions for a person: the transcript.
    #[default]
    Output,
    /// The same for programs, as structured events.
    Events,
    /// The agent's own output lines.
    Raw,
}

/// A chunk of the output of one run. The transcript is append-only, so that an offset is a cursor: a reader that has
/// seen everything up to [`OutputChunk::end`] continues there without loss or duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// The task of the run.
    pub task_id: TaskId,
    /// The run that wrote it.
    pub run_id: RunId,
    /// The start of the chunk, in bytes of the transcript.
    pub offset: u64,
    /// The start of the next chunk. More than `offset` plus the length of `content` only where bytes were not valid
    /// text.
    pub end: u64,
    /// When it was written, accurate to a quarter of a second; of live output, when it was read.
    pub timestamp: Timestamp,
    /// The text: whole lines, unless a line is longer than a chunk.
    pub content: String,
    /// Whether the run is over and this is its last chunk. Set once per run.
    pub is_final: bool,
}

/// Returns how many of `bytes` make up the next chunk of at most `most` bytes: up to the last line feed or, within a
/// longer line, up to the end of a character. 0: the line is still being written.
pub fn chunk_length(bytes: &[u8], most: usize, is_all: bool) -> usize {
    let window = &bytes[..bytes.len().min(most)];
    if let Some(end) = window.iter().rposition(|b| *b == b'\n') {
        return end + 1;
    }
    if bytes.len() < most {
        return if is_all { bytes.len() } else { 0 };
    }
    // A character has at most four bytes; invalid text may be cut anywhere.
    let is_start = |at: &usize| bytes.get(*at).is_none_or(|b| b & 0xc0 != 0x80);
    (window.len().saturating_sub(3)..=window.len()).rev().find(is_start).filter(|at| *at > 0).unwrap_or(window.len())
}

/// Returns the start of the last `lines` lines of a text. A line feed at its end does not start a line.
pub fn start_of_last_lines(bytes: &[u8], lines: usize) -> usize {
    if lines == 0 {
        return bytes.len();
    }
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut feeds = text.iter().enumerate().rev().filter(|(_, b)| **b == b'\n');
    feeds.nth(lines - 1).map_or(0, |(at, _)| at + 1)
}

/// Returns the line of `text` that contains the byte at `at`, without its line feed.
pub fn line_at(text: &[u8], at: usize) -> Range<usize> {
    let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |feed| feed + 1);
    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |feed| at + feed);
    start..end
}

/// Returns the last non-blank line of a text.
pub fn last_line_of(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_end_with_lines_or_at_least_with_characters() {
        assert_eq!(chunk_length(b"one\ntwo\nth", 100, false), 8);
        assert_eq!(chunk_length(b"th", 100, false), 0);
        assert_eq!(chunk_length(b"th", 100, true), 2);
        assert_eq!(chunk_length("ééé".as_bytes(), 3, false), 2);
        assert_eq!(chunk_length("é🙂".as_bytes(), 5, false), 2);
        assert_eq!(chunk_length(&[0x80; 9], 4, false), 4);
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
            let (mut left, mut rendered) = (text.as_bytes(), String::new());
            while !left.is_empty() {
                let length = chunk_length(left, most, true);
                prop_assert!(length > 0 && length <= most);
                rendered.push_str(std::str::from_utf8(&left[..length]).expect("whole characters"));
                left = &left[length..];
            }
            prop_assert_eq!(rendered, text);
        }
    }
}
