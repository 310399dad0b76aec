//! Starts the agent's process: its environment, its streams, its working directory.

use super::launch::{Launch, RunDir};
use super::pty::Relay;
use orch_core::models::agents::Stdin;
use orch_core::tasks::outcome::{Failure, FailureClass};
use orch_sys::process::{self, Invocation, RUN_MARK};
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The terminal type for an agent when the runner's own is unknown.
const DEFAULT_TERM: &str = "xterm-256color";

/// Builds the agent's environment: the daemon's variables, the dialect's, and the marks of the run; nothing that leads
/// to orch's tmux.
pub(super) fn environment(launch: &Launch, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut env = given.clone();
    env.extend(launch.spec.env.clone());
    env.retain(|name, _| name != "TMUX" && name != "TMUX_PANE");
    env.insert(RUN_MARK.to_owned(), launch.run_id.to_string());
    env.insert("ORCH_TASK_ID".to_owned(), launch.task_id.to_string());
    env.insert("ORCH_AGENT".to_owned(), launch.agent.clone());
    if launch.spec.stdin == Stdin::Terminal {
        env.insert("TERM".to_owned(), process::env_var("TERM").unwrap_or_else(|| DEFAULT_TERM.to_owned()));
        // The program asks its terminal for the size.
        env.retain(|name, _| name != "COLUMNS" && name != "LINES");
    }
    env.extend(launch.model.iter().map(|model| ("ORCH_MODEL".to_owned(), model.clone())));
    env
}

/// The files that are the agent's stdout and stderr. Never pipes: a CLI loses what a full pipe does not accept.
pub(super) struct Streams {
    stdout: File,
    stderr: File,
}

impl Streams {
    pub(super) fn create(dir: &RunDir) -> io::Result<Self> {
        let open = |path: &Path| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self { stdout: open(&dir.events())?, stderr: open(&dir.stderr())? })
    }

    /// Duplicates the handles, for another start.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self { stdout: self.stdout.try_clone()?, stderr: self.stderr.try_clone()? })
    }
}

/// An agent whose process runs.
pub(super) struct StartedAgent {
    pub(super) pid: Pid,
    /// The writing end of its stdin, if its conversation stays open.
    pub(super) stdin: Option<PipeWriter>,
    /// The relay between its terminal and the pane, if it has a terminal.
    pub(super) relay: Option<Relay>,
}

/// Starts the agent in a process group of its own, or, if it needs a terminal, in a session of its own.
///
/// # Errors
/// The failure of the run.
pub(super) fn start(
    dir: &RunDir,
    launch: &Launch,
    env: &BTreeMap<String, String>,
    streams: Streams,
) -> Result<StartedAgent, Failure> {
    let spec = &launch.spec;
    let crashed = |detail: String| Failure::new(FailureClass::Crashed, detail);
    dir.write_side_files(&spec.files).map_err(|error| crashed(error.to_string()))?;
    if !spec.cwd.is_dir() {
        return Err(crashed(format!("the working directory {} is gone", spec.cwd.display())));
    }
    let invocation = Invocation::new(&spec.program, &spec.cwd).args(&spec.args).envs(env);
    let (stdin, ours) = match spec.stdin {
        Stdin::Terminal => {
            let (pid, relay) =
                Relay::start(&invocation, dir, streams.stdout).map_err(|error| not_started(&spec.program, &error))?;
            return Ok(StartedAgent { pid, stdin: None, relay: Some(relay) });
        }
        Stdin::Null => (None, None),
        Stdin::Prompt => {
            let path = dir.prompt();
            let file =
                File::open(&path).map_err(|error| crashed(format!("cannot read {}: {error}", path.display())))?;
            (Some(file), None)
        }
        Stdin::Live => {
            let (theirs, ours) = io::pipe().map_err(|error| crashed(format!("cannot make a pipe: {error}")))?;
            (Some(File::from(OwnedFd::from(theirs))), Some(ours))
        }
    };
    let pid = process::start_on_files(&invocation, stdin, streams.stdout, streams.stderr)
        .map_err(|error| not_started(&spec.program, &error))?;
    Ok(StartedAgent { pid, stdin: ours, relay: None })
}

/// Classifies a failed start: a missing or unusable program is the agent's fault, anything else the machine's.
fn not_started(program: &Path, error: &io::Error) -> Failure {
    use io::ErrorKind::{ExecutableFileBusy, NotFound, PermissionDenied};
    let no_program = error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error());
    let missing = no_program || matches!(error.kind(), NotFound | PermissionDenied | ExecutableFileBusy);
    let class = if missing { FailureClass::AgentMissing } else { FailureClass::Crashed };
    Failure::new(class, format!("{} did not start: {error}", program.display()))
}
