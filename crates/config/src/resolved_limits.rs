//! The resolved limits of a run and the settings of its monitoring. The only place that defines these defaults.

use super::overlay::overlay;
use super::raw::{RawHealthCheck, RawLimits};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Limits of a run, in addition to `workflow.timeout_seconds` and `workflow.silence_seconds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Longest run in seconds by type of the task; 0: no limit.
    pub time_by_type: BTreeMap<String, u64>,
    /// Silence in seconds after which an agent is asked; 0: never; `None`: half of the limit of silence.
    pub nudge_after_seconds: Option<u64>,
    /// Memory limit in megabytes (of 1,000,000 bytes); 0: no limit.
    pub memory_mb: u64,
    /// Output limit in megabytes (of 1,000,000 bytes); 0: no limit.
    pub output_mb: u64,
}

/// How agents are monitored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// Whether their health is monitored and reported.
    pub enabled: bool,
    /// Interval between checks.
    pub interval_ms: u64,
    /// Longest duration of a check.
    pub timeout_ms: u64,
    /// Checks that must agree, in addition to the first.
    pub max_retries: u32,
}

/// Default time limits in seconds by type of the task, from experience.
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

/// Silence after which an agent is stale if its silence has no limit.
const STALE: Duration = Duration::from_secs(450);

impl Default for Limits {
    fn default() -> Self {
        let time_by_type = BY_TYPE.iter().map(|&(kind, seconds)| (kind.to_owned(), seconds)).collect();
        Self { time_by_type, nudge_after_seconds: None, memory_mb: 0, output_mb: 0 }
    }
}

impl Limits {
    /// Applies the typed settings. With `timeout_is_set`, the person chose `workflow.timeout_seconds`, which then also
    /// applies to the types that have a default here.
    pub(super) fn with(mut self, raw: RawLimits, timeout_is_set: bool) -> Self {
        if timeout_is_set {
            self.time_by_type.clear();
        }
        for (kind, seconds) in raw.time_by_type.unwrap_or_default() {
            match seconds {
                Some(seconds) => self.time_by_type.insert(kind.to_lowercase(), seconds.0),
                None => self.time_by_type.remove(&kind.to_lowercase()),
            };
        }
        overlay!(self with raw {
            [memory_mb, output_mb]
            ?[nudge_after_seconds]
            time_by_type: self.time_by_type,
        })
    }

    /// Returns the time limit for tasks of a type, in seconds (0: no limit); `None`: the type has no own limit.
    pub fn time_of(&self, kind: &str) -> Option<u64> {
        self.time_by_type.get(&kind.trim().to_lowercase()).copied()
    }

    /// Returns the silence after which an agent is stale, given the limit of silence.
    pub fn stale_after(&self, silence: Option<Duration>) -> Duration {
        let asked = self.nudge_after_seconds.filter(|&seconds| seconds > 0).map(Duration::from_secs);
        asked.or(silence.map(|silence| silence / 2)).unwrap_or(STALE)
    }

    /// Returns whether a stale agent is asked for its status.
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
        overlay!(self with raw { [enabled, interval_ms, timeout_ms, max_retries] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(raw: serde_json::Value, timeout_is_set: bool) -> Limits {
        Limits::default().with(serde_json::from_value(raw).unwrap(), timeout_is_set)
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
