//! The configuration as it is typed in files: every key is optional and carries its documentation. The JSON Schema, the
//! checker, the example file and `orch config` are all derived from these types. No defaults and no decisions live here.
//!
//! `x-orch-file` names the only file that may contain a key; without it, both `config.yml` and a project's `.orch.yml`
//! may. `x-orch-alias` is another spelling of a key in files. `x-orch-separator: line` marks lists whose items may contain
//! commas: in an environment variable, line feeds separate them. No `flatten` and no `untagged`: they ruin error messages.

pub use super::raw_budget::{RawAccount, RawBudget};
pub use super::raw_channels::{RawChannels, RawNotifications};
pub use super::raw_models::{RawModel, RawModelSelection, RawProvider};
pub use super::raw_router::{RawModelMap, RawRouter};
pub use super::raw_workspace::RawWorkspace;
use super::secret::Secret;
use orch_core::base::money::Usd;
use orch_core::planning::overlap::Overlap;
use orch_core::tasks::review::ReviewMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// orch's configuration.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Name of the project; default: the name of its directory.
    #[schemars(extend("x-orch-file" = ".orch.yml"))]
    pub name: Option<String>,
    /// How orch chooses the agent and the model of a task.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub router: Option<RawRouter>,
    /// Model for each complexity and agent; an agent without an entry uses its own default model.
    pub model_map: Option<RawModelMap>,
    /// How auto:… and tier:… select a model (docs/explanation/which-model.md).
    #[schemars(extend("x-orch-file" = "config.yml", "x-orch-alias" = "modelSelection"))]
    pub model_selection: Option<RawModelSelection>,
    /// Your own names for models, tags and other aliases, such as fast: auto:fast.
    #[schemars(extend("x-orch-file" = "config.yml", "x-orch-alias" = "modelAliases"))]
    pub model_aliases: Option<BTreeMap<String, Option<String>>>,
    /// Properties of models, by provider/model: they override every other source, or add a model.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub models: Option<BTreeMap<String, Option<RawModel>>>,
    /// Your own providers, and changed settings of known ones.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub providers: Option<BTreeMap<String, Option<RawProvider>>>,
    /// Settings of the known agents, and your own programs as agents.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub agents: Option<BTreeMap<String, RawAgent>>,
    /// How tasks are run, judged and integrated.
    pub workflow: Option<RawWorkflow>,
    /// What a fresh checkout needs beyond the files that git tracks (docs/how-to/workspace.md).
    #[schemars(extend("x-orch-file" = ".orch.yml"))]
    pub workspace: Option<RawWorkspace>,
    /// Review of finished work by another agent (enabled by workflow.review).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub review: Option<RawReview>,
    /// Escalation to a stronger model after work that was not good enough (docs/explanation/judging.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub escalation: Option<RawEscalation>,
    /// Agents that take over when a provider fails, as agent or agent/model (docs/explanation/which-model.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub fallback: Option<RawFallback>,
    /// The daemon's main loop.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub engine: Option<RawEngine>,
    /// Circuit breakers: pause starts after consecutive failures of one agent, project or check.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub breaker: Option<RawBreaker>,
    /// Spending limits (docs/explanation/cost-and-budgets.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub budget: Option<RawBudget>,
    /// Resource limits of a run, in addition to workflow.timeout_seconds and workflow.silence_seconds.
    pub limits: Option<RawLimits>,
    /// How running agents are monitored.
    #[schemars(extend("x-orch-file" = "config.yml", "x-orch-alias" = "healthCheck"))]
    pub health_check: Option<RawHealthCheck>,
    /// How long data of finished runs is kept. Transcripts are compressed first; runs of open tasks are never deleted.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub retention: Option<RawRetention>,
    /// Removal of worktrees whose task is finished and whose work is also stored elsewhere (docs/reference/gc.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub gc: Option<RawGc>,
    /// The API over TCP, in addition to its Unix socket.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub http: Option<RawHttp>,
    /// Channels that send you notifications (docs/how-to/channels.md); `orch channel add` sets one up.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub channels: Option<RawChannels>,
    /// Which notifications the channels send, and when.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub notifications: Option<RawNotifications>,
    /// What is masked in all output, in addition to the values of secret variables and known kinds of tokens.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub redact: Option<RawRedact>,
    /// The daemon's log file, .orch/orch.log.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub log: Option<RawLog>,
}

