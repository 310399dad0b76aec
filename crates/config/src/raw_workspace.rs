//! The settings of a project's workspace as a person types them. As in `raw`: every key optional, its documentation
//! beside it.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keys under `workspace`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWorkspace {
    /// Files that git does not track and that are copied from your checkout, as patterns of .gitignore: .env.
    pub copy: Option<Vec<String>>,
    /// Paths that git does not track and that lead to your checkout; agents can write there: node_modules.
    pub link: Option<Vec<String>>,
    /// Shell commands that make a fresh checkout ready, such as npm ci; they count once you approved that file.
    #[schemars(extend("x-orch-separator" = "line"))]
    pub setup: Option<Vec<String>>,
    /// Variables with a value of each task's own, for its agent and its checks.
    pub env: Option<BTreeMap<String, Option<RawVariable>>>,
}

/// Keys under `workspace.env.<name>`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawVariable {
    /// A free port; variables with the same name here share it.
    pub port: Option<String>,
    /// A name made of this text and the task's number: app gives app_7.
    pub slug: Option<String>,
}
