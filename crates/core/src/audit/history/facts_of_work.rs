//! Facts of the way of a task: who is chosen, what its runs did, what reviewers say, and how the work reaches its base.

use super::{Standing, facts};
use crate::base::ids::{RunId, TaskId};
use crate::tasks::hold::HoldReason;
use crate::tasks::outcome::{FailureClass, Outcome};
use crate::tasks::review::Decision;
use crate::tasks::route::{Complexity, RouteResult};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

facts! {
    /// The routing of a task.
    RouteFact {
        /// A router is asked.
        "route_asked" Asked,
        /// The run that routes began.
        "route_started" Started {
            /// By which agent.
            agent: String,
            /// With which model.
            model: Option<String>,
        },
        /// An agent was chosen.
        "routed" Chosen(Choice),
        /// No agent can be chosen before a person acts.
        "route_impossible" Impossible {
            /// Why.
            reason: String,
        },
        /// The router is asked again later.
        "route_postponed" Postponed {
            /// When.
            until: Timestamp,
        },
        /// The agent cannot have the model that was asked for.
        "model_refused" ModelRefused {
            /// Why, and what to do.
            reason: String,
        },
        /// A provider fails, and the task goes on with another agent.
        "rerouted" Rerouted {
            /// What failed.
            class: FailureClass,
            /// The agent; `None`: none is chosen yet.
            choice: Option<Choice>,
        },
    }
}

/// An agent that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its name.
    pub agent: String,
    /// Its model; `None`: its own default.
    pub model: Option<String>,
    /// How hard the task is thought to be.
    pub complexity: Complexity,
    /// Why.
    pub reason: String,
    /// Something odd about it.
    pub warning: Option<String>,
}

impl Choice {
    /// What routing decided.
    pub fn from_route(route: &RouteResult) -> Self {
        let RouteResult { agent, model, complexity, reason, warning, .. } = route.clone();
        Self { agent, model, complexity, reason, warning }
    }
}

facts! {
    /// Runs and their results.
    RunFact {
        /// A run is begun.
        "run_launched" Launched {
            /// Which attempt at the task it is.
            attempt: u32,
            /// From where.
            from: Beginning,
        },
        /// Its worktree is there.
        "placed" Placed {
            /// The task's branch.
            branch: String,
            /// Where it is checked out.
            worktree: PathBuf,
        },
        /// Its agent is started.
        "run_started" Started {
            /// Which agent.
            agent: String,
            /// With which model.
            model: Option<String>,
        },
        /// It could not be started.
        "launch_failed" LaunchFailed {
            /// The state of the task afterwards.
            then: Standing,
        },
        /// It ended.
        "run_ended" Ended {
            /// How.
            end: RunEnd,
            /// The state of the task afterwards.
            then: Standing,
        },
        /// Something odd about it.
        "run_warning" Warned {
            /// What.
            warning: String,
        },
        /// A daemon took it over from an earlier one.
        "run_adopted" Adopted {
            /// Its agent.
            agent: String,
            /// What the earlier daemon left word of.
            left: Option<LeftBehind>,
        },
        /// Its evidence was weighed.
        "judged" Judged {
            /// Why the work is accepted, where it is.
            accepted: Option<String>,
            /// Commits.
            commits: usize,
            /// Changed files.
            files: u64,
            /// Added lines.
            insertions: u64,
            /// Removed lines.
            deletions: u64,
            /// The state of the task afterwards.
            then: Standing,
        },
        /// Its evidence could not be gathered.
        "not_judged" NotJudged {
            /// The state of the task afterwards.
            then: Standing,
        },
        /// Its task waits for parts.
        "handed_on" HandedOn {
            /// Parts that its agent has made.
            made: Vec<TaskId>,
            /// All that the task waits for.
            awaited: Vec<TaskId>,
        },
        /// A part came to nothing.
        "part_failed" PartFailed {
            /// Which.
            part: TaskId,
            /// The state of the task afterwards.
            then: Standing,
        },
        /// Its agent is at work again.
        "worker:healthy" Recovered {
            /// After so many seconds of silence.
            silent_seconds: i64,
        },
        /// Its agent shows no sign of life.
        "worker:stale" Silent {
            /// For so many seconds.
            seconds: i64,
        },
        /// Its process is gone.
        "worker:dead" Died(Death),
        /// orch asks its agent whether it works.
        "worker:asked" AskedAgent {
            /// In these words.
            text: String,
        },
    }
}

