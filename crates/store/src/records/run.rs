//! The records of a run and of its outcome.

use super::records;
use jiff::Timestamp;
use orch_core::base::health::{Health, State};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::base::money::Usd;
use orch_core::tasks::answer::{Answer, AnswerStatus, Delegation};
use orch_core::tasks::conflict::Conflict;
use orch_core::tasks::outcome::{ConflictRound, Failure, FailureClass, Outcome, RunKind, Usage};
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::{Phase, Run};

records! {
    struct RunRecord = Run {
        id: RunId,
        task: TaskId,
        kind: RunKind,
        attempt: u32,
        agent: String,
        model: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model_reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        complexity: Option<Complexity>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answered_by: Option<String>,
        phase: Phase,
        session_id: Option<String>,
        created_at: Timestamp,
        started_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
        outcome: Option<Outcome>,
        cost: Option<Usd>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cost_computed: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reserved: Option<Usd>,
        usage: Usage,
        #[serde(default)]
        live: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        health: Option<Health>,
    }

    enum RunKindRecord = RunKind {
        Work = "work",
        Review = "review",
        Route = "route",
    }

    enum PhaseRecord = Phase {
        Starting = "starting",
        Running = "running",
        Ended = "ended",
    }

    struct UsageRecord = Usage {
        input: Option<u64>,
        output: Option<u64>,
        cached: Option<u64>,
    }

    struct HealthRecord = Health {
        state: State,
        since: Timestamp,
        output_bytes: u64,
        processes: usize,
        #[serde(default)]
        asked: u32,
    }

    enum HealthStateRecord = State {
        Healthy = "healthy",
        Quiet = "quiet",
        Stale = "stale",
        Dead = "dead",
    }

    #[serde(tag = "state")]
    enum OutcomeRecord = Outcome {
        Finished { answer: Answer } = "finished",
        Failed(failure: Failure) = "failed",
        Cancelled { detail: String } = "cancelled",
    }

    struct FailureRecord = Failure {
        class: FailureClass,
        detail: String,
        retry_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conflict: Option<Box<Conflict>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        round: Option<Box<ConflictRound>>,
    }

    struct ConflictRecord = Conflict {
        files: Vec<String>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        sides: String,
    }

    struct ConflictRoundRecord = ConflictRound {
        base: String,
        resolved_last: bool,
    }

    struct AnswerRecord = Answer {
        status: AnswerStatus,
        summary: String,
        #[serde(default)]
        accomplished: Vec<String>,
        #[serde(default)]
        remaining: Vec<String>,
        #[serde(default)]
        files_changed: Vec<String>,
        #[serde(default)]
        blockers: Vec<String>,
        #[serde(default)]
        reason: String,
        #[serde(default)]
        learnings: Vec<String>,
        #[serde(default)]
        delegations: Vec<Delegation>,
        #[serde(default)]
        result: String,
    }

    enum AnswerStatusRecord = AnswerStatus {
        Done = "done",
        InProgress = "in_progress",
        Blocked = "blocked",
        NeedsReview = "needs_review",
    }

    struct DelegationRecord = Delegation {
        title: String,
        #[serde(default)]
        body: String,
        #[serde(default)]
        labels: Vec<String>,
        #[serde(default)]
        suggested_agent: String,
    }
}
