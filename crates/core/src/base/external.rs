//! Failures of external programs and system calls. The adapters classify them where they occur, by exit status, signal,
//! error number and file; text from an agent or a person is never used for that.

use std::fmt;
use std::path::PathBuf;

/// A call that gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalFailure {
    /// The kind of the failure.
    pub how: How,
    /// What was called, on what, and why it failed, for a person.
    pub detail: String,
}

/// The kind of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// A signal ended the program before it could answer.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// The program does not exist, or the system did not start it.
    NotStarted,
    /// It exceeded its time limit, or made no progress, and was stopped.
    TimedOut,
    /// Another process holds a lock.
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// The process that holds it, if known.
        holder: Option<String>,
    },
    /// The system lacks a resource, or a device fails: space, memory, open files, input and output.
    Resources,
    /// A file or a directory has disappeared.
    Vanished,
    /// The answer is missing, incomplete or of an unknown form.
    Unreadable,
    /// The program exited with this code for no reason that orch recognizes.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// The system refuses for a reason that stays until a person changes it, such as a permission.
    Refused,
}

impl ExternalFailure {
    /// Creates a failure with its description.
    pub fn new(how: How, detail: impl fmt::Display) -> Self {
        Self { how, detail: detail.to_string() }
    }

    /// Returns whether the same call may succeed later by itself. Only this function decides that.
    pub fn is_transient(&self) -> bool {
        !matches!(self.how, How::Refused)
    }
}

impl fmt::Display for ExternalFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// An adapter's error that may stem from a failed external call.
pub trait External: fmt::Display {
    /// Returns the failed call; `None` if the call was answered and this error is about the answer.
    fn external(&self) -> Option<ExternalFailure>;
}

/// Why a step of orch has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepProblem {
    /// An external call failed, and may succeed later.
    External(ExternalFailure),
    /// Only a person can change it; the question to them.
    Ask(String),
}

impl StepProblem {
    /// Adds a hint to the question, where a person is asked.
    pub fn with_hint(self, hint: Option<String>) -> Self {
        match (self, hint) {
            (Self::Ask(question), Some(hint)) => Self::Ask(format!("{question} ({hint})")),
            (problem, _) => problem,
        }
    }
}

impl<E: External> From<E> for StepProblem {
    fn from(error: E) -> Self {
        match error.external().filter(ExternalFailure::is_transient) {
            Some(failure) => Self::External(failure),
            None => Self::Ask(error.to_string()),
        }
    }
}

impl fmt::Display for StepProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::External(failure) => failure.fmt(f),
            Self::Ask(question) => f.write_str(question),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Said(Option<How>);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot write /x: No space left on device")
        }
    }

    impl External for Said {
        fn external(&self) -> Option<ExternalFailure> {
            self.0.clone().map(|how| ExternalFailure::new(how, self))
        }
    }

    #[test]
    fn words_alone_never_make_a_failure_pass() {
        assert!(matches!(StepProblem::from(Said(None)), StepProblem::Ask(_)), "a quoted system error is an answer");
        assert!(matches!(StepProblem::from(Said(Some(How::Refused))), StepProblem::Ask(_)));
        for how in [How::Resources, How::Killed { signal: 9 }, How::Vanished, How::Exited { code: 128 }] {
            let problem = StepProblem::from(Said(Some(how)));
            assert!(matches!(&problem, StepProblem::External(failure) if failure.is_transient()), "{problem}");
        }
    }
}
