//! The one place that says how a task's state changes. Pure: a task and an event make the next task, or a refusal.
//!
//! Effects are not returned: what must be done follows from the new state (see `effect`), so that the same
//! rule serves the running engine and the one that wakes up after a crash.

use super::event::{Event, IntegrationProblem, LaunchProblem};
use super::evidence::{Evidence, Integration};
use super::ids::RunId;
use super::judge::Verdict;
use super::outcome::{Ending, Failure, Outcome, Side};
use super::retry::{self, Context, Next};
use super::route::RouteResult;
use super::task::{BlockedOn, Conversation, NextRun, ReviewStage, State, Status, StopFor, Task, Workplace};

/// An event that does not fit the task's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Asked for something that this status does not allow.
    #[error("task is {}: {hint}", status.as_str())]
    State {
        /// The present status.
        status: Status,
        /// What is possible instead.
        hint: &'static str,
    },
    /// A report of a run that is not the task's current one: late, or for another state. Recorded and ignored.
    #[error("the event belongs to run {run}, which is not the task's current one")]
    Stale {
        /// The run it speaks of.
        run: RunId,
    },
}

/// The task after `event`.
pub fn step(task: &Task, event: &Event, context: &Context<'_>) -> Result<Task, Refused> {
    let mut next = task.clone();
    match event {
        Event::RouteAsked { run } => on_route_asked(&mut next, run),
        Event::RouteChosen { route, failed } => on_route_chosen(&mut next, route, *failed),
        Event::RouteImpossible { reason } => on_route_impossible(&mut next, reason),
        Event::RoutePostponed { until } => on_route_postponed(&mut next, *until),
        Event::Launched { run } => on_launched(&mut next, run),
        Event::Placed { place } => on_placed(&mut next, place),
        Event::LaunchFailed { run, problem } => on_launch_failed(&mut next, run, problem, context),
        Event::RunEnded { run, agent, ending, outcome } => {
            on_run_ended(&mut next, run, agent, ending, outcome, context)
        }
        Event::Judged { run, verdict, evidence } => on_judged(&mut next, run, verdict, evidence, context),
        Event::Integrated { run, integration } => on_integrated(&mut next, run, integration),
        Event::NotIntegrated { run, problem } => on_not_integrated(&mut next, run, problem, context),
        Event::IntegrationDue => on_integration_due(&mut next),
        Event::CancelAsked { reason } => on_cancel(&mut next, reason),
        Event::InterruptAsked => on_interrupt(&mut next),
        Event::MessageWaits => on_message(&mut next),
        Event::RetryAsked => on_retry(&mut next),
        Event::UnblockAsked => on_unblock(&mut next),
        Event::RunAsked => on_run_asked(&mut next),
        Event::Blocked(on) => on_blocked(&mut next, on),
        Event::Unblocked => on_unblocked(&mut next),
    }?;
    if next != *task {
        next.updated_at = context.now;
    }
    Ok(next)
}

fn refused(task: &Task, hint: &'static str) -> Refused {
    Refused::State { status: task.status(), hint }
}

fn ask(task: &mut Task, question: String) {
    let id = task.id;
    task.run_now = false;
    task.state = State::NeedsReview {
        question,
        choices: vec![
            format!("orch task retry {id}"),
            format!("orch task unblock {id}"),
            format!("orch task cancel {id}"),
        ],
    };
}

