//! The shapes of cleaning up on the wire. Stable: documented in `docs/reference/json.md`.

use orch_core::base::ids::TaskId;
use orch_core::operations::gc::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How to clean up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CleanUp {
    /// Tell what would be done, and do nothing.
    pub dry_run: bool,
}

/// What became of a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The worktree was removed.
    Removed,
    /// The worktree would be removed.
    WouldRemove,
    /// The worktree stays.
    Kept,
}

/// One worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemView {
    /// The task that it belongs to.
    pub task: Option<TaskId>,
    /// The path of the worktree.
    pub path: PathBuf,
    /// Its branch.
    pub branch: String,
    /// What it takes on the disk; 0 where that was not looked at.
    pub bytes: u64,
    /// What became of it: `removed`, `would_remove` or `kept`.
    pub action: Action,
    /// Its branch goes with it.
    pub branch_deleted: bool,
    /// Why it stays.
    pub reason: Option<Reason>,
    /// The same, or why it is safe to remove it, for a person.
    pub detail: String,
}

/// Something that a removal left that was cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftoverView {
    /// Where it is, or was.
    pub path: PathBuf,
    /// It is in order now; otherwise a person must look.
    pub settled: bool,
    /// What became of it.
    pub detail: String,
}

/// What was cleaned up, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcReport {
    /// Whether nothing was touched.
    pub dry_run: bool,
    /// What is free now that was not, or would be.
    pub freed_bytes: u64,
    /// All worktrees in orch's own directory.
    pub worktrees: Vec<ItemView>,
    /// What earlier removals left.
    pub leftovers: Vec<LeftoverView>,
}
