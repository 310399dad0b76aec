//! How a run ended: what the agent's process and its events say. A claim, not yet a verdict.

use super::answer::Answer;
use super::edit::FileEdit;
use super::message::MessageId;
use super::money::Usd;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Works on the task in its worktree.
    Work,
    /// Judges finished work, read-only.
    Review,
    /// Answers the routing question, without tools.
    Route,
}

/// Something an agent did, read from its event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentEvent {
    /// First sign of life; the receipt that the prompt was delivered.
    Started {
        /// The conversation, where it is known already.
        session_id: Option<String>,
        /// The model in force, as the CLI names it.
        model: Option<String>,
    },
    /// The agent speaks.
    Text {
        /// What it says.
        text: String,
    },
    /// The agent thinks aloud.
    Reasoning {
        /// What it thinks.
        text: String,
    },
    /// A tool call begins. `input` is the one line that tells a person what it does (the command, the path).
    ToolCall {
        /// The CLI's id of the call.
        id: String,
        /// The tool.
        name: String,
        /// One line: the command, the path.
        input: String,
    },
    /// A tool call ended.
    ToolResult {
        /// The id of the call.
        id: String,
        /// Whether it went well.
        ok: bool,
        /// What it printed, cut to a sane length.
        output: String,
        /// How long it took, in milliseconds: by the CLI's word, else by the clock of who saw call and result come.
        /// `None`: nobody knows.
        took_ms: Option<u64>,
        /// What it changed in files, where the CLI tells.
        edits: Vec<FileEdit>,
    },
    /// What the run has used so far, as far as the CLI has told.
    Spent {
        /// Tokens; of the whole conversation if `usage_is_thread_total`.
        usage: Usage,
        /// Price.
        cost_usd: Option<Usd>,
        /// `usage` counts the conversation from its beginning, other runs included.
        usage_is_thread_total: bool,
    },
    /// The CLI repeats a failed request by itself.
    Retry {
        /// What failed.
        class: FailureClass,
        /// The attempt that comes, from 1.
        attempt: u32,
        /// In words.
        detail: String,
    },
    /// Said by the CLI, no failure.
    Warning {
        /// In words.
        text: String,
    },
    /// An error event. Not yet the end: some CLIs recover.
    Error {
        /// What kind.
        class: FailureClass,
        /// In words.
        text: String,
    },
    /// The agent has taken up what the person said while it worked.
    Heard {
        /// Which message.
        message: MessageId,
    },
    /// The CLI says that its turn is over.
    TurnEnded,
}

/// Tokens used by a run; `None` where the CLI did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read at full price, without the cached ones.
    pub input: Option<u64>,
    /// Tokens written.
    pub output: Option<u64>,
    /// Tokens read from the provider's cache.
    pub cached: Option<u64>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, when it exited by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Usage {
    /// Both together; what one of them does not know counts as nothing.
    pub fn plus(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a.or(b).map(|_| a.unwrap_or(0).saturating_add(b.unwrap_or(0)));
        Self {
            input: sum(self.input, other.input),
            output: sum(self.output, other.output),
            cached: sum(self.cached, other.cached),
        }
    }

    /// What remains of a conversation's total when `earlier` was used before; a count that went down starts anew.
    pub fn since(self, earlier: Self) -> Self {
        let rest = |total: Option<u64>, before: Option<u64>| {
            total.map(|total| total.checked_sub(before.unwrap_or(0)).unwrap_or(total))
        };
        Self {
            input: rest(self.input, earlier.input),
            output: rest(self.output, earlier.output),
            cached: rest(self.cached, earlier.cached),
        }
    }
}

impl Exit {
    /// Ended by itself with 0.
    pub fn success(self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("unknown exit"),
        }
    }
}

/// Which side a failure is on: it decides between moving sideways, trying again, and neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The provider or its CLI: not the task's fault, no attempt is counted.
    Provider,
    /// The work: an attempt is counted.
    Quality,
    /// The process: an attempt is counted.
    Process,
}

macro_rules! failure_classes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $side:ident;)*) => {
        /// Why a run failed. The names are part of the JSON contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum FailureClass { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl FailureClass {
            /// Every class, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Which side it is on.
            pub fn side(self) -> Side {
                match self { $(Self::$variant => Side::$side,)* }
            }
        }
    };
}

