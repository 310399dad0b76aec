//! The shapes of circuit breakers on the wire. Stable: documented in `docs/reference/json.md`.

use jiff::Timestamp;
use orch_core::planning::breaker::{Breaker, State, StateName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A breaker that has seen failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BreakerView {
    /// The name: `agent:NAME`, `project:DIRECTORY` or `check:DIRECTORY:COMMAND`.
    pub name: String,
    /// `closed` (failures are counted), `open` (nothing begins there) or `half_open` (one at a time may try).
    pub state: StateName,
    /// The number of consecutive failures.
    pub failures: u64,
    /// How often it has opened since it was last closed.
    pub opened: u32,
    /// When it entered its state; of a closed one, the time of its first failure.
    pub since: Option<Timestamp>,
    /// Of an open one: when one may try.
    pub until: Option<Timestamp>,
    /// The last failure, in words.
    pub detail: String,
}

impl From<&Breaker> for BreakerView {
    fn from(breaker: &Breaker) -> Self {
        let (since, until) = match breaker.state {
            State::Closed => (breaker.failures.first().map(|seen| seen.at), None),
            State::Open { since, until } => (Some(since), Some(until)),
            State::HalfOpen { since } => (Some(since), None),
        };
        Self {
            name: breaker.target.to_string(),
            state: breaker.state_name(),
            failures: breaker.failures.len() as u64,
            opened: breaker.opened,
            since,
            until,
            detail: breaker.detail.clone(),
        }
    }
}

impl BreakerView {
    /// Whether it holds anything.
    pub fn holds(&self) -> bool {
        self.state != StateName::Closed
    }
}

/// Which breakers are to be closed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResetBreakers {
    /// The name of one; without it, all.
    pub name: Option<String>,
}