/// How a task without an `agent:` label gets its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouterMode {
    /// A language model reads the task and chooses.
    #[default]
    Llm,
    /// The installed agents take turns, by task id.
    RoundRobin,
}

/// The protocol that a program uses with orch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawKind {
    /// Claude Code, or a program compatible with it.
    Claude,
    /// Codex CLI.
    Codex,
    /// OpenCode.
    Opencode,
    /// Any program: its exit code and its last line of output decide.
    Command,
}

/// How a program of kind `command` receives the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawPrompt {
    /// On its standard input.
    Stdin,
    /// In a file whose path replaces `{prompt_file}` in its arguments.
    File,
}

/// What kind of output a program of kind `command` produces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawMode {
    /// It prints lines.
    Lines,
    /// It is interactive and draws on its own terminal.
    Screen,
}

/// The modes of codex's own sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawCodexSandbox {
    /// Restricts file access; the network is available.
    FullAuto,
    /// The same as `full-auto`, by the name of the explicit mode.
    WorkspaceWrite,
    /// Runs without a sandbox.
    DangerFullAccess,
    /// Bypasses codex's sandbox and its approvals.
    None,
}

/// Keys under `agents.<name>`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAgent {
    /// Protocol of the program: claude, codex, opencode, or command for any other program.
    pub kind: Option<RawKind>,
    /// Program: a name in PATH, or a path; a relative path is resolved from the directory of this file.
    pub command: Option<String>,
    /// Extra arguments; for kind command, {model} {task_id} {run_id} {worktree} {prompt_file} are replaced.
    #[schemars(extend("x-orch-separator" = "line"))]
    pub args: Option<Vec<String>>,
    /// Environment variables of this agent; ${NAME}, or env:NAME alone, refers to a variable of the daemon.
    #[schemars(with = "Option<BTreeMap<String, Option<String>>>")]
    pub env: Option<BTreeMap<String, Option<Secret>>>,
    /// Names of variables that are passed on from the daemon's environment, in addition to the usual ones.
    pub pass_env: Option<Vec<String>>,
    /// For kind command: how the prompt is passed, stdin or file.
    pub prompt: Option<RawPrompt>,
    /// For kind command: lines, or screen for an interactive program, which gets a terminal and the prompt as a file.
    pub mode: Option<RawMode>,
    /// Codex only: full-auto, workspace-write, danger-full-access or none; CODEX_SANDBOX overrides it for the agent codex.
    pub sandbox: Option<RawCodexSandbox>,
    /// Whether the repository's own agent configuration (hooks, MCP servers, base URLs) takes effect.
    pub trust_repository: Option<bool>,
    /// Longest run of this agent, whatever the type of the task; 0 = no limit.
    #[schemars(range(min = 0, max = 604_800))]
    pub timeout_seconds: Option<u64>,
    /// Memory limit of a run of this agent, in megabytes; overrides limits.memory_mb; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub memory_mb: Option<u64>,
    /// Whether the agent accepts `orch task send` while it works; if not, messages wait for its next turn.
    pub live: Option<bool>,
    /// Maximum number of tasks that this agent works on at once; null = only the global limit.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
}

/// What happens to accepted work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Integrate {
    /// It stays on its branch.
    #[default]
    Branch,
    /// It is merged locally into the base branch, after the checks passed on the merge result.
    Merge,
}

/// Where checks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChecksIn {
    /// In a fresh checkout of the commit that is judged.
    #[default]
    Clean,
    /// In the agent's worktree, including untracked files such as build caches.
    Worktree,
}

/// Keys under `review`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawReview {
    /// How many times a reviewer may send work back before a person is asked.
    #[schemars(range(min = 1, max = 20))]
    pub max_rounds: Option<u32>,
    /// Longest duration of a review.
    #[schemars(range(min = 10, max = 86_400))]
    pub timeout_seconds: Option<u64>,
    /// Agents that may review, in order of preference; null = all installed coding agents.
    pub agents: Option<Vec<String>>,
}

/// Keys under `escalation`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEscalation {
    /// Number of failed attempts with one model after which the next one is tried.
    #[schemars(range(min = 1, max = 100))]
    pub after: Option<u32>,
    /// Maximum number of escalations of a task; 0 = none.
    #[schemars(range(min = 0, max = 100))]
    pub max_steps: Option<u32>,
    /// Agents from weakest to strongest, as agent or agent/model; an empty list = the agent's own models by model_map.
    pub ladder: Option<Vec<String>>,
}

