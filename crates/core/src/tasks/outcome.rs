//! How a run ended, as the agent's process and its events report it. A claim, not yet a verdict.

use super::answer::Answer;
use super::conflict::Conflict;
use super::edit::FileEdit;
use super::message::MessageId;
use crate::base::money::Usd;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The purpose of a run.
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

/// Something that an agent did, read from its event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentEvent {
    /// The first event; it confirms that the prompt was delivered.
    Started {
        /// The id of the conversation, where it is known already.
        session_id: Option<String>,
        /// The active model, as the CLI names it.
        model: Option<String>,
    },
    /// The agent wrote text.
    Text {
        /// The text.
        text: String,
    },
    /// The agent wrote down its reasoning.
    Reasoning {
        /// The reasoning.
        text: String,
    },
    /// A tool call started.
    ToolCall {
        /// The CLI's id of the call.
        id: String,
        /// The name of the tool.
        name: String,
        /// What the call does, in one line for a person: the command, the path.
        input: String,
    },
    /// A tool call ended.
    ToolResult {
        /// The id of the call.
        id: String,
        /// Whether the call succeeded.
        ok: bool,
        /// The output of the tool, cut to a limited length.
        output: String,
        /// How long the call took, in milliseconds, as reported by the CLI, else as measured between call and result.
        /// `None`: unknown.
        took_ms: Option<u64>,
        /// What it changed in files, where the CLI reports it.
        edits: Vec<FileEdit>,
    },
    /// What the run has used so far, as far as the CLI has reported it.
    Spent {
        /// The tokens; of the whole conversation if `usage_is_thread_total`.
        usage: Usage,
        /// The price of them.
        cost_usd: Option<Usd>,
        /// Whether `usage` counts the conversation from its beginning, other runs included.
        usage_is_thread_total: bool,
    },
    /// The CLI repeats a failed request on its own.
    Retry {
        /// The class of the failure.
        class: FailureClass,
        /// The number of the next attempt, from 1.
        attempt: u32,
        /// The details in words.
        detail: String,
    },
    /// A warning of the CLI; not a failure.
    Warning {
        /// The text of the warning.
        text: String,
    },
    /// An error event. Not yet the end: some CLIs recover.
    Error {
        /// The class of the error.
        class: FailureClass,
        /// The text of the error.
        text: String,
    },
    /// The agent has received a message that the person sent while it worked.
    Heard {
        /// The message that was received.
        message: MessageId,
    },
    /// The CLI reports that its turn is over.
    TurnEnded,
}

/// Tokens used by a run; `None` where the CLI did not report them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read at full price, without cached ones.
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
    /// Returns the sum; unknown numbers of one side count as 0.
    pub fn plus(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a.or(b).map(|_| a.unwrap_or(0).saturating_add(b.unwrap_or(0)));
        Self {
            input: sum(self.input, other.input),
            output: sum(self.output, other.output),
            cached: sum(self.cached, other.cached),
        }
    }

    /// Returns what remains of a conversation's total after `earlier`; a total that went down counts anew.
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
    /// Whether the process exited on its own with code 0.
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

/// The side that a failure is on: it decides between another agent, another attempt, and neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The provider or its CLI: no attempt is counted.
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

            /// Returns the stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the side that the failure is on.
            pub fn side(self) -> Side {
                match self { $(Self::$variant => Side::$side,)* }
            }
        }
    };
}

