//! Writes the readable output of a run to `transcript.log`, then to the pane. Only whole lines are written, so that the
//! end of the file is always between two lines.

use super::fit::Rendered;
use super::launch::RunDir;
use super::log_file::{LogFile, Lost, Resumed};
use super::own_lines::Kind;
use super::pane::Pane;
use super::render::Renderer;
use super::style_list::StyleList;
use orch_core::audit::timeline::{MARK, Mark};
use orch_core::tasks::outcome::AgentEvent;
use orch_sys::clock::{Clock, SystemClock, instant};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The size of the buffer in bytes; a full one is written at once.
const BUFFER: usize = 256 << 10;
/// The resolution of the times in the timeline.
const MARK_INTERVAL: Duration = Duration::from_millis(250);

/// Writes one run's transcript.
pub(super) struct Transcript {
    renderer: Renderer,
    file: LogFile,
    /// The timeline: when which part of the log was written.
    times: File,
    /// The styles of its lines.
    styles: StyleList,
    /// When the last mark of the timeline was written.
    marked: Option<Instant>,
    /// Lines that are rendered and not written yet.
    waiting: Vec<Rendered>,
    waiting_bytes: usize,
    pane: Option<Pane>,
    /// How many of the next rendered lines are in the file already, from an earlier reading of the same events. Lines and
    /// not bytes, because a second reading does not know how long the calls took.
    known: u64,
    /// The last lines are in the file.
    is_ended: bool,
    /// Lines that are rendered from events are not written.
    is_withheld: bool,
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
            is_withheld: false,
        })
    }

    /// Continues a file of an earlier reading: what it holds counts as the beginning of what will be rendered, and is not
    /// written again. A partial line at its end is cut off, with its marks and styles.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        Resumed { known: self.known, is_ended: self.is_ended } = self.file.resume()?;
        let length = self.length();
        let mut marks = Vec::new();
        self.times.read_to_end(&mut marks)?;
        let is_before = |mark: &[u8]| Mark::parse(mark).is_some_and(|mark| mark.offset <= length);
        let kept = marks.chunks_exact(MARK).take_while(|mark| is_before(mark)).count() * MARK;
        self.times.set_len(kept as u64)?;
        self.styles.cut(length)
    }

    /// Writes nothing but the last lines from now on.
    pub(super) fn withhold(&mut self) {
        self.is_withheld = true;
    }

    /// Returns whether the next line is in the file already.
    pub(super) fn has_known(&self) -> bool {
        self.known > 0
    }

    pub(super) fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    /// Adds an event of the agent.
    pub(super) fn event(&mut self, event: &AgentEvent) {
        let lines = self.renderer.event(event);
        self.add(lines);
    }

    /// Adds a note that follows from the agent's output: a second reading adds it again.
    pub(super) fn note(&mut self, text: &str) {
        let lines = self.renderer.note(text);
        self.add(lines);
    }

    /// Adds a note about what orch does, which does not follow from the agent's output.
    pub(super) fn aside(&mut self, text: &str) {
        self.own(Kind::Aside, &[text.to_owned()]);
    }

    /// Adds a note that from here on only the end of the output is read.
    pub(super) fn skip(&mut self, text: &str) {
        self.own(Kind::Skip, &[text.to_owned()]);
    }

    /// Adds the last lines, unless an earlier reading wrote them.
    pub(super) fn end(&mut self, texts: &[String]) {
        if !self.is_ended {
            self.own(Kind::End, texts);
        }
    }

    fn own(&mut self, kind: Kind, texts: &[String]) {
        self.flush();
        if self.is_withheld && kind != Kind::End {
            return;
        }
        let lines: Vec<Rendered> = texts.iter().flat_map(|text| self.renderer.note(text)).collect();
        self.write(Some(kind), &lines);
        self.show(&lines);
    }

    /// Ends the comparison with an earlier reading: what follows is new. Call this when all events are read.
    pub(super) fn end_of_events(&mut self) {
        self.flush();
        self.known = 0;
    }

    fn add(&mut self, lines: Vec<Rendered>) {
        self.waiting_bytes += lines.iter().map(|line| line.text.len() + 1).sum::<usize>();
        self.waiting.extend(lines);
        if self.waiting_bytes > BUFFER {
            self.flush();
        }
    }

    /// Writes everything that is buffered.
    pub(super) fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let known = usize::try_from(self.known).map_or(lines.len(), |known| known.min(lines.len()));
        self.known -= known as u64;
        if known < lines.len() && !self.is_withheld {
            self.write(None, &lines[known..]);
        }
        self.show(&lines);
    }

    fn show(&mut self, lines: &[Rendered]) {
        if let Some(pane) = &mut self.pane {
            pane.show(lines);
        }
    }

    /// Writes lines from the agent's output, or orch's own.
    fn write(&mut self, own: Option<Kind>, lines: &[Rendered]) {
        let text: String = lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
        self.mark();
        let renderer = &self.renderer;
        let gap = |lost: &Lost| gap_line(renderer, lost);
        let styled = self.styles.length();
        // The line that marks a gap comes before these.
        if self.file.close_gap(gap) {
            self.styles.add(self.file.length(), lines.iter());
        }
        let is_written = match own {
            None => self.file.write(&text, gap),
            Some(kind) => self.file.write_own(kind, &text, gap),
        };
        if !is_written {
            // Other lines will take their place.
            self.styles.truncate(styled);
        }
    }

    /// Adds a mark with the present time to the timeline. A mark that cannot be written is missing, with no other effect.
    fn mark(&mut self) {
        let now = instant();
        if self.marked.is_some_and(|last| now.duration_since(last) < MARK_INTERVAL) {
            return;
        }
        self.marked = Some(now);
        let mark = Mark { offset: self.length(), at: SystemClock.now() };
        if self.times.write_all(mark.line().as_bytes()).is_err() {
            // A partial mark would misalign all later ones.
            let length = self.times.metadata().map_or(0, |found| found.len());
            let _ = self.times.set_len(length - length % MARK as u64);
        }
    }

    /// Calls `act` while the log accepts no writes.
    #[cfg(test)]
    pub(super) fn with_full_disk(&mut self, act: impl FnOnce(&mut Self)) {
        // A file that is open for reading accepts no writes on any system.
        let path = tempfile::NamedTempFile::new().expect("a file");
        path.as_file().set_len(self.length()).expect("a file of the same length");
        let file = self.file.swap_file(File::open(path.path()).expect("a file"));
        act(self);
        self.file.swap_file(file);
    }

    /// Returns the length of the log in bytes.
    pub(super) fn length(&self) -> u64 {
        self.file.length()
    }

    /// Writes what is left and closes the pane. Returns the length in bytes, and a description of what is missing.
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

/// Renders the line that marks a gap.
fn gap_line(renderer: &Renderer, lost: &Lost) -> String {
    let lines = if lost.lines == 1 { "line" } else { "lines" };
    let note = renderer.note(&format!("{} {lines} could not be written here: {}", lost.lines, lost.cause));
    note.iter().map(|line| format!("{}\n", line.text)).collect()
}
