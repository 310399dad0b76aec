//! Circuit breakers: after repeated failures nothing more starts for a while, then one run tries. One breaker per
//! agent, per project and per check of a project. PURE: decides when one opens and closes; neither stores it nor holds
//! a task.

use super::plan::is_pending;
use crate::base::ids::TaskId;
use crate::tasks::outcome::{Failure, FailureClass, Side};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use strum::IntoStaticStr;

/// How long a half-open breaker waits for a try before it closes: its agent or project may be gone.
pub const FORGET: SignedDuration = SignedDuration::from_hours(24);

/// What a breaker protects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// An agent: its program, or the provider behind it.
    Agent {
        /// The agent's name.
        name: String,
    },
    /// All work in a project.
    Project {
        /// The project's directory.
        dir: PathBuf,
    },
    /// One check of a project.
    Check {
        /// The project's directory.
        dir: PathBuf,
        /// The check's shell command.
        command: String,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent { name } => write!(f, "agent:{name}"),
            Self::Project { dir } => write!(f, "project:{}", dir.display()),
            Self::Check { dir, command } => write!(f, "check:{}:{command}", dir.display()),
        }
    }
}

impl Target {
    /// Returns the target of an agent.
    pub fn agent(name: &str) -> Self {
        Self::Agent { name: name.to_owned() }
    }

    /// Returns the project directory of a project's or a check's breaker.
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Self::Agent { .. } => None,
            Self::Project { dir } | Self::Check { dir, .. } => Some(dir),
        }
    }
}

/// `breaker.*` of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Failures in a row that open a breaker; 0 disables breakers.
    pub failures: u32,
    /// Age at which failures stop counting.
    pub window: SignedDuration,
    /// How long a breaker stays open the first time.
    pub cool_down: SignedDuration,
    /// The longest time it stays open, as the time doubles with each opening.
    pub longest: SignedDuration,
}

/// A failure that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The task whose run failed.
    pub task: TaskId,
    /// The time of the failure.
    pub at: Timestamp,
}

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Failures are counted.
    Closed,
    /// Nothing starts.
    Open {
        /// When it opened.
        since: Timestamp,
        /// When it becomes half-open.
        until: Timestamp,
    },
    /// One run at a time may try.
    HalfOpen {
        /// When it became half-open.
        since: Timestamp,
    },
}

/// The name of a state. The names are part of the JSON contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StateName {
    /// Failures are counted.
    Closed,
    /// Nothing starts.
    Open,
    /// One run at a time may try.
    HalfOpen,
}

impl StateName {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// What it protects.
    pub target: Target,
    /// The current state.
    pub state: State,
    /// The last failures in a row, oldest first.
    pub failures: Vec<Seen>,
    /// The last failure's description, one line.
    pub detail: String,
    /// How often it has opened since it was last closed.
    pub opened: u32,
}

/// A state change of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened, for the first time or again.
    Opened,
    /// One run may try.
    HalfOpened,
    /// It closed.
    Closed,
}

/// Returns what a failed run or result is counted against: at most one target.
///
/// `check`: the check that failed, if one did. `is_cooling`: the agent is cooling down already, so the failure is the
/// one already counted.
pub fn failure_target(
    failure: &Failure,
    agent: &str,
    dir: Option<&Path>,
    check: Option<&str>,
    is_cooling: bool,
) -> Option<Target> {
    let agent = || Some(Target::agent(agent));
    match failure.class.side() {
        // A provider that says when it answers again needs no breaker: the cooldown waits for it.
        Side::Provider => (!is_cooling && failure.retry_at.is_none()).then(agent).flatten(),
        Side::Process => agent(),
        Side::Quality => {
            let dir = dir?.to_owned();
            if failure.class != FailureClass::ChecksFailed {
                return Some(Target::Project { dir });
            }
            // A failed check on a merge result is known as text only, so it counts against nothing.
            Some(Target::Check { dir, command: check?.to_owned() })
        }
    }
}

impl Breaker {
    /// Creates a closed breaker without failures.
    pub fn new(target: Target) -> Self {
        Self { target, state: State::Closed, failures: Vec::new(), detail: String::new(), opened: 0 }
    }

    /// Returns the name of the state.
    pub fn state_name(&self) -> StateName {
        match self.state {
            State::Closed => StateName::Closed,
            State::Open { .. } => StateName::Open,
            State::HalfOpen { .. } => StateName::HalfOpen,
        }
    }

