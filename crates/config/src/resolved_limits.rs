//! How much a run may take and how its agent is watched, complete, with the only statement of these defaults.

use super::raw::{RawHealthCheck, RawLimits};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a run may take, beside `workflow.timeout_seconds` and `workflow.silence_seconds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Longest run in seconds by the task's type, 0: no limit.
    pub time_by_type: BTreeMap<String, u64>,
    /// Silence after which an agent is asked, 0: never; `None`: half of what silence may last.
    pub nudge_after_seconds: Option<u64>,
    /// Memory in megabytes (of 1,000,000 bytes), 0: no limit.
    pub memory_mb: u64,
    /// Output in megabytes (of 1,000,000 bytes), 0: no limit.
    pub output_mb: u64,
}

/// How agents are watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// How they fare is told.
    pub enabled: bool,
    /// Time between two looks.
    pub interval_ms: u64,
    /// How long a look may take.
    pub timeout_ms: u64,
    /// Looks that must agree beside the first.
    pub max_retries: u32,
}

/// What types of tasks take, by experience.
const BY_TYPE: [(&str, u64); 8] = [
    ("architecture", 7200),
    ("bug", 3600),
    ("bugfix", 3600),
    ("docs", 1800),
    ("feature", 5400),
    ("refactor", 7200),
    ("security", 5400),
    ("testing", 7200),
];

/// Of an agent whose silence has no limit.
const STALE: Duration = Duration::from_secs(450);

impl Default for Limits {
    fn default() -> Self {
        let time_by_type = BY_TYPE.iter().map(|&(kind, seconds)| (kind.to_owned(), seconds)).collect();
        Self { time_by_type, nudge_after_seconds: None, memory_mb: 0, output_mb: 0 }
    }
}

impl Limits {
    /// `timeout_is_said`: somebody chose `workflow.timeout_seconds`, which then holds for every type that nobody spoke of.
    pub(super) fn with(mut self, raw: RawLimits, timeout_is_said: bool) -> Self {
        if timeout_is_said {
            self.time_by_type.clear();
        }
        for (kind, seconds) in raw.time_by_type.unwrap_or_default() {
            match seconds {
                Some(seconds) => self.time_by_type.insert(kind.to_lowercase(), seconds.0),
                None => self.time_by_type.remove(&kind.to_lowercase()),
            };
        }
        Self {
            time_by_type: self.time_by_type,
            nudge_after_seconds: raw.nudge_after_seconds.or(self.nudge_after_seconds),
            memory_mb: raw.memory_mb.unwrap_or(self.memory_mb),
            output_mb: raw.output_mb.unwrap_or(self.output_mb),
        }
    }

    /// The limit for tasks of a type in seconds, 0: none; `None`: types of that name have none of their own.
    pub fn time_of(&self, kind: &str) -> Option<u64> {
        self.time_by_type.get(&kind.trim().to_lowercase()).copied()
    }

    /// Silence after which an agent counts as stale, when silence may last so long at most.
    pub fn stale_after(&self, silence: Option<Duration>) -> Duration {
        let asked = self.nudge_after_seconds.filter(|&seconds| seconds > 0).map(Duration::from_secs);
        asked.or(silence.map(|silence| silence / 2)).unwrap_or(STALE)
    }

    /// Whether a stale agent is asked what it does.
    pub fn asks(&self) -> bool {
        self.nudge_after_seconds != Some(0)
    }
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { enabled: true, interval_ms: 30_000, timeout_ms: 3_000, max_retries: 3 }
    }
}

impl HealthCheck {
    pub(super) fn with(self, raw: RawHealthCheck) -> Self {
        Self {
            enabled: raw.enabled.unwrap_or(self.enabled),
            interval_ms: raw.interval_ms.unwrap_or(self.interval_ms),
            timeout_ms: raw.timeout_ms.unwrap_or(self.timeout_ms),
            max_retries: raw.max_retries.unwrap_or(self.max_retries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(raw: serde_json::Value, timeout_is_said: bool) -> Limits {
        Limits::default().with(serde_json::from_value(raw).unwrap(), timeout_is_said)
    }

    #[test]
    fn a_type_has_its_time_unless_the_person_chose_one_for_all() {
        let all = serde_json::json!({});
        assert_eq!(limits(all.clone(), false).time_of(" Docs"), Some(1800));
        assert_eq!(limits(all.clone(), false).time_of("chore"), None);
        assert_eq!(limits(all, true).time_of("docs"), None);
        let own = serde_json::json!({"time_by_type": {"Docs": 60, "feature": null, "epic": 0}});
        let both = limits(own, true);
        assert_eq!((both.time_of("docs"), both.time_of("feature"), both.time_of("epic")), (Some(60), None, Some(0)));
    }

    #[test]
    fn who_is_silent_for_half_of_what_is_allowed_is_asked() {
        let silence = Some(Duration::from_secs(900));
        assert_eq!(limits(serde_json::json!({}), false).stale_after(silence), Duration::from_secs(450));
        let never = limits(serde_json::json!({"nudge_after_seconds": 0}), false);
        assert_eq!((never.stale_after(silence), never.asks()), (Duration::from_secs(450), false));
        let soon = limits(serde_json::json!({"nudge_after_seconds": 5}), false);
        assert_eq!((soon.stale_after(None), soon.asks()), (Duration::from_secs(5), true));
    }
}
