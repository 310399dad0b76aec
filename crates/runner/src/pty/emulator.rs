//! From the bytes of a terminal to lines of text, each told once. PURE. An emulator keeps what the screen shows; when to
//! look is the caller's, but for the looks without which something would get lost.

use super::frame::{Frame, Moment, Sight};
use super::intake::Intake;
use avt::parser::{DecMode, EdScope, Function, Parser, XtwinopsOp};
use avt::{Line, Observation, Observer, Operation, ScreenKind, Terminal};
use orch_sys::process::TerminalSize;
use std::time::Instant;
use unicode_width::UnicodeWidthChar;

/// The longest line in bytes; what is beyond is left out of it.
const LONGEST: usize = 1 << 20;

/// How many lines may leave the screen before the next look.
const GONE: usize = 512;

/// The screen of one program, and what was told of it.
pub(super) struct Screen {
    intake: Intake,
    parser: Parser,
    terminal: Terminal,
    usual: Frame,
    /// What full-screen programs switch to.
    alternate: Frame,
    leaving: Leaving,
    /// How much may have scrolled out of sight unnoticed since the last look, where that can happen.
    scrolled: Scrolled,
    told: Vec<String>,
    source: Source,
}

/// Where the bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A program. That it asks for another size changes nothing: the pane has the size that it has.
    Program,
    /// What was kept of one, with its sizes among it.
    Kept,
}

/// The largest screen that is believed.
const LARGEST: u16 = 1000;

/// Lines that scroll off the top.
#[derive(Default)]
struct Leaving {
    /// The beginning of a line, the rest of which is still on the screen.
    begun: String,
    lines: Vec<String>,
}

/// An estimate from above.
#[derive(Default)]
struct Scrolled {
    lines: usize,
    printed: usize,
    /// Height of the part that scrolls by itself, when it is not all of the screen.
    part: Option<usize>,
}

/// What a function does to what is seen, beside drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing else.
    Draws,
    /// A part is erased.
    Erases,
    /// Everything is erased.
    Clears,
    /// The other screen is shown.
    Switches,
}

impl Screen {
    /// An empty screen.
    pub(super) fn new(size: TerminalSize) -> Self {
        let (columns, rows) = (usize::from(size.columns.max(1)), usize::from(size.rows.max(1)));
        Self {
            intake: Intake::default(),
            parser: Parser::new(),
            terminal: Terminal::new(columns, rows).expect("a screen of at least one character"),
            usual: Frame::default(),
            alternate: Frame::painted(),
            leaving: Leaving::default(),
            scrolled: Scrolled::default(),
            told: Vec::new(),
            source: Source::Program,
        }
    }

    /// An empty screen for bytes that were kept, see [`kept_size`].
    pub(super) fn replaying(size: TerminalSize) -> Self {
        Self { source: Source::Kept, ..Self::new(size) }
    }

    /// Takes what the program wrote. Looks only where something would otherwise get lost.
    pub(super) fn write(&mut self, bytes: &[u8], now: Instant) {
        let mut text = String::with_capacity(bytes.len());
        self.intake.push(bytes, &mut |c| text.push(c));
        for c in text.chars() {
            if let Some(function) = self.parser.feed(c) {
                self.apply(function, now);
            }
        }
    }

    /// Another size. Lines that are broken in other places are the same lines.
    pub(super) fn resize(&mut self, size: TerminalSize, now: Instant) {
        self.see(Moment::Passing, now);
        let (cols, rows) = (usize::from(size.columns.max(1)), usize::from(size.rows.max(1)));
        self.terminal.resize_with(cols, rows, &mut self.leaving);
        self.scrolled.part = None;
    }

    /// Looks, and returns the lines that are new since the last call.
    pub(super) fn look(&mut self, now: Instant) -> Vec<String> {
        self.see(Moment::Passing, now);
        std::mem::take(&mut self.told)
    }

    /// The last look: whatever is still to be told.
    pub(super) fn finish(&mut self, now: Instant) -> Vec<String> {
        self.see(Moment::Last, now);
        std::mem::take(&mut self.told)
    }

