//! The readable output of a run: first into `transcript.log`, then onto the pane. Only whole lines are written, so
//! that an offset at the end of the file is always between two lines.

use super::fit::Rendered;
use super::launch::RunDir;
use super::log_file::{LogFile, Lost};
use super::pane::Pane;
use super::render::Renderer;
use super::style_list::StyleList;
use crate::adapters::clock::{Clock, SystemClock, instant};
use crate::domain::outcome::AgentEvent;
use crate::domain::timeline::{MARK, Mark};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// When this much is waiting, it is written without waiting for the end of the turn.
const FULL: usize = 256 << 10;
/// How exactly the time of a line can be told later.
const BETWEEN_MARKS: Duration = Duration::from_millis(250);

/// Writes one run's transcript.
pub(super) struct Transcript {
    renderer: Renderer,
    file: LogFile,
    /// When which part of the log was written.
    times: File,
    /// How its lines look.
    styles: StyleList,
    /// When the last mark was made there.
    marked: Option<Instant>,
    /// Rendered, not yet written.
    waiting: Vec<Rendered>,
    waiting_bytes: usize,
    pane: Option<Pane>,
    /// How many lines of what is rendered are in the file already, from an earlier reading of the same events. Lines, and
    /// not bytes: who reads them again does not know how long the calls took.
    known: usize,
    path: PathBuf,
}

impl Transcript {
    /// Opens the log for appending.
    pub(super) fn open(dir: &RunDir, renderer: Renderer, pane: Option<Pane>) -> io::Result<Self> {
        let open = |path: PathBuf| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let (file, times) = (open(dir.transcript())?, open(dir.timeline())?);
        let styles = StyleList::new(open(dir.styles())?)?;
        Ok(Self {
            renderer,
            file: LogFile::new(file),
            times,
            styles,
            marked: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            pane,
            known: 0,
            path: dir.transcript(),
        })
    }

    /// What is in the file now counts as the beginning of what will be rendered, and is not written again.
    pub(super) fn continue_where_it_ended(&mut self) {
        self.known = lines_of(&self.path).unwrap_or(0);
    }

    /// Whether what comes next is in the file already.
    pub(super) fn has_known(&self) -> bool {
        self.known > 0
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
        let known = self.known.min(lines.len());
        self.known -= known;
        let text: String = lines[known..].iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
        if !text.is_empty() {
            self.mark();
            self.styles.add(self.file.length(), lines[known..].iter());
        }
        let renderer = &self.renderer;
        self.file.write(&text, |lost| told(renderer, lost));
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
        if self.times.write_all(mark.line().as_bytes()).is_err() {
            // Half a mark would put all that follow out of their places.
            let length = self.times.metadata().map_or(0, |found| found.len());
            let _ = self.times.set_len(length - length % MARK as u64);
        }
    }

    /// The length of the log in bytes.
    pub(super) fn length(&self) -> u64 {
        self.file.length()
    }

    /// Writes what is left and lets go of the pane. Returns the length, and what is missing, in words.
    pub(super) fn close(mut self) -> (u64, Option<String>) {
        self.flush();
        let lost = self.file.lost();
        let lost = lost.map(|lost| format!("the transcript misses {} lines: {}", lost.lines, lost.cause));
        let length = self.length();
        if let Some(pane) = self.pane {
            pane.close();
        }
        (length, lost)
    }
}

/// How many lines a file has.
fn lines_of(path: &Path) -> io::Result<usize> {
    let mut file = BufReader::with_capacity(256 << 10, File::open(path)?);
    let mut lines = 0;
    loop {
        let piece = file.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            return Ok(lines);
        }
        lines += piece.iter().filter(|byte| **byte == b'\n').count();
        file.consume(length);
    }
}

/// The line that marks a gap.
fn told(renderer: &Renderer, lost: &Lost) -> String {
    let lines = if lost.lines == 1 { "line" } else { "lines" };
    let note = renderer.note(&format!("{} {lines} could not be written here: {}", lost.lines, lost.cause));
    note.iter().map(|line| format!("{}\n", line.text)).collect()
}
