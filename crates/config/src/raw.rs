//! The configuration as a person types it: every key optional, its documentation beside it. The JSON Schema, the
//! checker, the example file and `orch config` all come from these types. No default and no decision lives here.
//!
//! `x-orch-file` names the only file a key may stand in; without it, both `config.yml` and a project's `.orch.yml` may
//! hold it. `x-orch-alias` is another spelling of a key in files. `x-orch-separator: line` marks lists whose items may contain commas: in an environment variable they are
//! separated by line feeds. No `flatten` and no `untagged`: they ruin error messages.

pub use super::raw_budget::{RawAccount, RawBudget};
pub use super::raw_channels::{RawChannels, RawNotifications};
pub use super::raw_models::{RawModel, RawModelSelection, RawProvider};
pub use super::raw_router::{RawModelMap, RawRouter};
pub use super::raw_workspace::RawWorkspace;
use super::secret::Secret;
use orch_core::money::Usd;
use orch_core::overlap::Overlap;
use orch_core::review::ReviewMode;
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
    /// How auto:… and tier:… choose among models (docs/explanation/which-model.md).
    #[schemars(extend("x-orch-file" = "config.yml", "x-orch-alias" = "modelSelection"))]
    pub model_selection: Option<RawModelSelection>,
    /// Names of your own for models, tags and other aliases: fast: auto:fast.
    #[schemars(extend("x-orch-file" = "config.yml", "x-orch-alias" = "modelAliases"))]
    pub model_aliases: Option<BTreeMap<String, Option<String>>>,
    /// What you know of a model, by provider/model: it overrules every other source, or adds a model.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub models: Option<BTreeMap<String, Option<RawModel>>>,
    /// Providers of your own, and other settings for known ones.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub providers: Option<BTreeMap<String, Option<RawProvider>>>,
    /// The agents: settings of the known ones, and programs of your own.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub agents: Option<BTreeMap<String, RawAgent>>,
    /// How a task is worked on, judged and integrated.
    pub workflow: Option<RawWorkflow>,
    /// What a fresh checkout needs that git does not bring (docs/how-to/workspace.md).
    #[schemars(extend("x-orch-file" = ".orch.yml"))]
    pub workspace: Option<RawWorkspace>,
    /// The second look at finished work by another agent (workflow.review).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub review: Option<RawReview>,
    /// Upwards after work that was not good enough (docs/explanation/judging.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub escalation: Option<RawEscalation>,
    /// Sideways after a failure of a provider: who takes over, as agent or agent/model (docs/explanation/which-model.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub fallback: Option<RawFallback>,
    /// The daemon's loop.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub engine: Option<RawEngine>,
    /// When starts stop after failures in a row, of one agent, one project or one check.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub breaker: Option<RawBreaker>,
    /// What may be spent (docs/explanation/cost-and-budgets.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub budget: Option<RawBudget>,
    /// How much a run may take, beside workflow.timeout_seconds and workflow.silence_seconds.
    pub limits: Option<RawLimits>,
    /// How the agents that run are watched.
    #[schemars(extend("x-orch-file" = "config.yml", "x-orch-alias" = "healthCheck"))]
    pub health_check: Option<RawHealthCheck>,
    /// What is kept of runs whose task is done or cancelled. Transcripts are packed first; open tasks keep everything.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub retention: Option<RawRetention>,
    /// Removing worktrees whose task is done and whose work is elsewhere too (docs/reference/gc.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub gc: Option<RawGc>,
    /// The API beside its Unix socket.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub http: Option<RawHttp>,
    /// Ways to you beside the terminal (docs/channels.md); `orch channel add` sets one up.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub channels: Option<RawChannels>,
    /// What you are told in them, and when.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub notifications: Option<RawNotifications>,
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
    /// Program: a name in PATH, or a path; a relative one begins at the directory of this file.
    pub command: Option<String>,
    /// Arguments appended to orch's own; for kind command, {model} {task_id} {run_id} {worktree} {prompt_file} are replaced.
    #[schemars(extend("x-orch-separator" = "line"))]
    pub args: Option<Vec<String>>,
    /// Variables set for this agent; ${NAME}, or env:NAME alone, is that variable of the daemon's environment.
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
    /// Longest run of this agent, whatever the task's type; 0 = no limit.
    #[schemars(range(min = 0, max = 604_800))]
    pub timeout_seconds: Option<u64>,
    /// Memory that a run of this agent may take, instead of limits.memory_mb; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub memory_mb: Option<u64>,
    /// Keep a conversation open that takes `orch task send` while the agent works; off, messages wait for the next turn.
    pub live: Option<bool>,
    /// Tasks of this agent at the same time; null = only the limit for all.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
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

