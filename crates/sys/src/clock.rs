//! The only adapter that reads the time. Nothing waits here, and no rule reads the clock: rules get `now` as an
//! argument.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A source of time: the machine's clock, or one that is set by hand.
pub trait Clock: Send + Sync {
    /// Returns the wall-clock time. It may jump, also backwards: use it for records and for times that a person
    /// planned.
    fn now(&self) -> Timestamp;

    /// Returns the monotonic time: use it to measure waits.
    fn instant(&self) -> Instant {
        instant()
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the door to the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Returns the monotonic time, which never jumps and does not advance while the machine sleeps. For measuring durations.
#[expect(clippy::disallowed_methods, reason = "the door to the monotonic clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// Returns the time zone of an IANA name, or the machine's when `name` is `None`. The system's database takes
/// precedence over the bundled one.
///
/// # Errors
/// There is no time zone of that name; the error is a message.
pub fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    let Some(name) = name else { return Ok(TimeZone::system()) };
    TimeZone::get(name).map_err(|_| format!("there is no time zone {name:?}"))
}

/// A clock that moves only when it is advanced: for simulations of months, and for tests.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Instant)>);

impl ManualClock {
    /// Creates a clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new((now, instant())))
    }

    /// Sets the wall clock to `now`, forwards or backwards; the monotonic clock stays.
    pub fn set(&self, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = now;
    }

    /// Advances both clocks by `step`, up to the end of representable time.
    pub fn advance(&self, step: Duration) {
        let mut time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        time.0 = time.0.saturating_add(step).unwrap_or(Timestamp::MAX);
        time.1 += step;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn instant(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
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
        let began = clock.instant();
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().to_string(), "2026-08-01T00:01:30Z");
        clock.set(start);
        assert_eq!(clock.now(), start);
        assert_eq!(clock.instant() - began, Duration::from_secs(90), "what never jumps did not jump");
    }

    #[test]
    fn the_machines_clock_is_after_this_code_was_written() {
        assert!(SystemClock.now() > "2026-01-01T00:00:00Z".parse().expect("a time"));
    }
}
