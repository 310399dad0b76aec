//! Making worktrees and finding them again.

use super::{Fixture, assert_sound, inside, main};
use crate::kit;
use crate::kit::wait;
use orch_core::base::ids::TaskId;
use orch_core::base::names;
use orch_sys::worktree::{WorktreeError, WorktreeRequest};
use std::os::unix::fs::symlink;

#[tokio::test]
async fn a_second_call_finds_the_same_worktree() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let first = fixture.ensure(&repo, 7, "Add a health endpoint").await.unwrap();
    assert!(first.created && first.notes.is_empty(), "{first:?}");
    assert_eq!(first.path, fixture.path("worktrees/shop/orch/7-add-a-health-endpoint"));
    assert_eq!(first.base_sha, project.head());
    let second = fixture.ensure(&repo, 7, "Add a health endpoint").await.unwrap();
    assert_eq!(second, orch_sys::worktree::Worktree { created: false, ..first });
    assert_eq!(project.git(["config", "--list", "--local"]).matches("branch.").count(), 0, "no tracking was set up");
    assert_sound(&project);
}

#[tokio::test]
async fn every_file_is_there_where_the_persons_own_checkout_is_sparse() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    for file in ["here/a", "there/b"] {
        project.write(file, "text\n");
    }
    let sha = project.commit("Two directories");
    project.git(["sparse-checkout", "set", "here"]);
    assert!(!project.dir().join("there").exists());
    let repo = fixture.open(&project).await;
    let made = fixture.ensure(&repo, 7, "Whole").await.unwrap();
    let aside = repo.checkout_aside(&fixture.path("aside"), &sha).await.unwrap();
    for at in [&made.checkout, &aside] {
        assert!(at.work_tree.join("there/b").exists() && at.work_tree.join("here/a").exists());
    }
    // Nor does a file go when git works there by itself.
    let agent = inside(&fixture, &made);
    agent.git(["reset", "--quiet", "--hard"]);
    assert!(made.path.join("there/b").exists() && agent.git(["status", "--porcelain"]).is_empty());
    assert!(!project.dir().join("there").exists(), "the person's own stays as it is");
}

#[tokio::test]
async fn refs_may_be_kept_in_any_of_gits_ways() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.git(["pack-refs", "--all", "--prune"]);
    let made = fixture.ensure(&fixture.open(&project).await, 7, "Packed").await.unwrap();
    assert!(made.created && made.base_sha == project.head(), "{made:?}");
    let project = fixture.project("tables");
    if project.try_git(["refs", "migrate", "--ref-format=reftable"]).code != Some(0) {
        return; // git before 2.46 knows no other way.
    }
    let made = fixture.ensure(&fixture.open(&project).await, 8, "In a table").await.unwrap();
    assert_eq!(made.base_sha, project.head());
    assert_sound(&project);
}

#[tokio::test]
async fn a_branch_that_only_packed_refs_know_is_taken_up() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let branch = names::branch(TaskId(7), "Kept");
    project.git(["branch", branch.as_str()]);
    project.git(["pack-refs", "--all", "--prune"]);
    let made = fixture.ensure(&fixture.open(&project).await, 7, "Kept").await.unwrap();
    assert_eq!((made.branch, made.base_sha), (branch, project.head()));
}

#[tokio::test]
async fn titles_of_every_kind_give_a_worktree() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let long = "x".repeat(10_000);
    let titles = [
        "a\nb",
        "\"'$(touch pwned)`id`#{x}",
        "🚀",
        "שלום",
        "--force",
        "../../etc",
        "-",
        long.as_str(),
        "same",
        "same",
        "a.lock",
    ];
    for (id, title) in titles.into_iter().enumerate() {
        let worktree = fixture.ensure(&repo, id as u64 + 1, title).await.unwrap();
        project.git(["check-ref-format", "--branch", worktree.branch.as_str()]);
        assert!(
            worktree.path.starts_with(fixture.path("worktrees/shop/orch")) && worktree.path.join("README.md").exists()
        );
    }
    assert_sound(&project);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_all_succeed() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    // A second view of the same repository, as another process has it: only the lock file is shared.
    let other = super::Git::locate(&super::environment(fixture.root.path()), &fixture.path("locks")).await.unwrap();
    let other = super::Repo::discover(&other, project.dir()).await.unwrap();
    let calls = (1..=10).map(|id| fixture.ensure(if id % 2 == 0 { &repo } else { &other }, id, "parallel"));
    for made in futures::future::join_all(calls).await {
        assert!(made.unwrap().created);
    }
    let again = (0..10).map(|_| fixture.ensure(&repo, 99, "the same"));
    let made = futures::future::join_all(again).await.into_iter().filter(|made| made.as_ref().unwrap().created);
    assert_eq!(made.count(), 1);
    assert_eq!(project.git(["worktree", "list"]).lines().count(), 12);
    assert_sound(&project);
}