    /// Returns until when nothing starts.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            State::Open { since, until } => Some(until).filter(|until| is_pending(*until, since, now)),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// Returns the breaker after a failure.
    #[must_use]
    pub fn failed(mut self, task: TaskId, detail: &str, rule: &Rule, now: Timestamp) -> (Self, Option<Change>) {
        if rule.failures == 0 {
            return (self, None);
        }
        let first = detail.lines().next().unwrap_or_default();
        match self.state {
            // The run was under way when the breaker opened, and shows nothing new.
            State::Open { .. } => return (self, None),
            State::HalfOpen { .. } => self.count(task, rule, now),
            State::Closed => {
                self.count(task, rule, now);
                if !self.is_enough(rule) {
                    self.detail = first.chars().take(300).collect();
                    return (self, None);
                }
            }
        }
        self.detail = first.chars().take(300).collect();
        let until = now.checked_add(self.cool_down(rule)).unwrap_or(Timestamp::MAX);
        self.opened = self.opened.saturating_add(1);
        self.state = State::Open { since: now, until };
        (self, Some(Change::Opened))
    }

    /// Returns the change that a success causes. It resets the breaker.
    pub fn closing_change(&self) -> Option<Change> {
        (self.state != State::Closed).then_some(Change::Closed)
    }

    /// Returns the breaker as time passes; `None` if all it has recorded is too old.
    #[must_use]
    pub fn advance(mut self, rule: &Rule, now: Timestamp) -> (Option<Self>, Option<Change>) {
        match self.state {
            State::Open { since, until } if !is_pending(until, since, now) => {
                self.state = State::HalfOpen { since: now };
                (Some(self), Some(Change::HalfOpened))
            }
            State::HalfOpen { since } if now.duration_since(since) > FORGET => (None, Some(Change::Closed)),
            State::Open { .. } | State::HalfOpen { .. } => (Some(self), None),
            State::Closed => {
                let counts = self.failures.iter().any(|seen| !is_old(seen.at, rule, now));
                (counts.then_some(self), None)
            }
        }
    }

    fn cool_down(&self, rule: &Rule) -> SignedDuration {
        let factor = 2i32.saturating_pow(self.opened.min(30));
        rule.cool_down.checked_mul(factor).unwrap_or(rule.longest).min(rule.longest.max(rule.cool_down))
    }

    fn count(&mut self, task: TaskId, rule: &Rule, now: Timestamp) {
        self.failures.retain(|seen| !is_old(seen.at, rule, now));
        if self.target.dir().is_some() {
            // Retries of one task are normal, so a project counts each task once.
            self.failures.retain(|seen| seen.task != task);
        }
        self.failures.push(Seen { task, at: now });
        let most = usize::try_from(rule.failures).unwrap_or(usize::MAX);
        let surplus = self.failures.len().saturating_sub(most);
        self.failures.drain(..surplus);
    }

    fn is_enough(&self, rule: &Rule) -> bool {
        let most = usize::try_from(rule.failures).unwrap_or(usize::MAX);
        let tasks: BTreeSet<TaskId> = self.failures.iter().map(|seen| seen.task).collect();
        // One task that fails again and again is limited by its attempts, not by a breaker.
        self.failures.len() >= most && tasks.len() >= most.min(2)
    }
}

