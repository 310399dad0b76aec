//! What a directory is, and where work starts from.

use super::{Fixture, main};
use crate::kit::repo::Repo as Project;
use orch_sys::git::{Git, GitError, Head, Repo};
use std::collections::BTreeMap;
use std::path::Path;

async fn refusal(fixture: &Fixture, dir: &Path) -> GitError {
    let error = Repo::discover(&fixture.git, dir).await.expect_err("no usable repository");
    assert!(error.hint().is_some(), "{error}");
    error
}

#[tokio::test]
async fn a_missing_git_is_said_with_how_to_install_it() {
    let error = Git::locate(&BTreeMap::from([("PATH".to_owned(), "/nonexistent".to_owned())]), Path::new("/tmp"))
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::GitMissing) && error.hint().unwrap().contains("install git"));
}

#[tokio::test]
async fn an_old_git_is_refused_with_the_version_that_is_needed() {
    let fixture = Fixture::new().await;
    fixture.script(&fixture.path("bin/git"), "#!/bin/sh\necho git version 2.25.1\n");
    let path = fixture.path("bin").to_string_lossy().into_owned();
    let error = Git::locate(&BTreeMap::from([("PATH".to_owned(), path)]), &fixture.path("locks")).await.unwrap_err();
    assert_eq!(error.to_string(), "git 2.25.1 is too old: 2.34 or newer is needed");
}

#[tokio::test]
async fn directories_that_are_no_usable_repository_are_distinguished() {
    let fixture = Fixture::new().await;
    std::fs::create_dir(fixture.path("plain")).unwrap();
    assert!(matches!(refusal(&fixture, &fixture.path("plain")).await, GitError::NotARepository { .. }));
    assert!(matches!(refusal(&fixture, &fixture.path("gone")).await, GitError::DirectoryMissing { .. }));
    let empty = Project::create_empty(&fixture.path("empty"), fixture.env());
    assert!(matches!(refusal(&fixture, empty.dir()).await, GitError::NoCommits { .. }));
    empty.git(["init", "--quiet", "--bare", "../bare.git"]);
    assert!(matches!(refusal(&fixture, &fixture.path("bare.git")).await, GitError::Bare { .. }));
    let broken = fixture.project("broken");
    broken.write(".git/config", "[core\n");
    assert!(matches!(refusal(&fixture, broken.dir()).await, GitError::Unreadable { .. }));
}

#[tokio::test]
async fn a_repository_is_found_from_below_and_from_a_worktree() {
    let fixture = Fixture::new().await;
    let project = fixture.project("a shop: \"ünï\"");
    project.write("deep/er/x", "");
    let linked = project.worktree(&fixture.path("linked"), "other");
    for dir in [project.dir().to_owned(), project.dir().join("deep/er"), linked.dir().to_owned()] {
        let repo = Repo::discover(&fixture.git, &dir).await.unwrap();
        assert_eq!((repo.root(), repo.common_dir()), (project.dir(), project.dir().join(".git").as_path()));
    }
}

#[tokio::test]
async fn a_repository_cannot_pass_off_another_directory_as_its_own() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.git(["config", "core.worktree", "/etc"]);
    let repo = fixture.open(&project).await;
    assert_eq!(repo.root(), project.dir());
    assert!(!repo.evidence(&repo.main_checkout(), &project.head()).await.unwrap().dirty);
}

#[tokio::test]
async fn the_base_is_the_configured_branch_else_the_one_checked_out() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.git(["branch", "develop"]);
    let repo = fixture.open(&project).await;
    assert_eq!(repo.default_branch(Some("develop")).await.unwrap().as_str(), "develop");
    assert_eq!(repo.default_branch(None).await.unwrap(), main());
    project.git(["switch", "--quiet", "--create", "orch/1-x"]);
    assert_eq!(repo.default_branch(None).await.unwrap(), main(), "a task's branch is no base for others");
}

#[tokio::test]
async fn a_missing_base_branch_is_reported_with_those_that_exist() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    for name in ["nope", "--upload-pack=x", "a..b", ""] {
        let error = repo.default_branch(Some(name)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("branch {name:?} does not exist (there are: main)"));
    }
}

#[tokio::test]
async fn a_detached_head_needs_a_branch_to_fall_back_to() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let sha = project.head();
    project.git(["switch", "--quiet", "--detach"]);
    assert_eq!(repo.head_state().await.unwrap(), Head::Detached { sha });
    assert_eq!(repo.default_branch(None).await.unwrap(), main());
    project.git(["branch", "--move", "main", "trunk"]);
    let error = repo.default_branch(None).await.unwrap_err();
    assert!(matches!(&error, GitError::DetachedHead { candidates, .. } if candidates == &["trunk"]), "{error}");
    assert!(error.hint().unwrap().contains("base_branch"));
}

#[tokio::test]
async fn a_fetch_takes_what_is_new_and_keeps_what_is_local() {
    let fixture = Fixture::new().await;
    let remote = fixture.project("remote");
    remote.git(["clone", "--quiet", ".", "../shop"]);
    let project = super::Agent { dir: fixture.path("shop"), env: fixture.env() };
    let repo = Repo::discover(&fixture.git, &project.dir).await.unwrap();
    remote.write("new", "");
    let newer = remote.commit("new");
    assert_ne!(repo.base(&main(), false).await.unwrap().sha, newer);
    let base = repo.base(&main(), true).await.unwrap();
    assert_eq!((base.sha, base.note), (newer, None));
    project.git(["config", "user.name", "x"]);
    project.git(["config", "user.email", "x@y"]);
    let local = project.commit("local", "");
    let base = repo.base(&main(), true).await.unwrap();
    assert_eq!(base.sha, local);
    assert!(base.note.unwrap().contains("diverged"));
}

#[tokio::test]
async fn an_unreachable_remote_leaves_the_local_state_and_a_note() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    assert_eq!(repo.base(&main(), true).await.unwrap().note, None, "without a remote there is nothing to say");
    project.git(["remote", "add", "origin", "/nonexistent/x.git"]);
    let base = repo.base(&main(), true).await.unwrap();
    assert_eq!(base.sha, project.head());
    assert!(base.note.unwrap().starts_with("origin was not reached"));
}
