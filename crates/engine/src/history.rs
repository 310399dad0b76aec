//! The words of the history: what an event did to a task, in a line. Decides nothing.

use orch_core::count;
use orch_core::event::{Event, IntegrationProblem};
use orch_core::evidence::IntegrationState;
use orch_core::ids::{RunId, TaskId};
use orch_core::outcome::Outcome;
use orch_core::review_decision::{ReviewDecision, short};
use orch_core::task::{NextRun, State, Task};
use orch_core::time::to_the_second;

/// The stable kind and the text of the history's line for `event`.
pub fn describe(before: &Task, event: &Event, after: &Task) -> (&'static str, String) {
    let then = || standing(after);
    match event {
        Event::RouteAsked { .. } => ("route_asked", "asking the router".to_owned()),
        Event::RouteChosen { route, .. } => {
            let model = route.model.as_deref().map(|m| format!("/{m}")).unwrap_or_default();
            let warning = route.warning.as_deref().map(|w| format!(" (warning: {w})")).unwrap_or_default();
            ("routed", format!("{}{model}, {}: {}{warning}", route.agent, route.complexity, route.reason))
        }
        Event::RouteImpossible { reason } => ("route_impossible", reason.clone()),
        Event::ModelRefused { reason } => ("model_refused", reason.clone()),
        Event::ProviderRests { .. } => ("rerouted", rerouted(after)),
        Event::RoutePostponed { until } => {
            ("route_postponed", format!("the router is asked again at {}", to_the_second(*until)))
        }
        Event::Launched { .. } => ("run_launched", launched(before, after)),
        Event::Placed { place } => ("placed", format!("{} in {}", place.branch, place.worktree.display())),
        Event::LaunchFailed { .. } => ("launch_failed", then()),
        Event::RunEnded { outcome, .. } => ("run_ended", format!("{}; {}", ended(outcome), then())),
        Event::Judged { evidence, .. } => {
            let seen = evidence.accepted.clone().unwrap_or_else(|| {
                let (commits, files) =
                    (count::plural(evidence.commits.len(), "commit"), count::plural(evidence.files, "file"));
                format!("{commits}, +{} −{} in {files}", evidence.insertions, evidence.deletions)
            });
            ("judged", format!("{seen}; {}", then()))
        }
        Event::NotJudged { .. } => ("not_judged", then()),
        Event::ReviewAsked { review, .. } => ("review_asked", format!("as run {review}")),
        Event::ReviewPostponed { wait, .. } => {
            ("review_postponed", format!("{}; again at {}", wait.detail, to_the_second(wait.until)))
        }
        Event::Reviewed { review, .. } => ("reviewed", format!("{}; {}", review.summary(), then())),
        Event::ReviewFailed { agent, failure, .. } => {
            ("review_failed", format!("{agent}: {}: {}; {}", failure.class, first_line(&failure.detail), then()))
        }
        Event::HandedOn { made, awaited, .. } => ("handed_on", handed_on(made, awaited)),
        Event::PartFailed { .. } => ("part_failed", then()),
        Event::Integrated { integration, .. } => {
            let commit = integration.commit.as_deref().map(|c| c.get(..10).unwrap_or(c)).unwrap_or("nothing");
            match integration.state {
                IntegrationState::Kept => ("done", format!("{commit} is kept on its branch")),
                IntegrationState::Merged => {
                    let base = after.place.as_ref().map(|place| format!(" into {}", place.base_branch));
                    ("done", format!("merged{} as {commit}", base.unwrap_or_default()))
                }
                IntegrationState::Reverted => ("reverted", format!("its merge was taken back by {commit}")),
            }
        }
        Event::NotIntegrated { problem: IntegrationProblem::Wait(wait), .. } => {
            ("not_integrated", format!("waits: {}", first_line(&wait.detail)))
        }
        Event::NotIntegrated { .. } => ("not_integrated", then()),
        Event::IntegrationDue => ("integration_due", "trying to integrate again".to_owned()),
        Event::Ruled { ruling, by, .. } => ruled(ruling, by.as_deref()),
        Event::CancelAsked { reason } => ("cancel_asked", reason.clone()),
        Event::ShutdownAsked => ("shutdown_asked", "orch shuts down: the agent is interrupted".to_owned()),
        Event::InterruptAsked => ("interrupt_asked", "a person interrupts the agent".to_owned()),
        Event::MessageWaits => ("goes_on", format!("{} → {}, with a message", before.status().as_str(), then())),
        Event::RetryAsked => ("retry_asked", format!("{} → {}", before.status().as_str(), then())),
        Event::UnblockAsked => ("unblock_asked", format!("{} → {}", before.status().as_str(), then())),
        Event::RunAsked { past_pause: false } => ("run_asked", "a person wants it to run now".to_owned()),
        Event::RunAsked { past_pause: true } => ("run_asked", "a person wants it to run now, paused or not".to_owned()),
        Event::Blocked(_) => ("blocked", "waits for other work".to_owned()),
        Event::Unblocked => ("unblocked", "what it waited for is there".to_owned()),
        Event::WaitsForItself(_) => ("waits_for_itself", then()),
    }
}

