//! Whether a checkout is in the middle of something: then nobody may commit or merge there in passing.

use super::call::Checkout;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A git operation that waits for somebody to go on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `git merge`, with conflicts or not committed.
    Merge,
    /// `git rebase`, or `git am`.
    Rebase,
    /// `git cherry-pick`.
    CherryPick,
    /// `git revert`.
    Revert,
    /// `git bisect`.
    Bisect,
}

/// The files by which git itself knows.
const SIGNS: &[(&str, Operation)] = &[
    ("rebase-merge", Operation::Rebase),
    ("rebase-apply", Operation::Rebase),
    ("MERGE_HEAD", Operation::Merge),
    ("CHERRY_PICK_HEAD", Operation::CherryPick),
    ("REVERT_HEAD", Operation::Revert),
    ("BISECT_LOG", Operation::Bisect),
];

impl Checkout {
    /// What it is in the middle of.
    pub fn operation(&self) -> Option<Operation> {
        SIGNS
            .iter()
            .find(|(sign, _)| self.git_dir.join(sign).symlink_metadata().is_ok())
            .map(|(_, operation)| *operation)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Merge => "merge",
            Self::Rebase => "rebase",
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
            Self::Bisect => "bisect",
        })
    }
}