failure_classes! {
    /// The provider refused the credentials, or there are none.
    Auth = "auth", Provider;
    /// Too many requests, or a plan's limit; `retry_at` where the provider named a time.
    RateLimited = "rate_limited", Provider;
    /// The provider is overloaded or answers 5xx.
    Overloaded = "overloaded", Provider;
    /// The provider was not reached, or its answer was cut off.
    Network = "network", Provider;
    /// The model does not exist for this account.
    ModelNotFound = "model_not_found", Provider;
    /// No credit is left, or a limit of money or turns was reached.
    Budget = "budget", Provider;
    /// The agent's program is not installed or did not start.
    AgentMissing = "agent_missing", Provider;
    /// Reported as done, but nothing changed.
    NoChange = "no_change", Quality;
    /// A check of `workflow.checks` failed.
    ChecksFailed = "checks_failed", Quality;
    /// The reviewer asked for changes.
    ReviewRejected = "review_rejected", Quality;
    /// The change contains something that is not accepted: a conflict, a secret, fewer tests, protected files.
    Unacceptable = "unacceptable", Quality;
    /// The answer does not have the agreed format.
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
    /// The agent produced no output for too long.
    Stalled = "stalled", Process;
    /// The agent was ended by a signal from outside.
    Killed = "killed", Process;
    /// The agent's process ended without reporting how the turn ended.
    Crashed = "crashed", Process;
    /// The run used more memory than allowed.
    Memory = "memory", Process;
    /// The conversation to resume no longer exists.
    SessionLost = "session_lost", Process;
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure, with the details that a person needs to understand it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The class of the failure.
    pub class: FailureClass,
    /// The details in one or a few lines.
    pub detail: String,
    /// When the provider said that it will serve requests again.
    pub retry_at: Option<Timestamp>,
    /// Of a conflict with the base: what is at odds. The detail names the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Box<Conflict>>,
    /// Of a conflict with the base: how it stands to the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Box<ConflictRound>>,
}

/// A conflict with the base, compared with the last conflict of the same task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRound {
    /// The commit of the base that conflicts.
    pub base: String,
    /// Whether the branch contains the base commit of the last conflict, so that that conflict is resolved.
    pub resolved_last: bool,
}

impl Failure {
    /// A conflict with the base.
    pub fn of_conflict(conflict: Conflict) -> Self {
        let detail = conflict.named();
        Self { conflict: Some(Box::new(conflict)), ..Self::new(FailureClass::Conflict, detail) }
    }

    /// A failure without a known time of recovery.
    pub fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into(), retry_at: None, conflict: None, round: None }
    }
}

/// What a dialect reads from a finished agent process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ending {
    /// The id of the conversation, for resuming it.
    pub session_id: Option<String>,
    /// The model that answered, as the CLI names it.
    pub model: Option<String>,
    /// The agent's last text.
    pub final_text: Option<String>,
    /// The structured answer, where the CLI returns one.
    pub structured: Option<serde_json::Value>,
    /// Tokens used by this run; of the whole conversation if `usage_is_thread_total`.
    pub usage: Usage,
    /// Whether `usage` counts the conversation from its beginning, so that the usage of earlier runs must be
    /// subtracted.
    #[serde(default)]
    pub usage_is_thread_total: bool,
    /// What the run cost, as reported by the CLI, else computed from its tokens and the catalog's prices.
    pub cost: Option<Usd>,
    /// Whether `cost` is computed from tokens and prices because the CLI reported none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_computed: bool,
    /// Tool calls that permission rules denied, one line each.
    pub denials: Vec<String>,
    /// The failure of the CLI itself. `None`: its turn ended well, whatever the work is worth.
    pub failure: Option<Failure>,
}

/// What the agent and its process report about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outcome {
    /// The agent's turn ended well and its answer was understood.
    Finished {
        /// The agent's report.
        answer: Answer,
    },
    /// The run failed.
    Failed(Failure),
    /// The run was stopped.
    Cancelled {
        /// Who stopped it, or why.
        detail: String,
    },
}

impl Outcome {
    /// Returns the outcome of a [`RunKind::Work`] run: a failure of the CLI comes first, then the answer; an unreadable
    /// answer is a failure, never a success.
    pub fn from_ending(ending: &Ending) -> Self {
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
        assert!(matches!(Outcome::from_ending(&ending), Outcome::Finished { .. }));
        ending.failure = Some(Failure::new(FailureClass::Network, "gone"));
        assert_eq!(Outcome::from_ending(&ending), Outcome::Failed(Failure::new(FailureClass::Network, "gone")));
    }

    #[test]
    fn an_answer_without_a_status_is_malformed_and_never_done() {
        for text in [None, Some("All done!"), Some(r#"{"summary":"done"}"#)] {
            let ending = Ending { final_text: text.map(str::to_owned), ..Ending::default() };
            let Outcome::Failed(failure) = Outcome::from_ending(&ending) else {
                panic!("{text:?} was taken for an answer")
            };
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
