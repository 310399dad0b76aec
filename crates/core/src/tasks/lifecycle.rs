//! The only place where a task's state changes. PURE: a task and an event give the next task or a refusal.
//!
//! Effects are not returned: they follow from the new state (see `effect`), so that the running engine and one that
//! restarts after a crash use the same rule.

mod asked;
mod decided;
mod parts;
mod reviewed;
mod routed;
mod step_again;
mod waiting;

use super::event::{Event, IntegrationProblem, LaunchProblem};
use super::evidence::{Evidence, Integration, IntegrationState};
use super::judge::Verdict;
use super::model_policy;
use super::outcome::{Ending, Failure, FailureClass, Outcome, Side};
use super::question::{QuestionKind, choices};
use super::retry::{self, Context, Move, Next};
use super::review::Reviewers;
use super::task::{BlockedOn, Conversation, NextRun, OrderKind, ReviewStage, State, Status, StopFor, Task, Workplace};
use crate::base::external::ExternalFailure;
use crate::base::ids::RunId;

/// An event that does not fit the task's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The task's status does not allow the request.
    #[error("task is {}: {hint}", status.as_str())]
    State {
        /// The present status.
        status: Status,
        /// What is possible instead, as a phrase.
        hint: &'static str,
    },
    /// A report of a run that is not the task's current one: late, or for another state. Recorded and ignored.
    #[error("the event belongs to run {run}, which is not the task's current one")]
    Stale {
        /// The run of the event.
        run: RunId,
    },
}

/// Returns the task after `event`.
pub fn step(task: &Task, event: &Event, context: &Context<'_>) -> Result<Task, Refused> {
    let mut next = task.clone();
    match event {
        Event::RouteAsked { run } => routed::on_asked(&mut next, run),
        Event::RouteChosen { route, failed } => routed::on_chosen(&mut next, route, *failed),
        Event::RouteImpossible { reason } => routed::on_impossible(&mut next, reason),
        Event::ModelRefused { reason } => routed::on_model_refused(&mut next, reason),
        Event::ProviderRests { class } => routed::on_provider_cooldown(&mut next, *class, context),
        Event::RoutePostponed { until } => routed::on_postponed(&mut next, *until),
        Event::Launched { run } => on_launched(&mut next, run),
        Event::Placed { place } => on_placed(&mut next, place),
        Event::LaunchFailed { run, problem } => on_launch_failed(&mut next, run, problem, context),
        Event::RunEnded { run, agent, model, ending, outcome } => {
            on_run_ended(&mut next, run, agent, model.as_deref(), ending, outcome, context)
        }
        Event::Judged { run, verdict, evidence, reviewers } => {
            on_judged(&mut next, run, verdict, evidence, *reviewers, context)
        }
        Event::NotJudged { run, failure } => on_not_judged(&mut next, run, failure),
        Event::HandedOn { run, evidence, made, awaited } => {
            parts::on_handed_on(&mut next, run, evidence, made, awaited)
        }
        Event::PartFailed { part, why, is_given_up } => parts::on_part_failed(&mut next, *part, why, *is_given_up),
        Event::ReviewAsked { run, review } => reviewed::on_asked(&mut next, run, review),
        Event::ReviewPostponed { run, wait } => reviewed::on_postponed(&mut next, run, wait),
        Event::Reviewed { run, review } => reviewed::on_reviewed(&mut next, run, review, context),
        Event::ReviewFailed { run, agent, failure, is_last } => {
            reviewed::on_failed(&mut next, run, agent, failure, *is_last)
        }
        Event::Integrated { run, integration } => on_integrated(&mut next, run, integration),
        Event::NotIntegrated { run, problem } => on_not_integrated(&mut next, run, problem, context),
        Event::IntegrationDue => on_integration_due(&mut next),
        Event::Ruled { run, ruling, .. } => decided::on_decided(&mut next, run, ruling, context.now),
        Event::CancelAsked { reason } => asked::on_cancel(&mut next, reason),
        Event::InterruptAsked => asked::on_interrupt(&mut next),
        Event::ShutdownAsked => asked::on_shutdown(&mut next),
        Event::MessageWaits => asked::on_message(&mut next),
        Event::RetryAsked => asked::on_retry(&mut next),
        Event::UnblockAsked => asked::on_unblock(&mut next),
        Event::RunAsked { past_pause } => asked::on_run_asked(&mut next, *past_pause),
        Event::Blocked(on) => waiting::on_blocked(&mut next, on),
        Event::Unblocked => waiting::on_unblocked(&mut next),
        Event::WaitsForItself(cycle) => waiting::on_cycle(&mut next, cycle),
    }?;
    if !matches!(next.state, State::NeedsReview { .. }) {
        next.resume_at = None;
    }
    if next != *task {
        next.updated_at = context.now;
    }
    Ok(next)
}

