//! Follows the agent's output: every whole line goes through the dialect's reader into the transcript.

use super::inbox::Inbox;
use super::launch::{Launch, RunDir};
use super::lines::{LONGEST, Line, Splitter};
use super::records::Records;
use super::report::redact_ending;
use super::sanitize::sanitize;
use super::session_record;
use super::stopwatch::Stopwatch;
use super::transcript::Transcript;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use orch_core::agents::reset::reset_in;
use orch_core::agents::{EventReader, LiveReader, Stdin};
use orch_core::outcome::{AgentEvent, Ending, Exit, FailureClass, Outcome};
use orch_core::redact::{Chunk, ChunkRedactor, Thread};
use orch_sys::clock::{Clock as _, SystemClock, instant};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How much is read before everything else gets its turn.
const TURN: usize = 256 << 10;

/// How much of the end of stderr is looked at.
const STDERR_TAIL: u64 = 8 << 10;

/// How many bytes of a secret at the end of a line make it wait for the next one.
const LEAST_BEGINNING: usize = 4;

/// Who reads the output.
enum Voice {
    /// Of an agent that was told everything at the start.
    Told(Box<dyn EventReader>),
    /// Of one whose conversation is held open.
    Live(Box<dyn LiveReader>),
}

impl Voice {
    fn of(launch: &Launch) -> Self {
        let dialect = launch.dialect.dialect();
        let live = dialect.live_reader(&launch.spec.opening).filter(|_| launch.spec.stdin == Stdin::Live);
        live.map_or_else(|| Self::Told(dialect.reader(launch.kind)), Self::Live)
    }

    fn reader(&self) -> &dyn EventReader {
        match self {
            Self::Told(reader) => &**reader,
            Self::Live(reader) => &**reader,
        }
    }

    fn reader_mut(&mut self) -> &mut dyn EventReader {
        match self {
            Self::Told(reader) => &mut **reader,
            Self::Live(reader) => &mut **reader,
        }
    }
}

/// One pass over the output of a run.
pub(super) struct Reading {
    voice: Voice,
    inbox: Inbox,
    records: Records,
    clock: Clock,
    events: File,
    stderr: File,
    /// Where stderr of the agent's present process begins.
    stderr_start: u64,
    /// How many processes of the agent came before that one.
    starts_before: u32,
    splitter: Splitter,
    seam: ChunkRedactor<Said>,
    piece: Vec<u8>,
    /// How much is printed, where the files do not tell.
    printed: Option<Arc<AtomicU64>>,
    /// Why nothing that the agent says is told.
    untold: Option<String>,
    pub(super) transcript: Transcript,
}

impl Reading {
    /// From the beginning of the output. The files must exist.
    pub(super) fn open(dir: &RunDir, launch: &Launch, mut transcript: Transcript) -> io::Result<Self> {
        let model = launch.model.as_ref().map_or(String::new(), |model| format!(" ({model})"));
        transcript.note(&format!("task {}, run {}: {}{model}", launch.task_id, launch.run_id, launch.agent));
        Ok(Self {
            voice: Voice::of(launch),
            inbox: Inbox::new(dir, launch.messages.clone()),
            records: Records::open(dir)?,
            clock: Clock::default(),
            events: File::open(dir.events())?,
            stderr: File::open(dir.stderr())?,
            stderr_start: 0,
            starts_before: 0,
            splitter: Splitter::new(LONGEST),
            seam: ChunkRedactor::new(0),
            piece: vec![0; 64 << 10],
            printed: None,
            untold: None,
            transcript,
        })
    }

    /// Nothing of what the agent said is told from now on: its secrets could not be masked.
    pub(super) fn tell_nothing(&mut self, why: String) {
        self.transcript.tell_nothing();
        self.records.tell_nothing();
        self.untold = Some(why);
    }

    /// Why nothing of what the agent said is told; `None`: it is.
    pub(super) fn untold(&self) -> Option<&str> {
        self.untold.as_deref()
    }

    /// The agent is about to start: what it prints is read as it comes.
    pub(super) fn follow_live(&mut self) {
        self.clock.start();
    }

