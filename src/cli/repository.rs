//! Finds the repository that a directory belongs to, for commands that default to the working directory.

use super::context::{Context, resolve};
use super::error::CliError;
use orch_config::home::Home;
use orch_sys::git::{Git, GitError, Repo, is_top};
use std::path::{Path, PathBuf};

/// Returns git, as the engine of this home finds it.
pub async fn git(context: &Context, home: &Home) -> Result<Git, GitError> {
    Git::locate(&context.environment, &home.state().join("locks")).await
}

/// Returns the main checkout of the repository around `dir`, or `None`.
///
/// A plain checkout is recognized without git. For a linked worktree, a submodule and everything else with a file named
/// `.git`, git is asked.
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