fn refused(task: &Task, hint: &'static str) -> Refused {
    Refused::State { status: task.status(), hint }
}

/// Asks a person, with the commands for this kind of question.
fn ask(task: &mut Task, kind: QuestionKind, question: String) {
    let choices = choices(task.id, kind, task.has_judged_work());
    ask_with(task, kind, question, choices);
}

fn ask_with(task: &mut Task, kind: QuestionKind, question: String, choices: Vec<String>) {
    task.clear_run_now();
    task.resume_at = None;
    task.state = State::NeedsReview { kind, question, choices };
}

/// Asks a person, with `first` before the commands for this kind of question.
fn ask_first(task: &mut Task, kind: QuestionKind, question: String, first: String) {
    let mut offered = choices(task.id, kind, task.has_judged_work());
    offered.retain(|choice| *choice != first);
    offered.insert(0, first);
    ask_with(task, kind, question, offered);
}

/// Returns the kind of orch's own question about work: ready for review if there is judged work.
fn kind_of_work(task: &Task, otherwise: QuestionKind) -> QuestionKind {
    if task.has_judged_work() { QuestionKind::Ready } else { otherwise }
}

fn on_launched(task: &mut Task, run: &RunId) -> Result<(), Refused> {
    let State::Routed { next, counts, .. } = &task.state else {
        return Err(refused(task, "only a routed task is started"));
    };
    let (next, counts) = (next.clone(), *counts);
    task.runs += 1;
    task.next_model = None;
    if task.is_merged() {
        // The new run's work is not merged yet.
        task.integration = None;
    }
    task.attempts += u32::from(counts || task.attempts == 0);
    task.state = State::InProgress { run: run.clone(), next, stopping: None };
    Ok(())
}

fn on_placed(task: &mut Task, place: &Workplace) -> Result<(), Refused> {
    task.place = Some(Box::new(place.clone()));
    Ok(())
}

/// Returns how `run` was started and why it is being stopped, if it is the task's run in progress.
fn current_run(task: &Task, run: &RunId) -> Result<(NextRun, Option<StopFor>), Refused> {
    if let State::InProgress { run: current, next, stopping } = &task.state
        && current == run
    {
        return Ok((next.clone(), *stopping));
    }
    Err(Refused::Stale { run: run.clone() })
}

fn on_launch_failed(
    task: &mut Task,
    run: &RunId,
    problem: &LaunchProblem,
    context: &Context<'_>,
) -> Result<(), Refused> {
    let (next, stopping) = current_run(task, run)?;
    if let Some(stop) = stopping {
        stopped(task, stop, next);
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
            ask(task, QuestionKind::Setup, question.clone());
        }
        LaunchProblem::Setup(question) => {
            task.attempts = task.attempts.saturating_sub(1);
            let id = task.id;
            let choices = vec![format!("orch task log {id} --setup"), format!("orch task unblock {id}")];
            ask_with(task, QuestionKind::Setup, question.clone(), choices);
        }
        LaunchProblem::PutBack(question) => {
            task.attempts = task.attempts.saturating_sub(1);
            step_again::ask_to_put_back(task, question, State::Routed { next, counts: true, not_before: None });
        }
        LaunchProblem::Failed(failure) => fail(task, failure, context),
        LaunchProblem::External(failure) | LaunchProblem::BaseAway(failure) => {
            // The same attempt begins when the step succeeds.
            task.attempts = task.attempts.saturating_sub(1);
            let resume_at = State::Routed { next, counts: true, not_before: None };
            step_again::ask_about_step(task, "the start of its agent", failure, resume_at);
        }
    }
    Ok(())
}

fn on_run_ended(
    task: &mut Task,
    run: &RunId,
    agent: &str,
    model: Option<&str>,
    ending: &Ending,
    outcome: &Outcome,
    context: &Context<'_>,
) -> Result<(), Refused> {
    let (next, stopping) = current_run(task, run)?;
    if let Some(cost) = ending.cost {
        task.cost = Some(task.cost.unwrap_or_default() + cost);
    }
    // A conversation that could not be resumed is not kept, whatever session id the CLI reports.
    let was_lost = matches!(outcome, Outcome::Failed(failure) if failure.class == FailureClass::SessionLost);
    if let Some(session_id) = ending.session_id.as_ref().filter(|_| !was_lost) {
        let (agent, model) = (agent.to_owned(), model.map(str::to_owned));
        let talk = Conversation { agent, session_id: session_id.clone(), model };
        task.conversation = Some(Box::new(talk));
    }
    // A run that ended by itself before the shutdown reached it counts with its own result.
    if let Some(stop) = stopping.filter(|stop| *stop != StopFor::Shutdown || was_stopped_early(outcome)) {
        stopped(task, stop, next);
        return Ok(());
    }
    match outcome {
        Outcome::Finished { answer } => {
            task.provider_failures = 0;
            task.repaired = false;
            task.summary = Some(answer.summary.clone());
            parts::clear_awaited(task);
            task.state = State::InReview { run: run.clone(), review: ReviewStage::Judging };
        }
        Outcome::Failed(failure) => fail(task, failure, context),
        Outcome::Cancelled { detail } => ask(task, QuestionKind::Failed, format!("the run was stopped: {detail}")),
    }
    Ok(())
}

