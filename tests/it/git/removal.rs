//! Removing worktrees never loses work.

use super::{Fixture, assert_sound, inside};
use crate::kit;
use orch_sys::worktree::RemoveError;

#[tokio::test]
async fn a_clean_worktree_goes_and_its_branch_stays() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let sha = inside(&fixture, &worktree).commit("work", "");
    assert!(repo.remove_worktree(&worktree.path).await.unwrap());
    assert!(!repo.remove_worktree(&worktree.path).await.unwrap(), "the second time there is nothing to do");
    assert!(!worktree.path.exists());
    assert_eq!(project.git(["rev-parse", "orch/1-x"]), sha);
    assert_sound(&project);
}

#[tokio::test]
async fn work_that_exists_nowhere_else_is_kept_with_the_reason() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    let remove = || repo.remove_worktree(&worktree.path);
    agent.write("unknown", "");
    assert!(matches!(remove().await, Err(RemoveError::Dirty { .. })));
    agent.git(["add", "unknown"]);
    assert!(matches!(remove().await, Err(RemoveError::Dirty { .. })));
    agent.git(["commit", "--quiet", "-m", "x"]);
    agent.git(["switch", "--quiet", "--detach"]);
    agent.commit("floating", "");
    assert!(matches!(remove().await, Err(RemoveError::Unreachable { .. })));
    agent.git(["tag", "kept"]);
    project.write("README.md", "theirs\n");
    project.commit("theirs");
    agent.commit("README.md", "ours\n");
    agent.git(["tag", "kept-too"]);
    kit::process::Program::new("git", &agent.dir).args(["rebase", "main"]).envs(fixture.env()).run().code_is(1);
    let error = remove().await.unwrap_err();
    assert!(matches!(&error, RemoveError::InProgress { .. }) && error.hint().unwrap().contains("--abort"), "{error}");
    agent.git(["rebase", "--abort"]);
    project.git(["worktree", "lock", "--reason", "on loan", &worktree.path.to_string_lossy()]);
    assert!(matches!(remove().await, Err(RemoveError::Locked { reason, .. }) if reason == "on loan"));
    project.git(["worktree", "unlock", &worktree.path.to_string_lossy()]);
    assert!(remove().await.unwrap());
}

#[tokio::test]
async fn what_is_no_worktree_of_the_repository_is_never_removed() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let other = fixture.project("other");
    let repo = fixture.open(&project).await;
    kit::write_file(&fixture.path("plain/file"), "");
    for path in [project.dir(), other.dir(), &fixture.path("plain")] {
        assert!(matches!(repo.remove_worktree(path).await, Err(RemoveError::NotOurs { .. })));
        assert!(path.exists());
    }
    // The files of a worktree without its link: their owner is unknown.
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    std::fs::remove_file(worktree.path.join(".git")).unwrap();
    assert!(matches!(repo.remove_worktree(&worktree.path).await, Err(RemoveError::NotOurs { .. })));
    assert!(worktree.path.join("README.md").exists());
}
