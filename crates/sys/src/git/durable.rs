//! Makes commits of others durable: by default git flushes neither loose objects nor the names of branches. orch's own
//! calls ask for it ([`Call::durable`]); an agent's do not.

use super::base::require_sha;
use super::call::{Call, Checkout};
use super::error::GitError;
use super::repo::Repo;
use crate::fs;
use orch_core::base::names::BranchName;
use std::path::PathBuf;

impl Call {
    /// Makes git flush objects, refs and index before the call returns.
    pub(super) fn durable(self) -> Self {
        self.setting("core.fsync", "added")
    }
}

impl Repo {
    /// Flushes the commits from `base` to `head` with all their objects, and then the name of the branch: a name must
    /// not become durable before what it names. git itself has flushed packs.
    ///
    /// # Errors
    /// They cannot be listed or flushed.
    pub async fn make_durable(
        &self,
        at: &Checkout,
        branch: &BranchName,
        base: &str,
        head: &str,
    ) -> Result<(), GitError> {
        let call = Call::new(["rev-list", "--objects", "--no-object-names", require_sha(head)?, "--not"]);
        let listed = self.ask(at, call.arg(require_sha(base)?)).await?.text();
        let (below, objects) = (at.common_dir.clone(), at.common_dir.join("objects"));
        let parts = listed.lines().filter_map(|sha| sha.split_at_checked(2));
        let files: Vec<PathBuf> = parts.map(|(dir, name)| objects.join(dir).join(name)).collect();
        let name = at.common_dir.join(branch.full_ref());
        let flush = move || fs::sync_files(&files, &below).and_then(|()| fs::sync_files(&[name], &below));
        let flushed = tokio::task::spawn_blocking(flush).await;
        let io = |path: PathBuf, source| GitError::Io { path, source };
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(GitError::file(&at.common_dir, error)),
            Err(error) => Err(io(at.common_dir.clone(), std::io::Error::other(error))),
        }
    }
}
