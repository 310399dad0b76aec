//! What is asked for over the wire: a task to add, a repository to register, to try or to leave.

use orch_core::ids::TaskId;
use orch_core::route::Complexity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A task to add.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewTask {
    /// One line.
    pub title: String,
    /// Details.
    pub body: String,
    /// Labels.
    pub labels: Vec<String>,
    /// Higher first.
    pub priority: i64,
    /// Must be done before.
    pub depends_on: Vec<TaskId>,
    /// Part of.
    pub parent: Option<TaskId>,
    /// Directory of its repository.
    pub dir: Option<PathBuf>,
    /// feature, bug, …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Agent demanded.
    pub agent: Option<String>,
    /// Model demanded.
    pub model: Option<String>,
    /// Complexity demanded.
    pub complexity: Option<Complexity>,
}

/// A repository to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewProject {
    /// Its main checkout.
    pub dir: PathBuf,
    /// Name.
    pub name: String,
    /// Content id of the approved `.orch.yml`.
    pub approved: Option<String>,
}

/// A repository whose checks are to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TryChecks {
    /// Its main checkout.
    pub dir: PathBuf,
}

/// A repository that is to be registered no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveProject {
    /// Its name or directory.
    pub project: String,
}
