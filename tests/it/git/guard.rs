//! What a run must leave alone.

use super::{Lab, inside, main};
use crate::kit;
use orch::adapters::git::{Change, ChangeKind, Guard, MoveProgress, RefMove, Weight};
use std::cell::Cell;

fn summary(changes: &[Change]) -> Vec<(ChangeKind, Weight, String)> {
    changes.iter().map(|change| (change.kind, change.weight, change.names.join(" "))).collect()
}

#[tokio::test]
async fn work_on_the_tasks_own_branch_and_on_other_tasks_is_no_change() {
    let lab = Lab::new().await;
    let project = lab.project("shop");
    project.write("unknown", "");
    project.write("README.md", "edited before\n");
    let repo = lab.open(&project).await;
    let guard = Guard::take(&repo).await.unwrap();
    let worktree = lab.ensure(&repo, 1, "x").await.unwrap();
    inside(&lab, &worktree).commit("work", "");
    lab.ensure(&repo, 2, "y").await.unwrap();
    // The record outlives the daemon.
    let text = serde_json::to_string(&guard).unwrap();
    let guard: Guard = serde_json::from_str(&text).unwrap();
    assert_eq!(guard.check(&repo, Vec::new).await.unwrap(), []);
}

#[tokio::test]
async fn writing_into_the_main_checkout_is_a_suspicion_that_names_the_files() {
    let lab = Lab::new().await;
    let project = lab.project("shop");
    project.write("edited", "1\n");
    project.write("touched", "1\n");
    let repo = lab.open(&project).await;
    let guard = Guard::take(&repo).await.unwrap();
    project.write("edited", "2\n");
    project.write("touched", "1\n");
    project.write("README.md", "2\n");
    project.write("new/file", "");
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    assert_eq!(summary(&changes), [(ChangeKind::WorkTree, Weight::Suspicion, "README.md edited new/file".to_owned())]);
}

#[tokio::test]
async fn the_users_own_commit_is_a_suspicion_and_a_move_behind_his_back_a_violation() {
    let lab = Lab::new().await;
    let project = lab.project("shop");
    let repo = lab.open(&project).await;
    let worktree = lab.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&lab, &worktree);
    let name = "refs/heads/main".to_owned();
    let guard = Guard::take(&repo).await.unwrap();
    let (old, new) = (project.head(), {
        project.write("a", "");
        project.commit("by the user")
    });
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    assert_eq!(summary(&changes), [(ChangeKind::Ref, Weight::Suspicion, name.clone())]);
    let ledger = [RefMove { name: name.clone(), old, new, progress: MoveProgress::Made }];
    assert_eq!(guard.check(&repo, || ledger.to_vec()).await.unwrap(), [], "orch's own move");

    let guard = Guard::take(&repo).await.unwrap();
    let sha = agent.commit("evil", "");
    agent.git(["update-ref", &name, &sha]);
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    assert!(
        changes.iter().any(|c| c.kind == ChangeKind::Ref && c.weight == Weight::Violation && c.names == [name.clone()]),
        "{changes:?}"
    );
}

#[tokio::test]
async fn tags_branches_the_stash_and_a_switch_are_told() {
    let lab = Lab::new().await;
    let project = lab.project("shop");
    project.git(["branch", "old"]);
    let repo = lab.open(&project).await;
    let worktree = lab.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&lab, &worktree);
    let guard = Guard::take(&repo).await.unwrap();
    agent.git(["tag", "v1"]);
    agent.git(["branch", "--quiet", "-D", "old"]);
    agent.write("README.md", "stashed\n");
    agent.git(["stash", "--quiet"]);
    project.git(["switch", "--quiet", "--create", "feature"]);
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    let mut names: Vec<_> = changes.iter().flat_map(|change| change.names.clone()).collect();
    names.sort();
    assert_eq!(names, ["feature", "refs/heads/feature", "refs/heads/old", "refs/stash", "refs/tags/v1"]);
    assert!(changes.iter().all(|change| change.weight == Weight::Suspicion), "{changes:?}");
}

#[tokio::test]
async fn hooks_and_dangerous_settings_are_violations() {
    let lab = Lab::new().await;
    let project = lab.project("shop");
    let repo = lab.open(&project).await;
    let guard = Guard::take(&repo).await.unwrap();
    kit::write_file(&project.dir().join(".git/hooks/pre-commit"), "#!/bin/sh\n");
    kit::write_file(&project.dir().join(".git/objects/info/alternates"), "/elsewhere\n");
    project.git(["config", "core.fsmonitor", "x"]);
    project.git(["config", "branch.main.description", "harmless"]);
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    assert_eq!(
        summary(&changes),
        [
            (ChangeKind::Hooks, Weight::Violation, "hooks/pre-commit objects/info/alternates".to_owned()),
            (ChangeKind::Config, Weight::Violation, "core.fsmonitor".to_owned()),
            (ChangeKind::Config, Weight::Suspicion, "branch.main.description".to_owned()),
        ]
    );
}

#[tokio::test]
async fn a_pipe_in_the_main_checkout_blocks_nobody() {
    let lab = Lab::new().await;
    let project = lab.project("shop");
    kit::process::Program::new("mkfifo", project.dir()).args(["pipe"]).envs(lab.env()).run().ok();
    project.write("big", &"x".repeat(9 << 20));
    let repo = lab.open(&project).await;
    let guard = Guard::take(&repo).await.unwrap();
    assert_eq!(guard.check(&repo, Vec::new).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_of_orchs_own_is_never_seen_half_made() {
    let lab = Lab::new().await;
    let project = lab.project("shop");
    let repo = lab.open(&project).await;
    let worktree = lab.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&lab, &worktree);
    let base = main();
    for file in 0..2000 {
        agent.write(&format!("{file}.txt"), "1\n");
    }
    let (name, old, new) = (base.full_ref(), project.head(), agent.commit("many files", ""));
    let moved = |progress| vec![RefMove { name: name.clone(), old: old.clone(), new: new.clone(), progress }];
    let before = Guard::take(&repo).await.unwrap();
    // Looks one after the other, from before the move until after it.
    let over = Cell::new(false);
    let look = async {
        let mut taken = Vec::new();
        while !over.get() {
            assert_eq!(before.check(&repo, || moved(MoveProgress::UnderWay)).await.unwrap(), [], "compared meanwhile");
            taken.push(Guard::take(&repo).await.unwrap());
        }
        taken
    };
    let advance = async {
        let advanced = repo.advance_base(&base, &old, &new).await;
        over.set(true);
        advanced.unwrap();
    };
    let (taken, ()) = tokio::join!(look, advance);
    for guard in taken {
        assert_eq!(guard.check(&repo, || moved(MoveProgress::Made)).await.unwrap(), [], "recorded meanwhile");
    }
}
