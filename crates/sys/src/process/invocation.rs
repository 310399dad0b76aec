//! Describes a call of a program and its limits, as data, and the errors that a call can end with.

use super::output::Output;
use orch_core::base::external::{External, ExternalFailure, How};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What happens when a program prints more than its output limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It is killed, and the call fails: for programs whose output is parsed.
    Kill,
    /// It continues, and only the end of its output is kept: for checks, whose last lines matter most.
    KeepTail,
}

/// One call of a program. The environment holds only what is added; there is no shell.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) cwd: PathBuf,
    pub(super) env: BTreeMap<OsString, OsString>,
    pub(super) stdin: Vec<u8>,
    pub(super) time_limit: Duration,
    pub(super) output_limit: usize,
    pub(super) excess: Excess,
    pub(super) ending: EndBy,
    /// The program that runs inside a container, for error messages.
    subject: Option<PathBuf>,
}

/// How a call is ended that exceeds its time limit or is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndBy {
    /// Kill its process group.
    Kill,
    /// Ask the container with TERM to end its processes, which it could not do if it were killed.
    Ask,
}

impl Invocation {
    /// Creates a call of `program` in `cwd`: no arguments, empty environment, empty stdin, 30 s, 16 MiB of output.
    ///
    /// A bare name is searched in the `PATH` given with [`Self::env`].
    pub fn new(program: impl Into<PathBuf>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            cwd: cwd.into(),
            env: BTreeMap::new(),
            stdin: Vec::new(),
            time_limit: Duration::from_secs(30),
            output_limit: 16 << 20,
            excess: Excess::Kill,
            ending: EndBy::Kill,
            subject: None,
        }
    }

    /// Turns this call into the arguments of `container SUBCOMMAND`, a program that runs it and ends all of its
    /// processes with it.
    #[must_use]
    pub fn contained_by(mut self, container: impl Into<PathBuf>, subcommand: &str) -> Self {
        let program = std::mem::replace(&mut self.program, container.into());
        self.args.splice(0..0, [OsString::from(subcommand), program.clone().into_os_string()]);
        (self.ending, self.subject) = (EndBy::Ask, Some(program));
        self
    }

    /// Appends one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets environment variables.
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        self.env.extend(variables.into_iter().map(|(n, v)| (n.as_ref().to_owned(), v.as_ref().to_owned())));
        self
    }

    /// Sets the bytes that the program reads from stdin.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets the time after which its process group is killed.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets how many bytes stdout and stderr may have, each, and what happens beyond.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize, excess: Excess) -> Self {
        self.output_limit = bytes;
        self.excess = excess;
        self
    }

    /// Returns the name used in errors: the program and its subcommand, never another argument, because those may hold
    /// a secret.
    pub fn label(&self) -> String {
        let program = self.subject.as_ref().unwrap_or(&self.program);
        let program = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
        let is_word = |arg: &&OsString| {
            arg.len() <= 24 && arg.to_str().is_some_and(|a| a.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        };
        let first = if self.subject.is_some() { self.args.get(2) } else { self.args.first() };
        match first.filter(is_word) {
            Some(word) => format!("{program} {}", word.to_string_lossy()),
            None => program.into_owned(),
        }
    }

    /// Returns the working directory.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// Builds the command, without its standard streams.
    #[expect(clippy::disallowed_methods, reason = "the door to other programs")]
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.cwd).env_clear().envs(&self.env);
        command
    }

    /// Builds the command in a process group of its own, so that a limit ends its children too.
    pub(super) fn group_command(&self) -> Command {
        let mut command = self.command();
        command.process_group(0);
        command
    }

    /// Converts a failed start into an error: to the kernel, a missing directory looks like a missing program.
    pub(super) fn start_error(&self, source: io::Error) -> ProcessError {
        if !self.cwd.is_dir() {
            return ProcessError::NoDirectory { label: self.label(), cwd: self.cwd.clone() };
        }
        if source.kind() == io::ErrorKind::NotFound {
            return ProcessError::NotFound { program: self.program.clone() };
        }
        ProcessError::NotStarted { label: self.label(), source }
    }
}

