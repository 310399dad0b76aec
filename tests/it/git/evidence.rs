//! What orch finds in a worktree, and what it commits itself.

use super::{Fixture, inside};
use crate::kit;
use crate::kit::process::Program;
use orch_sys::git::{Author, LeftoversError, Operation};
use std::path::PathBuf;

#[tokio::test]
async fn commits_and_lines_are_counted_and_leftovers_seen() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    let nothing = repo.evidence(&worktree.checkout, &worktree.base_sha).await.unwrap();
    assert!(nothing.commits.is_empty() && !nothing.dirty && nothing.head == nothing.base);
    let commits = [agent.commit("a b\tc", "1\n2\n"), agent.commit("README.md", "other\n")];
    agent.write("left", "");
    let evidence = repo.evidence(&worktree.checkout, &worktree.base_sha).await.unwrap();
    assert_eq!(evidence.commits, commits);
    assert_eq!((evidence.files, evidence.insertions, evidence.deletions), (2, 3, 1));
    assert!(evidence.dirty && evidence.head == commits[1]);
    assert_eq!(evidence.branch.as_deref(), Some("orch/1-x"));
    assert!(repo.evidence(&worktree.checkout, "--output=/tmp/x").await.is_err());
}

#[tokio::test]
async fn what_the_base_did_meanwhile_is_not_counted() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    inside(&fixture, &worktree).commit("mine", "1\n");
    project.write("theirs", "1\n2\n3\n");
    let base = project.commit("theirs");
    let evidence = repo.evidence(&worktree.checkout, &base).await.unwrap();
    assert_eq!((evidence.commits.len(), evidence.files, evidence.insertions), (1, 1, 1));
}

#[tokio::test]
async fn a_long_diff_leaves_out_whole_files_and_names_them() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.commit("big", &"a line of text\n".repeat(10_000));
    let head = agent.commit(":(glob)small", "small\n");
    let patch = repo.diff(&worktree.checkout, &worktree.base_sha, &head, 20_000).await.unwrap();
    assert!(patch.text.contains("+small") && patch.text.len() <= 20_000, "{}", patch.text);
    assert_eq!(patch.omitted, [PathBuf::from("big")]);
    let whole = repo.diff(&worktree.checkout, &worktree.base_sha, &head, 1 << 20).await.unwrap();
    assert!(whole.omitted.is_empty() && whole.text.len() > 150_000);
}

#[tokio::test]
async fn a_file_of_one_long_line_hides_no_other() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.commit("bundle.js", &"a".repeat(100_000));
    let head = agent.commit("small", "small\n");
    let patch = repo.diff(&worktree.checkout, &worktree.base_sha, &head, 20_000).await.unwrap();
    assert!(patch.text.contains("+small"), "{}", patch.text);
    assert_eq!(patch.omitted, [PathBuf::from("bundle.js")]);
}

#[tokio::test]
async fn attributes_hide_no_text_from_the_judge_and_what_is_binary_is_left_out() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.commit(".gitattributes", "* -diff\n");
    agent.commit("token", "a secret\n");
    let head = agent.commit("logo", "P\0NG\n");
    let seen = repo.difference(&worktree.checkout, &worktree.base_sha, &head, 3).await.unwrap();
    assert!(seen.patch.contains("+a secret") && !seen.patch.contains('\0'), "{}", seen.patch);
    assert!(seen.history.is_some_and(|history| history.contains("+a secret")));
}

#[tokio::test]
async fn leftovers_are_committed_whole_and_only_once() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    project.write("dir/below", "");
    project.write("file", "");
    project.commit("shapes");
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.write(".gitignore", "ignored\n");
    agent.write("ignored", "");
    agent.write("-rf", "");
    agent.write(":(exclude)x", "");
    agent.write("line\nfeed", "");
    std::fs::remove_file(agent.dir.join("README.md")).unwrap();
    // A directory becomes a link, a file a directory, and something is staged and then deleted.
    std::fs::remove_dir_all(agent.dir.join("dir")).unwrap();
    std::os::unix::fs::symlink("elsewhere", agent.dir.join("dir")).unwrap();
    std::fs::remove_file(agent.dir.join("file")).unwrap();
    agent.write("file/below", "");
    agent.write("fleeting", "");
    agent.git(["add", "fleeting"]);
    std::fs::remove_file(agent.dir.join("fleeting")).unwrap();
    let message = "# Title with a hash\0\n\nbody";
    let done = repo.commit_leftovers(&worktree.checkout, &worktree.branch, message, Author::Configured).await.unwrap();
    assert_eq!(done.sha, Some(agent.git(["rev-parse", "HEAD"])));
    let names = agent.git(["ls-tree", "-r", "--name-only", "-z", "HEAD"]);
    let names: Vec<&str> = names.trim_end_matches('\0').split('\0').collect();
    assert_eq!(names, ["-rf", ".gitignore", ":(exclude)x", "dir", "file/below", "line\nfeed"]);
    assert_eq!(agent.git(["status", "--porcelain"]), "");
    assert_eq!(agent.git(["log", "-1", "--format=%an|%s"]), "Test Person|# Title with a hash");
    assert!(agent.dir.join("ignored").exists());
    let again = repo.commit_leftovers(&worktree.checkout, &worktree.branch, message, Author::Configured).await.unwrap();
    assert_eq!(again.sha, None);
}