    /// When the next look is due though nothing is written; `None`: it is not.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.frame().next_look()
    }

    /// What brings an empty terminal to the same size and content, for [`Self::replaying`].
    pub(super) fn kept(&self) -> String {
        let (columns, rows) = self.terminal.size();
        let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
        let size = TerminalSize { columns: short(columns), rows: short(rows) };
        kept_size(size) + &self.drawn()
    }

    /// What brings an empty terminal of the same size to show the same.
    pub(super) fn drawn(&self) -> String {
        self.terminal.dump()
    }

    fn is_usual(&self) -> bool {
        self.terminal.active_screen_kind() == ScreenKind::Primary
    }

    fn frame(&self) -> &Frame {
        if self.is_usual() { &self.usual } else { &self.alternate }
    }

    fn frame_mut(&mut self) -> &mut Frame {
        if self.is_usual() { &mut self.usual } else { &mut self.alternate }
    }

    fn apply(&mut self, function: Function, now: Instant) {
        if let (Source::Kept, Function::Xtwinops(XtwinopsOp::Resize(columns, rows))) = (self.source, &function) {
            let size = TerminalSize { columns: (*columns).min(LARGEST), rows: (*rows).min(LARGEST) };
            return self.resize(size, now);
        }
        let effect = self.effect(&function);
        match effect {
            Effect::Draws => {}
            Effect::Erases => self.frame_mut().erase(),
            Effect::Clears | Effect::Switches => {
                self.see(Moment::Last, now);
                if effect == Effect::Clears || !self.is_usual() {
                    self.frame_mut().clear(now);
                }
                if effect == Effect::Clears && self.is_usual() {
                    self.leaving.begun.clear();
                }
            }
        }
        self.scrolled.count(&function, self.terminal.size());
        if self.is_usual() && matches!(function, Function::Ed(EdScope::All)) {
            // The emulator would keep what is cleared as history; it was told.
            self.execute(Function::Ed(EdScope::Above));
            self.execute(Function::Ed(EdScope::Below));
        } else {
            self.execute(function);
        }
        if self.leaving.lines.len() >= GONE || self.scrolled.is_much(self.terminal.size(), self.is_usual()) {
            self.see(Moment::Passing, now);
        }
    }

    fn execute(&mut self, function: Function) {
        self.terminal.execute_with(Operation::Function(function), &mut self.leaving);
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

    fn see(&mut self, moment: Moment, now: Instant) {
        let usual = self.is_usual();
        let mut sight = Sight::default();
        let mut line = String::new();
        if usual {
            sight.gone = std::mem::take(&mut self.leaving.lines);
            line.clone_from(&self.leaving.begun);
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
                sight.cursor = sight.cursor.or_else(|| on_it.then_some(sight.rows.len()));
                sight.rows.push(text.to_owned());
            }
            line.clear();
            on_it = false;
        }
        let new = self.frame_mut().look(sight, moment, now);
        self.told.extend(new);
        (self.scrolled.lines, self.scrolled.printed) = (0, 0);
    }
}

/// How a size is written among the bytes that are kept: as a program would ask for it.
pub(super) fn kept_size(size: TerminalSize) -> String {
    format!("\x1b[8;{};{}t", size.rows, size.columns)
}

impl Observer for Leaving {
    type Output = ();

    fn evicted(&mut self, _: &mut Observation<'_>, line: &Line) {
        add(&mut self.begun, line);
        if !line.is_wrapped() {
            let text = self.begun.trim_end();
            if !text.is_empty() {
                self.lines.push(text.to_owned());
            }
            self.begun.clear();
        }
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

impl Scrolled {
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
                self.part = (top > 1 && bottom > top).then(|| bottom - top + 1);
            }
            Function::Ris => self.part = None,
            _ => {}
        }
    }

    /// Whether half of what is seen may have gone out of sight. What leaves the usual screen at its top is not lost.
    fn is_much(&self, (columns, rows): (usize, usize), usual: bool) -> bool {
        let height = self.part.unwrap_or(rows);
        let unnoticed = !usual || self.part.is_some();
        unnoticed && self.lines + self.printed / columns >= (height / 2).max(1)
    }
}

/// Adds the characters of a row, as far as there is room.
fn add(line: &mut String, row: &Line) {
    // A wide character that did not fit at the end of the row before has left a gap there.
    let is_wide = |c: char| c.width() == Some(2);
    if line.ends_with(' ') && row.chars().next().is_some_and(is_wide) {
        line.pop();
    }
    if line.len() < LONGEST {
        line.extend(row.chars());
    }
}

#[cfg(test)]
mod tests;
