//! Starts the agent's process: its environment, its streams, its working directory.

use super::launch::{Launch, RunDir};
use super::pty::Relay;
use orch_core::agents::Stdin;
use orch_core::outcome::{Failure, FailureClass};
use orch_sys::process::{self, Invocation, RUN_MARK};
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What programs take a terminal for of which nothing is known.
const USUAL_TERMINAL: &str = "xterm-256color";

/// What the daemon handed over, what the dialect sets, and the marks of the run; nothing that leads to orch's tmux.
pub(super) fn environment(launch: &Launch, handed: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut env = handed.clone();
    env.extend(launch.spec.env.clone());
    env.retain(|name, _| name != "TMUX" && name != "TMUX_PANE");
    env.insert(RUN_MARK.to_owned(), launch.run_id.to_string());
    env.insert("ORCH_TASK_ID".to_owned(), launch.task_id.to_string());
    env.insert("ORCH_AGENT".to_owned(), launch.agent.clone());
    if launch.spec.stdin == Stdin::Terminal {
        env.insert("TERM".to_owned(), process::env_var("TERM").unwrap_or_else(|| USUAL_TERMINAL.to_owned()));
        // The size of the terminal is its own to tell.
        env.retain(|name, _| name != "COLUMNS" && name != "LINES");
    }
    env.extend(launch.model.iter().map(|model| ("ORCH_MODEL".to_owned(), model.clone())));
    env
}

/// The files that are the agent's stdout and stderr. Files, never pipes: a CLI loses what a full pipe does not take.
pub(super) struct Streams {
    stdout: File,
    stderr: File,
}

impl Streams {
    pub(super) fn create(dir: &RunDir) -> io::Result<Self> {
        let open = |path: &Path| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self { stdout: open(&dir.events())?, stderr: open(&dir.stderr())? })
    }

    /// The same files once more, for another try.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self { stdout: self.stdout.try_clone()?, stderr: self.stderr.try_clone()? })
    }
}

/// An agent that runs.
pub(super) struct Begun {
    pub(super) pid: Pid,
    /// The other end of its stdin, where a conversation is held open.
    pub(super) stdin: Option<PipeWriter>,
    /// The other side of its terminal, where it has one.
    pub(super) stage: Option<Relay>,
}

/// Starts the agent in a process group of its own, and where it wants a terminal, in a session of its own.
///
/// # Errors
/// As the failure of the run, in words.
pub(super) fn start(
    dir: &RunDir,
    launch: &Launch,
    env: &BTreeMap<String, String>,
    streams: Streams,
) -> Result<Begun, Failure> {
    let spec = &launch.spec;
    let crashed = |detail: String| Failure::new(FailureClass::Crashed, detail);
    dir.write_side_files(&spec.files).map_err(|error| crashed(error.to_string()))?;
    if !spec.cwd.is_dir() {
        return Err(crashed(format!("the working directory {} is gone", spec.cwd.display())));
    }
    let invocation = Invocation::new(&spec.program, &spec.cwd).args(&spec.args).envs(env);
    let (stdin, ours) = match spec.stdin {
        Stdin::Terminal => {
            let (pid, stage) =
                Relay::start(&invocation, dir, streams.stdout).map_err(|error| not_started(&spec.program, &error))?;
            return Ok(Begun { pid, stdin: None, stage: Some(stage) });
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
    Ok(Begun { pid, stdin: ours, stage: None })
}

/// A program that is not there, or is no program, is the agent's fault; anything else is the machine's.
fn not_started(program: &Path, error: &io::Error) -> Failure {
    use io::ErrorKind::{ExecutableFileBusy, NotFound, PermissionDenied};
    let no_program = error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error());
    let missing = no_program || matches!(error.kind(), NotFound | PermissionDenied | ExecutableFileBusy);
    let class = if missing { FailureClass::AgentMissing } else { FailureClass::Crashed };
    Failure::new(class, format!("{} did not start: {error}", program.display()))
}
