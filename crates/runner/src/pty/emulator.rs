//! Turns the bytes of a terminal into lines of text, each emitted once. PURE. An emulator holds what the screen shows; the
//! caller decides when to read it, except where output would otherwise get lost.

use super::frame::{Frame, Moment, Snapshot};
use super::intake::Intake;
use avt::parser::{DecMode, EdScope, Function, Parser, XtwinopsOp};
use avt::{Line, Observation, Observer, Operation, ScreenKind, Terminal};
use orch_sys::process::TerminalSize;
use std::time::Instant;
use unicode_width::UnicodeWidthChar;

/// The longest line in bytes; the rest of it is dropped.
const MAX_LINE: usize = 1 << 20;

/// How many lines may scroll off before the screen is read.
const MAX_GONE: usize = 512;

/// The screen of one program, and the lines emitted so far.
pub(super) struct Screen {
    intake: Intake,
    parser: Parser,
    terminal: Terminal,
    primary: Frame,
    /// The screen that full-screen programs switch to.
    alternate: Frame,
    scrolled_off: ScrolledOff,
    /// An estimate of what may have scrolled out of sight unnoticed since the screen was last read.
    scroll: ScrollEstimate,
    emitted: Vec<String>,
    source: Source,
}

/// Where the bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A program. Its requests for another size are ignored, because the pane decides.
    Program,
    /// A raw file, which holds the sizes as well.
    RawFile,
}

/// The largest number of columns or rows that is accepted from a raw file.
const MAX_SIDE: u16 = 1000;

/// Lines that scrolled off the top.
#[derive(Default)]
struct ScrolledOff {
    /// The beginning of a line whose rest is still on the screen.
    partial: String,
    lines: Vec<String>,
}

/// An upper bound for what scrolled since the screen was last read.
#[derive(Default)]
struct ScrollEstimate {
    lines: usize,
    printed: usize,
    /// The height of the scrolling region, if that is not the whole screen.
    region: Option<usize>,
}

/// The effect of a terminal function on the screen, apart from drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It only draws.
    Draws,
    /// It erases a part of the screen.
    Erases,
    /// It erases the whole screen.
    Clears,
    /// It switches to the other screen.
    Switches,
}

impl Screen {
    /// Creates an empty screen.
    pub(super) fn new(size: TerminalSize) -> Self {
        let (columns, rows) = (usize::from(size.columns.max(1)), usize::from(size.rows.max(1)));
        Self {
            intake: Intake::default(),
            parser: Parser::new(),
            terminal: Terminal::new(columns, rows).expect("a screen of at least one character"),
            primary: Frame::default(),
            alternate: Frame::painted(),
            scrolled_off: ScrolledOff::default(),
            scroll: ScrollEstimate::default(),
            emitted: Vec::new(),
            source: Source::Program,
        }
    }

    /// Creates an empty screen for the bytes of a raw file, see [`encode_size`].
    pub(super) fn replaying(size: TerminalSize) -> Self {
        Self { source: Source::RawFile, ..Self::new(size) }
    }

    /// Takes output of the program. Reads the screen only where output would otherwise get lost.
    pub(super) fn write(&mut self, bytes: &[u8], now: Instant) {
        let mut text = String::with_capacity(bytes.len());
        self.intake.push(bytes, &mut |c| text.push(c));
        for c in text.chars() {
            if let Some(function) = self.parser.feed(c) {
                self.apply(function, now);
            }
        }
    }

    /// Changes the size. Lines that wrap at other places are the same lines.
    pub(super) fn resize(&mut self, size: TerminalSize, now: Instant) {
        self.read_screen(Moment::Passing, now);
        let (cols, rows) = (usize::from(size.columns.max(1)), usize::from(size.rows.max(1)));
        self.terminal.resize_with(cols, rows, &mut self.scrolled_off);
        self.scroll.region = None;
    }

    /// Reads the screen, and returns the lines that are new since the last call.
    pub(super) fn new_lines(&mut self, now: Instant) -> Vec<String> {
        self.read_screen(Moment::Passing, now);
        std::mem::take(&mut self.emitted)
    }

    /// Reads the screen for the last time, and returns all remaining lines.
    pub(super) fn finish(&mut self, now: Instant) -> Vec<String> {
        self.read_screen(Moment::Last, now);
        std::mem::take(&mut self.emitted)
    }

