//! What became of an external program or a system call that gave no usable answer. The adapters classify it where they
//! see it, by exit status, signal, error number and file; nothing that an agent or a person wrote is ever part of that.

use std::fmt;
use std::path::PathBuf;

/// A call that gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalFailure {
    /// In which way it failed.
    pub how: How,
    /// For a person: what was called, on what, and why it failed.
    pub detail: String,
}

/// In which way a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// A signal ended the program before it could answer.
    Killed {
        /// Its number.
        signal: i32,
    },
    /// The program is not there, or the system did not start it.
    NotStarted,
    /// It did not end within its time, or made no progress, and was ended.
    TimedOut,
    /// Another process holds a lock.
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// The process that holds it, where that is known.
        holder: Option<String>,
    },
    /// The system is short of something, or a device fails: space, memory, open files, input and output.
    Resources,
    /// A file or a directory was there and is gone.
    Vanished,
    /// The answer is missing, cut off or of an unknown form.
    Unreadable,
    /// The program ended with this code and gave no reason that orch knows.
    Exited {
        /// The code.
        code: i32,
    },
    /// The system refuses for a reason that stays until somebody changes it, such as a permission.
    Refused,
}

impl ExternalFailure {
    /// A failure with its words.
    pub fn new(how: How, detail: impl fmt::Display) -> Self {
        Self { how, detail: detail.to_string() }
    }

    /// Whether the same call may succeed later without any help. This is the only place that decides it.
    pub fn passes(&self) -> bool {
        match self.how {
            How::Killed { .. }
            | How::NotStarted
            | How::TimedOut
            | How::Locked { .. }
            | How::Resources
            | How::Vanished
            | How::Unreadable
            | How::Exited { .. } => true,
            How::Refused => false,
        }
    }
}

impl fmt::Display for ExternalFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// An error of an adapter that knows whether an external call failed.
pub trait External: fmt::Display {
    /// The failed call; `None`: the call was answered, and the answer is what this error says.
    fn external(&self) -> Option<ExternalFailure>;
}

/// Why a step of orch has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepProblem {
    /// An external call failed, and may succeed later.
    External(ExternalFailure),
    /// Only a person can change it. In words.
    Ask(String),
}

impl<E: External> From<E> for StepProblem {
    fn from(error: E) -> Self {
        match error.external().filter(ExternalFailure::passes) {
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
            assert!(matches!(&problem, StepProblem::External(failure) if failure.passes()), "{problem}");
        }
    }
}
