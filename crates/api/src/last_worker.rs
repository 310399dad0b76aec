//! Who worked on a task last, on the wire. Stable: documented in `docs/reference/json.md`.

use orch_core::economics::track_record::Worker;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who made the last run of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastWorker {
    /// The agent.
    pub agent: String,
    /// The model that it was given; `null`: its own choice.
    pub model: Option<String>,
}

impl From<Worker> for LastWorker {
    fn from(worker: Worker) -> Self {
        Self { agent: worker.agent, model: worker.model }
    }
}
