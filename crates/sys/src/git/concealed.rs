//! Finds files whose changes git hides: `update-index --skip-worktree` and `--assume-unchanged`. No status shows them,
//! but a merge that changes them is still refused.

use super::call::{Call, Checkout};
use super::error::GitError;
use super::repo::Repo;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A file whose changes git does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concealed {
    /// The path relative to the checkout.
    pub path: PathBuf,
    /// `--skip-worktree` on a file that exists: sparse checkouts mark the files that they leave out in the same way.
    pub is_skipped: bool,
    /// `--assume-unchanged`.
    pub is_assumed: bool,
}

impl Concealed {
    /// Returns the option of `git update-index` that reveals the file again.
    pub fn shown_by(&self) -> &'static str {
        if self.is_skipped { "--no-skip-worktree" } else { "--no-assume-unchanged" }
    }
}

impl Repo {
    /// Returns the files of a checkout whose changes git does not show.
    ///
    /// # Errors
    /// git fails.
    pub async fn concealed(&self, at: &Checkout) -> Result<Vec<Concealed>, GitError> {
        let listed = self.ask(at, Call::new(["ls-files", "-v", "-z"])).await?.stdout;
        let one = |line: &[u8]| {
            let [tag, b' ', path @ ..] = line else { return None };
            let path = PathBuf::from(OsStr::from_bytes(path));
            let is_skipped = tag.eq_ignore_ascii_case(&b'S') && at.work_tree.join(&path).symlink_metadata().is_ok();
            let is_assumed = tag.is_ascii_lowercase();
            (is_skipped || is_assumed).then_some(Concealed { path, is_skipped, is_assumed })
        };
        Ok(listed.split(|byte| *byte == 0).filter_map(one).collect())
    }
}
