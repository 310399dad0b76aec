//! The configuration as a person types it: every key optional, its documentation beside it. The JSON Schema, the
//! checker, the example file and `orch config` all come from these types. No default and no decision lives here.
//!
//! `x-orch-file` names the only file a key may stand in; without it, both `config.yml` and a project's `.orch.yml` may
//! hold it. `x-orch-separator: line` marks lists whose items may contain commas: in an environment variable they are
//! separated by line feeds. No `flatten` and no `untagged`: they ruin error messages.

use super::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// orch's configuration.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Name of the project; without it, the name of its directory.
    #[schemars(extend("x-orch-file" = ".orch.yml"))]
    pub name: Option<String>,
    /// How a task finds its agent and model.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub router: Option<RawRouter>,
    /// Model per complexity and agent; an agent without an entry uses its own default model.
    pub model_map: Option<RawModelMap>,
    /// The agents: settings of the known ones, and programs of your own.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub agents: Option<BTreeMap<String, RawAgent>>,
    /// How a task is worked on, judged and integrated.
    pub workflow: Option<RawWorkflow>,
    /// The daemon's loop.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub engine: Option<RawEngine>,
    /// What is kept of runs whose task is done or cancelled. Transcripts are packed first; open tasks keep everything.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub retention: Option<RawRetention>,
    /// The API beside its Unix socket.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub http: Option<RawHttp>,
    /// What is masked in everything that is shown, beside the values of secret variables and known kinds of tokens.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub redact: Option<RawRedact>,
    /// The daemon's log, .orch/orch.log.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub log: Option<RawLog>,
}

/// How a task without an `agent:` label finds its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouterMode {
    /// A language model reads the task and chooses.
    #[default]
    Llm,
    /// The installed agents in turn, by task id.
    RoundRobin,
}

/// Keys under `router`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRouter {
    /// How a task without an agent label is routed: llm, or round_robin over the installed agents.
    pub mode: Option<RouterMode>,
    /// Agent that answers the routing question.
    pub agent: Option<String>,
    /// Model for the routing question: a fast and cheap one.
    pub model: Option<String>,
    /// Longest wait for the routing answer.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<u64>,
    /// Agent that gets the task when routing fails.
    pub fallback_executor: Option<String>,
    /// After so many failed routing calls for a task, round robin.
    #[schemars(range(min = 1, max = 100))]
    pub max_route_attempts: Option<u32>,
    /// Agents that tasks may be routed to, as far as they are installed.
    pub agents: Option<Vec<String>>,
    /// Tools of an agent's profile when the router names none.
    pub allowed_tools: Option<Vec<String>>,
    /// Skills that every agent gets.
    pub default_skills: Option<Vec<String>>,
}

/// Keys under `model_map`. A model of `null` is the agent's own default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModelMap {
    /// Docs, configuration, one file.
    pub simple: Option<BTreeMap<String, Option<String>>>,
    /// Features over a few files, bug fixes, tests.
    pub medium: Option<BTreeMap<String, Option<String>>>,
    /// Architecture, large refactors, migrations.
    pub complex: Option<BTreeMap<String, Option<String>>>,
    /// Reviewing the work of another agent.
    pub review: Option<BTreeMap<String, Option<String>>>,
}

/// What language a program speaks with orch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawKind {
    /// Claude Code, or a program compatible with it.
    Claude,
    /// Codex CLI.
    Codex,
    /// OpenCode.
    Opencode,
    /// Any program: its exit code and last line of output decide.
    Command,
}

/// How a program of kind `command` gets the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawPrompt {
    /// On its standard input.
    Stdin,
    /// In the file that `{prompt_file}` among its arguments names.
    File,
}

/// What a program of kind `command` has for its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawMode {
    /// It prints lines.
    Lines,
    /// It is interactive, and draws on a terminal of its own.
    Screen,
}

/// The modes of codex's own sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawCodexSandbox {
    /// Files sandboxed, network on.
    FullAuto,
    /// The same, by the explicit mode.
    WorkspaceWrite,
    /// No sandbox.
    DangerFullAccess,
    /// All of codex's own sandboxing bypassed.
    None,
}