/// Keys under `fallback`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFallback {
    /// For simple tasks: at most five entries; an empty list = router.agents in their order.
    pub simple: Option<Vec<String>>,
    /// For medium tasks, as for simple ones.
    pub medium: Option<Vec<String>>,
    /// For complex tasks, as for simple ones.
    pub complex: Option<Vec<String>>,
}

/// Keys under `workflow`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWorkflow {
    /// Keep agents out of the project's own directory; they work in their worktree.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub sandbox: Option<bool>,
    /// Shell commands that must succeed on the committed work; those of a project file count once you approve that file.
    #[schemars(extend("x-orch-separator" = "line"))]
    pub checks: Option<Vec<String>>,
    /// Where checks run: clean = in a fresh checkout of the judged commit, worktree = in the agent's worktree.
    pub checks_in: Option<ChecksIn>,
    /// Who reviews work that passed its checks; auto = another agent, if one is installed (docs/explanation/judging.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub review: Option<ReviewMode>,
    /// Files that tasks may change, as patterns such as src/**; an empty list = all. Labels paths:* of a task override it.
    pub allowed_paths: Option<Vec<String>>,
    /// Largest file, in megabytes, that a change may add; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_file_mb: Option<u64>,
    /// Number of attempts before a person is asked.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
    /// Cost of a task, in dollars, at which a person is asked; a label max-cost:* of the task overrides it; null = no limit.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub max_cost_usd: Option<Usd>,
    /// Maximum number of subtasks that a task's agents may create over all its runs; 0 = none (docs/how-to/delegation.md).
    #[schemars(range(min = 0, max = 1000), extend("x-orch-file" = "config.yml"))]
    pub max_delegations: Option<u32>,
    /// Maximum depth of delegation: 1 = your tasks may create subtasks, but those subtasks may not.
    #[schemars(range(min = 0, max = 10), extend("x-orch-file" = "config.yml"))]
    pub max_delegation_depth: Option<u32>,
    /// Longest run of an agent; 0 = no limit.
    #[schemars(range(min = 0, max = 604_800))]
    pub timeout_seconds: Option<u64>,
    /// Longest time without output or activity of an agent; 0 = no limit.
    #[schemars(range(min = 0, max = 604_800))]
    pub silence_seconds: Option<u64>,
    /// Longest run of one check.
    #[schemars(range(min = 1, max = 604_800))]
    pub check_timeout_seconds: Option<u64>,
    /// Branch that tasks start from and are merged into; null = the branch checked out when the task is created.
    pub base_branch: Option<String>,
    /// What happens to accepted work: branch keeps it on its branch, merge merges it locally once the checks pass.
    pub integrate: Option<Integrate>,
    /// Run the checks again after a merge if the base is not what they passed on (docs/explanation/integration.md).
    pub verify_after_merge: Option<bool>,
    /// When a task is likely to change the same files as a running one: off, warn, or hold it until the other ends.
    pub overlap: Option<Overlap>,
    /// Maximum number of tasks of a project at once; null = only the global limit. A project file can only lower it.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
}

/// How the load of the machine adjusts `engine.max_parallel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Adaptive {
    /// Not at all.
    None,
    /// Only one agent runs at a time while memory is short.
    #[default]
    Memory,
    /// As `memory`; in addition the limit follows the processor load.
    Load,
}

/// What happens to running agents when a signal ends the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnSignal {
    /// They keep running; the next daemon takes them over.
    #[default]
    Leave,
    /// They are interrupted; the next daemon continues their conversations.
    Interrupt,
}

/// Keys under `engine`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEngine {
    /// Interval at which the loop runs when nothing happens; events wake it at once.
    #[schemars(range(min = 1, max = 3600))]
    pub tick_seconds: Option<u64>,
    /// Maximum number of agents that run at once.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
    /// What adjusts max_parallel: none, memory (when it is short), or load (memory and CPU; docs/explanation/admission.md).
    pub adaptive: Option<Adaptive>,
    /// With adaptive: load, upper limit of what an idle machine runs, at most twice max_parallel; null = max_parallel.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel_ceiling: Option<u32>,
    /// Free space, in megabytes, that the disks of ORCH_HOME and the worktrees need before anything starts; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub min_free_disk_mb: Option<u64>,
    /// Memory, in megabytes, above which the daemon restarts itself; agents keep running; 0 = never.
    #[schemars(range(max = 1_000_000))]
    pub self_memory_limit_mb: Option<u64>,
    /// What happens to agents when SIGTERM or SIGINT ends the daemon: leave or interrupt (docs/explanation/shutdown.md).
    pub on_signal: Option<OnSignal>,
}