    /// Returns when the screen must be read even without output; `None` if it need not be.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.frame().next_check()
    }

    /// Returns the sequences that give an empty terminal the same size and content, for [`Self::replaying`].
    pub(super) fn snapshot(&self) -> String {
        let (columns, rows) = self.terminal.size();
        let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
        let size = TerminalSize { columns: short(columns), rows: short(rows) };
        encode_size(size) + &self.redraw()
    }

    /// Returns the sequences that draw the same content on an empty terminal of the same size.
    pub(super) fn redraw(&self) -> String {
        self.terminal.dump()
    }

    fn is_primary(&self) -> bool {
        self.terminal.active_screen_kind() == ScreenKind::Primary
    }

    fn frame(&self) -> &Frame {
        if self.is_primary() { &self.primary } else { &self.alternate }
    }

    fn frame_mut(&mut self) -> &mut Frame {
        if self.is_primary() { &mut self.primary } else { &mut self.alternate }
    }

    fn apply(&mut self, function: Function, now: Instant) {
        if let (Source::RawFile, Function::Xtwinops(XtwinopsOp::Resize(columns, rows))) = (self.source, &function) {
            let size = TerminalSize { columns: (*columns).min(MAX_SIDE), rows: (*rows).min(MAX_SIDE) };
            return self.resize(size, now);
        }
        let effect = self.effect(&function);
        match effect {
            Effect::Draws => {}
            Effect::Erases => self.frame_mut().erase(),
            Effect::Clears | Effect::Switches => {
                self.read_screen(Moment::Last, now);
                if effect == Effect::Clears || !self.is_primary() {
                    self.frame_mut().clear(now);
                }
                if effect == Effect::Clears && self.is_primary() {
                    self.scrolled_off.partial.clear();
                }
            }
        }
        self.scroll.count(&function, self.terminal.size());
        if self.is_primary() && matches!(function, Function::Ed(EdScope::All)) {
            // The emulator would keep cleared lines as history, but they were emitted already.
            self.execute(Function::Ed(EdScope::Above));
            self.execute(Function::Ed(EdScope::Below));
        } else {
            self.execute(function);
        }
        if self.scrolled_off.lines.len() >= MAX_GONE || self.scroll.is_much(self.terminal.size(), self.is_primary()) {
            self.read_screen(Moment::Passing, now);
        }
    }

    fn execute(&mut self, function: Function) {
        self.terminal.execute_with(Operation::Function(function), &mut self.scrolled_off);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a terminal has sixty functions, of which these count here")]
    fn effect(&self, function: &Function) -> Effect {
        let cursor = self.terminal.cursor();
        let at_home = (cursor.col, cursor.row) == (0, 0);
        let switches = |mode: &DecMode| matches!(mode, DecMode::AltScreenBuffer | DecMode::SaveCursorAltScreenBuffer);
        if let Function::Decset(modes) | Function::Decrst(modes) = function {
            return if modes.as_slice().iter().any(switches) { Effect::Switches } else { Effect::Draws };
        }
        match function {
            Function::Ed(EdScope::All) | Function::Ris => Effect::Clears,
            Function::Ed(EdScope::Below) if at_home => Effect::Clears,
            Function::Ed(EdScope::Below | EdScope::Above) => Effect::Erases,
            _ => Effect::Draws,
        }
    }

    fn read_screen(&mut self, moment: Moment, now: Instant) {
        let primary = self.is_primary();
        let mut snapshot = Snapshot::default();
        let mut line = String::new();
        if primary {
            snapshot.gone = std::mem::take(&mut self.scrolled_off.lines);
            line.clone_from(&self.scrolled_off.partial);
        }
        let (screen, cursor) = (self.terminal.screen(), self.terminal.cursor().row);
        let mut on_it = false;
        let rows = screen.visible_lines();
        let last = rows.len() - 1;
        for (index, row) in rows.enumerate() {
            add(&mut line, row);
            on_it |= index == cursor;
            if row.is_wrapped() && index < last {
                continue;
            }
            let text = line.trim_end();
            if !text.is_empty() {
                snapshot.cursor = snapshot.cursor.or_else(|| on_it.then_some(snapshot.rows.len()));
                snapshot.rows.push(text.to_owned());
            }
            line.clear();
            on_it = false;
        }
        let new = self.frame_mut().update(snapshot, moment, now);
        self.emitted.extend(new);
        (self.scroll.lines, self.scroll.printed) = (0, 0);
    }
}

/// Encodes a size for the raw file, as the sequence with which a program would request it.
pub(super) fn encode_size(size: TerminalSize) -> String {
    format!("\x1b[8;{};{}t", size.rows, size.columns)
}

impl Observer for ScrolledOff {
    type Output = ();

    fn evicted(&mut self, _: &mut Observation<'_>, line: &Line) {
        add(&mut self.partial, line);
        if !line.is_wrapped() {
            let text = self.partial.trim_end();
            if !text.is_empty() {
                self.lines.push(text.to_owned());
            }
            self.partial.clear();
        }
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

impl ScrollEstimate {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a terminal has sixty functions, of which these scroll")]
    fn count(&mut self, function: &Function, (_, rows): (usize, usize)) {
        match function {
            Function::Print(_) => self.printed += 1,
            Function::Lf | Function::Nel | Function::Ri => self.lines += 1,
            Function::Su(n) | Function::Sd(n) | Function::Dl(n) | Function::Il(n) => self.lines += usize::from(*n),
            Function::Rep(n) => self.printed += usize::from(*n),
            Function::Decstbm(top, bottom) => {
                let top = usize::from(*top).max(1);
                let bottom = if *bottom == 0 { rows } else { rows.min(usize::from(*bottom)) };
                self.region = (top > 1 && bottom > top).then(|| bottom - top + 1);
            }
            Function::Ris => self.region = None,
            _ => {}
        }
    }

    /// Returns whether half of the screen may have scrolled out of sight. Lines that leave the primary screen at its
    /// top are not lost.
    fn is_much(&self, (columns, rows): (usize, usize), primary: bool) -> bool {
        let height = self.region.unwrap_or(rows);
        let unnoticed = !primary || self.region.is_some();
        unnoticed && self.lines + self.printed / columns >= (height / 2).max(1)
    }
}

/// Appends the characters of a row, up to the longest line.
fn add(line: &mut String, row: &Line) {
    // A wide character that did not fit at the end of the previous row has left a blank there.
    let is_wide = |c: char| c.width() == Some(2);
    if line.ends_with(' ') && row.chars().next().is_some_and(is_wide) {
        line.pop();
    }
    if line.len() < MAX_LINE {
        line.extend(row.chars());
    }
}

#[cfg(test)]
mod tests;
