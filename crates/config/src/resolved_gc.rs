//! The resolved settings of garbage collection. `domain::gc` decides which worktrees may be removed.

use super::overlay::overlay;
use super::raw::RawGc;
use jiff::SignedDuration;
use orch_core::operations::gc::Policy;
use serde::Serialize;

/// Which worktrees are removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gc {
    /// Whether the daemon removes them automatically.
    pub enabled: bool,
    /// Hours that a worktree is kept after its task is finished.
    pub after_hours: u32,
    /// Whether worktrees of tasks cancelled after a failure are kept.
    pub keep_failed: bool,
    /// Whether a branch is deleted with its worktree, once its base contains it.
    pub delete_merged_branches: bool,
}

impl Default for Gc {
    fn default() -> Self {
        Self { enabled: true, after_hours: 24, keep_failed: true, delete_merged_branches: false }
    }
}

impl Gc {
    pub(super) fn with(self, raw: RawGc) -> Self {
        overlay!(self with raw { [enabled, after_hours, keep_failed, delete_merged_branches] })
    }

    /// Returns the policy that these settings define.
    pub fn policy(&self) -> Policy {
        Policy {
            after: SignedDuration::from_hours(i64::from(self.after_hours)),
            keep_failed: self.keep_failed,
            delete_merged_branches: self.delete_merged_branches,
        }
    }
}
