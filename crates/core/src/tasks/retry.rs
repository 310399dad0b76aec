//! Decides what follows a failure. A provider failure moves the task to another agent and counts no attempt; a failure
//! of the work is retried once with what went wrong, then moves to a stronger model, then asks a person.

use super::advice::Advice;
use super::escalation::{Choice, Escalation};
use super::fallback::Fallback;
use super::outcome::{Failure, FailureClass, Side};
use super::question::QuestionKind;
use super::route::{Complexity, RouteResult};
use super::task::{Feedback, NextRun, Task};
use crate::base::count;
use crate::base::money::{Usd, proposed_limit};
use jiff::{SignedDuration, Timestamp};

/// Consecutive provider failures after which a person is asked, where waiting does not help.
pub const MAX_PROVIDER_FAILURES: u32 = 6;

/// The same limit for transient failures: with the pauses between them, an outage of about a day.
pub const MAX_OUTAGE_FAILURES: u32 = 100;

/// Conflict rounds without progress after which a person is asked, however far the base has moved.
const MAX_STALLED_ROUNDS: u32 = 2;

/// The first pause, in seconds, where the wait is for another agent and the task's own failure is not transient.
const SHORT_PAUSE: i64 = 15;
/// The longest pause between two tries while a provider is unavailable, in seconds, unless the provider names a time.
const LONGEST_PAUSE: i64 = 900;
/// The longest wait that a provider can ask for. Limits of a week are usual; anything longer means that the clock here
/// is wrong, or that the text was misread.
const MAX_RETRY_AFTER: SignedDuration = SignedDuration::from_hours(8 * 24);

/// The limits of a task after which a person is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// `workflow.max_attempts`.
    pub max_attempts: u32,
    /// `review.max_rounds`.
    pub max_review_rounds: u32,
    /// `workflow.max_cost_usd`, or the task's label `max-cost:*`.
    pub max_cost: Option<Usd>,
    /// `escalation`.
    pub escalation: Escalation,
    /// `fallback`.
    pub fallback: Fallback,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            max_review_rounds: 2,
            max_cost: None,
            escalation: Escalation::default(),
            fallback: Fallback::default(),
        }
    }
}

/// What the rules need to know besides the task.
pub struct Context<'a> {
    /// The current time.
    pub now: Timestamp,
    /// The limits that apply.
    pub bounds: &'a Bounds,
    /// Other agents that could take the task now, best first.
    pub alternatives: &'a [String],
    /// The same agents, and those that could take it but are in a cooldown.
    pub candidates: &'a [String],
    /// `router.agents`: the agents that take over where no chain or ladder names others.
    pub routed: &'a [String],
    /// `model_map`: the model of an agent for a complexity.
    pub model_for: &'a dyn Fn(Complexity, &str) -> Option<String>,
    /// Whether an agent with a model is in a cooldown because the model's provider failed.
    pub is_cooling: &'a dyn Fn(&str, Option<&str>) -> bool,
    /// Whether a run of an agent with a model is prepaid, with credit left.
    pub is_prepaid: &'a dyn Fn(&str, Option<&str>) -> bool,
    /// When the cooldown of an agent with a model ends; `None`: there is none, or the agent cannot take the task
    /// anyway.
    pub cooling_until: &'a dyn Fn(&str, Option<&str>) -> Option<Timestamp>,
    /// What the routing policy advises for a task whose work failed; `None`: no policy decides.
    pub policy: &'a dyn Fn(&Task) -> Option<Advice>,
}

impl<'a> Context<'a> {
    /// Returns the agents and models from which the next step may choose.
    pub(super) fn choice(&self) -> Choice<'a> {
        Choice {
            alternatives: self.alternatives,
            candidates: self.candidates,
            routed: self.routed,
            model_for: self.model_for,
            is_cooling_down: self.is_cooling,
            is_paid_ahead: self.is_prepaid,
        }
    }
}

/// A change of the agent or model.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// To one whose provider is available.
    Sideways(Box<RouteResult>),
    /// To a stronger one.
    Up(Box<RouteResult>),
}

/// What follows a failure.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Another run of the task.
    Again {
        /// How the run starts.
        run: NextRun,
        /// Whether it is a new attempt.
        counts: bool,
        /// The changed route, if it changes.
        route: Option<Move>,
        /// The earliest time for the start.
        not_before: Option<Timestamp>,
    },
    /// A question to a person.
    Ask {
        /// What kind of help is needed.
        kind: QuestionKind,
        /// The text of the question.
        question: String,
    },
}

