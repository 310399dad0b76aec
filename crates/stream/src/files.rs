//! The files of a run that watchers read, and the places in them.

use super::text::Text;
use jiff::Timestamp;
use orch_core::ids::{RunId, TaskId};
use orch_core::output::{self, Part, start_of_last_lines};
use orch_core::timeline;
use orch_sys::fs;
use std::io;
use std::path::PathBuf;

/// The most that is read of a list of marks: four years of output without a pause.
const MARKS: usize = 512 << 20;

/// Where the output of one run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFiles {
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// Its directory.
    pub dir: PathBuf,
    /// What is watched, as a rule the transcript: append-only, whole lines.
    pub followed: PathBuf,
    /// The same once it was packed.
    pub packed: PathBuf,
    /// When which part of it was written, where that is known.
    pub timeline: Option<PathBuf>,
    /// How the lines of the transcript look.
    pub styles: PathBuf,
    /// Is there when everything is written.
    pub outcome: PathBuf,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this byte.
    Offset(u64),
    /// With the last lines that are there.
    Tail(usize),
    /// With what was written at this time or later.
    Since(Timestamp),
}

impl RunFiles {
    /// The files of a run in its directory.
    pub fn of(task: TaskId, run: RunId, dir: PathBuf, part: Part) -> Self {
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

    /// Everything is written.
    pub fn is_over(&self) -> bool {
        self.outcome.exists()
    }

    /// The byte at which to begin. A transcript that is not there yet is empty.
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
                // Nothing tells: better all of it than nothing.
                None => Ok(0),
            },
        }
    }

    /// When which part was written, see [`timeline`]. `None`: nothing tells.
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
        let mut room: u64 = 64 << 10;
        loop {
            let begin = length.saturating_sub(room);
            let bytes = text.range(begin, length)?;
            let start = start_of_last_lines(&bytes, lines);
            if start > 0 || begin == 0 {
                return Ok(begin + start as u64);
            }
            room *= 4;
        }
    }
}

/// The last line end at or before `length`: where live output can begin.
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
