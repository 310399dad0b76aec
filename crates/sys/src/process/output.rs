//! The output of a program, collected within a limit.

use super::invocation::{Excess, Invocation, ProcessError};
use orch_core::tasks::outcome::Exit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The result of a program that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code or signal.
    pub exit: Exit,
    /// Its stdout, or the end of it.
    pub stdout: Vec<u8>,
    /// Its stderr, or the end of it.
    pub stderr: Vec<u8>,
    /// Whether the beginning of stdout or stderr was dropped ([`Excess::KeepTail`]).
    pub truncated: bool,
}

impl Output {
    /// Returns whether the exit code was 0.
    pub fn success(&self) -> bool {
        self.exit.success()
    }

    /// Returns stdout as text, without surrounding white space.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Returns stderr as text, without surrounding white space.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// Converts the standard library's exit status.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    Exit { code: status.code(), signal: status.signal() }
}

/// Collects one stream within the limit of an invocation.
#[derive(Debug)]
pub(super) struct Collected {
    bytes: Vec<u8>,
    limit: usize,
    excess: Excess,
    dropped: bool,
}

impl Collected {
    pub(super) fn new(invocation: &Invocation) -> Self {
        Self { bytes: Vec::new(), limit: invocation.output_limit, excess: invocation.excess, dropped: false }
    }

    /// Appends output. Returns `Err` when the limit is exceeded and the program must be killed.
    pub(super) fn push(&mut self, more: &[u8]) -> Result<(), TooMuch> {
        self.bytes.extend_from_slice(more);
        match self.excess {
            Excess::Kill if self.bytes.len() > self.limit => Err(TooMuch),
            Excess::KeepTail if self.bytes.len() > self.limit.saturating_mul(2) => {
                self.cut();
                Ok(())
            }
            Excess::Kill | Excess::KeepTail => Ok(()),
        }
    }

    fn cut(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.limit);
        if surplus > 0 {
            self.bytes.drain(..surplus);
            self.dropped = true;
        }
    }
}

/// The output limit was exceeded.
#[derive(Debug)]
pub(super) struct TooMuch;

impl TooMuch {
    pub(super) fn error(&self, invocation: &Invocation) -> ProcessError {
        ProcessError::TooMuchOutput { label: invocation.label(), limit: invocation.output_limit }
    }
}

/// Assembles the result.
pub(super) fn output(exit: Exit, mut stdout: Collected, mut stderr: Collected) -> Output {
    stdout.cut();
    stderr.cut();
    Output { exit, truncated: stdout.dropped || stderr.dropped, stdout: stdout.bytes, stderr: stderr.bytes }
}