fn on_route_asked(task: &mut Task, run: &RunId) -> Result<(), Refused> {
    match &task.state {
        State::New { routing: None, .. } => {
            task.runs += 1;
            task.state = State::New { routing: Some(run.clone()), not_before: None };
            Ok(())
        }
        State::New { routing: Some(_), .. }
        | State::Routed { .. }
        | State::InProgress { .. }
        | State::InReview { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => Err(refused(task, "only a new task is routed")),
    }
}

fn on_route_chosen(task: &mut Task, route: &RouteResult, failed: bool) -> Result<(), Refused> {
    let State::New { .. } = task.state else { return Err(refused(task, "only a new task is routed")) };
    task.route_failures = if failed { task.route_failures + 1 } else { 0 };
    task.route = Some(Box::new(route.clone()));
    task.tier_failures = 0;
    task.state = State::Routed { next: NextRun::Fresh, counts: true, not_before: None };
    Ok(())
}

fn on_route_impossible(task: &mut Task, reason: &str) -> Result<(), Refused> {
    let State::New { .. } = task.state else { return Err(refused(task, "only a new task is routed")) };
    ask(task, reason.to_owned());
    Ok(())
}

fn on_route_postponed(task: &mut Task, until: jiff::Timestamp) -> Result<(), Refused> {
    let State::New { .. } = task.state else { return Err(refused(task, "only a new task is routed")) };
    task.state = State::New { routing: None, not_before: Some(until) };
    Ok(())
}

fn on_launched(task: &mut Task, run: &RunId) -> Result<(), Refused> {
    let State::Routed { next, counts, .. } = &task.state else {
        return Err(refused(task, "only a routed task is started"));
    };
    let (next, counts) = (next.clone(), *counts);
    task.runs += 1;
    task.attempts += u32::from(counts || task.attempts == 0);
    task.state = State::InProgress { run: run.clone(), next, stopping: None };
    Ok(())
}

fn on_placed(task: &mut Task, place: &Workplace) -> Result<(), Refused> {
    task.place = Some(Box::new(place.clone()));
    Ok(())
}

/// The task's run in progress must be `run`.
fn current_run(task: &Task, run: &RunId) -> Result<(NextRun, Option<StopFor>), Refused> {
    match &task.state {
        State::InProgress { run: current, next, stopping } if current == run => Ok((next.clone(), *stopping)),
        State::InProgress { .. }
        | State::New { .. }
        | State::Routed { .. }
        | State::InReview { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => Err(Refused::Stale { run: run.clone() }),
    }
}

fn on_launch_failed(
    task: &mut Task,
    run: &RunId,
    problem: &LaunchProblem,
    context: &Context<'_>,
) -> Result<(), Refused> {
    let (_, stopping) = current_run(task, run)?;
    if let Some(stop) = stopping {
        stopped(task, stop);
        return Ok(());
    }
    // Nothing ran: the attempt is given back, except where the agent itself was tried.
    match problem {
        LaunchProblem::MissingDir(dir) => {
            task.attempts = task.attempts.saturating_sub(1);
            task.state = State::Blocked(BlockedOn::MissingDir { dir: dir.clone() });
        }
        LaunchProblem::Ask(question) => {
            task.attempts = task.attempts.saturating_sub(1);
            ask(task, question.clone());
        }
        LaunchProblem::Failed(failure) => fail(task, failure, context),
    }
    Ok(())
}

fn on_run_ended(
    task: &mut Task,
    run: &RunId,
    agent: &str,
    ending: &Ending,
    outcome: &Outcome,
    context: &Context<'_>,
) -> Result<(), Refused> {
    let (_, stopping) = current_run(task, run)?;
    if let Some(cost) = ending.cost {
        task.cost = Some(task.cost.unwrap_or_default() + cost);
    }
    if let Some(session_id) = &ending.session_id {
        let talk = Conversation { agent: agent.to_owned(), session_id: session_id.clone() };
        task.conversation = Some(Box::new(talk));
    }
    if let Some(stop) = stopping {
        stopped(task, stop);
        return Ok(());
    }
    match outcome {
        Outcome::Finished { answer } => {
            task.provider_failures = 0;
            task.repaired = false;
            task.summary = Some(answer.summary.clone());
            task.state = State::InReview { run: run.clone(), review: ReviewStage::Judging };
        }
        Outcome::Failed(failure) => fail(task, failure, context),
        Outcome::Cancelled { detail } => ask(task, format!("the run was stopped: {detail}")),
    }
    Ok(())
}

fn stopped(task: &mut Task, stop: StopFor) {
    match stop {
        StopFor::Cancel => task.state = State::Cancelled { reason: "cancelled while it ran".to_owned() },
        StopFor::Retry => begin_again(task),
        StopFor::Interrupt => interrupted(task),
    }
}

/// Waits for the person's word, with which the conversation goes on.
fn interrupted(task: &mut Task) {
    let id = task.id;
    ask(
        task,
        format!(
            "interrupted by you; `orch task send {id} \"…\"` goes on in the same conversation, `orch task retry {id}` \
             begins again"
        ),
    );
    if let State::NeedsReview { choices, .. } = &mut task.state {
        choices.insert(0, format!("orch task send {id} \"go on\""));
    }
}

/// Back to the beginning. The branch and what is on it stay.
fn begin_again(task: &mut Task) {
    task.state = State::NEW;
    task.route_failures = 0;
    task.attempts = 0;
    task.provider_failures = 0;
    task.conflicts = 0;
    task.repaired = false;
    task.tier_failures = 0;
    task.last_failure = None;
    task.conversation = None;
    task.integration = None;
    task.evidence = None;
}

/// Applies the retry rules to a failed run.
fn fail(task: &mut Task, failure: &Failure, context: &Context<'_>) {
    let next = retry::after_failure(task, failure, context);
    count_failure(task, failure);
    task.last_failure = Some(Box::new(failure.clone()));
    match next {
        Next::Ask { question } => ask(task, question),
        Next::Again { run, counts, route, not_before } => {
            if let Some(route) = route {
                let moved_up = task.route.as_ref().is_some_and(|r| r.complexity != route.complexity);
                if moved_up {
                    task.tier_failures = 0;
                }
                task.conversation = None;
                task.route = Some(route);
            }
            task.state = State::Routed { next: run, counts, not_before };
        }
    }
}

fn count_failure(task: &mut Task, failure: &Failure) {
    use super::outcome::FailureClass as C;
    match failure.class.side() {
        Side::Provider => task.provider_failures += 1,
        Side::Quality | Side::Process => {
            task.provider_failures = 0;
            if failure.class == C::Malformed && !task.repaired && task.conversation.is_some() {
                task.repaired = true;
            } else if failure.class == C::SessionLost {
                task.conversation = None;
            } else if failure.class == C::Conflict {
                task.conflicts += 1;
            } else {
                task.repaired = false;
                task.tier_failures += 1;
            }
        }
    }
}

/// The run under judgement must be `run`.
fn reviewed_run(task: &Task, run: &RunId) -> Result<ReviewStage, Refused> {
    match &task.state {
        State::InReview { run: current, review } if current == run => Ok(review.clone()),
        State::InReview { .. }
        | State::New { .. }
        | State::Routed { .. }
        | State::InProgress { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => Err(Refused::Stale { run: run.clone() }),
    }
}

fn on_judged(
    task: &mut Task,
    run: &RunId,
    verdict: &Verdict,
    evidence: &Evidence,
    context: &Context<'_>,
) -> Result<(), Refused> {
    let ReviewStage::Judging = reviewed_run(task, run)? else { return Err(Refused::Stale { run: run.clone() }) };
    task.evidence = Some(Box::new(evidence.clone()));
    match verdict {
        Verdict::Accept => {
            task.state = State::InReview { run: run.clone(), review: ReviewStage::Integrating { waiting: None } };
        }
        Verdict::Fail(failure) => fail(task, failure, context),
        Verdict::Ask { question } => ask(task, question.clone()),
    }
    Ok(())
}

fn on_integrated(task: &mut Task, run: &RunId, integration: &Integration) -> Result<(), Refused> {
    reviewed_run(task, run)?;
    task.integration = Some(Box::new(integration.clone()));
    task.last_failure = None;
    task.run_now = false;
    task.state = State::Done;
    Ok(())
}

fn on_not_integrated(
    task: &mut Task,
    run: &RunId,
    problem: &IntegrationProblem,
    context: &Context<'_>,
) -> Result<(), Refused> {
    reviewed_run(task, run)?;
    match problem {
        IntegrationProblem::Work(failure) => fail(task, failure, context),
        IntegrationProblem::Wait(wait) => {
            task.state =
                State::InReview { run: run.clone(), review: ReviewStage::Integrating { waiting: Some(wait.clone()) } };
        }
        IntegrationProblem::Ask(question) => ask(task, question.clone()),
    }
    Ok(())
}

fn on_integration_due(task: &mut Task) -> Result<(), Refused> {
    let State::InReview { review: ReviewStage::Integrating { waiting }, .. } = &mut task.state else {
        return Err(refused(task, "only an accepted task is integrated"));
    };
    *waiting = None;
    Ok(())
}

fn on_cancel(task: &mut Task, reason: &str) -> Result<(), Refused> {
    match &mut task.state {
        State::InProgress { stopping, .. } => {
            *stopping = Some(StopFor::Cancel);
            Ok(())
        }
        State::Done => Err(refused(task, "it is finished; `orch task retry` does it again")),
        State::Cancelled { .. } => Ok(()),
        State::New { .. }
        | State::Routed { .. }
        | State::InReview { .. }
        | State::Blocked(_)
        | State::NeedsReview { .. } => {
            task.run_now = false;
            task.state = State::Cancelled { reason: reason.to_owned() };
            Ok(())
        }
    }
}

fn on_interrupt(task: &mut Task) -> Result<(), Refused> {
    match &mut task.state {
        State::InProgress { stopping: stopping @ None, .. } => {
            *stopping = Some(StopFor::Interrupt);
            Ok(())
        }
        State::InProgress { stopping: Some(StopFor::Interrupt), .. } => Ok(()),
        State::InProgress { stopping: Some(StopFor::Cancel | StopFor::Retry), .. } => {
            Err(refused(task, "its run is being stopped already"))
        }
        State::New { .. }
        | State::Routed { .. }
        | State::InReview { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => Err(refused(task, "no agent works on it that could be interrupted")),
    }
}

/// The next run begins with the message. It goes on with the last attempt: the person is in the room.
fn on_message(task: &mut Task) -> Result<(), Refused> {
    match &task.state {
        State::NeedsReview { .. } | State::InReview { review: ReviewStage::Integrating { .. }, .. } => {
            task.provider_failures = 0;
            task.repaired = false;
            task.state = match task.route {
                Some(_) => State::Routed { next: NextRun::Said, counts: false, not_before: None },
                None => State::NEW,
            };
            Ok(())
        }
        State::New { .. }
        | State::Routed { .. }
        | State::InProgress { .. }
        | State::InReview { review: ReviewStage::Judging, .. }
        | State::Done
        | State::Blocked(_)
        | State::Cancelled { .. } => Err(refused(task, "the message goes with its next run")),
    }
}

fn on_retry(task: &mut Task) -> Result<(), Refused> {
    match &mut task.state {
        State::InProgress { stopping, .. } => {
            *stopping = Some(StopFor::Retry);
            Ok(())
        }
        State::InReview { .. } => Err(refused(task, "its result is being checked; wait, or cancel it first")),
        State::New { .. }
        | State::Routed { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => {
            begin_again(task);
            Ok(())
        }
    }
}

fn on_unblock(task: &mut Task) -> Result<(), Refused> {
    match &task.state {
        State::Blocked(_) | State::NeedsReview { .. } => {
            let conversation = task.conversation.take();
            begin_again(task);
            task.conversation = conversation;
            Ok(())
        }
        State::New { .. }
        | State::Routed { .. }
        | State::InProgress { .. }
        | State::InReview { .. }
        | State::Done
        | State::Cancelled { .. } => Err(refused(task, "only blocked and needs_review tasks are unblocked")),
    }
}

fn on_run_asked(task: &mut Task) -> Result<(), Refused> {
    match &mut task.state {
        State::New { not_before, .. } | State::Routed { not_before, .. } => {
            *not_before = None;
            task.run_now = true;
            Ok(())
        }
        State::InReview { review: ReviewStage::Integrating { waiting }, .. } => {
            *waiting = None;
            Ok(())
        }
        State::InProgress { .. } | State::InReview { review: ReviewStage::Judging, .. } => Ok(()),
        State::Blocked(_) => Err(refused(task, "it waits on something; `orch why` tells on what")),
        State::NeedsReview { .. } => Err(refused(task, "a person must decide first; `orch task unblock` sends it on")),
        State::Done => Err(refused(task, "it is finished; `orch task retry` does it again")),
        State::Cancelled { .. } => Err(refused(task, "it was given up; `orch task retry` takes it up again")),
    }
}

fn on_blocked(task: &mut Task, on: &BlockedOn) -> Result<(), Refused> {
    match &task.state {
        State::New { routing: None, .. } | State::Routed { .. } | State::Blocked(_) => {
            task.state = State::Blocked(on.clone());
            Ok(())
        }
        State::New { routing: Some(_), .. }
        | State::InProgress { .. }
        | State::InReview { .. }
        | State::Done
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => Err(refused(task, "only a waiting task can be blocked")),
    }
}

fn on_unblocked(task: &mut Task) -> Result<(), Refused> {
    let State::Blocked(_) = task.state else { return Err(refused(task, "only a blocked task is unblocked")) };
    task.state = State::NEW;
    Ok(())
}

#[cfg(test)]
mod tests;
