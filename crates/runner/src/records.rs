//! Records of a run for programs: the agent's own lines and the events in them, both masked, one JSON document per line.
//! The raw output is never handed out. Masking happens here because only the runner is sure to know the agent's secrets:
//! a later daemon may have been started with others.

use super::launch::RunDir;
use super::log_file::{LogFile, Lost, Resumed};
use super::own_lines::Kind;
use super::sanitize::sanitize;
use orch_core::tasks::outcome::{AgentEvent, Ending, Outcome};
use orch_core::text::redact::{Carry, Chunk, ChunkRedactor, Redactor, Thread};
use orch_sys::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// The largest record file, in bytes. What is beyond is in the raw output only.
const MAX_BYTES: u64 = 64 << 20;

/// How many bytes of a secret's beginning at the end of a text hold its line back until the next ones arrive.
const MIN_PREFIX: usize = 4;
/// For how many lines without text at that place it is held back: other messages come between the deltas of a text.
const MAX_HELD_LINES: usize = 8;
/// Keys under which CLIs send a text in deltas.
const DELTAS: [&str; 3] = ["delta", "partial_json", "textDelta"];
/// Constants of the hash FNV-1a, which identifies the places of texts in documents.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Writes the two files of one run.
pub(super) struct Records {
    raw: RecordFile,
    events: RecordFile,
    chunks: ChunkRedactor<RawLine>,
    /// What the last raw line and the last text event leave open: a private key may span several.
    raw_carry: Carry,
    text_carry: Carry,
}

/// A line of the agent's output.
enum RawLine {
    Document(Value),
    Text(String),
}

impl Chunk for RawLine {
    fn texts(&mut self, visit: &mut dyn FnMut(Thread, &mut String)) {
        match self {
            Self::Document(document) => visit_texts(document, Thread { id: 0, least: MIN_PREFIX }, visit),
            Self::Text(text) => visit(Thread { id: 1, least: MIN_PREFIX }, text),
        }
    }
}

