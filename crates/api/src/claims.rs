//! Claims on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// To claim a task, or to let go of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewClaim {
    /// Who claims the task; by default the person who runs the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether a claim of another person is replaced.
    pub force: bool,
}
