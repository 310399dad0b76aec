//! What the history records of an event that happened to a task. Decides nothing.

use orch_core::audit::history::{
    Beginning, Choice, Fact, IntegrationFact, Landing, NotIntegrated, ReviewFact, RouteFact, RunEnd, RunFact, Standing,
    TaskFact,
};
use orch_core::base::ids::RunId;
use orch_core::tasks::event::{Event, IntegrationProblem};
use orch_core::tasks::evidence::{Integration, IntegrationState};
use orch_core::tasks::review_decision::ReviewDecision;
use orch_core::tasks::task::{NextRun, State, Task};

/// Returns the fact of an event that brought a task from `before` to `after`.
pub fn fact_of(before: &Task, event: &Event, after: &Task) -> Fact {
    let then = || Standing::from_task(after);
    match event {
        Event::RouteAsked { .. } => RouteFact::Asked.into(),
        Event::RouteChosen { route, .. } => RouteFact::Chosen(Choice::from_route(route)).into(),
        Event::RouteImpossible { reason } => RouteFact::Impossible { reason: reason.clone() }.into(),
        Event::ModelRefused { reason } => RouteFact::ModelRefused { reason: reason.clone() }.into(),
        Event::ProviderRests { class } => {
            RouteFact::Rerouted { class: *class, choice: after.route.as_deref().map(Choice::from_route) }.into()
        }
        Event::RoutePostponed { until } => RouteFact::Postponed { until: *until }.into(),
        Event::Launched { .. } => {
            RunFact::Launched { attempt: after.progress.attempts, from: beginning(before) }.into()
        }
        Event::Placed { place } => {
            RunFact::Placed { branch: place.branch.clone(), worktree: place.worktree.clone() }.into()
        }
        Event::LaunchFailed { .. } => RunFact::LaunchFailed { then: then() }.into(),
        Event::RunEnded { outcome, .. } => RunFact::Ended { end: RunEnd::from_outcome(outcome), then: then() }.into(),
        Event::Judged { evidence, .. } => RunFact::Judged {
            accepted: evidence.accepted.clone(),
            commits: evidence.commits.len(),
            files: evidence.files,
            insertions: evidence.insertions,
            deletions: evidence.deletions,
            then: then(),
        }
        .into(),
        Event::NotJudged { .. } => RunFact::NotJudged { then: then() }.into(),
        Event::HandedOn { made, awaited, .. } => {
            RunFact::HandedOn { made: made.clone(), awaited: awaited.clone() }.into()
        }
        Event::PartFailed { part, .. } => RunFact::PartFailed { part: *part, then: then() }.into(),
        Event::ReviewAsked { review, .. } => ReviewFact::Asked { review: review.clone() }.into(),
        Event::ReviewPostponed { wait, .. } => {
            ReviewFact::Postponed { detail: wait.detail.clone(), until: wait.until }.into()
        }
        Event::Reviewed { review, .. } => {
            let (reviewer, decision, issues) = (review.reviewer(), review.decision, review.issues.len());
            ReviewFact::Made { reviewer, decision, issues, then: then() }.into()
        }
        Event::ReviewFailed { agent, failure, .. } => {
            let (agent, class, detail) = (agent.clone(), failure.class, first_line(&failure.detail));
            ReviewFact::Failed { agent, class, detail, then: then() }.into()
        }
        Event::Integrated { integration, .. } => integrated(integration, after),
        Event::NotIntegrated { problem, .. } => not_integrated(problem, after),
        Event::IntegrationDue => IntegrationFact::Due.into(),
        Event::Ruled { ruling, by, .. } => ruled(ruling, by.clone()),
        Event::CancelAsked { reason } => TaskFact::CancelAsked { reason: reason.clone() }.into(),
        Event::ShutdownAsked => TaskFact::ShutdownAsked.into(),
        Event::InterruptAsked => TaskFact::InterruptAsked.into(),
        Event::MessageWaits => TaskFact::GoesOn { before: before.status(), then: then() }.into(),
        Event::RetryAsked => TaskFact::RetryAsked { before: before.status(), then: then() }.into(),
        Event::UnblockAsked => TaskFact::UnblockAsked { before: before.status(), then: then() }.into(),
        Event::RunAsked { past_pause } => TaskFact::RunAsked { past_pause: *past_pause }.into(),
        Event::Blocked(on) => TaskFact::Blocked(on.clone()).into(),
        Event::Unblocked => TaskFact::Unblocked.into(),
        Event::WaitsForItself(cycle) => TaskFact::WaitsForItself { cycle: cycle.clone(), then: then() }.into(),
    }
}

fn integrated(integration: &Integration, after: &Task) -> Fact {
    let commit = integration.commit.clone();
    match integration.state {
        IntegrationState::Kept => IntegrationFact::Done(Landing::Kept { commit }).into(),
        IntegrationState::Merged => {
            let base = after.place.as_ref().map(|place| place.base_branch.clone());
            IntegrationFact::Done(Landing::Merged { commit, base }).into()
        }
        IntegrationState::Reverted => IntegrationFact::Reverted { commit }.into(),
    }
}

fn not_integrated(problem: &IntegrationProblem, after: &Task) -> Fact {
    let how = if let IntegrationProblem::Wait(wait) = problem {
        NotIntegrated::Waits { reason: wait.reason, detail: first_line(&wait.detail) }
    } else {
        NotIntegrated::Stopped { then: Standing::from_task(after) }
    };
    IntegrationFact::Failed(how).into()
}

fn ruled(ruling: &ReviewDecision, by: Option<String>) -> Fact {
    let fact = match ruling.clone() {
        ReviewDecision::Approve { commit } => IntegrationFact::Approved { commit, by },
        ReviewDecision::Merge { commit } => IntegrationFact::MergeAsked { commit, by },
        ReviewDecision::Revert => IntegrationFact::RevertAsked { by },
        ReviewDecision::Reject { reason } => IntegrationFact::Rejected { reason, by },
    };
    fact.into()
}

fn beginning(before: &Task) -> Beginning {
    let State::Routed { next, .. } = &before.state else { return Beginning::Prompt };
    if matches!(next, NextRun::Resumed { .. }) {
        Beginning::Shutdown
    } else if *next == NextRun::Parts {
        Beginning::Parts
    } else {
        Beginning::Prompt
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Returns the run an event speaks of.
pub fn run_of(event: &Event) -> Option<RunId> {
    if let Event::RouteAsked { run }
    | Event::Launched { run }
    | Event::LaunchFailed { run, .. }
    | Event::RunEnded { run, .. }
    | Event::Judged { run, .. }
    | Event::NotJudged { run, .. }
    | Event::ReviewAsked { run, .. }
    | Event::ReviewPostponed { run, .. }
    | Event::Reviewed { run, .. }
    | Event::ReviewFailed { run, .. }
    | Event::HandedOn { run, .. }
    | Event::Integrated { run, .. }
    | Event::Ruled { run, .. }
    | Event::NotIntegrated { run, .. } = event
    {
        Some(run.clone())
    } else {
        None
    }
}
