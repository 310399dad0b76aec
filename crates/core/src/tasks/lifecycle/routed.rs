//! Choice of an agent and a model: started, chosen, postponed, or impossible before a person acts.

use super::{Refused, ask, ask_first, refused};
use crate::base::ids::RunId;
use crate::tasks::outcome::FailureClass;
use crate::tasks::question::QuestionKind;
use crate::tasks::retry::Context;
use crate::tasks::route::RouteResult;
use crate::tasks::task::{NextRun, State, Task};

pub(super) fn on_asked(task: &mut Task, run: &RunId) -> Result<(), Refused> {
    let State::New { routing: None, .. } = task.state else {
        return Err(refused(task, "only a new task is routed"));
    };
    task.runs += 1;
    task.state = State::New { routing: Some(run.clone()), not_before: None };
    Ok(())
}

pub(super) fn on_chosen(task: &mut Task, route: &RouteResult, failed: bool) -> Result<(), Refused> {
    let State::New { .. } = task.state else { return Err(refused(task, "only a new task is routed")) };
    task.route_failures = if failed { task.route_failures + 1 } else { 0 };
    task.route = Some(Box::new(route.clone()));
    task.tier_failures = 0;
    task.state = State::Routed { next: NextRun::Fresh, counts: true, not_before: None };
    Ok(())
}

pub(super) fn on_impossible(task: &mut Task, reason: &str) -> Result<(), Refused> {
    let State::New { .. } = task.state else { return Err(refused(task, "only a new task is routed")) };
    ask(task, QuestionKind::Setup, reason.to_owned());
    Ok(())
}

pub(super) fn on_model_refused(task: &mut Task, reason: &str) -> Result<(), Refused> {
    let State::Routed { .. } = task.state else { return Err(refused(task, "only a routed task is started")) };
    let edit = format!("orch task edit {} --model MODEL", task.id);
    ask_first(task, QuestionKind::Setup, reason.to_owned(), edit);
    Ok(())
}

/// Moves the task to another agent of its fallback chain, if one is available. A run that continues a message or
/// subtasks waits instead.
pub(super) fn on_provider_cooldown(task: &mut Task, class: FailureClass, context: &Context<'_>) -> Result<(), Refused> {
    let State::Routed { next, .. } = &task.state else {
        return Err(refused(task, "only a routed task waits for a provider"));
    };
    let next = match next {
        NextRun::Fresh => NextRun::Fresh,
        NextRun::Again { feedback, .. } => NextRun::Again { feedback: feedback.clone(), resume: false },
        NextRun::Said | NextRun::Parts | NextRun::Resumed { .. } => return Ok(()),
    };
    let Some(route) = context.bounds.fallback.next(task, class, context.choice()) else { return Ok(()) };
    let State::Routed { counts, .. } = task.state else { return Ok(()) };
    task.conversation = None;
    task.route = Some(Box::new(route));
    task.state = State::Routed { next, counts, not_before: None };
    Ok(())
}

pub(super) fn on_postponed(task: &mut Task, until: jiff::Timestamp) -> Result<(), Refused> {
    let State::New { .. } = task.state else { return Err(refused(task, "only a new task is routed")) };
    task.state = State::New { routing: None, not_before: Some(until) };
    Ok(())
}
