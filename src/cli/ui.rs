//! The only place that prints. Data goes to stdout, everything else to stderr; colour and width are decided here.
//! With `--json`, stdout holds JSON and nothing else.

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

/// Width of a table that goes to a file or a pipe.
const UNBOUND_WIDTH: usize = 200;

/// What output is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    Text,
    /// For a program.
    Json,
}

/// The way to the terminal. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    format: Format,
    out: Paint,
    err: Paint,
    /// A person watches stderr.
    watched: bool,
    /// The terminal can do more than print below.
    moves: bool,
}

impl Ui {
    /// Looks at the terminals and at `NO_COLOR` and `TERM`.
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

    /// Whether output is JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person watches stderr.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// How data is coloured.
    pub fn paint(&self) -> Paint {
        self.out
    }

    /// Columns for tables.
    pub fn columns(&self) -> usize {
        let stdout = io::stdout();
        if !isatty(stdout.as_fd()) {
            return UNBOUND_WIDTH;
        }
        tcgetwinsize(stdout.as_fd()).map_or(80, |size| usize::from(size.ws_col).max(20))
    }

    /// Columns of the terminal now: it may be made smaller or larger at any time. `None`: stdout is none.
    pub fn terminal_columns(&self) -> Option<usize> {
        isatty(io::stdout()).then(|| self.columns())
    }

    /// Lines of the terminal; `None`: stdout is none.
    pub fn rows(&self) -> Option<usize> {
        let stdout = io::stdout();
        let size = isatty(stdout.as_fd()).then(|| tcgetwinsize(stdout.as_fd()).ok())??;
        Some(usize::from(size.ws_row).max(5))
    }

    /// Data, as it is. The caller has made it safe.
    pub fn data(&self, text: &str) -> Result<(), CliError> {
        self.bytes(text.as_bytes())
    }

    /// Data, as it is.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Output)
    }

    /// A JSON document that came from the engine, with a line feed at its end.
    pub fn raw_json(&self, document: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        let written = out.write_all(&text::json(document.trim_ascii_end())).and_then(|()| out.write_all(b"\n"));
        written.and_then(|()| out.flush()).map_err(CliError::Output)
    }

    /// One JSON document on a line.
    pub fn json<T: Serialize>(&self, document: &T) -> Result<(), CliError> {
        self.raw_json(&serde_json::to_vec(document)?)
    }

    /// One JSON document over several lines, for documents that people read too.
    pub fn pretty_json<T: Serialize>(&self, document: &T) -> Result<(), CliError> {
        self.raw_json(&serde_json::to_vec_pretty(document)?)
    }

    /// What happens, or what comes next: for a person, on stderr. Made safe here.
    pub fn note(&self, message: &str) {
        self.say(&text::lines(message));
    }

    /// A faint note.
    pub fn aside(&self, message: &str) {
        self.say(&self.err.text(Role::Faint, text::lines(message)));
    }

    /// Something odd that stops nothing.
    pub fn warning(&self, message: &str) {
        self.say(&format!("{}: {}", self.err.text(Role::Warning, "warning"), text::lines(message)));
    }

    /// What failed, and what to do about it: as JSON on stdout, or as words on stderr.
    pub fn error(&self, error: &CliError) {
        let view = error.view();
        if self.is_json() {
            let body = orch_api::error::ErrorBody { error: view };
            // Where stdout is gone, the exit code is all that is left to say.
            self.json(&body).ok();
            return;
        }
        self.say(&format!("{}: {}", self.err.text(Role::Bad, "error"), text::lines(&view.message)));
        if let Some(hint) = view.hint {
            self.say(&format!("{}: {}", self.err.text(Role::Active, "hint"), text::lines(&hint)));
        }
    }

    /// A line on stderr. Nobody can be told when that fails.
    /// Asks the person at the terminal, and whether they say yes; nothing typed but the line's end is a yes.
    pub fn agrees(&self, question: &str) -> Result<bool, CliError> {
        self.note(question);
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer).map_err(CliError::system("cannot read the answer"))?;
        Ok(read > 0 && !answer.trim().to_lowercase().starts_with('n'))
    }

    fn say(&self, line: &str) {
        writeln!(io::stderr().lock(), "{line}").ok();
    }

    /// Part of a line on stderr, for the spinner.
    fn draw(&self, text: &str) {
        let mut err = io::stderr().lock();
        write!(err, "{text}").and_then(|()| err.flush()).ok();
    }
}

/// Whether a person sits at the terminal of stdin.
pub fn stdin_is_terminal() -> bool {
    isatty(io::stdin())
}
