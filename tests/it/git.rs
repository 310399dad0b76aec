//! Tests orch's git adapter with real repositories: bad input, hostile repositories, interruptions, concurrency.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod discovery;
mod evidence;
mod guard;
mod halfway;
mod hidden;
mod hostile;
mod merging;
mod removal;
mod worktrees;

use crate::kit;
use crate::kit::process::Program;
use crate::kit::repo::Repo as Project;
use orch_core::base::ids::TaskId;
use orch_core::base::names::{self, BranchName};
use orch_sys::git::{Git, Repo};
use orch_sys::worktree::{Worktree, WorktreeError, WorktreeRequest};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory with a HOME of its own, and orch's git in it.
struct Fixture {
    root: TempDir,
    git: Git,
}

impl Fixture {
    async fn new() -> Self {
        let root = tempfile::Builder::new().prefix("og-").tempdir_in("/tmp").unwrap();
        for dir in ["home", "ran", "bin"] {
            std::fs::create_dir(root.path().join(dir)).unwrap();
        }
        let git = Git::locate(&environment(root.path()), &root.path().join("locks")).await.unwrap();
        Self { root, git }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn env(&self) -> Vec<(OsString, OsString)> {
        environment(self.root.path()).into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// A repository with one commit on `main`.
    fn project(&self, name: &str) -> Project {
        Project::create(&self.path(name), self.env())
    }

    async fn open(&self, project: &Project) -> Repo {
        Repo::discover(&self.git, project.dir()).await.unwrap()
    }

    /// The worktree of a task, as the engine asks for it.
    async fn ensure(&self, repo: &Repo, task: u64, title: &str) -> Result<Worktree, WorktreeError> {
        let branch = names::branch(TaskId(task), title);
        let path = self.path("worktrees").join(names::worktree_dir("shop", &branch));
        repo.ensure_worktree(&WorktreeRequest {
            path: &path,
            branch: &branch,
            base: &main(),
            start: None,
            fetch: false,
        })
        .await
    }

    /// An executable script.
    fn script(&self, file: &Path, text: &str) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let args = [Path::new("-m"), Path::new("755"), Path::new("/dev/stdin"), file];
        Program::new("install", "/").args(args).envs(self.env()).stdin(text).run().ok();
    }

    /// Names of the marker programs that ran.
    fn ran(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("ran")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn environment(root: &Path) -> BTreeMap<String, String> {
    let path = orch_sys::process::env_var("PATH").unwrap();
    let home = root.join("home").to_string_lossy().into_owned();
    BTreeMap::from([("PATH".to_owned(), path), ("HOME".to_owned(), home)])
}

fn main() -> BranchName {
    BranchName::parse("main").unwrap()
}

/// A checkout of a worktree as a person (or an agent) sees it.
fn inside(fixture: &Fixture, worktree: &Worktree) -> Agent {
    Agent { dir: worktree.path.clone(), env: fixture.env() }
}

/// Somebody who works in a checkout with plain git.
struct Agent {
    dir: PathBuf,
    env: Vec<(OsString, OsString)>,
}

impl Agent {
    fn git<const N: usize>(&self, args: [&str; N]) -> String {
        Program::new("git", &self.dir).args(args).envs(self.env.clone()).run().ok().stdout.trim_end().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        kit::write_file(&self.dir.join(name), text);
    }

    fn commit(&self, name: &str, text: &str) -> String {
        self.write(name, text);
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--message", name]);
        self.git(["rev-parse", "HEAD"])
    }
}

/// Nothing in the repository is broken, and no worktree is registered that is not there.
fn assert_sound(project: &Project) {
    project.git(["fsck", "--full", "--strict", "--no-dangling"]);
    let list = project.git(["worktree", "list", "--porcelain"]);
    assert!(!list.contains("prunable"), "{list}");
}
