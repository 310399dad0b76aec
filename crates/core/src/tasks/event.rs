//! What can happen to a task, as data. `lifecycle` defines the effect of each event on the task's state.

use super::cycle::Cycle;
use super::evidence::{Evidence, Integration};
use super::judge::Verdict;
use super::outcome::{Ending, Failure, FailureClass, Outcome};
use super::review::{Review, Reviewers};
use super::review_decision::ReviewDecision;
use super::route::RouteResult;
use super::task::{BlockedOn, Postponed, Workplace};
use crate::base::external::{ExternalFailure, StepProblem};
use crate::base::ids::{RunId, TaskId};

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A routing question was started.
    RouteAsked {
        /// The run that asks the question.
        run: RunId,
    },
    /// An agent was chosen.
    RouteChosen {
        /// The chosen agent and model.
        route: RouteResult,
        /// Whether a routing question failed before the choice was made.
        failed: bool,
    },
    /// No agent can be chosen before a person acts.
    RouteImpossible {
        /// The reason, shown to the person.
        reason: String,
    },
    /// The agent cannot use the requested model.
    ModelRefused {
        /// The reason and what to do about it.
        reason: String,
    },
    /// The routing question is asked again later because its provider is unavailable.
    RoutePostponed {
        /// The earliest time of the next attempt.
        until: jiff::Timestamp,
    },
    /// The chosen agent is cooling down after a provider failure, and another agent may be available.
    ProviderRests {
        /// The class of the provider's failure.
        class: FailureClass,
    },
    /// A work run was started.
    Launched {
        /// The run that was started.
        run: RunId,
    },
    /// The run's worktree was created.
    Placed {
        /// The worktree and its branch.
        place: Workplace,
    },
    /// The run could not be started.
    LaunchFailed {
        /// The run that could not be started.
        run: RunId,
        /// The cause.
        problem: LaunchProblem,
    },
    /// A work run ended.
    RunEnded {
        /// The run that ended.
        run: RunId,
        /// The agent that ran.
        agent: String,
        /// The model as it was passed to the agent's program.
        model: Option<String>,
        /// What the agent's CLI reported at the end.
        ending: Box<Ending>,
        /// The result derived from `ending`.
        outcome: Outcome,
    },
    /// The evidence of a run was judged.
    Judged {
        /// The run that was judged.
        run: RunId,
        /// The verdict.
        verdict: Verdict,
        /// The evidence behind the verdict.
        evidence: Evidence,
        /// Who reviews the work next if the verdict is good.
        reviewers: Reviewers,
    },
    /// The evidence of a run could not be gathered for minutes, because an external call fails.
    NotJudged {
        /// The run that could not be judged.
        run: RunId,
        /// The call that fails, and its error.
        failure: ExternalFailure,
    },
    /// A review was started.
    ReviewAsked {
        /// The run whose work is reviewed.
        run: RunId,
        /// The run of the reviewer.
        review: RunId,
    },
    /// No reviewer is available now.
    ReviewPostponed {
        /// The run whose work waits for a review.
        run: RunId,
        /// The reason, and the time of the next attempt.
        wait: Postponed,
    },
    /// A review was completed.
    Reviewed {
        /// The run whose work was reviewed.
        run: RunId,
        /// The reviewer's decision and remarks.
        review: Review,
    },
    /// A review failed without a decision.
    ReviewFailed {
        /// The run whose work was under review.
        run: RunId,
        /// The reviewer that failed.
        agent: String,
        /// The cause.
        failure: Failure,
        /// Whether no other reviewer can be asked for this work.
        is_last: bool,
    },
    /// The task waits for subtasks before it goes on: those that its agent delegated, and others that are open.
    HandedOn {
        /// The run that delegated the work.
        run: RunId,
        /// The evidence of the run's own work.
        evidence: Evidence,
        /// The subtasks created from this run's delegations.
        made: Vec<TaskId>,
        /// All subtasks that the task waits for.
        awaited: Vec<TaskId>,
    },
    /// A subtask that the task waits for failed.
    PartFailed {
        /// The subtask that failed.
        part: TaskId,
        /// The reason, as text.
        why: String,
        /// Whether the subtask was cancelled; otherwise the subtask itself asks a person.
        is_given_up: bool,
    },
    /// The branch was integrated.
    Integrated {
        /// The run whose work was integrated.
        run: RunId,
        /// The mode and the result of the integration.
        integration: Integration,
    },
    /// The branch could not be integrated.
    NotIntegrated {
        /// The run whose work could not be integrated.
        run: RunId,
        /// The cause.
        problem: IntegrationProblem,
    },
    /// The wait before the next integration attempt is over.
    IntegrationDue,
    /// A person decides about the task's work.
    Ruled {
        /// The run whose work is decided about.
        run: RunId,
        /// The decision.
        ruling: ReviewDecision,
        /// The name of the person, if known.
        by: Option<String>,
    },
    /// A person cancels the task.
    CancelAsked {
        /// The reason, as text.
        reason: String,
    },
    /// A person stops the agent; its conversation is kept.
    InterruptAsked,
    /// orch shuts down and stops the agent; the task goes on at the next start.
    ShutdownAsked,
    /// A person's message waits for an agent, and no run is in progress.
    MessageWaits,
    /// A person restarts the task from the beginning.
    RetryAsked,
    /// A person lets a blocked task, or one that asks a question, go on.
    UnblockAsked,
    /// A person starts the task now, past its waits.
    RunAsked {
        /// Whether the task may start although its queue is paused.
        past_pause: bool,
    },
    /// The task starts to wait.
    Blocked(BlockedOn),
    /// The condition that the task waited for is met.
    Unblocked,
    /// The task depends on itself through the other tasks of this cycle.
    WaitsForItself(Cycle),
}

/// Why a run could not be started.
#[derive(Debug, Clone, PartialEq)]
pub enum LaunchProblem {
    /// The repository's directory does not exist.
    MissingDir(std::path::PathBuf),
    /// Only a person can fix the cause; no agent was started.
    Ask(String),
    /// The project's own workspace setup fails, which only a person can fix.
    Setup(String),
    /// The task's previous run was never judged and changed what no run may change. A person reverts or keeps that
    /// change before the next run.
    PutBack(String),
    /// The agent's program or its provider failed.
    Failed(Failure),
    /// An external call failed, and may succeed later.
    External(ExternalFailure),
    /// The base branch of work in progress is missing. orch waits for it without a limit: the person who renamed it knows.
    BaseAway(ExternalFailure),
}

impl From<StepProblem> for LaunchProblem {
    fn from(problem: StepProblem) -> Self {
        match problem {
            StepProblem::External(failure) => Self::External(failure),
            StepProblem::Ask(question) => Self::Ask(question),
        }
    }
}

/// Why an accepted branch did not reach its base.
#[derive(Debug, Clone, PartialEq)]
pub enum IntegrationProblem {
    /// The work must be redone: there is a conflict, or checks fail on the merge result.
    Work(Failure),
    /// The person's own changes are in the way; orch tries again by itself.
    Wait(Postponed),
    /// The branch is merged, but the checks fail on the base.
    Red {
        /// The result of the integration.
        integration: Integration,
        /// The check that fails.
        failure: Box<Failure>,
    },
    /// Only a person can fix the cause.
    Ask(String),
    /// An external call failed, and may succeed later.
    External(ExternalFailure),
}

impl From<StepProblem> for IntegrationProblem {
    fn from(problem: StepProblem) -> Self {
        match problem {
            StepProblem::External(failure) => Self::External(failure),
            StepProblem::Ask(question) => Self::Ask(question),
        }
    }
}
