//! What follows a failure. Two axes, never mixed: a failure of the provider moves sideways and counts nothing; a
//! failure of the work is repeated once with what went wrong, then moves up, then asks a person.

use super::outcome::{Failure, FailureClass, Side};
use super::route::{Complexity, RouteResult};
use super::task::{Feedback, NextRun, Task};
use jiff::{SignedDuration, Timestamp};

/// Provider failures in a row after which a person is asked: by then waiting has been tried.
pub const MAX_PROVIDER_FAILURES: u32 = 6;

/// What the rules need to know beside the task.
pub struct Context<'a> {
    /// The present.
    pub now: Timestamp,
    /// `workflow.max_attempts`.
    pub max_attempts: u32,
    /// Other agents that could take the task now, best first.
    pub alternatives: &'a [String],
    /// `model_map`: the model of an agent for a complexity.
    pub model_for: &'a dyn Fn(Complexity, &str) -> Option<String>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Another run.
    Again {
        /// How it begins.
        run: NextRun,
        /// It is a new attempt.
        counts: bool,
        /// A changed route.
        route: Option<Box<RouteResult>>,
        /// Not before.
        not_before: Option<Timestamp>,
    },
    /// A person decides.
    Ask {
        /// What they are asked.
        question: String,
    },
}

/// How long an agent is left alone after a failure of its provider, when the provider names no time itself.
pub fn cooldown(failure: &Failure, now: Timestamp) -> Option<Timestamp> {
    use FailureClass as C;
    let pauses = [(C::RateLimited, 60), (C::Overloaded, 120), (C::Network, 30), (C::Auth, 3600), (C::Budget, 3600)];
    let (_, seconds) = pauses.into_iter().find(|(class, _)| *class == failure.class)?;
    let told = failure.retry_at.filter(|at| *at > now);
    told.or_else(|| now.checked_add(SignedDuration::from_secs(seconds)).ok())
}

/// Whether a failure of the provider goes away by itself.
fn passes(class: FailureClass) -> bool {
    matches!(class, FailureClass::RateLimited | FailureClass::Overloaded | FailureClass::Network)
}

/// Decides what follows `failure` of the task's last work run.
pub fn after_failure(task: &Task, failure: &Failure, context: &Context<'_>) -> Next {
    match failure.class.side() {
        Side::Provider => after_provider(task, failure, context),
        Side::Quality | Side::Process => after_work(task, failure, context),
    }
}

fn after_provider(task: &Task, failure: &Failure, context: &Context<'_>) -> Next {
    let agent = task.route.as_ref().map_or("the agent", |r| r.agent.as_str());
    if task.provider_failures + 1 >= MAX_PROVIDER_FAILURES {
        let count = task.provider_failures + 1;
        return Next::Ask {
            question: format!("{agent} failed {count} times in a row; the last time: {}", failure.detail),
        };
    }
    if let Some(route) = sideways(task, failure, context) {
        return Next::Again {
            run: again(failure, false),
            counts: false,
            route: Some(Box::new(route)),
            not_before: None,
        };
    }
    if passes(failure.class) {
        let run = again(failure, task.conversation.is_some());
        return Next::Again { run, counts: false, route: None, not_before: cooldown(failure, context.now) };
    }
    Next::Ask { question: format!("{agent} cannot work ({}): {}", failure.class, failure.detail) }
}

/// The same task for another agent, unless the person named the agent.
fn sideways(task: &Task, failure: &Failure, context: &Context<'_>) -> Option<RouteResult> {
    let current = task.route.as_deref()?;
    if task.agent_is_pinned() {
        return None;
    }
    let agent = context.alternatives.iter().find(|a| **a != current.agent)?;
    Some(RouteResult {
        agent: agent.clone(),
        model: (context.model_for)(current.complexity, agent),
        reason: format!("moved from {}: {}", current.agent, failure.class),
        ..current.clone()
    })
}

fn again(failure: &Failure, resume: bool) -> NextRun {
    NextRun::Again { feedback: Feedback { class: failure.class, detail: failure.detail.clone() }, resume }
}

fn after_work(task: &Task, failure: &Failure, context: &Context<'_>) -> Next {
    let can_resume = task.conversation.is_some();
    if failure.class == FailureClass::Malformed && !task.repaired && can_resume {
        return Next::Again { run: again(failure, true), counts: false, route: None, not_before: None };
    }
    if failure.class == FailureClass::SessionLost && can_resume {
        return Next::Again { run: again(failure, false), counts: false, route: None, not_before: None };
    }
    if failure.class == FailureClass::Conflict {
        return after_conflict(task, failure, can_resume);
    }
    if task.attempts >= context.max_attempts {
        let question = format!(
            "{} of {} attempts are used; the last failed ({}): {}",
            task.attempts, context.max_attempts, failure.class, failure.detail
        );
        return Next::Ask { question };
    }
    let route = (task.tier_failures >= 1).then(|| upwards(task, failure, context)).flatten().map(Box::new);
    let resume = can_resume && route.is_none() && failure.class != FailureClass::ContextTooLong;
    Next::Again { run: again(failure, resume), counts: true, route, not_before: None }
}

/// One retry on the new base; after that the two lines of work need a person.
fn after_conflict(task: &Task, failure: &Failure, can_resume: bool) -> Next {
    if task.conflicts >= 1 {
        return Next::Ask { question: format!("the branch conflicts with its base again: {}", failure.detail) };
    }
    Next::Again { run: again(failure, can_resume), counts: false, route: None, not_before: None }
}

/// One tier up, where that is another model and the person did not name the model.
fn upwards(task: &Task, failure: &Failure, context: &Context<'_>) -> Option<RouteResult> {
    let current = task.route.as_deref()?;
    if task.spec.model.is_some() {
        return None;
    }
    let complexity = current.complexity.harder()?;
    let model = (context.model_for)(complexity, &current.agent);
    if model.is_none() || model == current.model {
        return None;
    }
    let reason = format!("up from {}: {} twice", current.complexity, failure.class);
    Some(RouteResult { complexity, model, reason, ..current.clone() })
}
