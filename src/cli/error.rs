//! All errors as a person sees them: what happened and where, what to do next, and the exit code. Only this module
//! chooses an error's kind and hint.

use super::exit::Exit;
use crate::daemon::OpenError;
use orch_api::client::ClientError;
use orch_api::error::{ErrorCode, ErrorView};
use orch_config::ConfigProblem;
use orch_sys::fs::{FsError, WriteError};
use orch_sys::git::GitError;
use orch_sys::process::ProcessError;
use orch_sys::tmux::TmuxError;
use std::io;
use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The API answered with an error, or did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No engine could be opened.
    #[error(transparent)]
    Open(OpenError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// tmux failed.
    #[error(transparent)]
    Tmux(#[from] TmuxError),
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FsError),
    /// A file that people edit could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: WriteError,
    },
    /// The configuration is wrong.
    #[error("{}", listed(.0))]
    Config(Vec<ConfigProblem>),
    /// The command line is wrong.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// The thing does not exist.
    #[error("{message}")]
    NotFound {
        /// What does not exist.
        message: String,
        /// What to type instead.
        hint: Option<String>,
    },
    /// Refused in the present state.
    #[error("{message}")]
    Refused {
        /// The reason.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// An error of the operating system.
    #[error("{what}: {source}")]
    System {
        /// What was attempted.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The change is stored, but `tasks.yml` could not be updated yet.
    #[error(
        "tasks.yml is not written yet: {0}; what was asked is safe in the journal, and the next orch that can writes it there"
    )]
    Unwritten(String),
    /// stdout cannot be written.
    #[error("cannot write to stdout: {0}")]
    Output(io::Error),
    /// A JSON document could not be made.
    #[error("cannot make the JSON document: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Restore(error) => error.into(),
            error @ (OpenError::Busy { .. }
            | OpenError::File(_)
            | OpenError::Socket { .. }
            | OpenError::Journal(_)
            | OpenError::Damaged { .. }
            | OpenError::DamagedAgain { .. }
            | OpenError::Restoring { .. }
            | OpenError::Rebuild(_)) => Self::Open(error),
        }
    }
}

