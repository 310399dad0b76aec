//! The rule of waits in the simulation: whatever the wall clock does, nothing gets further away.

use super::rules::{Broken, must};
use crate::engine::Engine;
use jiff::{SignedDuration, Timestamp};
use orch_core::base::ids::TaskId;
use orch_core::planning::breaker;
use orch_core::planning::plan::Plan;
use orch_core::tasks::hold::HoldReason;
use std::collections::BTreeMap;

/// How long each task had to wait when its wait until that time began.
#[derive(Debug, Default)]
pub struct Waits(BTreeMap<(TaskId, Timestamp), SignedDuration>);

impl Waits {
    /// Whatever the wall clock does, no wait has further to go than when it began.
    pub fn grow_shorter(&mut self, engine: &Engine, plan: &Plan, now: Timestamp) -> Result<(), Broken> {
        // A task may come to wait for what has been on its way for a while.
        let breakers = engine.state.breakers.values().filter_map(|breaker| match breaker.state {
            breaker::State::Open { since, until } => Some((until, until.duration_since(since))),
            breaker::State::Closed | breaker::State::HalfOpen { .. } => None,
        });
        // A provider says the same time again, whatever our clock has done since: that is another wait.
        let book = engine.book_of_failures();
        let failing = book.iter().flat_map(|book| book.failing.values());
        let cooldowns = engine.state.cooldowns.values().chain(failing);
        let cooldowns = cooldowns.filter_map(|rest| Some((rest.until, rest.until.duration_since(rest.since?))));
        let mut whole: BTreeMap<Timestamp, SignedDuration> = breakers.collect();
        for (until, length) in cooldowns {
            let known = whole.entry(until).or_insert(length);
            *known = length.max(*known);
        }
        for (id, hold) in &plan.holds {
            let Some(until) = hold.until else { continue };
            let left = until.duration_since(now);
            let first = *self.0.entry((*id, until)).or_insert(left);
            // A budget is one of a day of the clock: it begins anew at midnight by whatever the clock is then.
            let of_day = hold.reason == HoldReason::Spent && left <= SignedDuration::from_hours(25);
            let whole = whole.get(&until).is_some_and(|whole| left <= *whole);
            must(left <= first || whole || of_day, || {
                format!("task {id} had {first:#} to wait, and has {left:#} now: {}", hold.detail)
            })?;
        }
        Ok(())
    }
}