/// Why a program gave no result. A non-zero exit code is none of these: the caller judges it.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program does not exist.
    #[error("program {} not found: is it installed and in PATH?", program.display())]
    NotFound {
        /// The path or name as requested.
        program: PathBuf,
    },
    /// The working directory does not exist.
    #[error("{label}: directory {} does not exist", cwd.display())]
    NoDirectory {
        /// The program, as in [`Invocation::label`].
        label: String,
        /// The missing directory.
        cwd: PathBuf,
    },
    /// The kernel refused to start the program.
    #[error("{label} did not start: {source}")]
    NotStarted {
        /// The program, as in [`Invocation::label`].
        label: String,
        /// The error of the kernel.
        source: io::Error,
    },
    /// The program exceeded its time limit and was killed.
    #[error("{label} did not end within {} s and was killed", limit.as_secs_f64())]
    TimedOut {
        /// The program, as in [`Invocation::label`].
        label: String,
        /// The time limit.
        limit: Duration,
        /// What it had printed by then, if that was kept.
        printed: Option<Box<Output>>,
    },
    /// The program used no processor time and did no I/O for a while, and was killed.
    #[error("{label} (pid {pid}) made no progress for {} s and was killed", quiet.as_secs())]
    NoProgress {
        /// The program, as in [`Invocation::label`].
        label: String,
        /// The process number.
        pid: u32,
        /// How long it made no progress.
        quiet: Duration,
    },
    /// The program exceeded its output limit and was killed.
    #[error("{label} printed more than {limit} bytes and was killed")]
    TooMuchOutput {
        /// The program, as in [`Invocation::label`].
        label: String,
        /// The output limit, in bytes.
        limit: usize,
    },
    /// Reading its output or waiting for it failed.
    #[error("lost contact with {label}: {source}")]
    Lost {
        /// The program, as in [`Invocation::label`].
        label: String,
        /// The error of the kernel.
        source: io::Error,
    },
}

impl External for ProcessError {
    fn external(&self) -> Option<ExternalFailure> {
        let how = match self {
            Self::NotFound { .. } => How::NotStarted,
            Self::NoDirectory { .. } => How::Vanished,
            // The same arguments will be too long next time as well.
            Self::NotStarted { source, .. } if source.kind() == io::ErrorKind::ArgumentListTooLong => How::Refused,
            Self::NotStarted { .. } => How::NotStarted,
            Self::TimedOut { .. } | Self::NoProgress { .. } => How::TimedOut,
            Self::TooMuchOutput { .. } => How::Refused,
            Self::Lost { source, .. } => how_of(source),
        };
        Some(ExternalFailure::new(how, self))
    }
}

/// Classifies a failed system call by its error number.
pub fn how_of(error: &io::Error) -> How {
    use io::ErrorKind as K;
    let is_exhausted = matches!(
        error.kind(),
        K::StorageFull
            | K::QuotaExceeded
            | K::ReadOnlyFilesystem
            | K::OutOfMemory
            | K::Interrupted
            | K::WouldBlock
            | K::ResourceBusy
            | K::ExecutableFileBusy
            | K::StaleNetworkFileHandle
    );
    if is_exhausted || TRANSIENT.iter().any(|errno| Some(errno.raw_os_error()) == error.raw_os_error()) {
        How::Resources
    } else if matches!(error.kind(), K::NotFound | K::NotADirectory) {
        How::Vanished
    } else {
        How::Refused
    }
}

/// Transient errors without an `ErrorKind`: a device that fails, too many open files.
const TRANSIENT: [Errno; 4] = [Errno::IO, Errno::MFILE, Errno::NFILE, Errno::NOBUFS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_errors_are_known_by_the_error_number() {
        for code in [5, 4, 11, 12, 24, 28, 30] {
            assert_eq!(how_of(&io::Error::from_raw_os_error(code)), How::Resources, "{code}");
        }
        assert_eq!(how_of(&io::Error::from_raw_os_error(2)), How::Vanished);
        for code in [1, 13, 17] {
            assert_eq!(how_of(&io::Error::from_raw_os_error(code)), How::Refused, "{code}");
        }
        assert_eq!(how_of(&io::Error::other("No space left on device")), How::Refused, "a message is no error number");
    }

    #[test]
    fn errors_name_the_subcommand_and_no_other_argument() {
        assert_eq!(Invocation::new("/usr/bin/git", "/").args(["worktree", "add", "x"]).label(), "git worktree");
        assert_eq!(Invocation::new("claude", "/").args(["sk-ant-SECRET"]).label(), "claude");
        assert_eq!(Invocation::new("tmux", "/").label(), "tmux");
    }
}
