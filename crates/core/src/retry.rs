//! What follows a failure. Two axes, never mixed: a failure of the provider moves sideways and counts nothing; a
//! failure of the work is repeated once with what went wrong, then moves up, then asks a person.

use super::budget::proposed;
use super::conflict;
use super::count;
use super::escalation::{Choice, Escalation};
use super::fallback::Fallback;
use super::money::Usd;
use super::outcome::{Failure, FailureClass, Side};
use super::policy::live::Word;
use super::question::QuestionKind;
use super::route::{Complexity, RouteResult};
use super::task::{Feedback, NextRun, Task};
use jiff::{SignedDuration, Timestamp};

/// Provider failures in a row after which a person is asked, where waiting does not mend them.
pub const MAX_PROVIDER_FAILURES: u32 = 6;

/// The same for failures that go away by themselves: with the pauses between them, an outage of about a day.
pub const MAX_OUTAGE_FAILURES: u32 = 100;

/// Rounds of conflicts without progress after which a person is asked, however far the base has moved.
const MAX_STALLED_ROUNDS: u32 = 2;

/// The pause after a first failure of one provider before another one is tried that could not be had, in seconds.
const SOON: i64 = 15;
/// The longest pause between two tries while a provider is out, in seconds, unless it names a time.
const LONGEST_PAUSE: i64 = 900;
/// The longest time that a provider is believed to mean when it says until when it limits. A week is usual; more than
/// that, and the clock here is wrong, or what was read is no time.
const LONGEST_TOLD: SignedDuration = SignedDuration::from_hours(8 * 24);

/// How much a task may take before a person is asked.
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

/// What the rules need to know beside the task.
pub struct Context<'a> {
    /// The present.
    pub now: Timestamp,
    /// What the person allows.
    pub bounds: &'a Bounds,
    /// Other agents that could take the task now, best first.
    pub alternatives: &'a [String],
    /// The same, and those who could if they were not left alone now.
    pub candidates: &'a [String],
    /// `router.agents`: who takes over where no chain or ladder names others.
    pub routed: &'a [String],
    /// `model_map`: the model of an agent for a complexity.
    pub model_for: &'a dyn Fn(Complexity, &str) -> Option<String>,
    /// Whether an agent is left alone with a model now, because the model's provider failed.
    pub rests: &'a dyn Fn(&str, Option<&str>) -> bool,
    /// Whether a run of an agent with a model is paid in advance, with something left.
    pub is_paid_ahead: &'a dyn Fn(&str, Option<&str>) -> bool,
    /// Until when an agent is left alone with a model that it could be given otherwise; `None`: it is not, or cannot be had anyway.
    pub rests_until: &'a dyn Fn(&str, Option<&str>) -> Option<Timestamp>,
    /// What the routing policy says of a task whose work has failed; `None`: no policy decides.
    pub policy: &'a dyn Fn(&Task) -> Option<Word>,
}

impl<'a> Context<'a> {
    /// What a step may choose from.
    pub(super) fn choice(&self) -> Choice<'a> {
        Choice {
            alternatives: self.alternatives,
            candidates: self.candidates,
            routed: self.routed,
            model_for: self.model_for,
            is_cooling_down: self.rests,
            is_paid_ahead: self.is_paid_ahead,
        }
    }
}

/// Another agent or model.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// Whose provider can be had.
    Sideways(Box<RouteResult>),
    /// Stronger.
    Up(Box<RouteResult>),
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
        route: Option<Move>,
        /// Not before.
        not_before: Option<Timestamp>,
    },
    /// A person decides.
    Ask {
        /// What kind of help is needed.
        kind: QuestionKind,
        /// What they are asked.
        question: String,
    },
}

/// How long an agent is left alone after a failure of its provider, when the provider names no time itself.
pub fn cooldown(failure: &Failure, now: Timestamp) -> Option<Timestamp> {
    let seconds = first_pause(failure.class)?;
    let told = failure.retry_at.filter(|at| *at > now && at.duration_since(now) <= LONGEST_TOLD);
    told.or_else(|| now.checked_add(SignedDuration::from_secs(seconds)).ok())
}

/// The pause after a first failure, in seconds.
fn first_pause(class: FailureClass) -> Option<i64> {
    use FailureClass as C;
    let pauses = [(C::RateLimited, 60), (C::Overloaded, 120), (C::Network, 30), (C::Auth, 3600), (C::Budget, 3600)];
    pauses.into_iter().find(|(known, _)| *known == class).map(|(_, seconds)| seconds)
}

/// When a task tries again whose provider is out: after twice as long as the last time, and not at the same moment as
/// the tasks that failed beside it. A time that the provider names is believed until it has proved wrong several times.
///
/// `other`: when somebody else could take it over; who is free sooner than its own agent is not waited for in vain.
fn next_try(task: &Task, failure: &Failure, now: Timestamp, other: Option<Timestamp>) -> Option<Timestamp> {
    let agent_rests = cooldown(failure, now)?;
    let free = other.map_or(agent_rests, |other| other.min(agent_rests));
    let is_told = failure.retry_at.is_some_and(|at| at > now) && task.provider_failures < MAX_PROVIDER_FAILURES;
    if task.provider_failures == 0 || (is_told && free == agent_rests) {
        return Some(free);
    }
    // What does not pass by itself is not what is waited for: somebody else is, who was never tried so often.
    let first = if passes(failure.class) { first_pause(failure.class)? } else { SOON };
    let pause = first.checked_shl(task.provider_failures.min(8))?.min(LONGEST_PAUSE);
    // An eighth of a quarter more for each of eight neighbours: no random number is needed to scatter them.
    let apart = pause * i64::try_from(task.id.0 % 8).ok()? / 32;
    let own = now.checked_add(SignedDuration::from_secs(pause + apart)).ok()?;
    Some(own.max(free))
}