    /// Reads what is new, up to a bound. Returns whether there may be more at once.
    pub(super) fn step(&mut self) -> bool {
        let mut left = TURN;
        let at = self.clock.at();
        while left > 0 {
            let count = match self.events.read(&mut self.piece) {
                Ok(count @ 1..) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => break,
            };
            left = left.saturating_sub(count);
            let (bytes, mut hearing, splitter) = self.hearing(count, at);
            splitter.push(bytes, &mut |line| hearing.line(&line));
        }
        self.transcript.flush();
        self.records.flush();
        self.clock.is_behind = left == 0;
        left == 0
    }

    /// Reads to the end, the last line included, whether it is complete or not. Nobody may write any more. Of more
    /// than `most` bytes only the end is read, and the gap is marked: a flood must not put off the report for ever. What
    /// an earlier reading told is read in any case, because only so it is known what is new.
    pub(super) fn finish_lines(&mut self, most: u64) {
        let knew = self.transcript.has_known() || self.records.has_known();
        while (self.transcript.has_known() || self.records.has_known()) && self.step() {}
        if !knew {
            // The beginning of what is unread is told in any case: on a busy machine a flood may be larger than `most`
            // before any of it was read.
            self.step();
        }
        self.skip_to_last(most);
        while self.step() {}
        let at = self.clock.at();
        let (_, mut hearing, splitter) = self.hearing(0, at);
        splitter.finish(&mut |line| hearing.line(&line));
        hearing.finish();
        self.transcript.end_of_events();
    }

    /// What was read last, who takes its lines, and who finds them.
    fn hearing(&mut self, count: usize, at: Option<Duration>) -> (&[u8], Hearing<'_>, &mut Splitter) {
        let Self { voice, inbox, records, clock, splitter, piece, transcript, seam, .. } = self;
        let (reader, watch) = (voice.reader_mut(), &mut clock.watch);
        (&piece[..count], Hearing { reader, inbox, transcript, records, seam, watch, at }, splitter)
    }

    fn skip_to_last(&mut self, most: u64) {
        let Ok(here) = self.events.stream_position() else { return };
        let length = self.events.metadata().map_or(here, |found| found.len());
        let start = length.saturating_sub(most);
        if start <= here || self.events.seek(SeekFrom::Start(start)).is_err() {
            return;
        }
        self.splitter = Splitter::new(LONGEST);
        self.splitter.skip_to_next_line();
        let gap = start - here;
        self.records.skip();
        self.transcript.skip(&format!("{gap} bytes of output are left out here; the run's directory has them"));
    }

    /// What is printed is counted there, and not by the length of the files.
    pub(super) fn counted_by(&mut self, printed: Arc<AtomicU64>) {
        self.printed = Some(printed);
    }

    /// Bytes printed so far.
    pub(super) fn output_bytes(&self) -> u64 {
        if let Some(printed) = &self.printed {
            return printed.load(Ordering::Relaxed);
        }
        [&self.events, &self.stderr].iter().map(|file| file.metadata().map_or(0, |found| found.len())).sum()
    }

    pub(super) fn reader(&self) -> &dyn EventReader {
        self.voice.reader()
    }

    /// The open conversation, where there is one.
    pub(super) fn live(&mut self) -> Option<&mut dyn LiveReader> {
        match &mut self.voice {
            Voice::Told(_) => None,
            Voice::Live(reader) => Some(&mut **reader),
        }
    }

