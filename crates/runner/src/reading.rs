//! Follows the agent's output: passes every whole line through the dialect's reader into transcript and records.

use super::inbox::Inbox;
use super::launch::{Launch, RunDir};
use super::lines::{Line, MAX_LINE, Splitter};
use super::records::Records;
use super::report::redact_ending;
use super::sanitize::sanitize;
use super::session_record;
use super::stopwatch::Stopwatch;
use super::transcript::Transcript;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_core::models::agents::reset::reset_in;
use orch_core::models::agents::{EventReader, LiveReader, Stdin};
use orch_core::tasks::outcome::{AgentEvent, Ending, Exit, FailureClass, Outcome};
use orch_core::text::redact::{Chunk, ChunkRedactor, Thread};
use orch_sys::clock::{Clock as _, SystemClock, instant};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most bytes that one step reads, so that other work gets its turn.
const STEP_BYTES: usize = 256 << 10;

/// How many bytes of the end of stderr are read.
const STDERR_TAIL: u64 = 8 << 10;

/// How many bytes of a secret's beginning at the end of a text hold it back until the next one arrives.
const MIN_PREFIX: usize = 4;

/// The dialect's reader for the output.
enum OutputReader {
    /// For an agent that gets everything at the start.
    OneShot(Box<dyn EventReader>),
    /// For an agent whose conversation stays open.
    Live(Box<dyn LiveReader>),
}

impl OutputReader {
    fn new(launch: &Launch) -> Self {
        let dialect = launch.dialect.dialect();
        let live = dialect.live_reader(&launch.spec.opening).filter(|_| launch.spec.stdin == Stdin::Live);
        live.map_or_else(|| Self::OneShot(dialect.reader(launch.kind)), Self::Live)
    }

    fn reader(&self) -> &dyn EventReader {
        match self {
            Self::OneShot(reader) => &**reader,
            Self::Live(reader) => &**reader,
        }
    }

    fn reader_mut(&mut self) -> &mut dyn EventReader {
        match self {
            Self::OneShot(reader) => &mut **reader,
            Self::Live(reader) => &mut **reader,
        }
    }
}

/// One reading of the output of a run.
pub(super) struct Reading {
    reader: OutputReader,
    inbox: Inbox,
    records: Records,
    clock: Clock,
    events: File,
    stderr: File,
    /// The offset at which the stderr of the agent's present process begins.
    stderr_start: u64,
    /// How many processes of the agent preceded it.
    earlier_starts: u32,
    splitter: Splitter,
    chunks: ChunkRedactor<EventChunk>,
    buffer: Vec<u8>,
    /// Counts the bytes printed, where the lengths of the files do not.
    printed: Option<Arc<AtomicU64>>,
    /// Why the agent's output is withheld, if it is.
    withheld: Option<String>,
    pub(super) transcript: Transcript,
}

impl Reading {
    /// Begins at the start of the output. The files must exist.
    pub(super) fn open(dir: &RunDir, launch: &Launch, mut transcript: Transcript) -> io::Result<Self> {
        let model = launch.model.as_ref().map_or(String::new(), |model| format!(" ({model})"));
        transcript.note(&format!("task {}, run {}: {}{model}", launch.task_id, launch.run_id, launch.agent));
        Ok(Self {
            reader: OutputReader::new(launch),
            inbox: Inbox::new(dir, launch.messages.clone()),
            records: Records::open(dir)?,
            clock: Clock::default(),
            events: File::open(dir.events())?,
            stderr: File::open(dir.stderr())?,
            stderr_start: 0,
            earlier_starts: 0,
            splitter: Splitter::new(MAX_LINE),
            chunks: ChunkRedactor::new(0),
            buffer: vec![0; 64 << 10],
            printed: None,
            withheld: None,
            transcript,
        })
    }

    /// Withholds the agent's output from now on, because its secrets cannot be masked.
    pub(super) fn withhold(&mut self, reason: String) {
        self.transcript.withhold();
        self.records.withhold();
        self.withheld = Some(reason);
    }

    /// Returns why the agent's output is withheld, if it is.
    pub(super) fn withheld(&self) -> Option<&str> {
        self.withheld.as_deref()
    }

    /// Starts the clock: the agent is about to start, and its output is read as it arrives.
    pub(super) fn follow_live(&mut self) {
        self.clock.start();
    }

    /// Reads new output, up to [`STEP_BYTES`]. Returns whether there may be more.
    pub(super) fn step(&mut self) -> bool {
        let mut left = STEP_BYTES;
        let at = self.clock.at();
        while left > 0 {
            let count = match self.events.read(&mut self.buffer) {
                Ok(count @ 1..) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => break,
            };
            left = left.saturating_sub(count);
            let (bytes, mut sink, splitter) = self.sink(count, at);
            splitter.push(bytes, &mut |line| sink.line(&line));
        }
        self.transcript.flush();
        self.records.flush();
        self.clock.is_behind = left == 0;
        left == 0
    }

