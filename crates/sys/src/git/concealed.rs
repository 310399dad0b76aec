//! Files of a checkout at which git was told not to look: `update-index --skip-worktree` and `--assume-unchanged`. No status
//! shows what they hold, and a merge that changes them is refused all the same.

use super::call::{Call, Checkout};
use super::error::GitError;
use super::repo::Repo;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A file whose changes git does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concealed {
    /// Relative to the checkout.
    pub path: PathBuf,
    /// `--skip-worktree`, and it is there all the same: a sparse checkout leaves files out by the same mark.
    pub is_skipped: bool,
    /// `--assume-unchanged`.
    pub is_assumed: bool,
}

impl Concealed {
    /// The option of `git update-index` that has git look at it again.
    pub fn shown_by(&self) -> &'static str {
        if self.is_skipped { "--no-skip-worktree" } else { "--no-assume-unchanged" }
    }
}

impl Repo {
    /// The files of a checkout whose changes git does not show.
    ///
    /// # Errors
    /// git gives no answer.
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
