//! A repository whose worktrees are made, left in all states in which people and agents leave them, and cleaned up by orch's
//! own code over real git; and what may have got lost by it.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use super::dice::Dice;
use super::repo::Repo as Project;
use super::sealed_box::SealedBox;
use super::worktree_states::{self as states, Made, State};
use jiff::SignedDuration;
use orch_core::gc::Policy;
use orch_core::ids::TaskId;
use orch_core::names::{self, BranchName};
use orch_sys::git::{Git, Repo};
use orch_sys::worktree::{Aside, Retired, Subject, Worktree, WorktreeRequest};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A repository in a box, and orch's git on it.
pub struct Yard {
    /// The box.
    pub sealed: SealedBox,
    /// The person's checkout.
    pub project: Project,
    /// The same, as orch has it.
    pub repo: Repo,
}

impl Yard {
    /// With a repository of two commits.
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

    /// A place in the box.
    pub fn path(&self, name: &str) -> PathBuf {
        self.sealed.root().join(name)
    }

    /// Where worktrees wait to be deleted.
    pub fn aside(&self) -> PathBuf {
        self.path("trees/.removed")
    }

    /// The worktree of a task.
    pub async fn worktree(&self, task: u64) -> Worktree {
        let branch = names::branch(TaskId(task), "x");
        let path = self.path("trees").join(names::worktree_dir("shop", &branch));
        let request = WorktreeRequest { path: &path, branch: &branch, base: &main(), start: None, fetch: false };
        self.repo.ensure_worktree(&request).await.unwrap()
    }

    /// git in a worktree.
    pub fn inside(&self, worktree: &Worktree) -> Project {
        Project::at(&worktree.path, self.sealed.env())
    }

    /// Cleans a worktree up.
    pub async fn retire(&self, worktree: &Worktree, policy: &Policy) -> Retired {
        let base = main();
        let subject = Subject { path: &worktree.path, branch: &worktree.branch, base: &base };
        self.repo.retire(&subject, policy, Aside(&self.aside()), &|| Ok(())).await.unwrap()
    }

    /// Fails unless git finds the repository in order.
    pub fn assert_sound(&self) {
        self.project.git(["fsck", "--full", "--strict", "--no-dangling"]);
    }

    /// Whether a branch, a tag, a remote, or whatever else keeps commits from being forgotten has this one.
    fn is_kept(&self, sha: &str) -> bool {
        !self.project.try_git(["for-each-ref", "--count=1", "--contains", sha]).stdout.is_empty()
    }
}

/// The base.
pub fn main() -> BranchName {
    BranchName::parse("main").unwrap()
}

/// All may go that holds nothing.
pub fn policy() -> Policy {
    Policy { after: SignedDuration::ZERO, keep_failed: false, delete_merged_branches: false }
}

/// What came of a number of worktrees.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Worktrees that went.
    pub removed: usize,
    /// And those that stayed.
    pub kept: usize,
    /// Commits and edits that are nowhere any more.
    pub lost: Vec<String>,
    /// Those that hold nothing and stayed all the same.
    pub stuck: Vec<String>,
}

/// Makes `count` worktrees in random states, cleans up, and looks for everything that was in them.
pub async fn clean_up_worktrees(count: u64, seed: u64) -> Tally {
    let yard = Yard::new().await;
    let mut dice = Dice::new(seed);
    let mut tally = Tally::default();
    for id in 1..=count {
        let worktree = yard.worktree(id).await;
        let state = State::any(&mut dice);
        let made: Made = states::make(&yard, &worktree, &state);
        let delete_merged_branches = dice.below(2) == 0;
        let retired = yard.retire(&worktree, &Policy { delete_merged_branches, ..policy() }).await;
        let told = || format!("{state:?}: {retired:?}");
        match &retired {
            Retired::Gone { .. } => tally.removed += 1,
            Retired::Kept(_) => tally.kept += 1,
            Retired::Absent => tally.lost.push(told()),
        }
        if matches!(retired, Retired::Gone { .. }) == worktree.path.exists() {
            tally.lost.push(format!("half done, {}", told()));
        }
        let gone = |(path, text): &(PathBuf, String)| std::fs::read_to_string(path).ok().as_ref() != Some(text);
        tally.lost.extend(made.edits.iter().filter(|edit| gone(edit)).map(|edit| format!("{edit:?}, {}", told())));
        let is_there = |sha: &&String| {
            let as_it_was = worktree.path.exists() && yard.inside(&worktree).head() == made.head;
            as_it_was || yard.is_kept(sha) || states::is_nested(&made, sha)
        };
        let missing = made.commits.iter().filter(|sha| !is_there(sha));
        tally.lost.extend(missing.map(|sha| format!("{sha}, {}", told())));
        if state.is_free() && matches!(retired, Retired::Kept(_)) {
            tally.stuck.push(told());
        }
        states::release(made);
    }
    yard.assert_sound();
    tally
}
