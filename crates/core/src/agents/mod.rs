//! Dialects of the agent CLIs. PURE: a request becomes an argument vector and an environment, lines of output
//! become events, an exit becomes an [`Ending`]. One file per agent; no file is opened and no process started here.

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

use crate::ids::{RunId, TaskId};
use crate::message::MessageId;
use crate::outcome::{AgentEvent, Ending, Exit, Failure, RunKind};
pub use credentials::{Credentials, credentials, first_of_tier, model_list, own_model_names, provider_of};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which dialect an agent speaks. Several agents may share one (`agents.<name>.kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialectKind {
    /// Claude Code and what is compatible with it.
    Claude,
    /// Codex CLI.
    Codex,
    /// OpenCode.
    Opencode,
    /// Any program: exit code and last line of output decide.
    Command,
    /// No program: a provider is asked over HTTP.
    Api,
}

/// Conversation to start or to go on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Session {
    /// A new one. `id` (a UUID) is used where the CLI lets the caller choose.
    New {
        /// The id to use.
        id: String,
    },
    /// Go on with this one.
    Resume {
        /// The id as the CLI told it.
        id: String,
    },
}

/// The four modes of `agents.codex.sandbox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodexSandbox {
    /// Files sandboxed, network on.
    #[default]
    FullAuto,
    /// The same, by the explicit mode.
    WorkspaceWrite,
    /// No sandbox.
    DangerFullAccess,
    /// All of the CLI's own sandboxing bypassed.
    None,
}

/// How the prompt reaches a `command` agent (`agents.<name>.prompt`). The agent CLIs always get it on stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptVia {
    /// On stdin.
    #[default]
    Stdin,
    /// As a file, named by `{prompt_file}` among the arguments and by `ORCH_PROMPT_FILE`.
    File,
}

/// What a `command` agent has for its output (`agents.<name>.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It prints lines.
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
    /// The task.
    pub task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    /// What it is for. `Route` and `Review` must not be able to change anything.
    pub kind: RunKind,
    /// Program: an absolute path.
    pub command: PathBuf,
    /// `agents.<name>.args`, appended to orch's own arguments.
    pub extra_args: Vec<String>,
    /// Model, as the CLI names it; `None`: the CLI's default.
    pub model: Option<String>,
    /// Conversation.
    pub session: Session,
    /// Working directory of the agent: the worktree, or an empty directory for a routing question.
    pub worktree: PathBuf,
    /// The user's own checkout, read-only for the agent. `None` when there is none to protect.
    pub main_dir: Option<PathBuf>,
    /// Present when `worktree` is a linked worktree.
    pub git_dirs: Option<GitDirs>,
    /// The run's directory (0700), for side files such as a schema.
    pub run_dir: PathBuf,
    /// File with the prompt's text; it reaches the agent on stdin.
    pub prompt_file: PathBuf,
    /// How a `command` agent gets the prompt.
    #[serde(default)]
    pub prompt: PromptVia,
    /// What a `command` agent has for its output.
    #[serde(default)]
    pub mode: Mode,
    /// Title of the conversation, where a CLI wants one.
    pub title: String,
    /// JSON Schema of the answer.
    pub answer_schema: serde_json::Value,
    /// `workflow.sandbox`: keep the agent out of `main_dir` by the CLI's own rules.
    pub sandbox: bool,
    /// Mode of codex.
    pub codex_sandbox: CodexSandbox,
    /// The user trusts the repository's own agent configuration (hooks, MCP servers, instruction files).
    pub trust_repository: bool,
    /// orch's own program, for a dialect that needs one of it between the runner and the agent.
    pub orch: PathBuf,
    /// Open a conversation that takes messages while the agent works, where the dialect can.
    pub live: bool,
    /// Where the model is, for [`DialectKind::Api`].
    #[serde(default)]
    pub endpoint: Option<api::Endpoint>,
}

/// What stands on the agent's stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// The prompt file, then end of file.
    Prompt,
    /// The null device.
    Null,
    /// A terminal in the runner's hands, which is stdout and stderr as well.
    Terminal,
    /// A pipe in the runner's hands, through which the dialect's [`LiveReader`] speaks.
    Live,
}

