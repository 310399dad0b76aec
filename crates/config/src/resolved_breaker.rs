//! The resolved settings of circuit breakers. The rule itself is in `domain::breaker`.

use super::raw::RawBreaker;
use super::resolved::seconds;
use jiff::SignedDuration;
use orch_core::planning::breaker;
use serde::Serialize;
use std::time::Duration;

/// When consecutive failures pause starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breaker {
    /// Number of consecutive failures; 0: never.
    pub failures: u32,
    /// Age after which a failure no longer counts.
    #[serde(rename = "window_seconds", serialize_with = "seconds")]
    pub window: Duration,
    /// Length of the first pause.
    #[serde(rename = "cool_down_seconds", serialize_with = "seconds")]
    pub cool_down: Duration,
    /// Longest pause.
    #[serde(rename = "max_cool_down_seconds", serialize_with = "seconds")]
    pub max_cool_down: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            // More than one short outage causes with all slots (4) in use.
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

    /// Returns the rule that these settings define.
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
