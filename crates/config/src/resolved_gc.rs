//! The settings of cleaning up as they are meant. What may go is `domain::gc`'s to say.

use super::raw::RawGc;
use jiff::SignedDuration;
use orch_core::gc::Policy;
use serde::Serialize;

/// Which worktrees go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gc {
    /// The daemon removes them by itself.
    pub enabled: bool,
    /// Hours after the task came to rest.
    pub after_hours: u32,
    /// Those of tasks that were given up after a failure stay.
    pub keep_failed: bool,
    /// A branch goes with its worktree, once its base has it.
    pub delete_merged_branches: bool,
}

impl Default for Gc {
    fn default() -> Self {
        Self { enabled: true, after_hours: 24, keep_failed: true, delete_merged_branches: false }
    }
}

impl Gc {
    pub(super) fn with(self, raw: RawGc) -> Self {
        Self {
            enabled: raw.enabled.unwrap_or(self.enabled),
            after_hours: raw.after_hours.unwrap_or(self.after_hours),
            keep_failed: raw.keep_failed.unwrap_or(self.keep_failed),
            delete_merged_branches: raw.delete_merged_branches.unwrap_or(self.delete_merged_branches),
        }
    }

    /// What a person wants.
    pub fn policy(&self) -> Policy {
        Policy {
            after: SignedDuration::from_hours(i64::from(self.after_hours)),
            keep_failed: self.keep_failed,
            delete_merged_branches: self.delete_merged_branches,
        }
    }
}