/// Visits the texts of a document. Texts under the same keys of different documents continue each other.
fn visit_texts(value: &mut Value, at: Thread, visit: &mut dyn FnMut(Thread, &mut String)) {
    match value {
        Value::String(text) => visit(at, text),
        Value::Array(items) => {
            for (index, item) in (0_u64..).zip(items) {
                visit_texts(item, Thread { id: (at.id ^ index).wrapping_mul(PRIME), ..at }, visit);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let id = name.bytes().fold(at.id ^ SEED, |id, byte| (id ^ u64::from(byte)).wrapping_mul(PRIME));
                // Deltas are a few letters each.
                let least = if DELTAS.contains(&name.as_str()) { 1 } else { at.least };
                visit_texts(field, Thread { id, least }, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A record file, and what is buffered for it.
struct RecordFile {
    file: LogFile,
    waiting: String,
    length: u64,
    full: bool,
    /// How many of the next lines are in the file already.
    known: u64,
    /// The file has its last document.
    is_ended: bool,
}

impl Records {
    /// Opens the records for a reading of the whole output. Lines from an earlier reading are not written again.
    pub(super) fn open(dir: &RunDir) -> io::Result<Self> {
        let (raw, events) = (RecordFile::open(&dir.raw())?, RecordFile::open(&dir.activity())?);
        let (raw_carry, text_carry) = (Carry::default(), Carry::default());
        Ok(Self { raw, events, chunks: ChunkRedactor::new(MAX_HELD_LINES), raw_carry, text_carry })
    }

    /// Returns whether the next line is in the files already.
    pub(super) fn has_known(&self) -> bool {
        [&self.raw, &self.events].iter().any(|file| file.known > 0 && !file.full)
    }

    /// Records a line of the agent's output.
    pub(super) fn line(&mut self, redactor: &Redactor, line: &str) {
        // Some programs end a line with CR LF.
        let line = line.strip_suffix('\r').unwrap_or(line);
        let raw = match serde_json::from_str::<Value>(line) {
            Ok(document @ (Value::Object(_) | Value::Array(_))) => RawLine::Document(document),
            // A line that is no JSON document is recorded as text.
            Ok(_) | Err(_) => RawLine::Text(sanitize(line)),
        };
        let decided = self.chunks.push(redactor, raw);
        self.raw_lines(redactor, decided);
    }

    /// Writes what is held back. No more lines follow.
    pub(super) fn finish(&mut self, redactor: &Redactor) {
        let held = self.chunks.finish();
        self.raw_lines(redactor, held);
    }

    fn raw_lines(&mut self, redactor: &Redactor, lines: Vec<RawLine>) {
        for line in lines {
            match line {
                RawLine::Document(mut document) => {
                    redactor.json(&mut document);
                    self.raw.push(&document.to_string());
                }
                // A progress display that overwrites itself becomes several lines.
                RawLine::Text(text) => {
                    let text = redactor.next_text(&mut self.raw_carry, &text);
                    text.split('\n').for_each(|line| self.raw.push(line));
                }
            }
        }
    }

    /// Records an event.
    pub(super) fn event(&mut self, redactor: &Redactor, event: &AgentEvent) {
        let Ok(mut document) = serde_json::to_value(event) else { return };
        // Control characters could stand between the characters of a secret.
        sanitize_json(&mut document);
        match (event, document.get_mut("text")) {
            // A private key may be printed over several text events.
            (AgentEvent::Text { .. }, Some(Value::String(text))) => {
                *text = redactor.next_text(&mut self.text_carry, text).into_owned();
            }
            _ => redactor.json(&mut document),
        }
        self.events.document(document);
    }

    /// Writes the last document of the events: how the run ended.
    pub(super) fn ended(&mut self, outcome: &Outcome, ending: &Ending) {
        let Ending { usage, cost, usage_is_thread_total, .. } = ending;
        self.flush();
        self.events.end(json!({
            "type": "run_ended", "outcome": outcome, "usage": usage, "cost_usd": cost,
            "usage_is_thread_total": usage_is_thread_total,
        }));
    }

    /// Writes nothing from now on, except how the run ended.
    pub(super) fn withhold(&mut self) {
        (self.raw.full, self.events.full) = (true, true);
    }

    /// Marks that a part of the output is skipped here.
    pub(super) fn skip(&mut self) {
        self.flush();
        [&mut self.raw, &mut self.events].into_iter().for_each(|file| file.file.skip());
    }

    /// Writes what is buffered. A record that cannot be written is missing: nothing else depends on it.
    pub(super) fn flush(&mut self) {
        self.raw.flush();
        self.events.flush();
    }
}

fn sanitize_json(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') => {
            *text = sanitize(text);
        }
        Value::Array(items) => items.iter_mut().for_each(sanitize_json),
        Value::Object(fields) => fields.values_mut().for_each(sanitize_json),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl RecordFile {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = LogFile::open(path)?;
        let Resumed { known, is_ended } = file.resume()?;
        let length = file.length();
        let full = is_ended || length > MAX_BYTES;
        Ok(Self { file, waiting: String::new(), length, full, known, is_ended })
    }

    fn document(&mut self, document: Value) {
        self.push(&dated(document));
    }

    /// Writes the last document once, whatever the size of the file.
    fn end(&mut self, document: Value) {
        if !self.is_ended {
            self.is_ended = self.file.write_own(Kind::End, &format!("{}\n", dated(document)), gap_line);
        }
    }

    fn push(&mut self, line: &str) {
        if self.known > 0 {
            self.known -= 1;
            return;
        }
        if self.full {
            return;
        }
        self.waiting.push_str(line);
        self.waiting.push('\n');
        if self.length + self.waiting.len() as u64 > MAX_BYTES {
            self.full = true;
            self.waiting.push_str("{\"type\":\"cut\",\"reason\":\"the rest is too much\"}\n");
        }
    }

    fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.file.write(&waiting, gap_line);
            self.length = self.file.length();
        }
    }
}

/// Adds the present time to a document.
fn dated(document: Value) -> String {
    let at = Value::String(SystemClock.now().to_string());
    let fields = document.as_object().cloned().unwrap_or_default();
    Value::Object([("at".to_owned(), at)].into_iter().chain(fields).collect()).to_string()
}

/// Renders the line that marks a gap.
fn gap_line(lost: &Lost) -> String {
    let Lost { lines, cause } = lost;
    format!("{}\n", json!({"type": "lost", "lines": lines, "reason": cause}))
}
