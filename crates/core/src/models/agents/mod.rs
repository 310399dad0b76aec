//! Dialects of the agent CLIs, one file each. PURE: a request becomes an argument vector and an environment, lines of
//! output become events, an exit becomes an [`Ending`]. Opens no file and starts no process.

pub mod api;
mod argv;
pub mod claude;
pub mod codex;
pub mod command;
mod credentials;
mod edits;
mod errors;
pub mod interactive;
pub mod opencode;
pub mod reset;
mod text;

use crate::base::ids::{RunId, TaskId};
use crate::tasks::message::MessageId;
use crate::tasks::outcome::{AgentEvent, Ending, Exit, Failure, RunKind};
pub use credentials::{Credentials, OwnFile, credentials, first_of_tier, model_list, own_model_names, provider_of};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The dialect of an agent. Several agents may share one (`agents.<name>.kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialectKind {
    /// Claude Code and what is compatible with it.
    Claude,
    /// Codex CLI.
    Codex,
    /// OpenCode.
    Opencode,
    /// Any program: its exit code and its last line of output decide.
    Command,
    /// No program: a question to a provider over HTTP.
    Api,
}

/// The conversation to start or to continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Session {
    /// Starts a new conversation. `id` (a UUID) is used where the CLI lets the caller choose.
    New {
        /// The id for the new conversation.
        id: String,
    },
    /// Continues a conversation.
    Resume {
        /// The id that the CLI reported.
        id: String,
    },
}

/// The four modes of `agents.codex.sandbox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodexSandbox {
    /// Writes limited to the workspace, network on.
    #[default]
    FullAuto,
    /// The same as `FullAuto`, by the name of Codex's own mode.
    WorkspaceWrite,
    /// No sandbox.
    DangerFullAccess,
    /// No sandbox and no approvals: both are bypassed.
    None,
}

/// How the prompt reaches a `command` agent (`agents.<name>.prompt`). The agent CLIs always get it on stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptVia {
    /// The prompt is on stdin.
    #[default]
    Stdin,
    /// The prompt is in a file, named by `{prompt_file}` among the arguments and by `ORCH_PROMPT_FILE`.
    File,
}

/// How a `command` agent prints its output (`agents.<name>.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It prints lines to stdout.
    #[default]
    Lines,
    /// It draws on a terminal of its own.
    Screen,
}

/// The git directories that a commit in a linked worktree writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitDirs {
    /// `<main>/.git`.
    pub common: PathBuf,
    /// `<main>/.git/worktrees/<name>`.
    pub own: PathBuf,
}

/// Everything a dialect needs to know to launch one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchRequest {
    /// The id of the task.
    pub task_id: TaskId,
    /// The id of the run.
    pub run_id: RunId,
    /// The purpose of the run. `Route` and `Review` must not be able to change anything.
    pub kind: RunKind,
    /// The absolute path of the program.
    pub command: PathBuf,
    /// `agents.<name>.args`, appended to orch's own arguments.
    pub extra_args: Vec<String>,
    /// The model, as the CLI names it; `None` for the CLI's default.
    pub model: Option<String>,
    /// The conversation to start or to continue.
    pub session: Session,
    /// The agent's working directory: the worktree, or an empty directory for a routing question.
    pub worktree: PathBuf,
    /// The user's own checkout, which the agent must not change. `None` when there is none to protect.
    pub main_dir: Option<PathBuf>,
    /// The git directories, when `worktree` is a linked worktree.
    pub git_dirs: Option<GitDirs>,
    /// The run's directory (0700), for side files such as a schema.
    pub run_dir: PathBuf,
    /// The file with the prompt.
    pub prompt_file: PathBuf,
    /// How the prompt reaches a `command` agent.
    #[serde(default)]
    pub prompt: PromptVia,
    /// How a `command` agent prints its output.
    #[serde(default)]
    pub mode: Mode,
    /// The title of the conversation, for CLIs that take one.
    pub title: String,
    /// The JSON Schema of the answer.
    pub answer_schema: serde_json::Value,
    /// `workflow.sandbox`: keep the agent out of `main_dir` by the CLI's own rules.
    pub sandbox: bool,
    /// The sandbox mode of Codex.
    pub codex_sandbox: CodexSandbox,
    /// Whether the user trusts the repository's own agent configuration (hooks, MCP servers, instruction files).
    pub trust_repository: bool,
    /// The path of orch's own program, for a dialect that runs it between the runner and the agent.
    pub orch: PathBuf,
    /// Whether to open a conversation that takes messages while the agent works, if the dialect can.
    pub live: bool,
    /// The provider and model, for [`DialectKind::Api`].
    #[serde(default)]
    pub endpoint: Option<api::Endpoint>,
}

/// What the agent's stdin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// The prompt file, then end of file.
    Prompt,
    /// The null device.
    Null,
    /// A terminal that the runner controls, which is stdout and stderr as well.
    Terminal,
    /// A pipe from the runner, for the lines of the dialect's [`LiveReader`].
    Live,
}

