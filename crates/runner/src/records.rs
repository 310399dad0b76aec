//! What programs may read of a run: the agent's own lines and what they mean, both masked, one JSON document a line.
//! The raw output is never handed out. Masked here, because only the runner surely knows the agent's secrets: a later
//! daemon may have been started with others.

use super::launch::RunDir;
use super::log_file::{Left, LogFile, Lost};
use super::own_lines::Kind;
use super::sanitize::sanitize;
use orch_core::outcome::{AgentEvent, Ending, Outcome};
use orch_core::redact::{Carry, Chunk, ChunkRedactor, Redactor, Thread};
use orch_sys::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// How much of the agent's own lines is kept a second time, in bytes. A flood is in the raw file alone.
const MOST: u64 = 64 << 20;

/// How many bytes of a secret at the end of a text make its line wait for the next ones.
const LEAST_BEGINNING: usize = 4;
/// For how many lines, when they have no text of that place: other messages come between the deltas of a text.
const PATIENCE: usize = 8;
/// Keys under which CLIs say a text in pieces.
const DELTAS: [&str; 3] = ["delta", "partial_json", "textDelta"];
/// Of the hash FNV-1a, which tells the places of texts in documents apart.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Writes the two files of one run.
pub(super) struct Records {
    raw: Growing,
    events: Growing,
    seam: ChunkRedactor<Raw>,
    /// What is open at the end of the last line of text, and of the last that was said.
    key: Carry,
    speech: Carry,
}

/// A line of the agent.
enum Raw {
    Document(Value),
    Text(String),
}

impl Chunk for Raw {
    fn texts(&mut self, visit: &mut dyn FnMut(Thread, &mut String)) {
        match self {
            Self::Document(document) => texts(document, Thread { id: 0, least: LEAST_BEGINNING }, visit),
            Self::Text(text) => visit(Thread { id: 1, least: LEAST_BEGINNING }, text),
        }
    }
}

/// The texts of a document; each belongs together with those under the same keys of other documents.
fn texts(value: &mut Value, at: Thread, visit: &mut dyn FnMut(Thread, &mut String)) {
    match value {
        Value::String(text) => visit(at, text),
        Value::Array(items) => {
            for (index, item) in (0_u64..).zip(items) {
                texts(item, Thread { id: (at.id ^ index).wrapping_mul(PRIME), ..at }, visit);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let id = name.bytes().fold(at.id ^ SEED, |id, byte| (id ^ u64::from(byte)).wrapping_mul(PRIME));
                // Deltas are a few letters each.
                let least = if DELTAS.contains(&name.as_str()) { 1 } else { at.least };
                texts(field, Thread { id, least }, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A file, and what is waiting to be written to it.
struct Growing {
    file: LogFile,
    waiting: String,
    length: u64,
    full: bool,
    /// How many lines of what comes are in the file already.
    known: u64,
    /// The last document is there.
    is_ended: bool,
}

impl Records {
    /// From the beginning of the output. Lines that are there from an earlier reading are not written again.
    pub(super) fn open(dir: &RunDir) -> io::Result<Self> {
        let (raw, events) = (Growing::open(&dir.raw())?, Growing::open(&dir.activity())?);
        let (key, speech) = (Carry::default(), Carry::default());
        Ok(Self { raw, events, seam: ChunkRedactor::new(PATIENCE), key, speech })
    }

    /// Whether what comes next is in the files already.
    pub(super) fn has_known(&self) -> bool {
        [&self.raw, &self.events].iter().any(|file| file.known > 0 && !file.full)
    }

    /// A line of the agent, as it stands in its output.
    pub(super) fn line(&mut self, redactor: &Redactor, line: &str) {
        // Some end a line with two characters.
        let line = line.strip_suffix('\r').unwrap_or(line);
        let raw = match serde_json::from_str::<Value>(line) {
            Ok(document @ (Value::Object(_) | Value::Array(_))) => Raw::Document(document),
            // Of an agent that speaks no JSON: its text.
            Ok(_) | Err(_) => Raw::Text(sanitize(line)),
        };
        let decided = self.seam.push(redactor, raw);
        self.raw_lines(redactor, decided);
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, redactor: &Redactor) {
        let held = self.seam.finish();
        self.raw_lines(redactor, held);
    }

    fn raw_lines(&mut self, redactor: &Redactor, lines: Vec<Raw>) {
        for line in lines {
            match line {
                Raw::Document(mut document) => {
                    redactor.json(&mut document);
                    self.raw.push(&document.to_string());
                }
                // What is drawn over itself is several lines.
                Raw::Text(text) => {
                    let text = redactor.next_text(&mut self.key, &text);
                    text.split('\n').for_each(|line| self.raw.push(line));
                }
            }
        }
    }

    /// What a line meant.
    pub(super) fn event(&mut self, redactor: &Redactor, event: &AgentEvent) {
        let Ok(mut document) = serde_json::to_value(event) else { return };
        // What a terminal acts on could stand between the characters of a secret.
        sanitize_json(&mut document);
        match (event, document.get_mut("text")) {
            // A private key may be printed over several pieces of speech.
            (AgentEvent::Text { .. }, Some(Value::String(text))) => {
                *text = redactor.next_text(&mut self.speech, text).into_owned();
            }
            _ => redactor.json(&mut document),
        }
        self.events.document(document);
    }

    /// How the run went; the last document of the events.
    pub(super) fn ended(&mut self, outcome: &Outcome, ending: &Ending) {
        let Ending { usage, cost, usage_is_thread_total, .. } = ending;
        self.flush();
        self.events.end(json!({
            "type": "run_ended", "outcome": outcome, "usage": usage, "cost_usd": cost,
            "usage_is_thread_total": usage_is_thread_total,
        }));
    }

    /// Nothing more is written but how the run went.
    pub(super) fn tell_nothing(&mut self) {
        (self.raw.full, self.events.full) = (true, true);
    }

    /// From here on not the whole output is read.
    pub(super) fn skip(&mut self) {
        self.flush();
        [&mut self.raw, &mut self.events].into_iter().for_each(|file| file.file.skip());
    }

    /// Writes what is waiting. A record that cannot be written is missing: nothing else depends on it.
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

impl Growing {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = LogFile::open(path)?;
        let Left { known, is_ended } = file.go_on()?;
        let length = file.length();
        let full = is_ended || length > MOST;
        Ok(Self { file, waiting: String::new(), length, full, known, is_ended })
    }

    fn document(&mut self, document: Value) {
        self.push(&dated(document));
    }

    /// Writes the last document, however much there is; once.
    fn end(&mut self, document: Value) {
        if !self.is_ended {
            self.is_ended = self.file.write_own(Kind::End, &format!("{}\n", dated(document)), lost);
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
        if self.length + self.waiting.len() as u64 > MOST {
            self.full = true;
            self.waiting.push_str("{\"type\":\"cut\",\"reason\":\"the rest is too much\"}\n");
        }
    }

    fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.file.write(&waiting, lost);
            self.length = self.file.length();
        }
    }
}

/// A document with its time.
fn dated(document: Value) -> String {
    let at = Value::String(SystemClock.now().to_string());
    let fields = document.as_object().cloned().unwrap_or_default();
    Value::Object([("at".to_owned(), at)].into_iter().chain(fields).collect()).to_string()
}

/// The line that marks a gap.
fn lost(lost: &Lost) -> String {
    let Lost { lines, cause } = lost;
    format!("{}\n", json!({"type": "lost", "lines": lines, "reason": cause}))
}
