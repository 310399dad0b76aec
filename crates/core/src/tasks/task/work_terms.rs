//! The settings that decide what happens with the result of a run.

use crate::tasks::evidence::IntegrateMode;
use crate::tasks::review::ReviewMode;
use crate::tasks::workspace::Variable;
use std::collections::BTreeMap;

/// The settings for the result of a run, as they were when the run started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkTerms {
    /// `workflow.integrate`.
    pub integrate: IntegrateMode,
    /// The approved commands of `workflow.checks`.
    pub checks: Vec<String>,
    /// `workflow.checks_in` is `worktree`.
    pub checks_in_worktree: bool,
    /// `workflow.check_timeout_seconds` in milliseconds.
    pub check_timeout_ms: u64,
    /// `workflow.verify_after_merge`.
    pub verify_after_merge: bool,
    /// `workflow.review`.
    pub review: ReviewMode,
    /// `workspace`; absent in older records.
    pub workspace: Option<WorkspaceTerms>,
}

/// How the project's checkouts are prepared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkspaceTerms {
    /// Patterns of untracked files that are copied.
    pub copy: Vec<String>,
    /// Untracked paths that are linked.
    pub link: Vec<String>,
    /// The approved setup commands.
    pub setup: Vec<String>,
    /// Variables with a value per task.
    pub env: BTreeMap<String, Variable>,
}