    /// Reads to the end, including an incomplete last line. No process may write any more. Of more than `most` bytes only
    /// the end is read, and the gap is marked: a flood must not delay the report forever. What an earlier reading rendered
    /// is read in any case, to find what is new.
    pub(super) fn finish_lines(&mut self, most: u64) {
        let was_known = self.transcript.has_known() || self.records.has_known();
        while (self.transcript.has_known() || self.records.has_known()) && self.step() {}
        if !was_known {
            // The beginning of the unread output is rendered in any case: on a busy machine a flood may exceed `most`
            // before any of it was read.
            self.step();
        }
        self.skip_to_last(most);
        while self.step() {}
        let at = self.clock.at();
        let (_, mut sink, splitter) = self.sink(0, at);
        splitter.finish(&mut |line| sink.line(&line));
        sink.finish();
        self.transcript.end_of_events();
    }

    /// Returns the bytes that were read last, the sink for their lines, and the splitter.
    fn sink(&mut self, count: usize, at: Option<Duration>) -> (&[u8], LineSink<'_>, &mut Splitter) {
        let Self { reader, inbox, records, clock, splitter, buffer, transcript, chunks, .. } = self;
        let (reader, watch) = (reader.reader_mut(), &mut clock.watch);
        (&buffer[..count], LineSink { reader, inbox, transcript, records, chunks, watch, at }, splitter)
    }

    fn skip_to_last(&mut self, most: u64) {
        let Ok(here) = self.events.stream_position() else { return };
        let length = self.events.metadata().map_or(here, |found| found.len());
        let start = length.saturating_sub(most);
        if start <= here || self.events.seek(SeekFrom::Start(start)).is_err() {
            return;
        }
        self.splitter = Splitter::new(MAX_LINE);
        self.splitter.skip_to_next_line();
        let gap = start - here;
        self.records.skip();
        self.transcript.skip(&format!("{gap} bytes of output are left out here; the run's directory has them"));
    }

    /// Counts the output by `printed`, and not by the lengths of the files.
    pub(super) fn count_output_by(&mut self, printed: Arc<AtomicU64>) {
        self.printed = Some(printed);
    }

    /// Returns the number of bytes printed so far.
    pub(super) fn output_bytes(&self) -> u64 {
        if let Some(printed) = &self.printed {
            return printed.load(Ordering::Relaxed);
        }
        [&self.events, &self.stderr].iter().map(|file| file.metadata().map_or(0, |found| found.len())).sum()
    }

    pub(super) fn reader(&self) -> &dyn EventReader {
        self.reader.reader()
    }

    /// Returns the open conversation, if there is one.
    pub(super) fn live(&mut self) -> Option<&mut dyn LiveReader> {
        match &mut self.reader {
            OutputReader::OneShot(_) => None,
            OutputReader::Live(reader) => Some(&mut **reader),
        }
    }

    /// Returns whether the agent has read a message since the last call.
    pub(super) fn take_new_receipts(&mut self) -> bool {
        self.inbox.take_new_receipts()
    }

    /// Concludes how the run ended, with secrets masked. Call `finish_lines` first.
    pub(super) fn ending(&mut self, exit: Exit, env: &BTreeMap<String, String>) -> Ending {
        session_record::read(self.reader.reader_mut(), env);
        let stderr = self.stderr_tail();
        let mut ending = self.reader.reader_mut().finish(exit, &stderr);
        fill_retry_at(&mut ending, SystemClock.now());
        let renderer = self.transcript.renderer();
        redact_ending(&mut ending, &|text| renderer.clean(text), renderer.redactor());
        ending
    }

    /// Writes the last document of the records.
    pub(super) fn end_records(&mut self, outcome: &Outcome, ending: &Ending) {
        self.records.ended(outcome, ending);
    }

    /// Returns whether the agent's start collided with another one, so that a later start may succeed. No process may write
    /// any more.
    pub(super) fn collided(&mut self, exit: Exit) -> bool {
        let silent = self.events.metadata().is_ok_and(|found| found.len() == 0);
        silent && {
            let stderr = self.stderr_tail();
            self.reader.reader().is_start_collision(exit, &stderr)
        }
    }

    /// Records that the agent is started again: stderr so far belongs to the earlier process. The transcript reports it at
    /// the end only, because a second reading of the events after a crash cannot know it.
    pub(super) fn record_restart(&mut self) {
        self.earlier_starts += 1;
        self.stderr_start = self.stderr.metadata().map_or(0, |found| found.len());
    }