#[tokio::test]
async fn uncommitted_work_is_kept_as_a_commit_of_orch() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.write("README.md", "changed\n");
    agent.write("new file", "new\n");
    let found = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert!(!found.created && found.notes[0].contains("kept as commit"), "{found:?}");
    assert_eq!(agent.git(["log", "-1", "--format=%an|%cn|%s"]), "orch|Test Person|orch: work in progress");
    assert_eq!(agent.git(["status", "--porcelain"]), "");
    assert_eq!(kit::read_file(&worktree.path.join("new file")), "new\n");
    assert_eq!(found.base_sha, project.head());
}

#[tokio::test]
async fn somebody_elses_files_at_the_path_are_left_alone() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let path = fixture.path("worktrees/shop/orch/1-x");
    kit::write_file(&path.join("mine.txt"), "mine");
    let error = fixture.ensure(&repo, 1, "x").await.unwrap_err();
    assert!(matches!(&error, WorktreeError::PathTaken { .. }) && error.hint().unwrap().contains("move"), "{error}");
    assert_eq!(kit::read_file(&path.join("mine.txt")), "mine");
    assert_eq!(project.git(["branch", "--list", "orch/*"]), "", "nothing was begun");
    // The same for a file, a link, and a person's clone in place of the worktree.
    kit::write_file(&fixture.path("worktrees/shop/orch/2-x"), "");
    symlink(fixture.path("home"), fixture.path("worktrees/shop/orch/3-x")).unwrap();
    fixture.ensure(&repo, 4, "x").await.unwrap();
    std::fs::remove_dir_all(fixture.path("worktrees/shop/orch/4-x")).unwrap();
    project.git(["clone", "--quiet", ".", "../worktrees/shop/orch/4-x"]);
    for id in [2, 3, 4] {
        assert!(matches!(fixture.ensure(&repo, id, "x").await, Err(WorktreeError::PathTaken { .. })), "{id}");
    }
    assert!(fixture.path("worktrees/shop/orch/4-x/.git").is_dir());
}

#[tokio::test]
async fn an_existing_branch_is_taken_up_with_its_commits() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    project.git(["switch", "--quiet", "--create", "orch/1-x"]);
    project.write("work", "");
    let work = project.commit("work");
    project.git(["switch", "--quiet", "main"]);
    project.write("later", "");
    project.commit("later");
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert_eq!(inside(&fixture, &worktree).git(["rev-parse", "HEAD"]), work);
    assert_eq!(worktree.base_sha, project.git(["rev-parse", "main~1"]));
    assert!(worktree.notes[0].contains("its commits are kept"), "{:?}", worktree.notes);
    // One without commits of its own starts from the newest base.
    project.git(["branch", "orch/2-x", "main~1"]);
    let worktree = fixture.ensure(&repo, 2, "x").await.unwrap();
    assert_eq!(inside(&fixture, &worktree).git(["rev-parse", "HEAD"]), project.head());
}

#[tokio::test]
async fn a_branch_of_another_history_is_not_taken_over() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let tree = project.git(["rev-parse", "HEAD^{tree}"]);
    let foreign = project.git(["commit-tree", "-m", "foreign", &tree]);
    project.git(["branch", "orch/1-x", &foreign]);
    assert!(matches!(fixture.ensure(&repo, 1, "x").await, Err(WorktreeError::Unrelated { .. })));
    assert_eq!(project.git(["rev-parse", "orch/1-x"]), foreign);
}

#[tokio::test]
async fn a_branch_that_is_checked_out_elsewhere_is_said_with_the_place() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let elsewhere = project.worktree(&fixture.path("elsewhere"), "orch/1-x");
    let error = fixture.ensure(&repo, 1, "x").await.unwrap_err();
    assert!(matches!(&error, WorktreeError::BranchInUse { path, .. } if path == elsewhere.dir()), "{error}");
    // Once that directory is gone, nothing is in the way.
    std::fs::remove_dir_all(elsewhere.dir()).unwrap();
    assert!(fixture.ensure(&repo, 1, "x").await.unwrap().created);
    project.git(["switch", "--quiet", "--create", "orch/2-x"]);
    assert!(
        matches!(fixture.ensure(&repo, 2, "x").await, Err(WorktreeError::BranchInUse { path, .. }) if path == project.dir())
    );
}

#[tokio::test]
async fn a_worktree_with_another_branch_checked_out_is_not_touched() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.git(["switch", "--quiet", "--create", "mine"]);
    agent.write("half", "");
    let error = fixture.ensure(&repo, 1, "x").await.unwrap_err();
    assert!(matches!(&error, WorktreeError::WrongBranch { found: Some(found), .. } if found == "mine"), "{error}");
    assert_eq!(agent.git(["status", "--porcelain"]), "?? half");
}

