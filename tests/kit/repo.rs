//! Git repositories for tests.

use super::process::{Program, Ran};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A repository with a work tree.
#[derive(Debug, Clone)]
pub struct Repo {
    dir: PathBuf,
    env: Vec<(OsString, OsString)>,
}

impl Repo {
    /// Creates one in `dir`, with an identity, the branch `main` and one commit of a `README.md`.
    pub fn create(dir: &Path, env: Vec<(OsString, OsString)>) -> Self {
        let repo = Self::create_empty(dir, env);
        repo.write("README.md", "# A project\n");
        repo.commit("Begin");
        repo
    }

    /// Creates one without a commit.
    pub fn create_empty(dir: &Path, env: Vec<(OsString, OsString)>) -> Self {
        std::fs::create_dir_all(dir).expect("a directory in the box");
        let repo = Self { dir: dir.to_owned(), env };
        repo.git(["init", "--quiet", "--initial-branch=main"]);
        repo.git(["config", "user.name", "Test Person"]);
        repo.git(["config", "user.email", "person@example.invalid"]);
        // A commit must leave no background process behind, which a test might find.
        repo.git(["config", "maintenance.autoDetach", "false"]);
        repo.git(["config", "gc.autoDetach", "false"]);
        repo
    }

    /// Uses an existing checkout.
    pub fn at(dir: &Path, env: Vec<(OsString, OsString)>) -> Self {
        Self { dir: dir.to_owned(), env }
    }

    /// The directory of the work tree.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs git, which must succeed; returns its output without the final line feed.
    pub fn git<const N: usize>(&self, args: [&str; N]) -> String {
        self.try_git(args).ok().stdout.trim_end().to_owned()
    }

    /// Runs git.
    pub fn try_git<const N: usize>(&self, args: [&str; N]) -> Ran {
        Program::new("git", &self.dir).args(args).envs(self.env.clone()).run()
    }

    /// Writes a file of the work tree, with its directories.
    pub fn write(&self, path: &str, text: &str) {
        super::write_file(&self.dir.join(path), text);
    }

    /// Reads a file of the work tree.
    pub fn read(&self, path: &str) -> String {
        super::read_file(&self.dir.join(path))
    }

    /// Reads a file from a commit; `None` if it does not exist there.
    pub fn show(&self, commit: &str, path: &str) -> Option<String> {
        let ran = self.try_git(["show", &format!("{commit}:{path}")]);
        (ran.code == Some(0)).then_some(ran.stdout)
    }

    /// Commits everything in the work tree, and returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Returns the commit that is checked out.
    pub fn head(&self) -> String {
        self.git(["rev-parse", "HEAD"])
    }

    /// Returns the subjects of the commits that `revision` reaches, newest first.
    pub fn subjects(&self, revision: &str) -> Vec<String> {
        self.git(["log", "--format=%s", revision]).lines().map(str::to_owned).collect()
    }

    /// Adds a linked worktree on a new branch.
    pub fn worktree(&self, dir: &Path, branch: &str) -> Self {
        self.git(["worktree", "add", "--quiet", "--no-track", "-b", branch, &dir.to_string_lossy()]);
        Self { dir: dir.to_owned(), env: self.env.clone() }
    }
}
