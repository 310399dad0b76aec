//! Errors of a YAML text, with position and snippet. Never the name of the file: the caller knows and adds it.

use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};
use std::fmt;

/// The longest part of a line in a snippet, in characters.
const SNIPPET_WIDTH: usize = 100;

/// The message for a file with more than one document.
pub(super) const SECOND_DOCUMENT: &str = "only one YAML document is expected here, a second one begins";
/// The message for a list that is made of aliases.
pub(super) const TOO_MANY_ALIASES: &str = "the YAML has more than 5000 aliases (`*name`): write the entries out";
/// The message for a text that would exhaust memory.
pub(super) const TOO_COMPLEX: &str = "the YAML is too deeply nested, or its aliases multiply";

/// An error of a text that is no YAML, or not the expected YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// The line, counted from 1; 0 when the error has no position (a file too large).
    pub line: u32,
    /// The column in characters, counted from 1; 0 when the error has no position.
    pub column: u32,
    /// The message: a lower-case fragment without the position.
    pub message: String,
    /// The erroneous line with a caret under the position; two lines of text without a final line feed.
    pub snippet: Option<String>,
}

impl YamlError {
    /// Creates an error at a position of `text`.
    pub fn at(text: &str, line: u32, column: u32, message: impl Into<String>) -> Self {
        Self { line, column, message: message.into(), snippet: snippet(text, line, column) }
    }

    /// Creates an error without a position.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self { line: 0, column: 0, message: message.into(), snippet: None }
    }

    pub(super) fn from_reader(text: &str, error: &Error) -> Self {
        let plain = error.without_snippet();
        let message = message_of(innermost(plain));
        match plain.location() {
            Some(place) => Self::at(text, clamp(place.line()), clamp(place.column()), message),
            None => Self::whole(message),
        }
    }

    pub(super) fn from_scanner(text: &str, error: &granit_parser::ScanError) -> Self {
        let mark = error.marker();
        Self::at(text, clamp(mark.line() as u64), clamp(mark.col() as u64 + 1), error.info())
    }
}

impl fmt::Display for YamlError {
    /// Formats `line 2, column 1: message`, without the snippet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for YamlError {}

fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Returns the cause of an error that occurred while following an alias.
fn innermost(error: &Error) -> &Error {
    if let Error::AliasError { error, .. } = error { innermost(error) } else { error }
}

/// Returns the reader's message, except where it refers to its own API.
fn message_of(error: &Error) -> String {
    if let Error::DuplicateMappingKey { key: Some(key), .. } = error {
        return format!("the key `{key}` is already set above");
    }
    if matches!(error, Error::MultipleDocuments { .. }) {
        return SECOND_DOCUMENT.to_owned();
    }
    if matches!(
        error,
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. }
    ) {
        return TOO_COMPLEX.to_owned();
    }
    UserMessageFormatter.format_message(error).into_owned()
}

/// Returns the line with a caret under the column; long lines are shortened around it.
fn snippet(text: &str, line: u32, column: u32) -> Option<String> {
    let source = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let at = (column as usize).saturating_sub(1);
    let first = at.saturating_sub(SNIPPET_WIDTH / 2);
    let cut: String = source
        .trim_start_matches('\u{feff}')
        .chars()
        .skip(first)
        .take(SNIPPET_WIDTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    Some(format!("{number} | {cut}\n{margin} | {}^", " ".repeat(at - first)))
}