/// Where checks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChecksIn {
    /// In a fresh checkout of the commit that is judged.
    #[default]
    Clean,
    /// In the agent's worktree, with whatever lies about there.
    Worktree,
}

/// Keys under `review`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawReview {
    /// Times that a reviewer may send work back before a person is asked.
    #[schemars(range(min = 1, max = 20))]
    pub max_rounds: Option<u32>,
    /// Longest time that a review may take.
    #[schemars(range(min = 10, max = 86_400))]
    pub timeout_seconds: Option<u64>,
    /// Agents that may review, the best first; null = the coding agents that are installed.
    pub agents: Option<Vec<String>>,
}

/// Keys under `escalation`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEscalation {
    /// Failures of the work with one model that lead to the next.
    #[schemars(range(min = 1, max = 100))]
    pub after: Option<u32>,
    /// Steps up that a task may take; 0 = none.
    #[schemars(range(min = 0, max = 100))]
    pub max_steps: Option<u32>,
    /// Weakest to strongest, as agent or agent/model; an empty list = the agent's own models by model_map.
    pub ladder: Option<Vec<String>>,
}

/// Keys under `fallback`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFallback {
    /// Of simple tasks, at most five; an empty list = the agents of router.agents in their order.
    pub simple: Option<Vec<String>>,
    /// Of medium tasks.
    pub medium: Option<Vec<String>>,
    /// Of complex tasks.
    pub complex: Option<Vec<String>>,
}

/// Keys under `workflow`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWorkflow {
    /// Keep agents out of the project's own directory; they work in their worktree.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub sandbox: Option<bool>,
    /// Shell commands that must succeed on what was committed; in a project file they count once you approved that file.
    #[schemars(extend("x-orch-separator" = "line"))]
    pub checks: Option<Vec<String>>,
    /// Where checks run: in a fresh checkout of the judged commit, or in the agent's worktree with its build caches.
    pub checks_in: Option<ChecksIn>,
    /// Who reviews work whose evidence is good; auto = another agent, where a second one is installed (docs/explanation/judging.md).
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub review: Option<ReviewMode>,
    /// Files that tasks may change, as patterns such as src/**; an empty list = all. A task's labels paths:* count instead.
    pub allowed_paths: Option<Vec<String>>,
    /// Largest file, in megabytes, that a change may bring in; 0 = any.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_file_mb: Option<u64>,
    /// Attempts before a person is asked.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
    /// What a task may cost, in dollars, before a person is asked; a task's label max-cost:* counts instead; null = no limit.
    #[schemars(extend("x-orch-file" = "config.yml"))]
    pub max_cost_usd: Option<Usd>,
    /// Tasks that the agents of one task may hand work on to, over all of its runs; 0 = none (docs/how-to/delegation.md).
    #[schemars(range(min = 0, max = 1000), extend("x-orch-file" = "config.yml"))]
    pub max_delegations: Option<u32>,
    /// How deep: 1 = tasks of yours hand work on, and the parts made by that do not.
    #[schemars(range(min = 0, max = 10), extend("x-orch-file" = "config.yml"))]
    pub max_delegation_depth: Option<u32>,
    /// Longest run of an agent; 0 = no limit.
    #[schemars(range(min = 0, max = 604_800))]
    pub timeout_seconds: Option<u64>,
    /// Longest time without a sign of life from an agent; 0 = no limit.
    #[schemars(range(min = 0, max = 604_800))]
    pub silence_seconds: Option<u64>,
    /// Longest run of one check.
    #[schemars(range(min = 1, max = 604_800))]
    pub check_timeout_seconds: Option<u64>,
    /// Branch that work starts from and is merged into; null = the one that is checked out when the task is made.
    pub base_branch: Option<String>,
    /// Accepted work: branch leaves it on its branch, merge merges it locally once the checks pass on the result.
    pub integrate: Option<Integrate>,
    /// After a merge, run the checks on the base again where it is not what they passed on (docs/explanation/integration.md).
    pub verify_after_merge: Option<bool>,
    /// A task that will likely change files which a running one changes: off, warn about it, or hold it until that ends.
    pub overlap: Option<Overlap>,
    /// Tasks of one project at the same time; null = only the limit for all. A project's own file can only lower it.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel: Option<u32>,
}

