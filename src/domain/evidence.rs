//! What orch saw for itself of a task's result, and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One check of `workflow.checks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// The shell line.
    pub command: String,
    /// How it went.
    pub state: CheckState,
    /// Exit code, when it exited by itself.
    pub exit_code: Option<i32>,
    /// Wall time.
    pub duration_ms: u64,
    /// The end of its output, redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output_tail: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Exit code 0.
    Passed,
    /// Another exit code, or a signal.
    Failed,
    /// Ended by orch's time limit.
    TimedOut,
    /// Could not be started.
    NotStarted,
}

/// What orch saw for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Commit the branch started from.
    pub base: String,
    /// Commit that was judged.
    pub head: String,
    /// Commits ahead of the base, oldest first.
    pub commits: Vec<String>,
    /// Changed files.
    pub files: u64,
    /// Added lines.
    pub insertions: u64,
    /// Removed lines.
    pub deletions: u64,
    /// Checks, in the order of the configuration.
    pub checks: Vec<Check>,
    /// Changes outside the worktree that the run is held responsible for.
    pub violations: Vec<String>,
    /// Things worth knowing that decide nothing.
    pub notes: Vec<String>,
}

/// What became of an accepted branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    /// By which mode.
    pub mode: IntegrateMode,
    /// How far.
    pub state: IntegrationState,
    /// The commit that holds the result.
    pub commit: Option<String>,
}

/// `workflow.integrate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrateMode {
    /// Leave the branch for the person.
    #[default]
    Branch,
    /// Merge it locally when the checks pass on the result.
    Merge,
}

/// How far integration came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationState {
    /// The branch is there for the person.
    Kept,
    /// The base branch holds it.
    Merged,
}