#[tokio::test]
async fn a_repository_inside_the_worktree_is_left_out_and_named() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.git(["init", "--quiet", "in[n]er"]);
    agent.write("in[n]er/file", "");
    let only = repo.commit_leftovers(&worktree.checkout, &worktree.branch, "m", Author::Orch).await.unwrap();
    assert_eq!((only.sha, only.left_out.len()), (None, 1));
    agent.write("beside", "");
    let both = repo.commit_leftovers(&worktree.checkout, &worktree.branch, "m", Author::Orch).await.unwrap();
    assert!(both.sha.is_some());
    assert_eq!(agent.git(["ls-files"]), "README.md\nbeside");
}

#[tokio::test]
async fn nothing_is_committed_in_the_middle_of_a_merge_or_on_another_branch() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.commit("README.md", "ours\n");
    project.write("README.md", "theirs\n");
    project.commit("theirs");
    kit::process::Program::new("git", &agent.dir).args(["merge", "main"]).envs(fixture.env()).run().code_is(1);
    let commit = || repo.commit_leftovers(&worktree.checkout, &worktree.branch, "m", Author::Orch);
    assert!(matches!(commit().await, Err(LeftoversError::InProgress { operation: Operation::Merge, .. })));
    // Somebody removes the sign of the merge, the conflict stays.
    std::fs::remove_file(worktree.checkout.git_dir.join("MERGE_HEAD")).unwrap();
    let error = commit().await.unwrap_err();
    assert!(matches!(&error, LeftoversError::Unmerged { files, .. } if files.len() == 1) && error.hint().is_some());
    agent.git(["reset", "--quiet", "--hard"]);
    agent.git(["switch", "--quiet", "--detach"]);
    agent.write("x", "");
    assert!(matches!(commit().await, Err(LeftoversError::WrongBranch { found: None, .. })));
}

#[tokio::test]
async fn without_an_identity_orch_signs_itself() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.git(["config", "--unset", "user.name"]);
    project.git(["config", "--unset", "user.email"]);
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    agent.write("x", "");
    repo.commit_leftovers(&worktree.checkout, &worktree.branch, "m", Author::Configured).await.unwrap();
    assert_eq!(agent.git(["log", "-1", "--format=%an %ae|%cn"]), "orch orch@localhost|orch");
}

#[tokio::test]
async fn what_a_commit_held_and_a_later_one_took_out_is_still_looked_at() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.write("kept/A.txt", "");
    let base = project.commit("kept");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let agent = inside(&fixture, &worktree);
    // What stays is moved to another case, which is no collision.
    agent.git(["mv", "kept/A.txt", "kept/a.txt"]);
    let first = agent.commit("work", "of the task");
    let blob = agent.git(["rev-parse", "HEAD:work"]);
    agent.git(["update-index", "--add", "--cacheinfo", &format!("100644,{blob},WORK")]);
    agent.git(["-c", "core.protectNTFS=false", "commit", "--quiet", "-m", "odd"]);
    let mut env = agent.env.clone();
    env.push(("GIT_INDEX_FILE".into(), fixture.path("index").into()));
    let tree = Program::new("git", &agent.dir)
        .args(["mktree"])
        .envs(env.clone())
        .stdin(format!("100644 blob {blob}\tpre-commit\n"))
        .run()
        .ok();
    let tree = Program::new("git", &agent.dir)
        .args(["mktree"])
        .envs(env)
        .stdin(format!("040000 tree {}\t.GIT\n", tree.stdout.trim()))
        .run()
        .ok();
    let evil = agent.git(["commit-tree", "-p", "HEAD", "-m", "evil", tree.stdout.trim()]);
    let clean = agent.git(["commit-tree", "-p", &evil, "-m", "clean", &format!("{first}^{{tree}}")]);
    agent.git(["reset", "--quiet", "--hard", &clean]);
    let seen = repo.difference(&worktree.checkout, &base, &clean, 4).await.unwrap();
    assert!(seen.names.iter().any(|name| name.commit == evil && name.path == ".GIT/pre-commit"), "{:?}", seen.names);
    let collisions: Vec<(&str, &str)> =
        seen.collisions.iter().map(|one| (one.path.as_str(), one.with.as_str())).collect();
    assert_eq!(collisions, [("WORK", "work")]);
}