/// What the machine's state does to `engine.max_parallel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Adaptive {
    /// Nothing.
    None,
    /// One at a time while memory is short.
    #[default]
    Memory,
    /// That, and fewer or more as the processors are loaded.
    Load,
}

/// What becomes of agents when a signal ends the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnSignal {
    /// They go on; the next start takes them over.
    #[default]
    Leave,
    /// They are interrupted; the next start goes on in their conversations.
    Interrupt,
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
    /// What lowers max_parallel for a while: none, memory that is short, or load as well (docs/explanation/admission.md).
    pub adaptive: Option<Adaptive>,
    /// With adaptive: load, up to twice max_parallel run on an idle machine, and never more than this; null = max_parallel.
    #[schemars(range(min = 1, max = 1000))]
    pub max_parallel_ceiling: Option<u32>,
    /// Megabytes that must be free on the disks of orch's home and of the worktrees before anything begins; 0 = no floor.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub min_free_disk_mb: Option<u64>,
    /// Memory, in megabytes, above which the daemon starts itself anew; agents go on. 0 = never.
    #[schemars(range(max = 1_000_000))]
    pub self_memory_limit_mb: Option<u64>,
    /// What becomes of agents when SIGTERM or SIGINT ends the daemon: leave (at work), or interrupt (docs/explanation/shutdown.md).
    pub on_signal: Option<OnSignal>,
}

/// Keys under `breaker`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBreaker {
    /// Failures in a row that stop further starts there (docs/explanation/admission.md); 0 = never.
    #[schemars(range(min = 0, max = 1000))]
    pub failures: Option<u32>,
    /// Failures that are older do not count.
    #[schemars(range(min = 1, max = 604_800))]
    pub window_seconds: Option<u64>,
    /// How long starts stop the first time; twice as long each time that the trial after it fails.
    #[schemars(range(min = 1, max = 604_800))]
    pub cool_down_seconds: Option<u64>,
    /// How long they stop at most.
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
    /// Longest run in seconds by the task's type; other types have workflow.timeout_seconds; 0 = no limit.
    pub time_by_type: Option<BTreeMap<String, Option<Seconds>>>,
    /// Silence after which a live agent is asked what it does; null = half of workflow.silence_seconds, 0 = never.
    #[schemars(range(min = 0, max = 604_800))]
    pub nudge_after_seconds: Option<u64>,
    /// Memory that all processes of a run may have of their own; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000), extend("x-orch-file" = "config.yml"))]
    pub memory_mb: Option<u64>,
    /// Output that a run may print; 0 = no limit.
    #[schemars(range(min = 0, max = 1_000_000_000), extend("x-orch-file" = "config.yml"))]
    pub output_mb: Option<u64>,
}

/// Keys under `health_check`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawHealthCheck {
    /// Look how agents fare, and tell; without it only the limits are held.
    pub enabled: Option<bool>,
    /// Time between two looks at a silent agent's processes.
    #[schemars(range(min = 10_000, max = 3_600_000), extend("x-orch-alias" = "intervalMs"))]
    pub interval_ms: Option<u64>,
    /// A look that takes longer says nothing.
    #[schemars(range(min = 1, max = 600_000), extend("x-orch-alias" = "timeoutMs"))]
    pub timeout_ms: Option<u64>,
    /// Looks that must agree before an agent is called stale, beside the first; the pauses between them double.
    #[schemars(range(min = 0, max = 20), extend("x-orch-alias" = "maxRetries"))]
    pub max_retries: Option<u32>,
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
    /// Days that lines of the history (`orch events`) are kept once their task is at rest; 0 = no limit.
    #[schemars(range(min = 0, max = 36_500))]
    pub events_days: Option<u32>,
}

/// Keys under `gc`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGc {
    /// The daemon removes them by itself; `orch gc` does so in any case.
    pub enabled: Option<bool>,
    /// Hours that a worktree is kept after its task came to rest.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub after_hours: Option<u32>,
    /// Keep the worktree of a task that was given up after a failure.
    pub keep_failed: Option<bool>,
    /// Delete the task's branch with its worktree, once the base branch has all of its commits.
    pub delete_merged_branches: Option<bool>,
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
