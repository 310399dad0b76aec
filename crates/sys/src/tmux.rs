//! The adapter of tmux: one private server per home. Everything is passed as arguments of a program, never as text for
//! tmux's command parser, and sessions are addressed by their exact name (`=name`).

use super::process::{Invocation, ProcessError, run_async};
use orch_core::base::external::{External, ExternalFailure, How};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The oldest supported tmux: it starts a session's program from an argument vector, without a shell.
pub const MINIMUM: (u32, u32) = (3, 0);

/// Why a tmux command failed.
#[derive(Debug, thiserror::Error)]
pub enum TmuxError {
    /// tmux is not installed.
    #[error("tmux is not installed (looked in PATH): install it with `brew install tmux` or `apt install tmux`")]
    Missing,
    /// The installed tmux is older than [`MINIMUM`].
    #[error("tmux {found} is too old: orch needs {}.{} or newer; `brew upgrade tmux` or your system's packages", MINIMUM.0, MINIMUM.1)]
    TooOld {
        /// The installed version.
        found: String,
    },
    /// tmux answered with an error.
    #[error("tmux {command}: {message}")]
    Refused {
        /// The tmux subcommand.
        command: &'static str,
        /// The text that tmux printed to stderr.
        message: String,
    },
    /// The program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl External for TmuxError {
    fn external(&self) -> Option<ExternalFailure> {
        let how = match self {
            Self::Missing => How::NotStarted,
            Self::Refused { .. } => How::Exited { code: 1 },
            Self::Process(error) => return error.external(),
            Self::TooOld { .. } => return None,
        };
        Some(ExternalFailure::new(how, self))
    }
}

/// Whether a session was created or existed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// This call created it.
    Created,
    /// It existed already.
    Existing,
}

/// One tmux server.
#[derive(Debug, Clone)]
pub struct Tmux {
    program: PathBuf,
    socket: PathBuf,
    env: Vec<(OsString, OsString)>,
}

impl Tmux {
    /// Describes the server behind `socket`. `env` is the whole environment of the server and of every pane; keep
    /// secrets out of it.
    pub fn new(program: PathBuf, socket: PathBuf, env: Vec<(OsString, OsString)>) -> Self {
        Self { program, socket, env }
    }

    /// Returns the version, or why tmux cannot be used.
    pub async fn check(&self) -> Result<String, TmuxError> {
        let call = Invocation::new(&self.program, "/").arg("-V").envs(self.env.iter().cloned());
        let output = match run_async(&call).await {
            Err(ProcessError::NotFound { .. }) => return Err(TmuxError::Missing),
            other => other?,
        };
        let text = output.text();
        let found = text.strip_prefix("tmux ").unwrap_or(&text).to_owned();
        match parse_version(&found) {
            Some(version) if version < MINIMUM => Err(TmuxError::TooOld { found }),
            // A development build has no version number and is recent.
            Some(_) | None => Ok(found),
        }
    }

    async fn call(&self, command: &'static str, args: &[&OsStr]) -> Result<String, TmuxError> {
        let call = Invocation::new(&self.program, "/")
            .args(["-f", "/dev/null", "-S"])
            .arg(&self.socket)
            .arg(command)
            .args(args)
            .envs(self.env.iter().cloned())
            .time_limit(Duration::from_secs(20));
        let output = match run_async(&call).await {
            Err(ProcessError::NotFound { .. }) => return Err(TmuxError::Missing),
            other => other?,
        };
        if output.success() {
            Ok(output.text())
        } else {
            Err(TmuxError::Refused { command, message: output.error_text() })
        }
    }

    /// Creates a detached session that runs `argv`, unless one of that name exists.
    pub async fn ensure_session(&self, name: &str, argv: &[&OsStr]) -> Result<Ensured, TmuxError> {
        let mut args: Vec<&OsStr> = ["-d", "-s", name, "-x", "200", "-y", "50", "--"].map(OsStr::new).to_vec();
        args.extend(argv);
        let mut tries = 0;
        loop {
            tries += 1;
            match self.call("new-session", &args).await {
                Ok(_) => return Ok(Ensured::Created),
                Err(TmuxError::Refused { message, .. }) if message.starts_with("duplicate session") => {
                    return Ok(Ensured::Existing);
                }
                // The server exits when its last session ends; a call that races with that exit starts a new server.
                Err(TmuxError::Refused { message, .. }) if tries < 4 && is_exiting(&message) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns whether a session of exactly this name exists.
    pub async fn has_session(&self, name: &str) -> Result<bool, TmuxError> {
        let target = format!("={name}");
        match self.call("has-session", &[OsStr::new("-t"), OsStr::new(&target)]).await {
            Ok(_) => Ok(true),
            Err(TmuxError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the names of all sessions; empty where no server runs.
    pub async fn sessions(&self) -> Result<Vec<String>, TmuxError> {
        match self.call("list-sessions", &[OsStr::new("-F"), OsStr::new("#{session_name}")]).await {
            Ok(names) => Ok(names.lines().map(str::to_owned).collect()),
            Err(TmuxError::Refused { message, .. }) if is_exiting(&message) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Kills a session; a missing one is not an error.
    pub async fn kill_session(&self, name: &str) -> Result<(), TmuxError> {
        let target = format!("={name}");
        match self.call("kill-session", &[OsStr::new("-t"), OsStr::new(&target)]).await {
            Ok(_) | Err(TmuxError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns the program and arguments that attach a person's terminal to a session.
    pub fn attach_argv(&self, name: &str, read_only: bool) -> Vec<OsString> {
        let mut argv: Vec<OsString> = vec![self.program.clone().into(), "-f".into(), "/dev/null".into(), "-S".into()];
        argv.push(self.socket.clone().into());
        argv.extend(["attach-session", "-t"].map(OsString::from));
        argv.push(format!("={name}").into());
        if read_only {
            argv.push("-r".into());
        }
        argv
    }

    /// Replaces the status line of a session with `text`.
    pub async fn label(&self, name: &str, text: &str) -> Result<(), TmuxError> {
        let target = format!("={name}:");
        // The line is a tmux format string, in which `#` begins a placeholder.
        let text = format!(" {} ", text.replace('#', "##"));
        for (option, value) in [
            ("status-left-length", "300"),
            ("status-left", text.as_str()),
            ("status-right", ""),
            ("window-status-current-format", ""),
        ] {
            self.call("set-option", &["-t", &target, option, value].map(OsStr::new)).await?;
        }
        Ok(())
    }

    /// Returns the path of the server's socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Returns whether the server was about to exit: it says so, or it is gone before it could print anything.
fn is_exiting(message: &str) -> bool {
    message.is_empty()
        || ["server exited", "lost server", "no server running", "error connecting"].iter().any(|m| message.contains(m))
}

/// `3.3a` → (3, 3); `next-3.6` → (3, 6).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let (major, rest) = digits.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_letters_and_prefixes_are_understood() {
        assert_eq!(parse_version("3.3a"), Some((3, 3)));
        assert_eq!(parse_version("next-3.6"), Some((3, 6)));
        assert_eq!(parse_version("2.9"), Some((2, 9)));
        assert_eq!(parse_version("master"), None);
    }
}
