//! What is wrong in a file that a person writes, with its place.

use orch_core::base::ids::TaskId;
use orch_core::operations::job::JobId;
use std::fmt;

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file, or the entry, does not count.
    Error,
    /// It counts, but may not mean what was meant.
    Warning,
}

/// Something wrong in a file whose entries have ids of type `I`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem<I> {
    /// How bad the problem is.
    pub severity: Severity,
    /// Line, counted from 1; 0 when it concerns the file as a whole.
    pub line: u32,
    /// Column in characters, counted from 1; 0 when it concerns the file as a whole.
    pub column: u32,
    /// The entry that it concerns, where that is known.
    pub entry: Option<I>,
    /// What is wrong: a lower-case fragment without the place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl<I> Problem<I> {
    /// Creates an error in no known entry.
    pub(crate) fn error((line, column): (u32, u32), message: impl Into<String>, hint: Option<&str>) -> Self {
        let (severity, hint) = (Severity::Error, hint.map(str::to_owned));
        Self { severity, line, column, entry: None, message: message.into(), hint }
    }
}

/// The id of an entry, as problems name it.
pub trait EntryId {
    /// Returns what precedes the message of a problem with this entry.
    fn prefix(&self) -> String;
}

impl EntryId for TaskId {
    /// A task is not named: its problems are reported in its own history.
    fn prefix(&self) -> String {
        String::new()
    }
}

impl EntryId for JobId {
    fn prefix(&self) -> String {
        format!("job {self}: ")
    }
}

impl<I: EntryId> fmt::Display for Problem<I> {
    /// `line 3, column 5: job nightly: message (hint)`; the name of the file is the caller's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        let prefix = self.entry.as_ref().map(I::prefix).unwrap_or_default();
        write!(f, "{prefix}{}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}
