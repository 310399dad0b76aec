//! The settings that decide about the result of a run.

use crate::evidence::IntegrateMode;
use crate::review::ReviewMode;
use crate::workspace::Variable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happens with the result of a run, as it was set when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkTerms {
    /// `workflow.integrate`.
    pub integrate: IntegrateMode,
    /// The approved commands of `workflow.checks`.
    pub checks: Vec<String>,
    /// `workflow.checks_in` is `worktree`.
    pub checks_in_worktree: bool,
    /// `workflow.check_timeout_seconds`, in milliseconds.
    pub check_timeout_ms: u64,
    /// `workflow.verify_after_merge`.
    pub verify_after_merge: bool,
    /// `workflow.review`.
    pub review: ReviewMode,
    /// `workspace`; absent in what was stored before it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceTerms>,
}

/// What the project's checkouts were made ready with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkspaceTerms {
    /// Patterns of untracked files that are copied.
    pub copy: Vec<String>,
    /// Untracked paths that are linked.
    pub link: Vec<String>,
    /// The approved commands.
    pub setup: Vec<String>,
    /// Variables of each task's own.
    pub env: BTreeMap<String, Variable>,
}