    /// Whether the agent has heard something since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        self.inbox.take_news()
    }

    /// Puts together what the output amounts to; secrets are masked. `finish_lines` comes first.
    pub(super) fn ending(&mut self, exit: Exit, env: &BTreeMap<String, String>) -> Ending {
        session_record::read(self.voice.reader_mut(), env);
        let stderr = self.stderr_tail();
        let mut ending = self.voice.reader_mut().finish(exit, &stderr);
        name_reset(&mut ending, SystemClock.now());
        let renderer = self.transcript.renderer();
        redact_ending(&mut ending, &|text| renderer.clean(text), renderer.redactor());
        ending
    }

    /// The last word in the records.
    pub(super) fn end_records(&mut self, outcome: &Outcome, ending: &Ending) {
        self.records.ended(outcome, ending);
    }

    /// Whether the agent ended before it began, and would do better a little later. Nobody may write any more.
    pub(super) fn collided(&mut self, exit: Exit) -> bool {
        let silent = self.events.metadata().is_ok_and(|found| found.len() == 0);
        silent && {
            let stderr = self.stderr_tail();
            self.voice.reader().collided(exit, &stderr)
        }
    }

    /// The agent is started once more: what is on stderr so far is of the process before. The transcript tells it at
    /// the end only, because who reads the events again after a crash cannot know it.
    pub(super) fn start_again(&mut self) {
        self.starts_before += 1;
        self.stderr_start = self.stderr.metadata().map_or(0, |found| found.len());
    }

    /// How many starts of the agent collided, see [`Self::collided`].
    pub(super) fn starts_before(&self) -> u32 {
        self.starts_before
    }

    /// The end of the agent's stderr, as text. It is masked as a whole: who splits it into lines splits secrets, too.
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
        // The rest of a word that was cut may be the rest of a secret, which nothing could tell.
        let rest = text.find(char::is_whitespace).map(|end| sanitize(&text[end..]));
        rest.map_or(String::new(), |rest| renderer.redactor().rest_of_text(&rest))
    }
}

/// Adds the time at which the provider serves again, where the words of the failure tell it and nothing else did.
fn name_reset(ending: &mut Ending, now: Timestamp) {
    let Some(failure) = &mut ending.failure else { return };
    let is_limit = matches!(failure.class, FailureClass::RateLimited | FailureClass::Overloaded);
    if is_limit && failure.retry_at.is_none() {
        failure.retry_at = reset_in(&failure.detail, now, &TimeZone::system());
    }
}

/// When events come: known as long as everything that is there is read at once.
#[derive(Default)]
struct Clock {
    watch: Stopwatch,
    begun: Option<Instant>,
    /// There was more than one turn's worth to read: what comes next may be old.
    is_behind: bool,
}

impl Clock {
    /// From now on events are read as they come.
    fn start(&mut self) {
        self.begun = Some(instant());
    }

    fn at(&self) -> Option<Duration> {
        self.begun.filter(|_| !self.is_behind).map(|begun| instant().duration_since(begun))
    }
}

/// Who takes lines of output. Lines and texts that may hold the beginning of a secret wait for the next.
struct Hearing<'a> {
    reader: &'a mut dyn EventReader,
    inbox: &'a mut Inbox,
    transcript: &'a mut Transcript,
    records: &'a mut Records,
    seam: &'a mut ChunkRedactor<Said>,
    watch: &'a mut Stopwatch,
    /// When they came.
    at: Option<Duration>,
}

impl Hearing<'_> {
    fn line(&mut self, line: &Line<'_>) {
        self.records.line(self.transcript.renderer().redactor(), &line.text);
        self.watch.next_line();
        for mut event in self.reader.line(&line.text) {
            self.watch.time(&mut event, self.at);
            let decided = self.seam.push(self.transcript.renderer().redactor(), Said(event));
            self.events(decided);
        }
        if line.dropped > 0 {
            let what = format!("a line of output is too long to be read: {} bytes of it are cut off", line.dropped);
            self.transcript.note(&what);
        }
    }

    /// Nothing more comes.
    fn finish(&mut self) {
        let held = self.seam.finish();
        self.events(held);
        self.records.finish(self.transcript.renderer().redactor());
    }

    fn events(&mut self, events: Vec<Said>) {
        for Said(event) in events {
            self.records.event(self.transcript.renderer().redactor(), &event);
            self.transcript.event(&event);
            self.inbox.event(&event, self.transcript);
        }
    }
}

/// An event, as a piece of what the agent says.
struct Said(AgentEvent);

impl Chunk for Said {
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
        visit(Thread { id, least: LEAST_BEGINNING }, text);
    }
}

/// Whether there is any output to read.
pub(super) fn has_output(dir: &RunDir) -> bool {
    let exists = |path: &Path| path.is_file();
    exists(&dir.events()) && exists(&dir.stderr())
}

#[cfg(test)]
mod tests;