fn listed(problems: &[ConfigProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl CliError {
    /// Creates an error about a wrong command line.
    pub fn usage(message: impl Into<String>, hint: &str) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.to_owned()) }
    }

    /// Creates an error from one of the operating system.
    pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::System { what: what.into(), source }
    }

    /// Returns whether a reader of stdout closed it early, which is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Returns whether the command succeeded, and this is only an additional warning.
    pub fn is_afterword(&self) -> bool {
        matches!(self, Self::Unwritten(_))
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        if self.is_broken_pipe() { Exit::Done } else { self.code_and_hint().0.into() }
    }

    /// Returns the error in the form that every interface shows.
    pub fn view(&self) -> ErrorView {
        let (code, hint) = self.code_and_hint();
        ErrorView { code, message: self.to_string(), hint }
    }

    fn code_and_hint(&self) -> (ErrorCode, Option<String>) {
        let (code, hint) = match self {
            Self::Client(ClientError::Answered(view)) => return (view.code, view.hint.clone()),
            Self::Usage { hint, .. } => return (ErrorCode::Usage, hint.clone()),
            Self::NotFound { hint, .. } => return (ErrorCode::NotFound, hint.clone()),
            Self::Refused { hint, .. } => return (ErrorCode::Conflict, hint.clone()),
            Self::Git(error) => return (ErrorCode::Failed, error.hint()),
            // The messages of these errors say what to do.
            Self::Tmux(_)
            | Self::Process(_)
            | Self::File(_)
            | Self::Write { source: WriteError::Fs(_), .. }
            | Self::System { .. }
            | Self::Unwritten(_)
            | Self::Output(_)
            | Self::Json(_) => return (ErrorCode::Failed, None),
            Self::Config(_) => {
                (ErrorCode::Usage, "`orch config schema` lists every key; config.example.yml has the defaults")
            }
            Self::Write { source: WriteError::Changed { .. }, .. } => {
                (ErrorCode::Conflict, "another program saved it meanwhile: check it and try again")
            }
            Self::Client(ClientError::Unreachable { .. }) => (ErrorCode::NoDaemon, "`orch serve` starts the daemon"),
            Self::Client(ClientError::Silent(_)) => {
                (ErrorCode::TimedOut, "is it stopped or starved? its log is .orch/orch.log in the home")
            }
            Self::Client(ClientError::Slow(_)) => {
                (ErrorCode::TimedOut, "how large are tasks.yml and jobs.yml in the home? `orch doctor` checks")
            }
            Self::Client(ClientError::Broken(_)) => {
                (ErrorCode::Failed, "did the daemon stop? `orch task list` shows whether the change was made")
            }
            Self::Client(ClientError::Unexpected(_)) => {
                (ErrorCode::Failed, "restart the daemon, so that it is of the same version as this orch")
            }
            Self::Open(OpenError::Busy { holder: Some(holder), .. }) if holder.is_daemon() => (
                ErrorCode::Conflict,
                "it does not answer at its socket; `orch serve --replace` replaces it, `orch shutdown` ends it; agents keep running",
            ),
            Self::Open(OpenError::Busy { .. }) => (ErrorCode::Conflict, "it does not answer; `orch doctor` shows more"),
            Self::Open(OpenError::Restoring { .. }) => (ErrorCode::Conflict, "do it again: orch restore FILE --force"),
            Self::Open(OpenError::Restore(_)) => (ErrorCode::Failed, "orch restore --dry-run shows what would be done"),
            Self::Open(OpenError::Damaged { .. }) => (
                ErrorCode::Failed,
                "`orch serve` or `orch doctor --fix` keeps the damaged file and makes a new one from what there is",
            ),
            Self::Open(OpenError::DamagedAgain { .. }) => (
                ErrorCode::Failed,
                "check the disk and which other programs write there; then `orch doctor --fix` rebuilds it once more",
            ),
            Self::Open(OpenError::Journal(error)) if error.is_newer() => (
                ErrorCode::Failed,
                "use that orch, or a newer one: `orch version` shows the version of this one, `which -a orch` the paths of others; nothing was changed",
            ),
            Self::Open(OpenError::Journal(_) | OpenError::Rebuild(_)) => {
                (ErrorCode::Failed, "is the disk full, or the home not writable? `orch doctor` checks")
            }
            Self::Open(OpenError::File(_) | OpenError::Socket { .. }) => {
                (ErrorCode::Failed, "`orch doctor` checks the home; ORCH_HOME moves it")
            }
        };
        (code, Some(hint.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: ErrorCode) -> CliError {
        CliError::Client(ClientError::Answered(ErrorView { code, message: "m".to_owned(), hint: None }))
    }

    fn gone() -> io::Error {
        io::ErrorKind::NotFound.into()
    }

    fn file() -> FsError {
        FsError::NotAFile { path: "/x".into() }
    }

    #[test]
    fn every_word_of_the_api_has_its_exit_code() {
        for (code, number) in [
            (ErrorCode::Failed, 1),
            (ErrorCode::Usage, 2),
            (ErrorCode::NotFound, 3),
            (ErrorCode::NoDaemon, 4),
            (ErrorCode::TimedOut, 6),
            (ErrorCode::Conflict, 7),
            (ErrorCode::Denied, 7),
            (ErrorCode::ShuttingDown, 1),
        ] {
            assert_eq!(answered(code).exit().code(), number, "{code:?}");
        }
    }

    #[test]
    fn every_error_has_its_exit_code() {
        let unreachable = ClientError::Unreachable { socket: "/s".into(), source: gone() };
        let socket = OpenError::Socket { path: "/s".into(), source: gone() };
        let write = |source| CliError::Write { path: "/x".into(), source };
        let text = |make: fn(String, Option<String>) -> CliError| make("m".to_owned(), None);
        for (error, number) in [
            (CliError::Client(unreachable), 4),
            (CliError::Client(ClientError::Broken("x".into())), 1),
            (CliError::Client(ClientError::Unexpected("x".into())), 1),
            (CliError::Open(OpenError::Busy { home: "/h".into(), holder: None }), 7),
            (CliError::Open(OpenError::File(file())), 1),
            (CliError::Open(socket), 1),
            (CliError::Git(GitError::GitMissing), 1),
            (CliError::Tmux(TmuxError::Missing), 1),
            (CliError::Process(ProcessError::NotFound { program: "x".into() }), 1),
            (CliError::File(file()), 1),
            (write(WriteError::Changed { current: None }), 7),
            (write(WriteError::Fs(file())), 1),
            (CliError::Config(Vec::new()), 2),
            (text(|message, hint| CliError::Usage { message, hint }), 2),
            (text(|message, hint| CliError::NotFound { message, hint }), 3),
            (text(|message, hint| CliError::Refused { message, hint }), 7),
            (CliError::system("x")(gone()), 1),
            (CliError::Output(gone()), 1),
            (CliError::Output(io::ErrorKind::BrokenPipe.into()), 0),
        ] {
            assert_eq!(error.exit().code(), number, "{error:?}");
        }
    }

    #[test]
    fn an_error_says_what_to_do_next() {
        let view = CliError::Git(GitError::NotARepository { path: "/tmp/x".into() }).view();
        assert_eq!(view.message, "/tmp/x is not a git repository");
        assert_eq!(view.hint.as_deref(), Some("git -C /tmp/x init, or change to the repository"));
        assert!(CliError::Tmux(TmuxError::Missing).view().message.contains("brew install tmux"));
        let busy = CliError::Open(OpenError::Busy { home: "/h".into(), holder: None }).view();
        assert_eq!((busy.code, busy.hint.is_some()), (ErrorCode::Conflict, true));
    }
}
