//! The readable output of a run: first into `transcript.log`, then onto the pane. Only whole lines are written, so
//! that an offset at the end of the file is always between two lines.

use super::launch::RunDir;
use super::pane::Pane;
use super::render::{Rendered, Renderer};
use crate::adapters::clock::{Clock, SystemClock, instant};
use crate::domain::outcome::AgentEvent;
use crate::domain::timeline::Mark;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// When this much is waiting, it is written without waiting for the end of the turn.
const FULL: usize = 256 << 10;
/// How exactly the time of a line can be told later.
const BETWEEN_MARKS: Duration = Duration::from_millis(250);

/// Writes one run's transcript.
pub(super) struct Transcript {
    renderer: Renderer,
    file: File,
    /// When which part of the log was written.
    times: File,
    /// When the last mark was made there.
    marked: Option<Instant>,
    /// Rendered, not yet written.
    waiting: Vec<Rendered>,
    waiting_bytes: usize,
    pane: Option<Pane>,
    /// How many bytes of what is rendered are in the file already, from an earlier reading of the same events.
    known: u64,
    /// The first write error. The run goes on without a transcript.
    failed: Option<io::Error>,
}

impl Transcript {
    /// Opens the log for appending.
    pub(super) fn open(dir: &RunDir, renderer: Renderer, pane: Option<Pane>) -> io::Result<Self> {
        let open = |path: PathBuf| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let (file, times) = (open(dir.transcript())?, open(dir.timeline())?);
        Ok(Self {
            renderer,
            file,
            times,
            marked: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            pane,
            known: 0,
            failed: None,
        })
    }

    /// What is in the file now counts as the beginning of what will be rendered, and is not written again.
    pub(super) fn continue_where_it_ended(&mut self) {
        self.known = self.length();
    }

    pub(super) fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    /// Adds what an agent did.
    pub(super) fn event(&mut self, event: &AgentEvent) {
        let lines = self.renderer.event(event);
        self.add(lines);
    }

    /// Adds what orch has to say.
    pub(super) fn note(&mut self, text: &str) {
        let lines = self.renderer.note(text);
        self.add(lines);
    }

    /// What follows is new, whatever was counted: to be called before anything that is not rendered from events.
    pub(super) fn end_of_events(&mut self) {
        self.flush();
        self.known = 0;
    }

    fn add(&mut self, lines: Vec<Rendered>) {
        self.waiting_bytes += lines.iter().map(|line| line.text.len() + 1).sum::<usize>();
        self.waiting.extend(lines);
        if self.waiting_bytes > FULL {
            self.flush();
        }
    }

    /// Writes everything that is waiting.
    pub(super) fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let mut text = String::new();
        for line in &lines {
            let length = line.text.len() as u64 + 1;
            if self.known >= length {
                self.known -= length;
                continue;
            }
            self.known = 0;
            text.push_str(&line.text);
            text.push('\n');
        }
        if !text.is_empty() {
            self.mark();
        }
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            self.failed.get_or_insert(error);
        }
        if let Some(pane) = &mut self.pane {
            pane.show(&lines);
        }
    }

    /// Notes that what comes is written now. A mark that cannot be written is missing, no more.
    fn mark(&mut self) {
        let now = instant();
        if self.marked.is_some_and(|last| now.duration_since(last) < BETWEEN_MARKS) {
            return;
        }
        self.marked = Some(now);
        let mark = Mark { offset: self.length(), at: SystemClock.now() };
        let _ = self.times.write_all(mark.line().as_bytes());
    }

    /// The length of the log in bytes.
    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// Writes what is left and lets go of the pane. Returns the length, and the first error there was.
    pub(super) fn close(mut self) -> (u64, Option<io::Error>) {
        self.flush();
        let length = self.length();
        if let Some(pane) = self.pane {
            pane.close();
        }
        (length, self.failed)
    }
}
