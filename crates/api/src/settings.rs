//! The settings that a daemon works with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What came of taking over the files of the settings. Part of the JSON contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadView {
    /// What is wrong with them; where there is such a thing, what was in force before goes on.
    pub problems: Vec<String>,
}
