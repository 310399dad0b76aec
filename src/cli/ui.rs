//! The only module that prints. Data goes to stdout, everything else to stderr; colour and width are decided here. With
//! `--json`, stdout holds only JSON.

pub mod money;
pub mod paint;
pub mod screen;
pub mod spinner;
pub mod table;
pub mod text;
pub mod time;
pub mod transcript;

use super::error::CliError;
use paint::{Paint, Role};
use rustix::termios::{isatty, tcgetwinsize};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// The width of a table that goes to a file or a pipe.
const UNBOUND_WIDTH: usize = 200;

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    Text,
    /// For a program.
    Json,
}

/// The user interface. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    format: Format,
    out: Paint,
    err: Paint,
    /// Whether stderr is a terminal.
    watched: bool,
    /// Whether the terminal supports cursor movement.
    moves: bool,
}

impl Ui {
    /// Inspects the terminals, `NO_COLOR` and `TERM`.
    pub fn new(format: Format, environment: &BTreeMap<String, String>) -> Self {
        let moves = environment.get("TERM").is_none_or(|term| term != "dumb");
        let wanted = environment.get("NO_COLOR").is_none_or(String::is_empty) && moves;
        let watched = isatty(io::stderr());
        Self {
            format,
            out: Paint { on: wanted && isatty(io::stdout()) },
            err: Paint { on: wanted && watched },
            watched,
            moves,
        }
    }

    /// Returns whether output is JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns whether stderr is a terminal.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// Returns how data is coloured.
    pub fn paint(&self) -> Paint {
        self.out
    }

    /// Returns the width for tables.
    pub fn columns(&self) -> usize {
        let stdout = io::stdout();
        if !isatty(stdout.as_fd()) {
            return UNBOUND_WIDTH;
        }
        tcgetwinsize(stdout.as_fd()).map_or(80, |size| usize::from(size.ws_col).max(20))
    }

    /// Returns the present width of the terminal, which may change at any time, or `None` if stdout is no terminal.
    pub fn terminal_columns(&self) -> Option<usize> {
        isatty(io::stdout()).then(|| self.columns())
    }

    /// Returns the height of the terminal, or `None` if stdout is no terminal.
    pub fn rows(&self) -> Option<usize> {
        let stdout = io::stdout();
        let size = isatty(stdout.as_fd()).then(|| tcgetwinsize(stdout.as_fd()).ok())??;
        Some(usize::from(size.ws_row).max(5))
    }

    /// Writes data as it is. The caller has made it safe.
    pub fn data(&self, text: &str) -> Result<(), CliError> {
        self.bytes(text.as_bytes())
    }

    /// Writes data as it is.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Output)
    }

    /// Writes a JSON document from the engine, and a line feed.
    pub fn raw_json(&self, document: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        let written = out.write_all(&text::json(document.trim_ascii_end())).and_then(|()| out.write_all(b"\n"));
        written.and_then(|()| out.flush()).map_err(CliError::Output)
    }

    /// Writes one JSON document on a line.
    pub fn json<T: Serialize>(&self, document: &T) -> Result<(), CliError> {
        self.raw_json(&serde_json::to_vec(document)?)
    }

    /// Writes one JSON document over several lines, for documents that people read too.
    pub fn pretty_json<T: Serialize>(&self, document: &T) -> Result<(), CliError> {
        self.raw_json(&serde_json::to_vec_pretty(document)?)
    }

    /// Writes a note for a person to stderr, made safe.
    pub fn note(&self, message: &str) {
        self.write_line(&text::lines(message));
    }

    /// Writes a faint note.
    pub fn aside(&self, message: &str) {
        self.write_line(&self.err.text(Role::Faint, text::lines(message)));
    }

    /// Writes a warning about something unusual that stops nothing.
    pub fn warning(&self, message: &str) {
        self.write_line(&format!("{}: {}", self.err.text(Role::Warning, "warning"), text::lines(message)));
    }

    /// Writes an error with its hint: as JSON to stdout, or as text to stderr.
    pub fn error(&self, error: &CliError) {
        let view = error.view();
        if self.is_json() {
            let body = orch_api::error::ErrorBody { error: view };
            // If stdout is closed, only the exit code is left.
            self.json(&body).ok();
            return;
        }
        self.write_line(&format!("{}: {}", self.err.text(Role::Bad, "error"), text::lines(&view.message)));
        if let Some(hint) = view.hint {
            self.write_line(&format!("{}: {}", self.err.text(Role::Active, "hint"), text::lines(&hint)));
        }
    }

    /// Asks the person at the terminal, and returns whether they agree; an empty line means yes.
    pub fn agrees(&self, question: &str) -> Result<bool, CliError> {
        self.note(question);
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer).map_err(CliError::system("cannot read the answer"))?;
        Ok(read > 0 && !answer.trim().to_lowercase().starts_with('n'))
    }

    fn write_line(&self, line: &str) {
        writeln!(io::stderr().lock(), "{line}").ok();
    }

    /// Writes a part of a line to stderr, for the spinner.
    fn draw(&self, text: &str) {
        let mut err = io::stderr().lock();
        write!(err, "{text}").and_then(|()| err.flush()).ok();
    }
}

/// Returns whether stdin is a terminal.
pub fn stdin_is_terminal() -> bool {
    isatty(io::stdin())
}