/// Keys under `agents.<name>`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAgent {
    /// Language it speaks: claude, codex, opencode, or command for any other program.
    pub kind: Option<RawKind>,
    /// Program: a name in PATH or an absolute path.
    pub command: Option<String>,
    /// Arguments appended to orch's own; for kind command, {model} {task_id} {run_id} {worktree} {prompt_file} are replaced.
    #[schemars(extend("x-orch-separator" = "line"))]
    pub args: Option<Vec<String>>,
    /// Variables set for this agent; ${NAME} takes the value of NAME from the daemon's environment.
    #[schemars(with = "Option<BTreeMap<String, Option<String>>>")]
    pub env: Option<BTreeMap<String, Option<Secret>>>,
    /// Names of variables handed through from the daemon's environment, beside the usual ones.
    pub pass_env: Option<Vec<String>>,
    /// How the prompt arrives, for kind command: stdin or file.
    pub prompt: Option<RawPrompt>,
    /// For kind command: lines, or screen for an interactive program, which gets a terminal and the prompt as a file.
    pub mode: Option<RawMode>,
    /// Codex only: full-auto, workspace-write, danger-full-access or none; CODEX_SANDBOX overrides it for the agent codex.
    pub sandbox: Option<RawCodexSandbox>,
    /// Let the repository's own agent configuration (hooks, MCP servers, base URLs) take effect.
    pub trust_repository: Option<bool>,
    /// Keep a conversation open that takes `orch task send` while the agent works; off, messages wait for the next turn.
    pub live: Option<bool>,
}

/// What happens with accepted work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Integrate {
    /// It stays on its branch.
    #[default]
    Branch,
    /// It is merged locally into the base branch, after the checks passed on the merge result.
    Merge,
}

/// Keys under `workflow`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWorkflow {
    /// Keep agents out of the project's own directory; they work in their worktree.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub sandbox: Option<bool>,
    /// Shell commands that must succeed in the worktree; in a project file they count once you approved that file.
    #[schemars(extend("x-orch-separator" = "line"))]
    pub checks: Option<Vec<String>>,
    /// Attempts before a person is asked.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
    /// Longest run of an agent; 0 = no limit.
    #[schemars(range(min = 0, max = 604_800))]
    pub timeout_seconds: Option<u64>,
    /// Longest time without a sign of life from an agent; 0 = no limit.
    #[schemars(range(min = 0, max = 604_800))]
    pub silence_seconds: Option<u64>,
    /// Longest run of one check.
    #[schemars(range(min = 1, max = 604_800))]
    pub check_timeout_seconds: Option<u64>,
    /// Branch that work starts from and is merged into; null = the repository's default branch.
    pub base_branch: Option<String>,
    /// Accepted work: branch leaves it on its branch, merge merges it locally once the checks pass on the result.
    pub integrate: Option<Integrate>,
}

/// Keys under `engine`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEngine {
    /// Time between two looks when nothing happens; events wake the loop at once.
    #[schemars(range(min = 1, max = 3600))]
    pub tick_seconds: Option<u64>,
    /// Agents that run at the same time.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
}

/// Keys under `retention`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRetention {
    /// Days that an agent's raw output (events.jsonl, stderr.log, screen.raw) is kept after the run; 0 = no limit.
    #[schemars(range(min = 0, max = 36_500))]
    pub raw_days: Option<u32>,
    /// Days that a transcript is kept after the run; 0 = no limit.
    #[schemars(range(min = 0, max = 36_500))]
    pub transcript_days: Option<u32>,
    /// Megabytes that all of it may take; beyond, raw output and then transcripts go, oldest first; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub total_mb: Option<u64>,
}

/// Keys under `http`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawHttp {
    /// Where the daemon listens on TCP, 127.0.0.1:PORT; null = nowhere. `orch http` tells where the token is.
    pub listen: Option<String>,
}

/// Keys under `redact`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRedact {
    /// Regular expressions (of the Rust crate regex) by a name for what they match; it is masked in runs begun from now on.
    pub patterns: Option<BTreeMap<String, Option<String>>>,
}

/// Keys under `log`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLog {
    /// Size at which a new log file is begun.
    #[schemars(range(min = 1, max = 1024))]
    pub max_megabytes: Option<u64>,
    /// Older log files that are kept.
    #[schemars(range(min = 0, max = 100))]
    pub keep: Option<u32>,
}