/// How to start a process. Passed on as data: never through a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// The absolute path of the program.
    pub program: PathBuf,
    /// The arguments of the program.
    pub args: Vec<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The variables that the dialect sets. No secrets: this is written to disk.
    pub env: BTreeMap<String, String>,
    /// The variables that the daemon passes on in addition to the defaults. A trailing `*` matches any rest.
    pub pass_env: Vec<String>,
    /// What its stdin is.
    pub stdin: Stdin,
    /// Files to write before the start: absolute path inside `run_dir`, and content.
    pub files: BTreeMap<PathBuf, String>,
    /// With [`Stdin::Live`]: what the dialect's reader needs to open the conversation.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub opening: Value,
}

impl LaunchSpec {
    /// The start of the agent's own program in its working directory, with the prompt on its stdin.
    fn new(request: &LaunchRequest, args: Vec<String>, pass_env: &[&str]) -> Self {
        Self {
            program: request.command.clone(),
            args,
            cwd: request.worktree.clone(),
            env: BTreeMap::new(),
            pass_env: argv::owned(pass_env),
            stdin: Stdin::Prompt,
            files: BTreeMap::new(),
            opening: Value::Null,
        }
    }
}

/// A request that a dialect cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchRefused {
    /// A value that the CLI would misinterpret.
    #[error("{field} cannot be passed to {agent}: {reason}")]
    BadValue {
        /// The dialect.
        agent: &'static str,
        /// The name of the value.
        field: &'static str,
        /// Why the value is refused.
        reason: String,
    },
}

/// An agent CLI, as pure functions.
pub trait Dialect: Send + Sync {
    /// Builds the argument vector and the environment for a run.
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused>;

    /// Returns the files and directories at the top of a checkout from which the CLI takes settings, and programs to start,
    /// even when its options forbid that. They are hidden from it unless the user trusts the repository.
    fn unstoppable_settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Creates a reader for the output of one run.
    fn reader(&self, kind: RunKind) -> Box<dyn EventReader>;

    /// Creates a reader for a run that was launched with [`Stdin::Live`], from its [`LaunchSpec::opening`]; `None` if the
    /// dialect has no such launch.
    fn live_reader(&self, _opening: &Value) -> Option<Box<dyn LiveReader>> {
        None
    }
}

/// The open conversation of one run: reads its output and returns the lines to write to its stdin. The caller writes each
/// line with a line feed, in the order in which they are returned.
pub trait LiveReader: EventReader {
    /// Returns the lines that open the conversation with its first message.
    fn open(&mut self, prompt: &str) -> Vec<String>;

    /// Sends a message to the agent, whatever it is doing. [`AgentEvent::Heard`] confirms it.
    fn send_message(&mut self, message: MessageId, text: &str) -> Vec<String>;

    /// Ends the running turn, including its commands, and keeps the conversation. Returns no lines when no turn runs.
    fn interrupt(&mut self) -> Vec<String>;

    /// Takes the lines that the output calls for. Call this after every few lines of output.
    fn take_replies(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Returns whether the turn is over and no message is pending, so that the process may exit.
    fn is_idle(&self) -> bool;
}

/// Reads one run's output line by line, and concludes at the end how the run went.
pub trait EventReader: Send {
    /// Reads one whole line of stdout (without its line feed). Unknown lines yield nothing.
    fn line(&mut self, line: &str) -> Vec<AgentEvent>;

    /// Returns a reason to end the process now: the CLI is in a state that it does not leave by itself (an endless loop of
    /// empty steps, an unbounded wait for the network).
    fn fatal_failure(&self) -> Option<Failure>;

    /// Returns the failure after which the CLI waits to repeat a request by itself, with the time of the next try if known.
    fn retrying_after(&self) -> Option<&Failure> {
        None
    }

    /// Returns whether the turn is over, so that only background work keeps the process alive.
    fn turn_ended(&self) -> bool;

    /// Returns whether the CLI exited without output because another process of it was creating or changing its own files:
    /// no model was asked, and a later start succeeds.
    fn is_start_collision(&self, _exit: Exit, _stderr_tail: &str) -> bool {
        false
    }

    /// Returns the end of the file name of the CLI's own session record below its home (codex), once known.
    fn session_record_suffix(&self) -> Option<String> {
        None
    }

    /// Reads one line of that session record.
    fn session_record_line(&mut self, _line: &str) {}

    /// Concludes how the run went. `stderr_tail` is the last few kilobytes of stderr.
    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending;
}

impl DialectKind {
    /// Returns the dialect.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Claude => &claude::Claude,
            Self::Codex => &codex::Codex,
            Self::Opencode => &opencode::Opencode,
            Self::Command => &command::Command,
            Self::Api => &api::Api,
        }
    }
}

#[cfg(test)]
mod tests;