fn is_old(at: Timestamp, rule: &Rule, now: Timestamp) -> bool {
    now.duration_since(at) > rule.window
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: Rule = Rule {
        failures: 3,
        window: SignedDuration::from_secs(600),
        cool_down: SignedDuration::from_secs(60),
        longest: SignedDuration::from_secs(200),
    };

    fn at(seconds: i64) -> Timestamp {
        let start: Timestamp = "2026-08-01T12:00:00Z".parse().expect("a time");
        start + SignedDuration::from_secs(seconds)
    }

    fn of_agent() -> Breaker {
        Breaker::new(Target::agent("bot"))
    }

    fn of_project() -> Breaker {
        Breaker::new(Target::Project { dir: "/repo".into() })
    }

    /// Failures of these tasks, ten seconds apart.
    fn after(mut breaker: Breaker, tasks: &[u64]) -> (Breaker, Option<Change>) {
        let mut change = None;
        for (n, task) in (0..).zip(tasks) {
            (breaker, change) = breaker.failed(TaskId(*task), "boom\nmore", &RULE, at(n * 10));
        }
        (breaker, change)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_of_more_than_one_task() {
        let (breaker, change) = after(of_agent(), &[1, 1, 2]);
        assert_eq!((change, breaker.state), (Some(Change::Opened), State::Open { since: at(20), until: at(80) }));
        assert_eq!((breaker.detail.as_str(), breaker.opened), ("boom", 1));
        assert_eq!(after(of_agent(), &[1, 1]).1, None);
        assert_eq!(after(of_agent(), &[1, 1, 1, 1, 1]).1, None, "one task has its own limits");
        assert_eq!(after(of_agent(), &[1, 1, 1, 1, 1, 2]).1, Some(Change::Opened));
    }

    #[test]
    fn one_that_was_opened_by_a_clock_that_was_wrong_is_tried_when_the_clock_is_right() {
        let (breaker, _) = after(of_agent(), &[1, 1, 2]);
        assert_eq!(breaker.open_until(at(21)), Some(at(80)));
        let a_year_before = at(20) - SignedDuration::from_hours(365 * 24);
        assert_eq!(breaker.open_until(a_year_before), None);
        assert_eq!(breaker.advance(&RULE, a_year_before).1, Some(Change::HalfOpened));
    }

    #[test]
    fn a_project_counts_each_task_once() {
        assert_eq!(after(of_project(), &[1, 2, 1, 2, 1]).1, None);
        assert_eq!(after(of_project(), &[1, 2, 1, 3]).1, Some(Change::Opened));
    }

    #[test]
    fn old_failures_do_not_count_and_are_forgotten() {
        let (breaker, _) = after(of_agent(), &[1, 2]);
        let (breaker, change) = breaker.failed(TaskId(3), "boom", &RULE, at(611));
        assert_eq!((change, breaker.failures.len()), (None, 1));
        assert_eq!(breaker.clone().advance(&RULE, at(700)).0, Some(breaker.clone()));
        assert_eq!(breaker.advance(&RULE, at(1300)).0, None);
    }

    #[test]
    fn it_lets_one_try_and_waits_longer_each_time_up_to_a_limit() {
        let (mut breaker, _) = after(of_agent(), &[1, 2, 3]);
        let mut waits = Vec::new();
        for _ in 0..4 {
            let State::Open { since, until } = breaker.state else { panic!("{breaker:?}") };
            waits.push(until.duration_since(since).as_secs());
            assert_eq!(breaker.clone().advance(&RULE, until - SignedDuration::from_secs(1)).1, None);
            let (half, change) = breaker.advance(&RULE, until);
            assert_eq!(change, Some(Change::HalfOpened));
            let (again, change) = half.expect("it is kept").failed(TaskId(4), "boom", &RULE, until);
            assert_eq!(change, Some(Change::Opened));
            breaker = again;
        }
        assert_eq!(waits, [60, 120, 200, 200]);
        assert_eq!(breaker.closing_change(), Some(Change::Closed));
        assert_eq!(of_agent().closing_change(), None);
    }

    #[test]
    fn what_nobody_tries_any_more_is_forgotten() {
        let (breaker, _) = after(of_agent(), &[1, 2, 3]);
        let half = breaker.advance(&RULE, at(100)).0.expect("it is kept");
        assert_eq!(half.clone().advance(&RULE, at(100) + FORGET), (Some(half.clone()), None));
        assert_eq!(half.advance(&RULE, at(101) + FORGET), (None, Some(Change::Closed)));
    }

    #[test]
    fn a_straggler_says_nothing_new_while_it_is_open() {
        let (breaker, _) = after(of_agent(), &[1, 2, 3]);
        assert_eq!(breaker.clone().failed(TaskId(9), "late", &RULE, at(30)), (breaker, None));
    }

    #[test]
    fn each_failure_speaks_against_one_thing_and_a_told_time_against_none() {
        let blame = |class, cooling, check: Option<&str>| {
            let target = failure_target(&Failure::new(class, ""), "bot", Some(Path::new("/repo")), check, cooling);
            target.map(|target| target.to_string())
        };
        assert_eq!(blame(FailureClass::Network, false, None).as_deref(), Some("agent:bot"));
        assert_eq!(blame(FailureClass::Network, true, None), None);
        assert_eq!(blame(FailureClass::Crashed, true, None).as_deref(), Some("agent:bot"));
        assert_eq!(blame(FailureClass::NoChange, false, None).as_deref(), Some("project:/repo"));
        assert_eq!(blame(FailureClass::ChecksFailed, false, Some("make")).as_deref(), Some("check:/repo:make"));
        assert_eq!(blame(FailureClass::ChecksFailed, false, None), None);
        let text = Failure { retry_at: Some(at(0)), ..Failure::new(FailureClass::RateLimited, "") };
        assert_eq!(failure_target(&text, "bot", None, None, false), None);
    }

    #[test]
    fn switched_off_it_counts_nothing() {
        let off = Rule { failures: 0, ..RULE };
        assert_eq!(of_agent().failed(TaskId(1), "boom", &off, at(0)), (of_agent(), None));
    }

    proptest! {
        /// Whatever happens: it is open only for as long as was allowed, and remembers no more than it must.
        #[test]
        fn a_breaker_is_bounded(
            steps in prop::collection::vec((0i64..300, 1u64..5, any::<bool>()), 1..60), project in any::<bool>(),
        ) {
            let (mut breaker, mut time) = (if project { of_project() } else { of_agent() }, 0);
            for (pause, task, fails) in steps {
                time += pause;
                if let (Some(kept), _) = breaker.clone().advance(&RULE, at(time)) { breaker = kept; }
                if fails { breaker = breaker.failed(TaskId(task), "boom", &RULE, at(time)).0; }
                prop_assert!(breaker.failures.len() <= 3);
                if let State::Open { since, until } = breaker.state {
                    let long = until.duration_since(since);
                    prop_assert!(long >= RULE.cool_down && long <= RULE.longest);
                    prop_assert!(until > at(time), "an open one always has an end ahead");
                }
            }
        }
    }
}
