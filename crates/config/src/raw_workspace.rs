//! The keys under `workspace` as they are typed. As in `raw`, every key is optional and carries its documentation.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keys under `workspace`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWorkspace {
    /// Untracked files to copy from your checkout, as .gitignore patterns, such as .env.
    pub copy: Option<Vec<String>>,
    /// Untracked paths to link to your checkout, such as node_modules; agents can write there.
    pub link: Option<Vec<String>>,
    /// Shell commands that prepare a fresh checkout, such as npm ci; they run once you approve that file.
    #[schemars(extend("x-orch-separator" = "line"))]
    pub setup: Option<Vec<String>>,
    /// Environment variables with a value per task, for its agent and its checks.
    pub env: Option<BTreeMap<String, Option<RawVariable>>>,
}

/// Keys under `workspace.env.<name>`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawVariable {
    /// Allocates a free port under this name; variables with the same name share it.
    pub port: Option<String>,
    /// Builds a name from this text and the task's number: app becomes app_7.
    pub slug: Option<String>,
}
