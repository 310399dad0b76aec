//! The only door for time. It tells it; nobody waits here, and no rule reads it: rules get `now` as an argument.

use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tells what time it is. Two real clocks stand behind it: the machine's, and one that is set by hand.
pub trait Clock: Send + Sync {
    /// The wall clock. It may jump, also backwards: for what is recorded and for what a person planned.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the door to the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A point on a clock that never jumps and stands still while the machine sleeps: for measuring how long.
#[expect(clippy::disallowed_methods, reason = "the door to the monotonic clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// A clock that moves only when it is told to: for simulations of months, and for tests.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// Starts at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Jumps to `now`, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves forwards by `step` and stops at the end of representable time.
    pub fn advance(&self, step: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(step).unwrap_or(Timestamp::MAX);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved() {
        let start: Timestamp = "2026-08-01T00:00:00Z".parse().expect("a time");
        let clock = ManualClock::at(start);
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().to_string(), "2026-08-01T00:01:30Z");
        clock.set(start);
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn the_machines_clock_is_after_this_code_was_written() {
        assert!(SystemClock.now() > "2026-01-01T00:00:00Z".parse().expect("a time"));
    }
}