    /// Returns how many starts of the agent collided, see [`Self::collided`].
    pub(super) fn earlier_starts(&self) -> u32 {
        self.earlier_starts
    }

    /// Returns the end of the agent's stderr as text. It is masked as a whole, because splitting it would split secrets.
    pub(super) fn stderr_tail(&mut self) -> String {
        let length = self.stderr.metadata().map_or(0, |found| found.len());
        let start = length.saturating_sub(STDERR_TAIL).max(self.stderr_start);
        let mut bytes = Vec::new();
        let seek = self.stderr.seek(SeekFrom::Start(start));
        let read = seek.and_then(|_| (&self.stderr).take(STDERR_TAIL).read_to_end(&mut bytes));
        let text = read.map_or(String::new(), |_| String::from_utf8_lossy(&bytes).into_owned());
        let renderer = self.transcript.renderer();
        if start == self.stderr_start {
            return renderer.clean(&text);
        }
        // The rest of a word that was cut may be the rest of a secret, which could not be recognized.
        let rest = text.find(char::is_whitespace).map(|end| sanitize(&text[end..]));
        rest.map_or(String::new(), |rest| renderer.redactor().rest_of_text(&rest))
    }
}

/// Sets the time at which the provider's limit resets from the text of the failure, if it is unknown otherwise.
fn fill_retry_at(ending: &mut Ending, now: Timestamp) {
    let Some(failure) = &mut ending.failure else { return };
    let is_limit = matches!(failure.class, FailureClass::RateLimited | FailureClass::Overloaded);
    if is_limit && failure.retry_at.is_none() {
        failure.retry_at = reset_in(&failure.detail, now, &TimeZone::system());
    }
}

/// The arrival time of events. It is known only while each step reads all output that is there.
#[derive(Default)]
struct Clock {
    watch: Stopwatch,
    started: Option<Instant>,
    /// The last step left output unread: the next events may be old.
    is_behind: bool,
}

impl Clock {
    /// Starts the clock: from now on events are read as they arrive.
    fn start(&mut self) {
        self.started = Some(instant());
    }

    fn at(&self) -> Option<Duration> {
        self.started.filter(|_| !self.is_behind).map(|started| instant().duration_since(started))
    }
}

/// Processes lines of output. Lines and texts that may end with the beginning of a secret are held back until the next.
struct LineSink<'a> {
    reader: &'a mut dyn EventReader,
    inbox: &'a mut Inbox,
    transcript: &'a mut Transcript,
    records: &'a mut Records,
    chunks: &'a mut ChunkRedactor<EventChunk>,
    watch: &'a mut Stopwatch,
    /// When the lines arrived.
    at: Option<Duration>,
}

impl LineSink<'_> {
    fn line(&mut self, line: &Line<'_>) {
        self.records.line(self.transcript.renderer().redactor(), &line.text);
        self.watch.next_line();
        for mut event in self.reader.line(&line.text) {
            self.watch.time(&mut event, self.at);
            let decided = self.chunks.push(self.transcript.renderer().redactor(), EventChunk(event));
            self.events(decided);
        }
        if line.dropped > 0 {
            let what = format!("a line of output is too long to be read: {} bytes of it are cut off", line.dropped);
            self.transcript.note(&what);
        }
    }

    /// Processes what is held back. No more lines follow.
    fn finish(&mut self) {
        let held = self.chunks.finish();
        self.events(held);
        self.records.finish(self.transcript.renderer().redactor());
    }

    fn events(&mut self, events: Vec<EventChunk>) {
        for EventChunk(event) in events {
            self.records.event(self.transcript.renderer().redactor(), &event);
            self.transcript.event(&event);
            self.inbox.event(&event, self.transcript);
        }
    }
}

/// An event, as a chunk of the agent's text.
struct EventChunk(AgentEvent);

impl Chunk for EventChunk {
    fn texts(&mut self, visit: &mut dyn FnMut(Thread, &mut String)) {
        let (id, text) = match &mut self.0 {
            AgentEvent::Text { text } => (0, text),
            AgentEvent::Reasoning { text } => (1, text),
            AgentEvent::Started { .. }
            | AgentEvent::ToolCall { .. }
            | AgentEvent::ToolResult { .. }
            | AgentEvent::Retry { .. }
            | AgentEvent::Warning { .. }
            | AgentEvent::Error { .. }
            | AgentEvent::Spent { .. }
            | AgentEvent::Heard { .. }
            | AgentEvent::TurnEnded => return,
        };
        visit(Thread { id, least: MIN_PREFIX }, text);
    }
}

/// Returns whether there are files of output to read.
pub(super) fn has_output(dir: &RunDir) -> bool {
    let exists = |path: &Path| path.is_file();
    exists(&dir.events()) && exists(&dir.stderr())
}

#[cfg(test)]
mod tests;
