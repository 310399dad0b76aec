//! What a run must leave alone.

use super::{Fixture, inside, main};
use crate::kit;
use orch_sys::git::{Change, Danger, Guard, MoveProgress, RefChange, RefMove, trace_file, trace_variables};
use std::cell::Cell;

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn work_on_the_tasks_own_branch_and_on_other_tasks_is_no_change() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.write("unknown", "");
    project.write("README.md", "edited before\n");
    let repo = fixture.open(&project).await;
    let guard = Guard::take(&repo).await.unwrap();
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    inside(&fixture, &worktree).commit("work", "");
    fixture.ensure(&repo, 2, "y").await.unwrap();
    // The record outlives the daemon.
    let text = serde_json::to_string(&guard).unwrap();
    let guard: Guard = serde_json::from_str(&text).unwrap();
    assert_eq!(guard.check(&repo, Vec::new).await.unwrap(), []);
}

#[tokio::test]
async fn writing_into_the_main_checkout_is_reported_with_the_files() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.write("edited", "1\n");
    project.write("touched", "1\n");
    let repo = fixture.open(&project).await;
    let guard = Guard::take(&repo).await.unwrap();
    project.write("edited", "2\n");
    project.write("touched", "1\n");
    project.write("README.md", "2\n");
    project.write("new/file", "");
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    assert_eq!(changes, [Change::Files { paths: owned(&["README.md", "edited", "new/file"]) }]);
}

#[tokio::test]
async fn a_commit_on_the_base_is_reported_and_a_move_of_orchs_own_is_not() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let name = "refs/heads/main".to_owned();
    let guard = Guard::take(&repo).await.unwrap();
    let (old, new) = (project.head(), {
        project.write("a", "");
        project.commit("by the user")
    });
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    let (before, after) = (Some(old.clone()), Some(new.clone()));
    assert_eq!(changes, [Change::Ref(RefChange { name: name.clone(), before, after, is_checked_out: true })]);
    let ledger = [RefMove { name, old, new, progress: MoveProgress::Made }];
    assert_eq!(guard.check(&repo, || ledger.to_vec()).await.unwrap(), [], "orch's own move");
}

#[tokio::test]
async fn the_git_commands_of_a_run_are_known_from_those_of_anybody_else() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.git(["branch", "old"]);
    let elsewhere = fixture.project("elsewhere");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let mut agent = inside(&fixture, &worktree);
    let trace = trace_file(&worktree.checkout.git_dir, "1-1-0000abcd");
    agent.env.extend(trace_variables(&trace).map(|(name, value)| (name.into(), value.into())));
    let made = agent.commit("work", "");
    let (main, root) = ("refs/heads/main", project.dir().to_string_lossy().into_owned());
    project.git(["branch", "-D", "old"]);
    project.git(["commit", "--quiet", "--allow-empty", "-m", "by the user"]);
    let traced = || repo.traced(&worktree.checkout, "1-1-0000abcd");
    let moves = |name: &str| traced().iter().filter(|command| command.moves(name)).count();
    let in_main = || traced().iter().filter(|one| repo.is_in_main(one) && one.changes_checkout()).count();
    assert!(!traced().is_empty());
    assert_eq!((moves(main), moves("refs/heads/old"), in_main()), (0, 0, 0), "{:?}", traced());
    // A repository that has nothing to do with it.
    agent.git(["-C", &elsewhere.dir().to_string_lossy(), "update-ref", main, "HEAD"]);
    assert_eq!(moves(main), 0);
    agent.git(["push", "--quiet", ".", "+HEAD:old"]);
    assert_eq!(moves("refs/heads/old"), 1);
    agent.git(["-C", &root, "status"]);
    assert_eq!(in_main(), 0);
    agent.git(["-C", &root, "commit", "--quiet", "--allow-empty", "-m", "by the agent"]);
    assert_eq!(in_main(), 1);
    agent.git(["update-ref", main, &made]);
    assert_eq!(moves(main), 1);
    assert_eq!(repo.traced(&worktree.checkout, "1-2-0000abcd"), [], "another run");
    assert!(repo.made_in(&worktree.checkout).await.unwrap().contains(&made));
}

#[tokio::test]
async fn tags_branches_the_stash_and_a_switch_are_reported() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.git(["branch", "old"]);
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    let guard = Guard::take(&repo).await.unwrap();
    agent.git(["tag", "v1"]);
    agent.git(["branch", "--quiet", "-D", "old"]);
    agent.write("README.md", "stashed\n");
    agent.git(["stash", "--quiet"]);
    project.git(["switch", "--quiet", "--create", "feature"]);
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    let mut names: Vec<String> = changes
        .iter()
        .map(|change| match change {
            Change::Head { to, .. } => to.clone(),
            Change::Ref(moved) => moved.name.clone(),
            other @ (Change::Files { .. } | Change::Programs { .. } | Change::Settings { .. }) => other.describe(),
        })
        .collect();
    names.sort();
    let stashed = format!("refs/stash@{{{}}}", &project.git(["rev-parse", "refs/stash"])[..10]);
    assert_eq!(names, ["feature", "refs/heads/feature", "refs/heads/old", &stashed, "refs/tags/v1"]);
}

#[tokio::test]
async fn hooks_and_settings_are_reported_with_whether_they_can_start_a_program() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let guard = Guard::take(&repo).await.unwrap();
    kit::write_file(&project.dir().join(".git/hooks/pre-commit"), "#!/bin/sh\n");
    kit::write_file(&project.dir().join(".git/objects/info/alternates"), "/elsewhere\n");
    project.git(["config", "core.fsmonitor", "x"]);
    project.git(["config", "branch.main.description", "harmless"]);
    let changes = guard.check(&repo, Vec::new).await.unwrap();
    let settings = |key: &str, danger| Change::Settings { keys: owned(&[key]), danger };
    assert_eq!(
        changes,
        [
            Change::Programs { paths: owned(&["hooks/pre-commit", "objects/info/alternates"]) },
            settings("core.fsmonitor", Danger::Program),
            settings("branch.main.description", Danger::None),
        ]
    );
}

#[tokio::test]
async fn a_pipe_in_the_main_checkout_blocks_nobody() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    kit::process::Program::new("mkfifo", project.dir()).args(["pipe"]).envs(fixture.env()).run().ok();
    project.write("big", &"x".repeat(9 << 20));
    let repo = fixture.open(&project).await;
    let guard = Guard::take(&repo).await.unwrap();
    assert_eq!(guard.check(&repo, Vec::new).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_of_orchs_own_is_never_seen_half_made() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
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