fn was_stopped_early(outcome: &Outcome) -> bool {
    use super::outcome::FailureClass as C;
    match outcome {
        Outcome::Cancelled { .. } => true,
        Outcome::Failed(failure) => matches!(failure.class, C::Killed | C::Crashed),
        Outcome::Finished { .. } => false,
    }
}

/// Applies `stop` to a task whose run has ended; `started_as` is how that run was started.
fn stopped(task: &mut Task, stop: StopFor, started_as: NextRun) {
    match stop {
        StopFor::Cancel => {
            task.clear_run_now();
            task.state = State::Cancelled { reason: "cancelled while it ran".to_owned() };
        }
        StopFor::Retry => restart(task),
        StopFor::Interrupt => interrupted(task),
        StopFor::Shutdown => {
            let next = NextRun::Resumed { before: started_as.feedback() };
            task.state = State::Routed { next, counts: false, not_before: None };
        }
    }
}

/// Asks the person for a message, with which the conversation continues.
fn interrupted(task: &mut Task) {
    let id = task.id;
    let question = format!(
        "interrupted by you; `orch task send {id} \"…\"` goes on in the same conversation, `orch task retry {id}` \
         begins again"
    );
    ask(task, QuestionKind::Question, question);
}

/// Resets the task to its beginning. The branch and its commits stay.
fn restart(task: &mut Task) {
    task.state = match model_policy::keeps_route(task) {
        true => State::Routed { next: NextRun::Fresh, counts: true, not_before: None },
        false => State::NEW,
    };
    task.route_failures = 0;
    task.attempts = 0;
    task.provider_failures = 0;
    task.conflicts = 0;
    task.conflict_base = None;
    task.repaired = false;
    task.tier_failures = 0;
    task.steps_up = 0;
    task.review_rounds = 0;
    task.failed_reviews.clear();
    task.unread_reviews.clear();
    task.rejected_trees.clear();
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
        Next::Ask { kind, question } => {
            let kind = if kind == QuestionKind::Ready { kind_of_work(task, QuestionKind::Failed) } else { kind };
            ask(task, kind, question);
        }
        Next::Again { run, counts, route, not_before } => {
            let route = route.map(|moved| match moved {
                Move::Sideways(route) => route,
                Move::Up(route) => {
                    task.tier_failures = 0;
                    task.steps_up += 1;
                    route
                }
            });
            if let Some(route) = route {
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
            // A lost conversation does not count: it says nothing about the provider, and the two kinds of failure must
            // not follow each other for ever.
            if failure.class != C::SessionLost {
                task.provider_failures = 0;
            }
            if failure.class == C::Malformed && !task.repaired && task.conversation.is_some() {
                task.repaired = true;
            } else if failure.class == C::SessionLost {
                task.conversation = None;
            } else if failure.class == C::Conflict {
                task.conflicts = retry::conflict_rounds(task, failure);
                task.conflict_base = failure.round.as_ref().map(|round| round.base.clone());
            } else if failure.class == C::ReviewRejected {
                task.review_rounds += 1;
            } else {
                task.repaired = false;
                task.tier_failures += 1;
            }
        }
    }
}

/// Returns the stage of the review, if `run` is the run under judgement.
fn reviewed_run(task: &Task, run: &RunId) -> Result<ReviewStage, Refused> {
    if let State::InReview { run: current, review } = &task.state
        && current == run
    {
        return Ok(review.clone());
    }
    Err(Refused::Stale { run: run.clone() })
}

