//! The files of a run that watchers read, and positions in them.

use super::text::Text;
use jiff::Timestamp;
use orch_core::audit::timeline;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::text::output::{self, Part, start_of_last_lines};
use orch_sys::fs;
use std::io;
use std::path::PathBuf;

/// The largest list of marks that is read, in bytes: four years of output without a pause.
const MARKS: usize = 512 << 20;

/// The paths of one run's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFiles {
    /// The task of the run.
    pub task: TaskId,
    /// The id of the run.
    pub run: RunId,
    /// The directory of the run.
    pub dir: PathBuf,
    /// The watched file, usually the transcript: append-only, whole lines.
    pub followed: PathBuf,
    /// The packed form of the watched file.
    pub packed: PathBuf,
    /// The list of write times of the watched file, if known.
    pub timeline: Option<PathBuf>,
    /// The list of the styles of the transcript's lines.
    pub styles: PathBuf,
    /// The outcome file, which exists when everything is written.
    pub outcome: PathBuf,
}

/// The position from which to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From this byte offset.
    Offset(u64),
    /// With the last existing lines.
    Tail(usize),
    /// With output written at this time or later.
    Since(Timestamp),
}

impl RunFiles {
    /// Returns the paths of a run's files in its directory.
    pub fn new(task: TaskId, run: RunId, dir: PathBuf, part: Part) -> Self {
        let followed = match part {
            Part::Output => output::TRANSCRIPT,
            Part::Events => output::ACTIVITY,
            Part::Raw => output::RAW,
        };
        let timeline = (part == Part::Output).then(|| dir.join(output::TIMELINE));
        let (followed, outcome) = (dir.join(followed), dir.join(output::OUTCOME));
        let styles = dir.join(output::STYLES);
        let packed = followed.with_added_extension(output::PACKED);
        Self { task, run, dir, followed, packed, timeline, styles, outcome }
    }

    /// Returns whether everything is written.
    pub fn is_over(&self) -> bool {
        self.outcome.exists()
    }

    /// Resolves a start to a byte offset. A missing transcript counts as empty.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn place(&self, start: Start) -> io::Result<u64> {
        match start {
            Start::Offset(offset) => Ok(offset),
            Start::Tail(lines) => self.tail(lines),
            Start::Since(since) => match self.marks() {
                Some(marks) => match timeline::offset_at(&marks, since) {
                    Some(offset) => Ok(offset),
                    None => self.length(),
                },
                // No times are known: return everything rather than nothing.
                None => Ok(0),
            },
        }
    }

    /// Reads the list of write times, see [`timeline`]; `None` when there is none.
    pub fn marks(&self) -> Option<Vec<u8>> {
        fs::read_limited(self.timeline.as_ref()?, MARKS).ok()
    }

    fn length(&self) -> io::Result<u64> {
        Text::open(self)?.map_or(Ok(0), |text| text.length())
    }

    /// Reads backwards until there are enough lines.
    fn tail(&self, lines: usize) -> io::Result<u64> {
        let Some(text) = Text::open(self)? else { return Ok(0) };
        let length = text.length()?;
        let mut distance: u64 = 64 << 10;
        loop {
            let begin = length.saturating_sub(distance);
            let bytes = text.range(begin, length)?;
            let start = start_of_last_lines(&bytes, lines);
            if start > 0 || begin == 0 {
                return Ok(begin + start as u64);
            }
            distance *= 4;
        }
    }
}

/// Returns the last line end at or before `length`, where live output can begin.
pub(super) fn last_line_end(text: &Text, length: u64) -> io::Result<u64> {
    const STEP: u64 = 64 << 10;
    let mut end = length;
    while end > 0 {
        let begin = end.saturating_sub(STEP);
        let bytes = text.range(begin, end)?;
        if let Some(feed) = bytes.iter().rposition(|b| *b == b'\n') {
            return Ok(begin + feed as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}