/// Whether a failure of the provider goes away by itself.
fn passes(class: FailureClass) -> bool {
    matches!(class, FailureClass::RateLimited | FailureClass::Overloaded | FailureClass::Network)
}

/// Decides what follows `failure` of the task's last work run.
pub fn after_failure(task: &Task, failure: &Failure, context: &Context<'_>) -> Next {
    if let Some(question) = too_dear(task, failure, context.bounds.max_cost) {
        return Next::Ask { kind: QuestionKind::Setup, question };
    }
    match failure.class.side() {
        Side::Provider => after_provider(task, failure, context),
        Side::Quality | Side::Process => after_work(task, failure, context),
    }
}

/// What has cost as much as it may is not tried again without a word.
fn too_dear(task: &Task, failure: &Failure, max_cost: Option<Usd>) -> Option<String> {
    let (cost, most) = (task.cost?, max_cost?);
    (cost >= most).then(|| {
        let (id, more) = (task.id, proposed((most.dollars() * 2.0).max(cost.dollars() * 1.5)));
        format!(
            "it has cost {cost}, of {most} at most, and is not done (`orch task edit {id} --add-label max-cost:{more}` allows \
             more); the last failed ({}): {}",
            failure.class, failure.detail
        )
    })
}

fn after_provider(task: &Task, failure: &Failure, context: &Context<'_>) -> Next {
    let agent = task.route.as_ref().map_or("the agent", |r| r.agent.as_str());
    // An outage is nobody's to answer for: a person is asked when it cannot be called one any more.
    let most = if passes(failure.class) { MAX_OUTAGE_FAILURES } else { MAX_PROVIDER_FAILURES };
    if task.provider_failures + 1 >= most {
        let count = task.provider_failures + 1;
        return Next::Ask {
            kind: if passes(failure.class) { QuestionKind::Failed } else { QuestionKind::Setup },
            question: format!("{agent} failed {count} times in a row; the last time: {}", failure.detail),
        };
    }
    if let Some(route) = context.bounds.fallback.next(task, failure.class, context.choice()) {
        return Next::Again {
            run: again(failure, false),
            counts: false,
            route: Some(Move::Sideways(Box::new(route))),
            not_before: None,
        };
    }
    let other = context.bounds.fallback.earliest(task, context.choice(), context.rests_until);
    if passes(failure.class) || other.is_some() {
        let run = again(failure, task.conversation.is_some());
        let not_before = next_try(task, failure, context.now, other);
        return Next::Again { run, counts: false, route: None, not_before };
    }
    let question = format!("{agent} cannot work ({}): {}", failure.class, failure.detail);
    Next::Ask { kind: QuestionKind::Setup, question }
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
        Some(Word::Stop { reason }) => {
            return Next::Ask {
                kind: QuestionKind::Failed,
                question: format!("{reason}; the last failed ({}): {}", failure.class, failure.detail),
            };
        }
        Some(Word::Use { rung, reason }) => task.route.as_deref().map(|route| RouteResult {
            agent: rung.agent,
            model: rung.model,
            reason: format!("{reason}; before it: {}", failure.class),
            ..route.clone()
        }),
        Some(Word::Keep { .. }) | None => context.bounds.escalation.next(task, failure.class, context.choice()),
    };
    let route = route.map(|route| Move::Up(Box::new(route)));
    let resume = can_resume && route.is_none() && failure.class != FailureClass::ContextTooLong;
    Next::Again { run: again(failure, resume), counts: true, route, not_before: None }
}

/// Another round on the new base, as long as the base has moved since the last one and rounds resolve what they are given.
fn after_conflict(task: &Task, failure: &Failure, can_resume: bool) -> Next {
    let stalled = conflict_rounds(task, failure) - 1;
    let has_moved = failure.round.as_ref().is_some_and(|round| Some(&round.base) != task.conflict_base.as_ref());
    if stalled == 0 || (has_moved && stalled < MAX_STALLED_ROUNDS) {
        return Next::Again { run: again(failure, can_resume), counts: false, route: None, not_before: None };
    }
    let (files, rounds) = (conflict::summary(&failure.detail), count::plural(stalled, "round"));
    let question = format!("the branch conflicts with its base again, after {rounds} without progress: {files}");
    Next::Ask { kind: QuestionKind::Failed, question }
}

/// Rounds of conflicts up to this one, since the last that was resolved.
pub(super) fn conflict_rounds(task: &Task, failure: &Failure) -> u32 {
    let resolved_last = failure.round.as_ref().is_some_and(|round| round.resolved_last);
    if resolved_last { 1 } else { task.conflicts + 1 }
}

/// The author hears what the reviewer demands, in the same conversation; a quarrel is a person's to decide.
fn after_rejection(task: &Task, failure: &Failure, max_rounds: u32, can_resume: bool) -> Next {
    if task.review_rounds >= max_rounds {
        let rounds = task.review_rounds + 1;
        return Next::Ask {
            kind: QuestionKind::Ready,
            question: format!("the review asked for changes {rounds} times; the last: {}", failure.detail),
        };
    }
    Next::Again { run: again(failure, can_resume), counts: false, route: None, not_before: None }
}
