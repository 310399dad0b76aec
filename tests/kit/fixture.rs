//! Tests the cleanup of worktrees: creates worktrees in all states in which people and agents leave them, removes them by
//! orch's own code over real git, and checks that nothing was lost.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use super::dice::Dice;
use super::repo::Repo as Project;
use super::sealed_box::SealedBox;
use super::worktree_states::{self as states, Made, State};
use jiff::SignedDuration;
use orch_core::base::ids::TaskId;
use orch_core::base::names::{self, BranchName};
use orch_core::operations::gc::Policy;
use orch_sys::git::{Git, Repo};
use orch_sys::worktree::{Aside, Retired, Subject, Worktree, WorktreeRequest};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A repository in a box, with orch's git on it.
pub struct Fixture {
    /// The box.
    pub sealed: SealedBox,
    /// The user's checkout.
    pub project: Project,
    /// The same repository, as orch's type.
    pub repo: Repo,
}

impl Fixture {
    /// Creates a yard with a repository of two commits.
    pub async fn new() -> Self {
        let sealed = SealedBox::new();
        let project = sealed.repo("shop");
        project.write(".gitignore", "cache/\n");
        project.write("second.txt", "second\n");
        project.commit("Ignore");
        let env: BTreeMap<String, String> = sealed
            .env()
            .into_iter()
            .map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap()))
            .collect();
        let git = Git::locate(&env, &sealed.root().join("locks")).await.unwrap();
        let repo = Repo::discover(&git, project.dir()).await.unwrap();
        Self { sealed, project, repo }
    }

    /// Returns a path in the box.
    pub fn path(&self, name: &str) -> PathBuf {
        self.sealed.root().join(name)
    }

    /// Returns the directory of worktrees that wait to be deleted.
    pub fn aside(&self) -> PathBuf {
        self.path("trees/.removed")
    }

    /// Creates the worktree of a task.
    pub async fn worktree(&self, task: u64) -> Worktree {
        let branch = names::branch(TaskId(task), "x");
        let path = self.path("trees").join(names::worktree_dir("shop", &branch));
        let request = WorktreeRequest { path: &path, branch: &branch, base: &main(), start: None, fetch: false };
        self.repo.ensure_worktree(&request).await.unwrap()
    }

    /// Returns git in a worktree.
    pub fn inside(&self, worktree: &Worktree) -> Project {
        Project::at(&worktree.path, self.sealed.env())
    }

    /// Cleans up a worktree.
    pub async fn retire(&self, worktree: &Worktree, policy: &Policy) -> Retired {
        let base = main();
        let subject = Subject { path: &worktree.path, branch: &worktree.branch, base: &base };
        self.repo.retire(&subject, policy, Aside(&self.aside()), &|| Ok(())).await.unwrap()
    }

    /// Asserts that git finds the repository intact.
    pub fn assert_sound(&self) {
        self.project.git(["fsck", "--full", "--strict", "--no-dangling"]);
    }

    /// Returns whether any reference (a branch, a tag, a remote) reaches this commit.
    fn is_kept(&self, sha: &str) -> bool {
        !self.project.try_git(["for-each-ref", "--count=1", "--contains", sha]).stdout.is_empty()
    }
}

/// Returns the base branch.
pub fn main() -> BranchName {
    BranchName::parse("main").unwrap()
}

/// Returns a policy that removes every worktree without unsaved work.
pub fn policy() -> Policy {
    Policy { after: SignedDuration::ZERO, keep_failed: false, delete_merged_branches: false }
}

/// The results for a number of worktrees.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of removed worktrees.
    pub removed: usize,
    /// The number of kept worktrees.
    pub kept: usize,
    /// Commits and edits that were lost.
    pub lost: Vec<String>,
    /// Worktrees without unsaved work that were kept all the same.
    pub stuck: Vec<String>,
}

/// Creates `count` worktrees in random states, cleans up, and checks for everything that was in them.
pub async fn clean_up_worktrees(count: u64, seed: u64) -> Tally {
    let fixture = Fixture::new().await;
    let mut dice = Dice::new(seed);
    let mut tally = Tally::default();
    for id in 1..=count {
        let worktree = fixture.worktree(id).await;
        let state = State::any(&mut dice);
        let made: Made = states::make(&fixture, &worktree, &state);
        let delete_merged_branches = dice.below(2) == 0;
        let retired = fixture.retire(&worktree, &Policy { delete_merged_branches, ..policy() }).await;
        let describe = || format!("{state:?}: {retired:?}");
        match &retired {
            Retired::Gone { .. } => tally.removed += 1,
            Retired::Kept(_) => tally.kept += 1,
            Retired::Absent => tally.lost.push(describe()),
        }
        if matches!(retired, Retired::Gone { .. }) == worktree.path.exists() {
            tally.lost.push(format!("half done, {}", describe()));
        }
        let gone = |(path, text): &(PathBuf, String)| std::fs::read_to_string(path).ok().as_ref() != Some(text);
        tally.lost.extend(made.edits.iter().filter(|edit| gone(edit)).map(|edit| format!("{edit:?}, {}", describe())));
        let is_there = |sha: &&String| {
            let as_it_was = worktree.path.exists() && fixture.inside(&worktree).head() == made.head;
            as_it_was || fixture.is_kept(sha) || states::is_nested(&made, sha)
        };
        let missing = made.commits.iter().filter(|sha| !is_there(sha));
        tally.lost.extend(missing.map(|sha| format!("{sha}, {}", describe())));
        if state.is_free() && matches!(retired, Retired::Kept(_)) {
            tally.stuck.push(describe());
        }
        states::release(made);
    }
    fixture.assert_sound();
    tally
}