#[tokio::test]
async fn a_worktree_deleted_by_hand_is_made_again_and_others_stay_registered() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let away = project.worktree(&fixture.path("on-a-disk-that-is-away"), "away");
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let work = inside(&fixture, &worktree).commit("work", "");
    let detached = fixture.ensure(&repo, 2, "x").await.unwrap();
    let agent = inside(&fixture, &detached);
    agent.git(["switch", "--quiet", "--detach"]);
    let floating = agent.commit("floating", "");
    for path in [away.dir(), &worktree.path, &detached.path] {
        std::fs::remove_dir_all(path).unwrap();
    }
    let again = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert!(again.created && again.path.join("work").exists());
    assert_eq!(inside(&fixture, &again).git(["rev-parse", "HEAD"]), work);
    fixture.ensure(&repo, 2, "x").await.unwrap();
    assert_eq!(
        project.git(["for-each-ref", "--contains", &floating, "--format=%(refname)"]),
        format!("refs/orch/kept/{floating}")
    );
    assert!(project.git(["worktree", "list"]).contains("on-a-disk-that-is-away"), "a disk may come back");
}

#[tokio::test]
async fn a_rebase_in_progress_is_left_to_the_next_run() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.commit("README.md", "ours\n");
    project.write("README.md", "theirs\n");
    project.commit("theirs");
    kit::process::Program::new("git", &agent.dir).args(["rebase", "main"]).envs(fixture.env()).run().code_is(1);
    let before = agent.git(["status", "--porcelain"]);
    let found = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert_eq!(found.notes, ["a rebase is in progress, left as it is"]);
    assert_eq!(agent.git(["status", "--porcelain"]), before);
}

#[tokio::test]
async fn a_broken_link_to_the_repository_is_set_right() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let trap = fixture.project("trap");
    kit::write_file(&worktree.path.join(".git"), &format!("gitdir: {}/.git\n", trap.dir().display()));
    kit::write_file(&worktree.path.join("work"), "");
    let found = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert!(found.notes[0].contains("set right"), "{:?}", found.notes);
    assert_eq!(inside(&fixture, &found).git(["log", "-1", "--format=%s"]), "orch: work in progress");
    assert_eq!(trap.subjects("HEAD"), ["Begin"]);
}

#[tokio::test]
async fn a_lock_on_a_branch_that_a_killed_git_was_to_make_is_removed() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let lock = repo.common_dir().join("refs/heads/orch/1-x.lock");
    kit::write_file(&lock, "");
    let made = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert!(made.created && !lock.exists());
    inside(&fixture, &made).commit("work", "");
    // One that moved it while it was to be found again, of which no worktree is left.
    std::fs::remove_dir_all(&made.path).unwrap();
    kit::write_file(&lock, "");
    let found = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert!(found.created && found.path.join("work").exists() && !lock.exists());
    assert_sound(&project);
}

#[tokio::test]
async fn a_lock_that_a_killed_git_left_is_removed() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let own = ["index.lock", "HEAD.lock", "AUTO_MERGE.lock"].map(|name| worktree.checkout.git_dir.join(name));
    let of_branch = repo.common_dir().join("refs/heads/orch/1-x.lock");
    for lock in own.iter().chain([&of_branch]) {
        kit::write_file(lock, "");
    }
    kit::write_file(&worktree.path.join("work"), "");
    let found = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert!(found.notes[0].contains("kept as commit"), "{:?}", found.notes);
    assert!(own.iter().all(|lock| !lock.exists()));
}

#[tokio::test]
async fn a_worktree_that_breaks_every_git_command_is_mended() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let broken = fixture.ensure(&repo, 1, "x").await.unwrap();
    kit::write_file(&broken.checkout.git_dir.join("locked"), "initializing\n");
    kit::write_file(&broken.checkout.git_dir.join("commondir"), "");
    project.try_git(["worktree", "list"]).code_is(128);
    assert!(fixture.ensure(&repo, 2, "y").await.unwrap().created, "another task is not held up");
    assert!(fixture.ensure(&repo, 1, "x").await.unwrap().created);
    assert_sound(&project);
}

