//! What the settings say of a run: the limits that its runner holds, and what it masks. PURE.

use orch_config::resolved::Config;
use orch_config::resolved_agent::AgentConfig;
use orch_core::tasks::task::Task;
use orch_core::text::redact::Pattern;
use orch_runner::{HealthCheck, Limits};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the settings say of every run of a kind.
pub struct RunLimits {
    /// The limits that the runner holds.
    pub limits: Limits,
    /// The patterns that are masked.
    pub redact: Vec<Pattern>,
    /// Variables of the task's own (`workspace.env`).
    pub env: BTreeMap<String, String>,
}

impl RunLimits {
    /// Of work by `agent` on `task`. The agent's own limit holds before that of the task's type, and that before the one
    /// for all.
    pub fn for_task(config: &Config, agent: &AgentConfig, task: &Task) -> Self {
        let by_type = || task.spec.kind.as_deref().and_then(|kind| config.limits.time_of(kind));
        let timeout = match agent.timeout_seconds.or_else(by_type) {
            Some(seconds) => (seconds > 0).then(|| Duration::from_secs(seconds)),
            None => config.workflow.timeout,
        };
        let limits = Limits {
            timeout_ms: timeout.map_or(u64::MAX, millis),
            silence_ms: config.workflow.silence.map_or(u64::MAX, millis),
            max_output_bytes: bytes(config.limits.output_mb),
            memory_bytes: bytes(agent.memory_mb.unwrap_or(config.limits.memory_mb)),
            health: health(config),
            ..Limits::default()
        };
        Self::new(config, limits)
    }

    /// Of a routing question or a review, which has `timeout`, and may be silent for all of it.
    pub fn for_question(config: &Config, timeout: Duration) -> Self {
        let timeout_ms = millis(timeout);
        Self::new(config, Limits { timeout_ms, silence_ms: timeout_ms, health: health(config), ..Limits::default() })
    }

    fn new(config: &Config, limits: Limits) -> Self {
        Self { limits, redact: config.redact.compiled(), env: BTreeMap::new() }
    }
}

/// How the agent of any run is watched.
fn health(config: &Config) -> HealthCheck {
    let check = &config.health_check;
    HealthCheck {
        enabled: check.enabled,
        interval_ms: check.interval_ms,
        timeout_ms: check.timeout_ms,
        max_retries: check.max_retries,
        stale_ms: millis(config.limits.stale_after(config.workflow.silence)),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn bytes(megabytes: u64) -> Option<u64> {
    (megabytes > 0).then(|| megabytes.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_config::{Layer, load};
    use orch_core::base::ids::TaskId;
    use orch_core::tasks::task::{FileState, Spec};

    fn limits(config: &str, kind: Option<&str>) -> Limits {
        let loaded = load(&[Layer::Global { path: "c".into(), text: config.to_owned() }]).expect("good settings");
        let spec = Spec { kind: kind.map(str::to_owned), ..Spec::default() };
        let task = Task::new(TaskId(1), spec, FileState::Pending, jiff::Timestamp::UNIX_EPOCH);
        RunLimits::for_task(&loaded.config, loaded.config.agent("claude").expect("known"), &task).limits
    }

    fn seconds(config: &str, kind: Option<&str>) -> u64 {
        limits(config, kind).timeout_ms / 1000
    }

    #[test]
    fn the_agents_limit_of_time_comes_before_the_types_and_that_before_the_one_for_all() {
        assert_eq!((seconds("", None), seconds("", Some("feature")), seconds("", Some("chore"))), (1800, 5400, 1800));
        let all = "workflow: {timeout_seconds: 60}\n";
        assert_eq!((seconds(all, None), seconds(all, Some("feature"))), (60, 60));
        let own = format!("{all}limits: {{time_by_type: {{feature: 70}}}}\n");
        assert_eq!((seconds(&own, Some("Feature")), seconds(&own, Some("docs"))), (70, 60));
        let agent = format!("{own}agents: {{claude: {{timeout_seconds: 80}}}}\n");
        assert_eq!((seconds(&agent, Some("feature")), seconds(&agent, None)), (80, 80));
        assert_eq!(limits("limits: {time_by_type: {docs: 0}}\n", Some("docs")).timeout_ms, u64::MAX);
    }

    #[test]
    fn memory_and_output_are_unlimited_unless_somebody_said_so() {
        let usual = limits("", None);
        assert_eq!((usual.memory_bytes, usual.max_output_bytes), (None, None));
        let all = "limits: {memory_mb: 500, output_mb: 2}\n";
        assert_eq!(
            (limits(all, None).memory_bytes, limits(all, None).max_output_bytes),
            (Some(500_000_000), Some(2_000_000))
        );
        assert_eq!(limits(&format!("{all}agents: {{claude: {{memory_mb: 0}}}}\n"), None).memory_bytes, None);
        assert_eq!(usual.health.stale_ms, 450_000);
    }
}
