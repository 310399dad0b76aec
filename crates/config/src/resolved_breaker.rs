//! The settings of circuit breakers as they are meant. The rule itself is `domain::breaker`'s.

use super::raw::RawBreaker;
use super::resolved::seconds;
use jiff::SignedDuration;
use orch_core::breaker;
use serde::Serialize;
use std::time::Duration;

/// When starts stop after failures in a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breaker {
    /// How many; 0: never.
    pub failures: u32,
    /// Older ones do not count.
    #[serde(rename = "window_seconds", serialize_with = "seconds")]
    pub window: Duration,
    /// How long they stop the first time.
    #[serde(rename = "cool_down_seconds", serialize_with = "seconds")]
    pub cool_down: Duration,
    /// How long at most.
    #[serde(rename = "max_cool_down_seconds", serialize_with = "seconds")]
    pub max_cool_down: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            // More than one bad moment of all slots makes.
            failures: 5,
            window: Duration::from_secs(3600),
            cool_down: Duration::from_secs(300),
            max_cool_down: Duration::from_secs(3600),
        }
    }
}

impl Breaker {
    pub(super) fn with(self, raw: RawBreaker) -> Self {
        Self {
            failures: raw.failures.unwrap_or(self.failures),
            window: raw.window_seconds.map_or(self.window, Duration::from_secs),
            cool_down: raw.cool_down_seconds.map_or(self.cool_down, Duration::from_secs),
            max_cool_down: raw.max_cool_down_seconds.map_or(self.max_cool_down, Duration::from_secs),
        }
    }

    /// The rule that it sets.
    pub fn rule(&self) -> breaker::Rule {
        let span = |time: Duration| SignedDuration::from_secs(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        breaker::Rule {
            failures: self.failures,
            window: span(self.window),
            cool_down: span(self.cool_down),
            longest: span(self.max_cool_down),
        }
    }
}
