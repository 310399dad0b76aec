//! The words of the history: what an event did to a task, in a line. Decides nothing.

use crate::domain::event::Event;
use crate::domain::evidence::IntegrationState;
use crate::domain::ids::RunId;
use crate::domain::outcome::Outcome;
use crate::domain::task::{State, Task};

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
        Event::RoutePostponed { until } => ("route_postponed", format!("the router is asked again at {until}")),
        Event::Launched { .. } => ("run_launched", format!("attempt {} begins", after.attempts)),
        Event::Placed { place } => ("placed", format!("{} in {}", place.branch, place.worktree.display())),
        Event::LaunchFailed { .. } => ("launch_failed", then()),
        Event::RunEnded { outcome, .. } => ("run_ended", format!("{}; {}", ended(outcome), then())),
        Event::Judged { evidence, .. } => {
            let seen = format!(
                "{} commits, +{} −{} in {} files",
                evidence.commits.len(),
                evidence.insertions,
                evidence.deletions,
                evidence.files
            );
            ("judged", format!("{seen}; {}", then()))
        }
        Event::Integrated { integration, .. } => {
            let commit = integration.commit.as_deref().map(|c| c.get(..10).unwrap_or(c)).unwrap_or("nothing");
            match integration.state {
                IntegrationState::Kept => ("done", format!("{commit} is kept on its branch")),
                IntegrationState::Merged => ("done", format!("merged as {commit}")),
            }
        }
        Event::NotIntegrated { .. } => ("not_integrated", then()),
        Event::IntegrationDue => ("integration_due", "trying to integrate again".to_owned()),
        Event::CancelAsked { reason } => ("cancel_asked", reason.clone()),
        Event::InterruptAsked => ("interrupt_asked", "a person interrupts the agent".to_owned()),
        Event::MessageWaits => ("goes_on", format!("{} → {}, with a message", before.status().as_str(), then())),
        Event::RetryAsked => ("retry_asked", format!("{} → {}", before.status().as_str(), then())),
        Event::UnblockAsked => ("unblock_asked", format!("{} → {}", before.status().as_str(), then())),
        Event::RunAsked => ("run_asked", "a person wants it to run now".to_owned()),
        Event::Blocked(_) => ("blocked", "waits for other work".to_owned()),
        Event::Unblocked => ("unblocked", "what it waited for is there".to_owned()),
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
        | Event::Integrated { run, .. }
        | Event::NotIntegrated { run, .. } => Some(run.clone()),
        Event::RouteChosen { .. }
        | Event::RouteImpossible { .. }
        | Event::RoutePostponed { .. }
        | Event::Placed { .. }
        | Event::IntegrationDue
        | Event::CancelAsked { .. }
        | Event::InterruptAsked
        | Event::MessageWaits
        | Event::RetryAsked
        | Event::UnblockAsked
        | Event::RunAsked
        | Event::Blocked(_)
        | Event::Unblocked => None,
    }
}