/// What a killed `git worktree add` leaves behind, from the earliest to the latest moment.
#[tokio::test]
async fn a_worktree_that_was_half_made_is_made_anew() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    for stage in 0..6_u64 {
        let made = fixture.ensure(&repo, stage + 1, "x").await.unwrap();
        let git_dir = &made.checkout.git_dir;
        kit::write_file(&git_dir.join("locked"), "initializing\n");
        if stage < 5 {
            std::fs::remove_file(made.path.join("README.md")).unwrap();
            kit::write_file(&git_dir.join("index.lock"), "half");
        }
        if stage < 4 {
            std::fs::remove_file(git_dir.join("index")).unwrap();
        }
        if stage < 3 {
            std::fs::remove_file(git_dir.join("HEAD")).unwrap();
        }
        if stage < 2 {
            std::fs::remove_file(made.path.join(".git")).unwrap();
        }
        if stage < 1 {
            std::fs::remove_file(git_dir.join("commondir")).unwrap();
            std::fs::remove_dir(&made.path).unwrap();
        }
        let again =
            fixture.ensure(&repo, stage + 1, "x").await.unwrap_or_else(|error| panic!("stage {stage}: {error}"));
        assert!(again.created && again.path.join("README.md").exists(), "stage {stage}");
        assert_eq!(inside(&fixture, &again).git(["status", "--porcelain"]), "", "stage {stage}");
        assert_eq!(inside(&fixture, &again).git(["rev-parse", "HEAD"]), project.head());
    }
    assert_sound(&project);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_that_is_dropped_at_any_moment_can_be_repeated() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    for file in 0..300 {
        project.write(&format!("dir{}/file{file}", file % 7), "text\n");
    }
    project.commit("many files");
    let repo = fixture.open(&project).await;
    for id in 1..=12_u64 {
        // Dropping the future kills the git command that runs at that moment.
        let limit = std::time::Duration::from_millis(id * 3);
        let _ = tokio::time::timeout(limit, fixture.ensure(&repo, id, "killed")).await;
        let worktree =
            fixture.ensure(&repo, id, "killed").await.unwrap_or_else(|error| panic!("after {limit:?}: {error}"));
        let agent = inside(&fixture, &worktree);
        assert_eq!(agent.git(["status", "--porcelain"]), "", "after {limit:?}");
        assert_eq!(agent.git(["rev-parse", "HEAD"]), project.head(), "after {limit:?}");
    }
    project.git(["fsck", "--full"]);
}

#[tokio::test]
async fn the_path_must_be_absolute_and_plain() {
    let fixture = Fixture::new().await;
    let repo = fixture.open(&fixture.project("shop")).await;
    let branch = names::branch(TaskId(1), "x");
    for path in ["relative", "/tmp/../etc/x"] {
        let request =
            WorktreeRequest { path: path.as_ref(), branch: &branch, base: &main(), start: None, fetch: false };
        assert!(matches!(repo.ensure_worktree(&request).await, Err(WorktreeError::BadPath { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_repository_makes_others_wait_and_then_lets_them_on() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    fixture.ensure(&repo, 1, "x").await.unwrap();
    let lock = std::fs::read_dir(fixture.path("locks")).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::File::open(lock).unwrap();
    file.lock().unwrap();
    let (path, branch) = (fixture.path("worktrees/late"), names::branch(TaskId(2), "x"));
    let late = tokio::spawn(async move {
        repo.ensure_worktree(&WorktreeRequest {
            path: &path,
            branch: &branch,
            base: &main(),
            start: None,
            fetch: false,
        })
        .await
    });
    let begun =
        wait::poll(std::time::Duration::from_millis(100), || fixture.path("worktrees/late").exists().then_some(()));
    assert_eq!(begun, None, "it went on although another process holds the repository");
    file.unlock().unwrap();
    assert!(late.await.unwrap().unwrap().created);
}

#[tokio::test]
async fn git_commands_of_a_killed_daemon_are_ended_before_their_worktree_is_made_anew() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let (gate, held) = (fixture.path("gate"), fixture.path("held"));
    let smudge = format!("if test -e {}; then touch {}; tail -f /dev/null; fi; cat", gate.display(), held.display());
    project.git(["config", "--global", "filter.slow.smudge", &smudge]);
    project.write(".gitattributes", "README.md filter=slow\n");
    project.commit("slow");
    let repo = fixture.open(&project).await;
    let path = fixture.path("worktrees/shop/orch/1-x");
    kit::write_file(&gate, "");
    let add = ["worktree", "add", "--quiet", "-b", "orch/1-x", path.to_str().unwrap()];
    let mark = ("ORCH_RUN_ID".into(), super::Repo::worktree_mark(&path).into());
    let env = fixture.env().into_iter().chain([mark]);
    let mut orphan = kit::process::Program::new("git", project.dir()).args(add).envs(env).start();
    wait::wait_until("the checkout to be half-way", wait::SOON, || held.exists());
    std::fs::remove_file(&gate).unwrap();
    assert!(orphan.is_running());
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    wait::wait_until("the orphan to end", wait::SOON, || !orphan.is_running());
    assert!(worktree.created && worktree.path.join("README.md").exists());
    assert_eq!(inside(&fixture, &worktree).git(["status", "--porcelain"]), "");
}