/// Returns the end of the cooldown that follows a failure: the provider's own time, else now plus the pause for its
/// class. `None`: the class has no cooldown.
pub fn cooldown_until(failure: &Failure, now: Timestamp) -> Option<Timestamp> {
    let seconds = first_pause(failure.class)?;
    let retry_at = failure.retry_at.filter(|at| *at > now && at.duration_since(now) <= MAX_RETRY_AFTER);
    retry_at.or_else(|| now.checked_add(SignedDuration::from_secs(seconds)).ok())
}

/// Returns the pause after a first failure, in seconds.
fn first_pause(class: FailureClass) -> Option<i64> {
    use FailureClass as C;
    let pauses = [(C::RateLimited, 60), (C::Overloaded, 120), (C::Network, 30), (C::Auth, 3600), (C::Budget, 3600)];
    pauses.into_iter().find(|(known, _)| *known == class).map(|(_, seconds)| seconds)
}

/// Returns when to retry a task whose provider is unavailable. The pause doubles each time and is offset per task, so
/// that tasks that failed together do not retry together. A time named by the provider is used until it has proved
/// wrong several times.
///
/// `other`: when another agent could take over. The earlier of that time and the end of the own agent's cooldown
/// counts.
fn next_try(task: &Task, failure: &Failure, now: Timestamp, other: Option<Timestamp>) -> Option<Timestamp> {
    let own_cooldown = cooldown_until(failure, now)?;
    let free = other.map_or(own_cooldown, |other| other.min(own_cooldown));
    let has_time = failure.retry_at.is_some_and(|at| at > now) && task.provider_failures < MAX_PROVIDER_FAILURES;
    if task.provider_failures == 0 || (has_time && free == own_cooldown) {
        return Some(free);
    }
    // A failure that is not transient waits for another agent, which has not failed yet: its pause starts short.
    let first = if is_transient(failure.class) { first_pause(failure.class)? } else { SHORT_PAUSE };
    let pause = first.checked_shl(task.provider_failures.min(8))?.min(LONGEST_PAUSE);
    // Up to 7/32 of the pause more, by task id: this spreads the retries without a random number.
    let offset = pause * i64::try_from(task.id.0 % 8).ok()? / 32;
    let own = now.checked_add(SignedDuration::from_secs(pause + offset)).ok()?;
    Some(own.max(free))
}

/// Whether waiting ends a failure of this class.
fn is_transient(class: FailureClass) -> bool {
    matches!(class, FailureClass::RateLimited | FailureClass::Overloaded | FailureClass::Network)
}

/// Decides what follows `failure` of the task's last work run.
pub fn after_failure(task: &Task, failure: &Failure, context: &Context<'_>) -> Next {
    if let Some(question) = over_cost_limit(task, failure, context.bounds.max_cost) {
        return Next::Ask { kind: QuestionKind::Setup, question };
    }
    match failure.class.side() {
        Side::Provider => after_provider(task, failure, context),
        Side::Quality | Side::Process => after_work(task, failure, context),
    }
}

/// Returns the question for a task that has reached its cost limit.
fn over_cost_limit(task: &Task, failure: &Failure, max_cost: Option<Usd>) -> Option<String> {
    let (cost, most) = (task.cost?, max_cost?);
    (cost >= most).then(|| {
        let (id, more) = (task.id, proposed_limit((most.dollars() * 2.0).max(cost.dollars() * 1.5)));
        format!(
            "it has cost {cost}, of {most} at most, and is not done (`orch task edit {id} --add-label max-cost:{more}` allows \
             more); the last failed ({}): {}",
            failure.class, failure.detail
        )
    })
}

fn after_provider(task: &Task, failure: &Failure, context: &Context<'_>) -> Next {
    let agent = task.route.as_ref().map_or("the agent", |r| r.agent.as_str());
    // A person is asked only when a transient failure lasts too long to be an outage.
    let most = if is_transient(failure.class) { MAX_OUTAGE_FAILURES } else { MAX_PROVIDER_FAILURES };
    if task.provider_failures + 1 >= most {
        let count = task.provider_failures + 1;
        return Next::Ask {
            kind: if is_transient(failure.class) { QuestionKind::Failed } else { QuestionKind::Setup },
            question: format!("{agent} failed {count} times in a row; the last time: {}", failure.detail),
        };
    }
    if let Some(route) = context.bounds.fallback.next(task, failure.class, context.choice()) {
        return Next::Again {
            run: retry_with(failure, false),
            counts: false,
            route: Some(Move::Sideways(Box::new(route))),
            not_before: None,
        };
    }
    let other = context.bounds.fallback.earliest(task, context.choice(), context.cooling_until);
    if is_transient(failure.class) || other.is_some() {
        let run = retry_with(failure, task.conversation.is_some());
        let not_before = next_try(task, failure, context.now, other);
        return Next::Again { run, counts: false, route: None, not_before };
    }
    let question = format!("{agent} cannot work ({}): {}", failure.class, failure.detail);
    Next::Ask { kind: QuestionKind::Setup, question }
}