failure_classes! {
    /// The provider refused the credentials, or there are none.
    Auth = "auth", Provider;
    /// Too many requests, or a plan's limit; `retry_at` when the provider told.
    RateLimited = "rate_limited", Provider;
    /// The provider is overloaded or answers 5xx.
    Overloaded = "overloaded", Provider;
    /// The provider was not reached, or the answer broke off.
    Network = "network", Provider;
    /// The model does not exist for this account.
    ModelNotFound = "model_not_found", Provider;
    /// No credit, or a limit of money or turns was reached.
    Budget = "budget", Provider;
    /// The agent's program is not installed or did not start.
    AgentMissing = "agent_missing", Provider;
    /// Reported as done, but nothing changed.
    NoChange = "no_change", Quality;
    /// A check of `workflow.checks` failed.
    ChecksFailed = "checks_failed", Quality;
    /// The reviewer asked for changes.
    ReviewRejected = "review_rejected", Quality;
    /// The change holds what is not accepted: a conflict, a secret, fewer tests, files that it may not touch.
    Unacceptable = "unacceptable", Quality;
    /// The answer could not be read as the agreed format.
    Malformed = "malformed", Quality;
    /// The agent stopped before the work was finished.
    Incomplete = "incomplete", Quality;
    /// The conversation no longer fits the model's context.
    ContextTooLong = "context_too_long", Quality;
    /// The change does not merge with the base branch.
    Conflict = "conflict", Quality;
    /// The agent changed something outside its worktree.
    SandboxViolation = "sandbox_violation", Quality;
    /// The run took longer than `workflow.timeout_seconds`.
    Timeout = "timeout", Process;
    /// The agent gave no sign of life for too long.
    Stalled = "stalled", Process;
    /// The agent was ended by a signal from outside.
    Killed = "killed", Process;
    /// The agent's process ended without saying how the turn went.
    Crashed = "crashed", Process;
    /// The run used more memory than allowed.
    Memory = "memory", Process;
    /// The conversation to resume is gone.
    SessionLost = "session_lost", Process;
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure, with what a person needs to understand it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure.
    pub class: FailureClass,
    /// One or a few lines, in words.
    pub detail: String,
    /// When the provider said it will serve again.
    pub retry_at: Option<Timestamp>,
    /// Of a conflict with the base: how it stands to the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Box<ConflictRound>>,
}

/// A conflict with the base, compared with the last conflict of the same task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRound {
    /// The commit of the base with which the conflict is.
    pub base: String,
    /// The branch contains the commit of the base with which the last conflict was: that one is resolved.
    pub resolved_last: bool,
}

impl Failure {
    /// A failure without a known time of recovery.
    pub fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into(), retry_at: None, round: None }
    }
}

/// What a dialect reads out of a finished agent process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ending {
    /// The conversation's id, for resuming it.
    pub session_id: Option<String>,
    /// The model that answered, as the CLI names it.
    pub model: Option<String>,
    /// The last text of the agent.
    pub final_text: Option<String>,
    /// The structured answer, where the CLI delivers one.
    pub structured: Option<serde_json::Value>,
    /// Tokens used by this run; of the whole conversation if `usage_is_thread_total`.
    pub usage: Usage,
    /// `usage` counts the conversation from its beginning: what its earlier runs used is to be subtracted.
    #[serde(default)]
    pub usage_is_thread_total: bool,
    /// What it cost: by the CLI's word, else by its tokens and the catalog's prices.
    pub cost: Option<Usd>,
    /// `cost` is computed from tokens and prices; the CLI reported none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_computed: bool,
    /// Tool calls that were refused by permission rules, one line each.
    pub denials: Vec<String>,
    /// Set when the CLI itself failed. `None`: its turn ended well, whatever the work is worth.
    pub failure: Option<Failure>,
}

/// The agent's and its process's word on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outcome {
    /// The agent's turn ended well and its answer was understood.
    Finished {
        /// What it reports.
        answer: Answer,
    },
    /// It did not.
    Failed(Failure),
    /// Somebody stopped it.
    Cancelled {
        /// By whom or why.
        detail: String,
    },
}

impl Outcome {
    /// What a run of [`RunKind::Work`] amounts to: a failure of the CLI comes first, then the answer; an answer that
    /// cannot be read is a failure too, never a success.
    pub fn of(ending: &Ending) -> Self {
        if let Some(failure) = &ending.failure {
            return Self::Failed(failure.clone());
        }
        match Answer::parse(ending.structured.as_ref(), ending.final_text.as_deref()) {
            Ok(answer) => Self::Finished { answer },
            Err(malformed) => Self::Failed(Failure::new(FailureClass::Malformed, malformed.reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_cli_outweighs_a_good_answer() {
        let mut ending =
            Ending { final_text: Some(r#"{"status":"done","summary":"s"}"#.to_owned()), ..Ending::default() };
        assert!(matches!(Outcome::of(&ending), Outcome::Finished { .. }));
        ending.failure = Some(Failure::new(FailureClass::Network, "gone"));
        assert_eq!(Outcome::of(&ending), Outcome::Failed(Failure::new(FailureClass::Network, "gone")));
    }

    #[test]
    fn an_answer_without_a_status_is_malformed_and_never_done() {
        for text in [None, Some("All done!"), Some(r#"{"summary":"done"}"#)] {
            let ending = Ending { final_text: text.map(str::to_owned), ..Ending::default() };
            let Outcome::Failed(failure) = Outcome::of(&ending) else { panic!("{text:?} was taken for an answer") };
            assert_eq!(failure.class, FailureClass::Malformed);
        }
    }

    #[test]
    fn a_runs_own_usage_is_the_total_less_what_was_used_before() {
        let usage = |input| Usage { input: Some(input), output: None, cached: Some(0) };
        assert_eq!(usage(330).since(usage(220)), usage(110));
        assert_eq!(usage(330).since(Usage::default()), usage(330));
        assert_eq!(usage(10).since(usage(220)), usage(10));
    }
}
