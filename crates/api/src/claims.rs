//! Claims on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// To claim a task, or to let go of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewClaim {
    /// Who does it; without it, whoever runs the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Also where it is somebody else's.
    pub force: bool,
}
