//! What a stream of output says, on the wire: pieces of output, and what a watcher must know around them. PURE.

use super::mirror::mirror;
use super::types::TaskView;
use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::text::output::OutputChunk;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One event of a stream. Its name on the wire is `type`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamEvent {
    /// What follows is the output of this run.
    Run(RunNote),
    /// The next chunk of output.
    Output(OutputChunkView),
    /// The watcher was too slow: these bytes come out of the transcript now.
    Lagged {
        /// The id of the run.
        run_id: RunId,
        /// The offset of the first of them.
        from: u64,
        /// After the last of them.
        to: u64,
    },
    /// Somebody cut the transcript: what follows begins at this offset.
    Cut {
        /// The id of the run.
        run_id: RunId,
        /// The new offset.
        offset: u64,
    },
    /// Nothing runs yet.
    Waiting {
        /// The id of the task.
        task_id: TaskId,
        /// Why nothing runs.
        because: String,
    },
    /// The task is at rest; the stream ends.
    Settled {
        /// The task at rest.
        task: Box<TaskView>,
    },
}

mirror! {
    /// A chunk of the output of one run. The transcript is append-only, so that an offset is a cursor: a reader that has
    /// seen everything up to `end` continues there without loss or duplicates.
    #[schemars(rename = "OutputChunk")]
    pub struct OutputChunkView for OutputChunk {
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
}

/// A run whose output follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunNote {
    /// The id of the task.
    pub task_id: TaskId,
    /// The title of the task.
    pub title: String,
    /// The id of the run.
    pub run_id: RunId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The agent.
    pub agent: String,
    /// The model.
    pub model: Option<String>,
    /// The byte at which the stream continues; what precedes it is left out.
    #[serde(default)]
    pub offset: u64,
}

/// A place in a stream: what `id:` of an event says, and what `Last-Event-ID` gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The id of the run.
    pub run: RunId,
    /// Everything before this byte was seen.
    pub offset: u64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.run, self.offset)
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a place in a stream: expected <run>:<byte>");
        let (run, offset) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self { run: run.parse().map_err(|_| bad())?, offset: offset.parse().map_err(|_| bad())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let cursor = Cursor { run: RunId::new(TaskId(7), 2, 0xab), offset: 18_432 };
        assert_eq!(cursor.to_string(), "7-2-000000ab:18432");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "7", "7-2-000000ab", "7-2-000000ab:", "x:1", "7-2-000000ab:-1"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
