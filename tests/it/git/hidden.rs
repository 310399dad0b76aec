//! Files that are hidden from an agent's CLI: out of sight for it, and for git as if they were there.

use super::Fixture;
use crate::kit::repo::Repo as Project;
use orch_sys::git::{Checkout, Repo};

const NAMES: &[&str] = &[".opencode", "opencode.json", "opencode.jsonc"];

/// A worktree with settings that are committed, one that is changed, and one that git does not know.
async fn setup(fixture: &Fixture) -> (Repo, Project, Checkout) {
    let project = fixture.project("shop");
    project.write(".opencode/plugin/a.ts", "committed\n");
    project.write(".opencode/agent/b.md", "committed\n");
    project.write("opencode.json", "{}\n");
    project.write("code.txt", "code\n");
    project.commit("Settings");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 7, "Hide").await.unwrap();
    let linked = Project::at(&worktree.path, fixture.env());
    linked.write(".opencode/node_modules/x/y.js", "unknown\n");
    linked.write(".OpenCode.jsonc.md", "none of these names\n");
    linked.write(".opencode/agent/b.md", "changed\n");
    (repo, linked, worktree.checkout)
}

fn listing(project: &Project) -> String {
    project.git(["status", "--porcelain", "--untracked-files=all"])
}

#[tokio::test]
async fn what_is_hidden_is_missed_by_nobody_and_comes_back_as_it_was() {
    let fixture = Fixture::new().await;
    let (repo, linked, at) = setup(&fixture).await;
    let before = listing(&linked);
    assert_eq!(repo.hide(&at, NAMES).await.unwrap(), [".opencode", "opencode.json"]);
    assert!(!linked.dir().join(".opencode").exists() && !linked.dir().join("opencode.json").exists());
    assert_eq!(listing(&linked), "?? .OpenCode.jsonc.md", "git misses nothing");
    // The agent commits all that it sees.
    linked.write("code.txt", "better code\n");
    linked.git(["add", "--all"]);
    linked.git(["commit", "--quiet", "--all", "--message", "Work"]);
    assert_eq!(
        linked.git(["show", "--stat=200", "--format=", "--name-status", "HEAD"]),
        "A\t.OpenCode.jsonc.md\nM\tcode.txt"
    );
    // After an interruption, the operation starts again.
    assert_eq!(repo.hide(&at, NAMES).await.unwrap().len(), 2);
    repo.reveal(&at).await.unwrap();
    repo.reveal(&at).await.unwrap();
    assert_eq!(listing(&linked), before.replace("?? .OpenCode.jsonc.md\n", "").replace("\n?? .OpenCode.jsonc.md", ""));
    assert_eq!(linked.read(".opencode/node_modules/x/y.js"), "unknown\n");
    assert_eq!(linked.read(".opencode/agent/b.md"), "changed\n");
    assert!(!at.git_dir.join("orch-hidden.json").exists() && !at.git_dir.join("orch-hidden").exists());
    assert!(!linked.git(["ls-files", "-t"]).contains("S "), "nothing is passed over any more");
}

#[tokio::test]
async fn what_took_the_place_of_a_hidden_file_stays_and_what_git_changed_is_had_from_git() {
    let fixture = Fixture::new().await;
    let (repo, linked, at) = setup(&fixture).await;
    linked.git(["checkout", "--quiet", "--", ".opencode/agent/b.md"]);
    repo.hide(&at, NAMES).await.unwrap();
    linked.write("opencode.json", "{\"by\": \"the agent\"}\n");
    // The base went on, and the agent takes that in.
    let main = Project::at(repo.root(), fixture.env());
    main.write(".opencode/plugin/a.ts", "newer\n");
    main.git(["rm", "--quiet", ".opencode/agent/b.md"]);
    main.commit("Newer settings");
    linked.git(["merge", "--quiet", "--no-edit", "main"]);
    repo.reveal(&at).await.unwrap();
    assert_eq!(linked.read("opencode.json"), "{\"by\": \"the agent\"}\n");
    assert_eq!(linked.read(".opencode/plugin/a.ts"), "newer\n");
    assert!(!linked.dir().join(".opencode/agent/b.md").exists());
    assert_eq!(linked.read(".opencode/node_modules/x/y.js"), "unknown\n");
    let status = listing(&linked);
    assert!(status.contains(" M opencode.json") && !status.contains("plugin") && !status.contains("b.md"), "{status}");
}

#[tokio::test]
async fn a_hiding_that_was_cut_off_anywhere_is_undone() {
    let fixture = Fixture::new().await;
    let (repo, linked, at) = setup(&fixture).await;
    let before = listing(&linked);
    repo.hide(&at, NAMES).await.unwrap();
    // As if killed after the first of two moves, and the restoring one as well.
    std::fs::rename(at.git_dir.join("orch-hidden/opencode.json"), linked.dir().join("opencode.json")).unwrap();
    repo.reveal(&at).await.unwrap();
    assert_eq!(listing(&linked), before);
    repo.hide(&at, NAMES).await.unwrap();
    linked.git(["update-index", "--no-skip-worktree", "opencode.json"]);
    std::fs::create_dir_all(linked.dir().join(".opencode")).unwrap();
    repo.reveal(&at).await.unwrap();
    assert_eq!(listing(&linked), before);
    assert_eq!(linked.read("opencode.json"), "{}\n");
}