impl RunFact {
    pub(super) fn standing(&self) -> Option<&Standing> {
        let (Self::LaunchFailed { then }
        | Self::Ended { then, .. }
        | Self::Judged { then, .. }
        | Self::NotJudged { then }
        | Self::PartFailed { then, .. }) = self
        else {
            return None;
        };
        Some(then)
    }
}

/// From where a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beginning {
    /// From its prompt.
    Prompt,
    /// From where a shutdown interrupted it.
    Shutdown,
    /// From the results of its parts.
    Parts,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RunEnd {
    /// With an answer.
    Finished {
        /// What the agent says of it.
        summary: String,
    },
    /// With a failure.
    Failed {
        /// Which.
        class: FailureClass,
        /// What is known of it.
        detail: String,
    },
    /// It was stopped.
    Cancelled {
        /// Why.
        detail: String,
    },
}

impl RunEnd {
    /// How a run with this outcome ended.
    pub fn from_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Finished { answer } => Self::Finished { summary: answer.summary.clone() },
            Outcome::Failed(failure) => Self::Failed { class: failure.class, detail: failure.detail.clone() },
            Outcome::Cancelled { detail } => Self::Cancelled { detail: detail.clone() },
        }
    }
}

/// What a daemon leaves word of for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// When it left.
    pub at: Timestamp,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Why it left.
    pub why: String,
}

/// How the end of a process was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Death {
    /// It is not among the processes.
    Gone {
        /// How long it has been gone, in seconds.
        seconds: i64,
    },
    /// Something else showed it.
    #[serde(rename = "told")]
    Reported {
        /// The observation.
        why: String,
    },
}

facts! {
    /// The second look at work.
    ReviewFact {
        /// A review is begun.
        "review_asked" Asked {
            /// As this run.
            review: RunId,
        },
        /// The reviewing agent is started.
        "review_started" Started {
            /// Which agent.
            agent: String,
            /// With which model.
            model: Option<String>,
        },
        /// No reviewer is available now.
        "review_postponed" Postponed {
            /// Why.
            detail: String,
            /// Until when.
            until: Timestamp,
        },
        /// A review was made.
        "reviewed" Made {
            /// By whom.
            reviewer: String,
            /// What was decided.
            decision: Decision,
            /// Points that the reviewer notes.
            issues: usize,
            /// The state of the task afterwards.
            then: Standing,
        },
        /// A review came to nothing.
        "review_failed" Failed {
            /// The agent that failed.
            agent: String,
            /// With what.
            class: FailureClass,
            /// The first line of what is known of it.
            detail: String,
            /// The state of the task afterwards.
            then: Standing,
        },
    }
}

impl ReviewFact {
    pub(super) fn standing(&self) -> Option<&Standing> {
        let (Self::Made { then, .. } | Self::Failed { then, .. }) = self else { return None };
        Some(then)
    }
}

facts! {
    /// The way of work to its base branch, and a person's word on it.
    IntegrationFact {
        /// It is where it belongs.
        "done" Done(Landing),
        /// Its merge was taken back.
        "reverted" Reverted {
            /// By this commit.
            commit: Option<String>,
        },
        /// It did not get there.
        "not_integrated" Failed(NotIntegrated),
        /// It is tried again.
        "integration_due" Due,
        /// A person accepts it.
        "approved" Approved {
            /// At this commit.
            commit: String,
            /// Who, where that is known.
            by: Option<String>,
        },
        /// A person wants it merged now.
        "merge_asked" MergeAsked {
            /// At this commit.
            commit: String,
            /// Who, where that is known.
            by: Option<String>,
        },
        /// A person wants its merge taken back.
        "revert_asked" RevertAsked {
            /// Who, where that is known.
            by: Option<String>,
        },
        /// A person sends it back.
        "rejected" Rejected {
            /// Why.
            reason: String,
            /// Who, where that is known.
            by: Option<String>,
        },
    }
}

impl IntegrationFact {
    pub(super) fn standing(&self) -> Option<&Standing> {
        let Self::Failed(NotIntegrated::Stopped { then }) = self else { return None };
        Some(then)
    }
}

/// Where accepted work is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "integration", rename_all = "snake_case")]
pub enum Landing {
    /// On its own branch.
    Kept {
        /// At this commit.
        commit: Option<String>,
    },
    /// In its base branch.
    Merged {
        /// By this commit.
        commit: Option<String>,
        /// Which branch.
        base: Option<String>,
    },
}

/// Why accepted work is not where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum NotIntegrated {
    /// An obstacle is in the way, and it is tried again.
    Waits {
        /// The name of the reason.
        reason: HoldReason,
        /// The first line of what it is.
        detail: String,
    },
    /// The task is in another state now.
    Stopped {
        /// Where.
        then: Standing,
    },
}
