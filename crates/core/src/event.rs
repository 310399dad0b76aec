//! What can happen to a task, as data. What it does to the task is said in `lifecycle`.

use super::cycle::Cycle;
use super::evidence::{Evidence, Integration};
use super::external::{ExternalFailure, StepProblem};
use super::ids::{RunId, TaskId};
use super::judge::Verdict;
use super::outcome::{Ending, Failure, FailureClass, Outcome};
use super::review::{Review, Reviewers};
use super::review_decision::ReviewDecision;
use super::route::RouteResult;
use super::task::{BlockedOn, Postponed, Workplace};

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A routing question was begun.
    RouteAsked {
        /// As this run.
        run: RunId,
    },
    /// An agent was chosen.
    RouteChosen {
        /// The choice.
        route: RouteResult,
        /// A routing question failed on the way.
        failed: bool,
    },
    /// No agent can be chosen before a person acts.
    RouteImpossible {
        /// Why.
        reason: String,
    },
    /// The model that was asked for is none that the agent can have.
    ModelRefused {
        /// Why, and what to do.
        reason: String,
    },
    /// The routing question is to be asked again later (its provider is not to be had).
    RoutePostponed {
        /// When.
        until: jiff::Timestamp,
    },
    /// Whoever is to do it is left alone because a provider failed, and somebody else may be free.
    ProviderRests {
        /// What the failure was.
        class: FailureClass,
    },
    /// A work run was begun.
    Launched {
        /// Which.
        run: RunId,
    },
    /// The run's worktree is there.
    Placed {
        /// Where.
        place: Workplace,
    },
    /// The run could not be started.
    LaunchFailed {
        /// Which.
        run: RunId,
        /// What stood in the way.
        problem: LaunchProblem,
    },
    /// A work run ended.
    RunEnded {
        /// Which.
        run: RunId,
        /// Which agent ran.
        agent: String,
        /// With which model, as its program was given it.
        model: Option<String>,
        /// What its CLI said at the end.
        ending: Box<Ending>,
        /// What that amounts to.
        outcome: Outcome,
    },
    /// The evidence of a run was weighed.
    Judged {
        /// Which.
        run: RunId,
        /// The conclusion.
        verdict: Verdict,
        /// What it stands on.
        evidence: Evidence,
        /// Who looks at it next, should it be good.
        reviewers: Reviewers,
    },
    /// The evidence of a run could not be gathered for minutes, because an external call fails.
    NotJudged {
        /// Which.
        run: RunId,
        /// Which call, and why.
        failure: ExternalFailure,
    },
    /// A review was begun.
    ReviewAsked {
        /// The run whose work is looked at.
        run: RunId,
        /// The run that looks.
        review: RunId,
    },
    /// Nobody can review now.
    ReviewPostponed {
        /// The run whose work is to be looked at.
        run: RunId,
        /// Why, and until when.
        wait: Postponed,
    },
    /// A review was made.
    Reviewed {
        /// The run whose work was looked at.
        run: RunId,
        /// What was said.
        review: Review,
    },
    /// A review came to nothing: it says neither yes nor no.
    ReviewFailed {
        /// The run whose work was to be looked at.
        run: RunId,
        /// Who failed.
        agent: String,
        /// Why.
        failure: Failure,
        /// No other reviewer can be asked for this work.
        is_last: bool,
    },
    /// It waits for parts of it before it goes on: for those that its agent has handed on, and others that are open.
    HandedOn {
        /// Which run.
        run: RunId,
        /// What was seen of its work.
        evidence: Evidence,
        /// Made by it.
        made: Vec<TaskId>,
        /// All that it waits for.
        awaited: Vec<TaskId>,
    },
    /// A part that it waits for came to nothing.
    PartFailed {
        /// Which.
        part: TaskId,
        /// Why, in words.
        why: String,
        /// It was given up; otherwise it asks a person itself.
        is_given_up: bool,
    },
    /// The branch is where it belongs.
    Integrated {
        /// Which run's work.
        run: RunId,
        /// How.
        integration: Integration,
    },
    /// The branch could not be brought there.
    NotIntegrated {
        /// Which run's work.
        run: RunId,
        /// Why.
        problem: IntegrationProblem,
    },
    /// The wait before another try at the integration is over.
    IntegrationDue,
    /// A person decides about its work.
    Ruled {
        /// The run whose work that is.
        run: RunId,
        /// What they decide.
        ruling: ReviewDecision,
        /// Who, where that is known.
        by: Option<String>,
    },
    /// A person gives the task up.
    CancelAsked {
        /// In words.
        reason: String,
    },
    /// A person stops the agent, and keeps its conversation.
    InterruptAsked,
    /// orch shuts down and stops the agent; the task goes on at the next start.
    ShutdownAsked,
    /// A message of a person waits for an agent, and none works.
    MessageWaits,
    /// A person wants it done again.
    RetryAsked,
    /// A person wants a blocked or questioned task to go on.
    UnblockAsked,
    /// A person wants it to run now.
    RunAsked {
        /// Also where that is paused.
        past_pause: bool,
    },
    /// It waits on something.
    Blocked(BlockedOn),
    /// What it waited for is there.
    Unblocked,
    /// It waits for itself, over these others.
    WaitsForItself(Cycle),
}

/// Why a run could not be started.
#[derive(Debug, Clone, PartialEq)]
pub enum LaunchProblem {
    /// The repository's directory is gone.
    MissingDir(std::path::PathBuf),
    /// Only a person can mend it; no agent was started.
    Ask(String),
    /// The workspace cannot be made ready: the project's own setup, which only a person can mend.
    Setup(String),
    /// The task's last run, which nobody judged, did what no run may. A person puts it back, or keeps it, before the next.
    PutBack(String),
    /// The agent's side failed.
    Failed(Failure),
    /// An external call failed, and may succeed later.
    External(ExternalFailure),
    /// The base branch of work that was begun is away. It is waited for, however long: whoever renamed it knows.
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
    /// The work must be done once more: conflict, or checks that fail on the merge result.
    Work(Failure),
    /// Something of the person's stands in the way; tried again by itself.
    Wait(Postponed),
    /// It is there, and the checks fail on the base all the same.
    Red {
        /// What became of the branch.
        integration: Integration,
        /// The check that fails.
        failure: Failure,
    },
    /// Only a person can mend it.
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