fn ruled(ruling: &ReviewDecision, by: Option<&str>) -> (&'static str, String) {
    let who = by.map_or_else(|| "a person".to_owned(), |by| format!("a person ({by})"));
    match ruling {
        ReviewDecision::Approve { commit } => ("approved", format!("{who} accepts it as it is at {}", short(commit))),
        ReviewDecision::Merge { commit } => ("merge_asked", format!("{who} wants {} merged now", short(commit))),
        ReviewDecision::Revert => ("revert_asked", format!("{who} wants its merge taken back")),
        ReviewDecision::Reject { reason } => ("rejected", format!("{who} sends it back: {}", first_line(reason))),
    }
}

/// Who does it now, in place of one that is left alone.
fn rerouted(after: &Task) -> String {
    let Some(route) = &after.route else { return String::new() };
    let model = route.model.as_ref().map(|model| format!("/{model}")).unwrap_or_default();
    format!("{}{model}: {}", route.agent, route.reason)
}

fn launched(before: &Task, after: &Task) -> String {
    match &before.state {
        State::Routed { next: NextRun::Resumed { .. }, .. } => {
            format!("attempt {} goes on where the shutdown of orch interrupted it", after.attempts)
        }
        State::Routed { next: NextRun::Parts, .. } => {
            format!("attempt {} goes on with what became of its parts", after.attempts)
        }
        State::Routed { .. }
        | State::New { .. }
        | State::InProgress { .. }
        | State::InReview { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => format!("attempt {} begins", after.attempts),
    }
}

fn handed_on(made: &[TaskId], awaited: &[TaskId]) -> String {
    let named = |tasks: &[TaskId]| tasks.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(", ");
    match made {
        [] => format!("its work is good, and waits for open parts: {}", named(awaited)),
        _ => format!("hands work on to {}; waits for {}", named(made), named(awaited)),
    }
}

fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Finished { answer } => format!("the agent reports: {}", answer.summary),
        Outcome::Failed(failure) => format!("{}: {}", failure.class, failure.detail),
        Outcome::Cancelled { detail } => format!("stopped: {detail}"),
    }
}

fn standing(task: &Task) -> String {
    match &task.state {
        State::NeedsReview { question, .. } => format!("needs_review: {question}"),
        State::Routed { next: NextRun::Resumed { .. }, .. } => "goes on when orch is back".to_owned(),
        State::Routed { .. } => match &task.last_failure {
            Some(failure) => format!("again after {}: {}", failure.class, first_line(&failure.detail)),
            None => "routed".to_owned(),
        },
        State::Cancelled { reason } => format!("cancelled: {reason}"),
        State::New { .. } | State::InProgress { .. } | State::InReview { .. } | State::Done | State::Blocked(_) => {
            task.status().as_str().to_owned()
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The run an event speaks of.
pub fn run_of(event: &Event) -> Option<RunId> {
    match event {
        Event::RouteAsked { run }
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
        | Event::NotIntegrated { run, .. } => Some(run.clone()),
        Event::RouteChosen { .. }
        | Event::RouteImpossible { .. }
        | Event::ModelRefused { .. }
        | Event::RoutePostponed { .. }
        | Event::ProviderRests { .. }
        | Event::Placed { .. }
        | Event::IntegrationDue
        | Event::CancelAsked { .. }
        | Event::InterruptAsked
        | Event::ShutdownAsked
        | Event::MessageWaits
        | Event::RetryAsked
        | Event::UnblockAsked
        | Event::RunAsked { .. }
        | Event::Blocked(_)
        | Event::Unblocked
        | Event::PartFailed { .. }
        | Event::WaitsForItself(_) => None,
    }
}
