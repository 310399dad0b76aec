//! The readable output of a run: first into `transcript.log`, then onto the pane. Only whole lines are written, so
//! that an offset at the end of the file is always between two lines.

use super::fit::Rendered;
use super::launch::RunDir;
use super::log_file::{Left, LogFile, Lost};
use super::own_lines::Kind;
use super::pane::Pane;
use super::render::Renderer;
use super::style_list::StyleList;
use orch_core::outcome::AgentEvent;
use orch_core::timeline::{MARK, Mark};
use orch_sys::clock::{Clock, SystemClock, instant};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
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
    known: u64,
    /// Its last word is in the file.
    is_ended: bool,
    /// Nothing that is rendered from events is written.
    is_silent: bool,
}

impl Transcript {
    /// Opens the log for appending.
    pub(super) fn open(dir: &RunDir, renderer: Renderer, pane: Option<Pane>) -> io::Result<Self> {
        let open = |path: PathBuf| OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        let (file, times) = (LogFile::open(&dir.transcript())?, open(dir.timeline())?);
        let styles = StyleList::new(open(dir.styles())?)?;
        Ok(Self {
            renderer,
            file,
            times,
            styles,
            marked: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            pane,
            known: 0,
            is_ended: false,
            is_silent: false,
        })
    }

    /// What is in the file now counts as the beginning of what will be rendered, and is not written again. Half a line
    /// at its end is cut off, with all that was noted of it.
    pub(super) fn continue_where_it_ended(&mut self) -> io::Result<()> {
        Left { known: self.known, is_ended: self.is_ended } = self.file.go_on()?;
        let length = self.length();
        let mut marks = Vec::new();
        self.times.read_to_end(&mut marks)?;
        let is_before = |mark: &[u8]| Mark::parse(mark).is_some_and(|mark| mark.offset <= length);
        let kept = marks.chunks_exact(MARK).take_while(|mark| is_before(mark)).count() * MARK;
        self.times.set_len(kept as u64)?;
        self.styles.cut(length)
    }

    /// Nothing but the last word is written from now on.
    pub(super) fn tell_nothing(&mut self) {
        self.is_silent = true;
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

    /// Adds what orch has to say of the agent's output. Who reads that again says it again.
    pub(super) fn note(&mut self, text: &str) {
        let lines = self.renderer.note(text);
        self.add(lines);
    }

    /// Adds what orch has to say of what it does: nobody could tell it from the agent's output.
    pub(super) fn aside(&mut self, text: &str) {
        self.own(Kind::Aside, &[text.to_owned()]);
    }

    /// Adds that from here on only the end of the output is read.
    pub(super) fn skip(&mut self, text: &str) {
        self.own(Kind::Skip, &[text.to_owned()]);
    }

    /// Adds the last word, unless an earlier reading had it.
    pub(super) fn end(&mut self, texts: &[String]) {
        if !self.is_ended {
            self.own(Kind::End, texts);
        }
    }

    fn own(&mut self, kind: Kind, texts: &[String]) {
        self.flush();
        if self.is_silent && kind != Kind::End {
            return;
        }
        let lines: Vec<Rendered> = texts.iter().flat_map(|text| self.renderer.note(text)).collect();
        self.write(Some(kind), &lines);
        self.show(&lines);
    }

    /// What follows is new, whatever was counted: to be called when all events are read.
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
        let known = usize::try_from(self.known).map_or(lines.len(), |known| known.min(lines.len()));
        self.known -= known as u64;
        if known < lines.len() && !self.is_silent {
            self.write(None, &lines[known..]);
        }
        self.show(&lines);
    }

    fn show(&mut self, lines: &[Rendered]) {
        if let Some(pane) = &mut self.pane {
            pane.show(lines);
        }
    }

    /// Writes lines of the agent's output, or of orch's own.
    fn write(&mut self, own: Option<Kind>, lines: &[Rendered]) {
        let text: String = lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
        self.mark();
        let renderer = &self.renderer;
        let tell = |lost: &Lost| told(renderer, lost);
        let styled = self.styles.length();
        // The line that marks a gap comes before these.
        if self.file.close_gap(tell) {
            self.styles.add(self.file.length(), lines.iter());
        }
        let is_written = match own {
            None => self.file.write(&text, tell),
            Some(kind) => self.file.write_own(kind, &text, tell),
        };
        if !is_written {
            // Others will stand where these were to be.
            self.styles.take_back(styled);
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

    /// Does something while the log takes nothing.
    #[cfg(test)]
    pub(super) fn with_full_disk(&mut self, act: impl FnOnce(&mut Self)) {
        // What is open for reading takes nothing, on every system.
        let path = tempfile::NamedTempFile::new().expect("a file");
        path.as_file().set_len(self.length()).expect("a file of the same length");
        let file = self.file.swap_file(File::open(path.path()).expect("a file"));
        act(self);
        self.file.swap_file(file);
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

/// The line that marks a gap.
fn told(renderer: &Renderer, lost: &Lost) -> String {
    let lines = if lost.lines == 1 { "line" } else { "lines" };
    let note = renderer.note(&format!("{} {lines} could not be written here: {}", lost.lines, lost.cause));
    note.iter().map(|line| format!("{}\n", line.text)).collect()
}