fn on_judged(
    task: &mut Task,
    run: &RunId,
    verdict: &Verdict,
    evidence: &Evidence,
    reviewers: Reviewers,
    context: &Context<'_>,
) -> Result<(), Refused> {
    let ReviewStage::Judging = reviewed_run(task, run)? else { return Err(Refused::Stale { run: run.clone() }) };
    task.evidence = Some(Box::new(evidence.clone()));
    if let Some(integration) = &mut task.integration {
        // The work judged now is newer than what a revert has restored.
        integration.restored = None;
    }
    match verdict {
        Verdict::Accept => reviewed::start_review(task, run, reviewers),
        // The next run's baseline would include the change, so no later verdict would report it.
        Verdict::Fail(failure) if failure.class == FailureClass::SandboxViolation => {
            count_failure(task, failure);
            task.last_failure = Some(Box::new(failure.clone()));
            let question = format!(
                "the agent changed files outside its worktree ({}): restore what must not stay\n{}",
                failure.class, failure.detail
            );
            step_again::ask_about_setup(task, &question);
        }
        Verdict::Fail(failure) => reject(task, failure, evidence, context),
        Verdict::Ask { question, kind: QuestionKind::Question } => ask(task, QuestionKind::Question, question.clone()),
        Verdict::Ask { question, kind: QuestionKind::Setup } => step_again::ask_about_setup(task, question),
        Verdict::Ask { question, kind: QuestionKind::Ready | QuestionKind::Failed } => {
            let kind = kind_of_work(task, QuestionKind::Failed);
            ask(task, kind, question.clone());
        }
        // `Event::HandedOn` handles this verdict together with the subtasks.
        Verdict::HandOn { .. } => return Err(refused(task, "delegated work must become tasks first")),
    }
    Ok(())
}

fn on_not_judged(task: &mut Task, run: &RunId, failure: &ExternalFailure) -> Result<(), Refused> {
    let ReviewStage::Judging = reviewed_run(task, run)? else { return Err(Refused::Stale { run: run.clone() }) };
    let resume_at = task.state.clone();
    step_again::ask_about_step(task, "judging its result", failure, resume_at);
    Ok(())
}

/// Fails the task for rejected work. Asks a person if the work returned to an earlier rejected state, before more is
/// spent on it.
fn reject(task: &mut Task, failure: &Failure, evidence: &Evidence, context: &Context<'_>) {
    let cycle = evidence.tree.as_ref().and_then(|tree| {
        let stood_still = task.rejected_trees.iter().rev().take_while(|before| *before == tree).count();
        let was_there = task.rejected_trees.contains(tree);
        task.rejected_trees.push(tree.clone());
        match (stood_still, was_there) {
            (0, true) => {
                Some("the agent has undone its own work: the files are the same as when they were refused before")
            }
            (0 | 1, _) => None,
            (_, _) => Some("the same files were refused for the third time"),
        }
    });
    match cycle {
        Some(cycle) => {
            task.last_failure = Some(Box::new(failure.clone()));
            ask(task, QuestionKind::Failed, format!("{cycle} ({}): {}", failure.class, failure.detail));
        }
        None => fail(task, failure, context),
    }
}

fn on_integrated(task: &mut Task, run: &RunId, integration: &Integration) -> Result<(), Refused> {
    reviewed_run(task, run)?;
    task.integration = Some(Box::new(integration.clone()));
    task.last_failure = None;
    match integration.state {
        IntegrationState::Kept | IntegrationState::Merged => {
            task.clear_run_now();
            task.state = State::Done;
        }
        IntegrationState::Reverted => decided::ask_after_revert(task, integration),
    }
    Ok(())
}

fn on_not_integrated(
    task: &mut Task,
    run: &RunId,
    problem: &IntegrationProblem,
    context: &Context<'_>,
) -> Result<(), Refused> {
    let ReviewStage::Integrating { order, .. } = reviewed_run(task, run)? else {
        return Err(Refused::Stale { run: run.clone() });
    };
    let kind = order.as_ref().map(|order| order.kind);
    match (problem, kind) {
        (IntegrationProblem::Work(failure), None | Some(OrderKind::Approve)) => fail(task, failure, context),
        (IntegrationProblem::Work(failure), Some(kind @ (OrderKind::Merge | OrderKind::Revert))) => {
            decided::ask_about_failed_order(task, kind, failure);
        }
        (IntegrationProblem::Wait(wait), _) => {
            let review = ReviewStage::Integrating { waiting: Some(wait.clone()), order };
            task.state = State::InReview { run: run.clone(), review };
        }
        (IntegrationProblem::Red { integration, failure }, _) => {
            decided::ask_about_red_base(task, integration, failure)
        }
        (IntegrationProblem::External(failure), _) => {
            let review = ReviewStage::Integrating { waiting: None, order };
            let resume_at = State::InReview { run: run.clone(), review };
            step_again::ask_about_step(task, "bringing its result to the base", failure, resume_at);
        }
        (IntegrationProblem::Ask(question), None | Some(OrderKind::Approve | OrderKind::Merge)) => {
            step_again::ask_about_integration(task, run, question);
        }
        (IntegrationProblem::Ask(question), Some(OrderKind::Revert)) => {
            let kind = kind_of_work(task, QuestionKind::Setup);
            ask(task, kind, question.clone());
        }
    }
    Ok(())
}

fn on_integration_due(task: &mut Task) -> Result<(), Refused> {
    let State::InReview { review: ReviewStage::Integrating { waiting, .. }, .. } = &mut task.state else {
        return Err(refused(task, "only an accepted task is integrated"));
    };
    *waiting = None;
    Ok(())
}

#[cfg(test)]
mod tests;