/// Keys under `breaker`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBreaker {
    /// Consecutive failures that pause further starts (docs/explanation/admission.md); 0 = never.
    #[schemars(range(min = 0, max = 1000))]
    pub failures: Option<u32>,
    /// Age after which a failure no longer counts.
    #[schemars(range(min = 1, max = 604_800))]
    pub window_seconds: Option<u64>,
    /// Length of the first pause; it doubles each time the trial that follows fails.
    #[schemars(range(min = 1, max = 604_800))]
    pub cool_down_seconds: Option<u64>,
    /// Longest pause.
    #[schemars(range(min = 1, max = 604_800))]
    pub max_cool_down_seconds: Option<u64>,
}

/// A time in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Seconds(#[schemars(range(min = 0, max = 604_800))] pub u64);

/// Keys under `limits`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLimits {
    /// Longest run by type of the task, in seconds; other types use workflow.timeout_seconds; 0 = no limit.
    pub time_by_type: Option<BTreeMap<String, Option<Seconds>>>,
    /// Silence after which a live agent is asked for its status; null = half of workflow.silence_seconds, 0 = never.
    #[schemars(range(min = 0, max = 604_800))]
    pub nudge_after_seconds: Option<u64>,
    /// Limit, in megabytes, of the private memory of all processes of a run together; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000), extend("x-orch-file" = "config.yml"))]
    pub memory_mb: Option<u64>,
    /// Limit of what a run may print, in megabytes; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000), extend("x-orch-file" = "config.yml"))]
    pub output_mb: Option<u64>,
}

/// Keys under `health_check`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawHealthCheck {
    /// Monitor the health of agents and report it; if false, only the limits are enforced.
    pub enabled: Option<bool>,
    /// Interval between checks of a silent agent's processes, in milliseconds.
    #[schemars(range(min = 10_000, max = 3_600_000), extend("x-orch-alias" = "intervalMs"))]
    pub interval_ms: Option<u64>,
    /// Time, in milliseconds, after which a check is abandoned without a result.
    #[schemars(range(min = 1, max = 600_000), extend("x-orch-alias" = "timeoutMs"))]
    pub timeout_ms: Option<u64>,
    /// Additional checks that must agree before an agent is reported as stale; the interval between them doubles.
    #[schemars(range(min = 0, max = 20), extend("x-orch-alias" = "maxRetries"))]
    pub max_retries: Option<u32>,
}

/// Keys under `retention`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRetention {
    /// Days that raw output of an agent (events.jsonl, stderr.log, screen.raw) is kept after the run; 0 = no limit.
    #[schemars(range(min = 0, max = 36_500))]
    pub raw_days: Option<u32>,
    /// Days that a transcript is kept after the run; 0 = no limit.
    #[schemars(range(min = 0, max = 36_500))]
    pub transcript_days: Option<u32>,
    /// Total size in megabytes; beyond it, raw output and then transcripts are deleted, oldest first; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub total_mb: Option<u64>,
    /// Days that entries of the history (`orch events`) are kept after their task is finished; 0 = no limit.
    #[schemars(range(min = 0, max = 36_500))]
    pub events_days: Option<u32>,
}

/// Keys under `gc`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGc {
    /// Whether the daemon removes them automatically; `orch gc` always does.
    pub enabled: Option<bool>,
    /// Hours that a worktree is kept after its task is finished.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub after_hours: Option<u32>,
    /// Keep the worktree of a task that was cancelled after a failure.
    pub keep_failed: Option<bool>,
    /// Delete the branch of the task with its worktree, once the base branch contains all its commits.
    pub delete_merged_branches: Option<bool>,
}

/// Keys under `http`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawHttp {
    /// Address for TCP, 127.0.0.1:PORT; null = do not listen. `orch http` shows where the token is.
    pub listen: Option<String>,
}

/// Keys under `redact`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRedact {
    /// Regular expressions (Rust crate regex) by a name for what they match; they apply to runs started from now on.
    pub patterns: Option<BTreeMap<String, Option<String>>>,
}

/// Keys under `log`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLog {
    /// Size, in megabytes, at which a new log file is started.
    #[schemars(range(min = 1, max = 1024))]
    pub max_megabytes: Option<u64>,
    /// Number of old log files that are kept.
    #[schemars(range(min = 0, max = 100))]
    pub keep: Option<u32>,
}
