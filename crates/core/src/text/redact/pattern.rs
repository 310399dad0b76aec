//! A person's own redaction rules: regular expressions.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The memory limit of a compiled expression, in bytes.
const LARGEST: usize = 1 << 20;

/// A regular expression whose matches are masked. `^` and `$` are the ends of lines.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "PatternText", into = "PatternText")]
pub struct Pattern {
    name: String,
    regex: Regex,
}

/// A pattern as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternText {
    /// The replacement for what is masked: letters, digits, `-` and `_`.
    pub name: String,
    /// The regular expression (syntax of the Rust crate `regex`); what it matches is masked.
    pub regex: String,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The name has invalid characters.
    #[error("{0:?} is not a name: letters, digits, - and _, at most 64")]
    Name(String),
    /// The expression is invalid or too large.
    #[error("not a regular expression: {0}")]
    Regex(String),
    /// The expression would mask everything.
    #[error("the expression matches the empty text")]
    Empty,
}

impl Pattern {
    /// Compiles the pattern.
    ///
    /// # Errors
    /// Returns an error if the name or the expression cannot be used.
    pub fn new(name: &str, regex: &str) -> Result<Self, PatternError> {
        let is_name = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_name {
            return Err(PatternError::Name(name.to_owned()));
        }
        let regex = RegexBuilder::new(regex).size_limit(LARGEST).multi_line(true).build();
        // The last line of the message says what is wrong; the lines before show where.
        let message = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        let regex =
            regex.map_err(|error| PatternError::Regex(message(error).trim_start_matches("error: ").to_owned()))?;
        if regex.is_match("") {
            return Err(PatternError::Empty);
        }
        Ok(Self { name: name.to_owned(), regex })
    }

    /// Returns the name that replaces what is masked.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }
}

impl TryFrom<PatternText> for Pattern {
    type Error = PatternError;

    fn try_from(text: PatternText) -> Result<Self, PatternError> {
        Self::new(&text.name, &text.regex)
    }
}

impl From<Pattern> for PatternText {
    fn from(pattern: Pattern) -> Self {
        Self { name: pattern.name, regex: pattern.regex.as_str().to_owned() }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for Pattern {}
