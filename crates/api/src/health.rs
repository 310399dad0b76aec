//! How an agent fares, on the wire. Stable: documented in `docs/reference/json.md`.

use jiff::Timestamp;
use orch_core::base::health::State;
use orch_core::tasks::task::{Phase, Run};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an agent fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthView {
    /// `healthy`, `quiet`, `stale` or `dead`.
    pub state: State,
    /// Its last sign of life; of a healthy one, the first after a silence.
    pub since: Timestamp,
    /// A description for a person.
    #[serde(rename(deserialize = "told"))]
    pub description: String,
    /// The same as `description`: its earlier name.
    #[serde(skip_deserializing)]
    pub told: String,
    /// How often orch has asked it what it does.
    pub asked: u32,
}

impl HealthView {
    /// Returns how the agent of a run fares; `None` unless the run is under way.
    pub fn from_run(run: &Run, now: Timestamp) -> Option<Self> {
        let health = run.health.as_ref().filter(|_| run.phase == Phase::Running)?;
        let (description, asked) = (health.describe(now), health.asked);
        Some(Self { state: health.state, since: health.since, told: description.clone(), description, asked })
    }

    /// Returns the description of an agent that is not healthy.
    pub fn trouble(&self) -> Option<&str> {
        match self.state {
            State::Healthy => None,
            State::Quiet | State::Stale | State::Dead => Some(&self.description),
        }
    }
}
