//! Which repository a directory belongs to, for commands that take it from where they are typed.

use super::context::{Context, resolve};
use super::error::CliError;
use orch_config::home::Home;
use orch_sys::git::{Git, GitError, Repo, is_top};
use std::path::{Path, PathBuf};

/// git, as the engine of this home finds it.
pub async fn git(context: &Context, home: &Home) -> Result<Git, GitError> {
    Git::locate(&context.environment, &home.state().join("locks")).await
}

/// The main checkout of the repository around `dir`; `None` where there is none.
///
/// A plain checkout is seen without git. A linked worktree, a submodule and whatever else has a file for `.git` are
/// asked about.
pub async fn root_around(context: &Context, home: &Home, dir: &Path) -> Result<Option<PathBuf>, CliError> {
    let Some(top) = dir.ancestors().find(|dir| is_top(dir)) else { return Ok(None) };
    if top.join(".git").is_dir() {
        return Ok(Some(top.to_owned()));
    }
    match Repo::discover(&git(context, home).await?, dir).await {
        Ok(repo) => Ok(Some(resolve(&context.cwd, repo.root()))),
        Err(GitError::NoCommits { path }) => Ok(Some(path)),
        Err(GitError::NotARepository { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