/// How to start a process. Passed on as data: never through a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Variables that the dialect sets. No secrets: this is written to disk.
    pub env: BTreeMap<String, String>,
    /// Names (a trailing `*` matches any rest) that are handed through from the daemon beside the defaults.
    pub pass_env: Vec<String>,
    /// Standard input.
    pub stdin: Stdin,
    /// Files to write before the start: absolute path inside `run_dir`, and content.
    pub files: BTreeMap<PathBuf, String>,
    /// With [`Stdin::Live`]: what the dialect's reader must know to open the conversation.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub opening: Value,
}

/// A request that a dialect cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchRefused {
    /// A value that the CLI would misread.
    #[error("{field} cannot be handed to {agent}: {reason}")]
    BadValue {
        /// The dialect.
        agent: &'static str,
        /// What is wrong.
        field: &'static str,
        /// Why.
        reason: String,
    },
}

/// One agent CLI, as data in and data out.
pub trait Dialect: Send + Sync {
    /// The argument vector and environment for a run.
    fn launch(&self, request: &LaunchRequest) -> Result<LaunchSpec, LaunchRefused>;

    /// Names at the top of a checkout from which the CLI takes settings, and with them programs to start, though it is told
    /// not to. They are hidden from it unless the user trusts the repository.
    fn unstoppable_settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// A fresh reader for the output of one run.
    fn reader(&self, kind: RunKind) -> Box<dyn EventReader>;

    /// A fresh reader for a run that was launched with [`Stdin::Live`], from its [`LaunchSpec::opening`]; `None` where the
    /// dialect has no such launch.
    fn live_reader(&self, _opening: &Value) -> Option<Box<dyn LiveReader>> {
        None
    }
}

/// The open conversation of one run: what its output means, and what to write to its stdin. Every line is written with
/// a line feed behind it, in the order in which it is handed out.
pub trait LiveReader: EventReader {
    /// What opens the conversation with its first message.
    fn open(&mut self, prompt: &str) -> Vec<String>;

    /// Says something to the agent, whatever it is doing. [`AgentEvent::Heard`] tells that it was taken up.
    fn say(&mut self, message: MessageId, text: &str) -> Vec<String>;

    /// Ends the running turn, its commands included, and keeps the conversation. Nothing: there is no turn to end.
    fn interrupt(&mut self) -> Vec<String>;

    /// What the output calls for. To be asked after every few lines; each line is handed out once.
    fn replies(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the turn is over and nothing that was said waits to be taken up: the process may be let go.
    fn rests(&self) -> bool;
}

/// Reads one run's output, line by line, and says at the end what it amounts to.
pub trait EventReader: Send {
    /// Reads one whole line of stdout (without its line feed). Unknown lines yield nothing.
    fn line(&mut self, line: &str) -> Vec<AgentEvent>;

    /// A reason to end the process now: the CLI is in a state from which it does not come back (an endless loop of
    /// empty steps, an unbounded wait for the network).
    fn hopeless(&self) -> Option<Failure>;

    /// Why the CLI waits now before it repeats a request by itself, where it told so; with the time of the next try where it told
    /// that.
    fn waits_for(&self) -> Option<&Failure> {
        None
    }

    /// Whether the turn is over and only background work keeps the process alive.
    fn turn_ended(&self) -> bool;

    /// Whether the CLI, which printed nothing to stdout, ended so because another process of it was making or changing
    /// its own files at that moment: no model was asked, and the same start goes well a little later.
    fn collided(&self, _exit: Exit, _stderr_tail: &str) -> bool {
        false
    }

    /// The end of the file name of the CLI's own session record below its home (codex), once known.
    fn session_record_suffix(&self) -> Option<String> {
        None
    }

    /// Reads one line of that session record.
    fn session_record_line(&mut self, _line: &str) {}

    /// Puts together what is known. `stderr_tail` is the last few kilobytes of stderr.
    fn finish(&mut self, exit: Exit, stderr_tail: &str) -> Ending;
}

impl DialectKind {
    /// The dialect itself.
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