fn retry_with(failure: &Failure, resume: bool) -> NextRun {
    let (class, detail, conflict) = (failure.class, failure.detail.clone(), failure.conflict.clone());
    NextRun::Again { feedback: Feedback { class, detail, conflict }, resume }
}

fn after_work(task: &Task, failure: &Failure, context: &Context<'_>) -> Next {
    let can_resume = task.conversation.is_some();
    if failure.class == FailureClass::Malformed && !task.repaired && can_resume {
        return Next::Again { run: retry_with(failure, true), counts: false, route: None, not_before: None };
    }
    if failure.class == FailureClass::SessionLost && can_resume {
        return Next::Again { run: retry_with(failure, false), counts: false, route: None, not_before: None };
    }
    if failure.class == FailureClass::Conflict {
        return after_conflict(task, failure, can_resume);
    }
    if failure.class == FailureClass::ReviewRejected {
        return after_rejection(task, failure, context.bounds.max_review_rounds, can_resume);
    }
    let most = context.bounds.max_attempts;
    if task.attempts >= most {
        let question = format!(
            "{} of {most} attempts are used; the last failed ({}): {}",
            task.attempts, failure.class, failure.detail
        );
        return Next::Ask { kind: QuestionKind::Failed, question };
    }
    let route = match (context.policy)(task) {
        Some(Advice::Stop { reason }) => {
            return Next::Ask {
                kind: QuestionKind::Failed,
                question: format!("{reason}; the last failed ({}): {}", failure.class, failure.detail),
            };
        }
        Some(Advice::Use { rung, reason }) => task.route.as_deref().map(|route| RouteResult {
            agent: rung.agent,
            model: rung.model,
            reason: format!("{reason}; before it: {}", failure.class),
            ..route.clone()
        }),
        Some(Advice::Keep { .. }) | None => context.bounds.escalation.next(task, failure.class, context.choice()),
    };
    let route = route.map(|route| Move::Up(Box::new(route)));
    let resume = can_resume && route.is_none() && failure.class != FailureClass::ContextTooLong;
    Next::Again { run: retry_with(failure, resume), counts: true, route, not_before: None }
}

/// Starts another round on the new base, as long as the base has moved since the last round and rounds make progress.
fn after_conflict(task: &Task, failure: &Failure, can_resume: bool) -> Next {
    let stalled = conflict_rounds(task, failure) - 1;
    let has_moved = failure.round.as_ref().is_some_and(|round| Some(&round.base) != task.conflict_base.as_ref());
    if stalled == 0 || (has_moved && stalled < MAX_STALLED_ROUNDS) {
        return Next::Again { run: retry_with(failure, can_resume), counts: false, route: None, not_before: None };
    }
    let (files, rounds) = (failure.detail.clone(), count::plural(stalled, "round"));
    let question = format!("the branch conflicts with its base again, after {rounds} without progress: {files}");
    Next::Ask { kind: QuestionKind::Failed, question }
}

/// Counts the conflict rounds up to this one, since the last resolved conflict.
pub(super) fn conflict_rounds(task: &Task, failure: &Failure) -> u32 {
    let resolved_last = failure.round.as_ref().is_some_and(|round| round.resolved_last);
    if resolved_last { 1 } else { task.conflicts + 1 }
}

/// Returns the reviewer's demands to the author in the same conversation; after too many rounds a person decides.
fn after_rejection(task: &Task, failure: &Failure, max_rounds: u32, can_resume: bool) -> Next {
    if task.review_rounds >= max_rounds {
        let rounds = task.review_rounds + 1;
        return Next::Ask {
            kind: QuestionKind::Ready,
            question: format!("the review asked for changes {rounds} times; the last: {}", failure.detail),
        };
    }
    Next::Again { run: retry_with(failure, can_resume), counts: false, route: None, not_before: None }
}
