//! A repository, or an agent who can write its `.git`, starts no program through orch's git.

use super::{Agent, Fixture, inside, main};
use crate::kit::repo::Repo as Project;
use crate::kit::wait::{SOON, wait_until};
use orch_sys::git::{AdvanceError, Author, GitError, Guard, LeftoversError, MergeRequest, Merged, Repo};
use std::path::Path;

/// Every hook that a command of orch's could start.
const HOOKS: &[&str] = &[
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "post-checkout",
    "post-merge",
    "pre-merge-commit",
    "reference-transaction",
    "post-index-change",
    "post-rewrite",
    "pre-auto-gc",
    "fsmonitor-watchman",
];

/// Configuration by which git would start a program, each leaving a mark under its own name.
fn set_traps(fixture: &Fixture, project: &Project) {
    let ran = fixture.path("ran");
    let mark = |name: &str| format!("touch {}/{name}; cat", ran.display());
    let keys = [
        "core.fsmonitor",
        "core.sshCommand",
        "core.editor",
        "core.pager",
        "core.askPass",
        "core.alternateRefsCommand",
        "sequence.editor",
        "diff.external",
        "diff.trap.command",
        "diff.trap.textconv",
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.long.process",
        "merge.trap.driver",
        "credential.helper",
        "gpg.program",
        "remote.origin.uploadpack",
        "hook.trap.command",
        "pager.diff",
        "alias.status",
    ];
    for key in keys {
        project.git(["config", key, &mark(key)]);
    }
    for (key, value) in [
        ("commit.gpgSign", "true"),
        ("filter.trap.required", "true"),
        ("filter.long.required", "true"),
        ("hook.trap.event", "post-commit"),
        ("merge.verifySignatures", "false"),
        ("log.showSignature", "true"),
        ("submodule.recurse", "true"),
        ("protocol.ext.allow", "always"),
    ] {
        project.git(["config", key, value]);
    }
    project.git(["config", "credential.helper", &format!("!{}", mark("credential"))]);
    for hook in HOOKS {
        fixture.script(
            &project.dir().join(".git/hooks").join(hook),
            &format!("#!/bin/sh\ntouch {}/hook-{hook}\n", ran.display()),
        );
    }
    fixture.script(
        &fixture.path("hooks-elsewhere/post-checkout"),
        &format!("#!/bin/sh\ntouch {}/hookspath\n", ran.display()),
    );
    project.git(["config", "core.hooksPath", &fixture.path("hooks-elsewhere").to_string_lossy()]);
}

/// A project whose files have attributes that call for the traps.
fn attributed(fixture: &Fixture, name: &str) -> Project {
    let project = fixture.project(name);
    project.write(".gitattributes", "*.txt filter=trap diff=trap merge=trap\n*.bin filter=long\n");
    project.write("a.txt", "1\n2\n3\n");
    project.write("b.bin", "1\n");
    project.commit("files");
    // A submodule that was not fetched yet: anyone who works in the worktree can put any repository there.
    std::fs::create_dir(project.dir().join("nested")).unwrap();
    project.git(["update-index", "--add", "--cacheinfo", &format!("160000,{},nested", project.head())]);
    project.git(["commit", "--quiet", "--message", "submodule"]);
    project
}

async fn whole_job(fixture: &Fixture, project: &Project) -> Result<(), AdvanceError> {
    let repo = fixture.open(project).await;
    let guard = Guard::take(&repo).await.unwrap();
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert!(worktree.notes.iter().any(|note| note.contains("trap")), "{:?}", worktree.notes);
    let agent = inside(fixture, &worktree);
    agent.write("a.txt", "1\n2\n3\nof the task\n");
    agent.write("b.bin", "2\n");
    agent.write("c.txt", "new\n");
    nested_trap(fixture, &agent);
    repo.commit_leftovers(&worktree.checkout, &worktree.branch, "left", Author::Configured).await.unwrap().sha.unwrap();
    agent.write("a.txt", "0\n1\n2\n3\nof the task\n");
    fixture.ensure(&repo, 1, "x").await.unwrap();
    let evidence = repo.evidence(&worktree.checkout, &worktree.base_sha).await.unwrap();
    repo.diff(&worktree.checkout, &worktree.base_sha, &evidence.head, 1 << 20).await.unwrap();
    guard.check(&repo, Vec::new).await.unwrap();
    let scratch = fixture.path("scratch");
    let (base, message) = (main(), "merge");
    let request = MergeRequest {
        branch: &worktree.branch,
        base: &base,
        scratch: &scratch,
        message,
        trailers: "",
        expected: None,
    };
    let Merged::Ready(candidate) = repo.merge_candidate(&request).await.unwrap() else { panic!("nothing to merge") };
    let advanced = repo.advance_base(&main(), &candidate.base_sha, &candidate.merge_sha).await;
    repo.remove_scratch(&scratch).await.unwrap();
    advanced.map(drop)
}

/// Puts a repository with traps of its own at the place of the submodule.
fn nested_trap(fixture: &Fixture, agent: &Agent) {
    let dir = agent.dir.join("nested");
    let nested = Project::create(&dir, fixture.env());
    let ran = fixture.path("ran");
    nested.git(["config", "core.fsmonitor", &format!("touch {}/nested-fsmonitor", ran.display())]);
    nested.git(["config", "filter.n.clean", &format!("touch {}/nested-filter", ran.display())]);
    nested.write(".gitattributes", "* filter=n\n");
    // As long as before, so that git has to read it, through the filter, to see that it differs.
    nested.write("README.md", "# A pr0ject\n");
}

#[tokio::test]
async fn no_program_of_the_repository_runs() {
    let fixture = Fixture::new().await;
    // The traps catch careless use of git, so the silence below is meaningful.
    let careless = attributed(&fixture, "careless");
    set_traps(&fixture, &careless);
    let traps = [
        "core.fsmonitor",
        "diff.trap.command",
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.long.process",
        "hook-pre-commit",
    ];
    // A program started by git may be killed with git before it has left its mark: careless users retry.
    wait_until("every trap to have caught somebody", SOON, || {
        // Both changed: git does not read files again that it found unchanged.
        careless.write("a.txt", "dirty\n");
        careless.write("b.bin", "dirty\n");
        let _ = careless.try_git(["diff", "--", "a.txt"]);
        let _ = careless.try_git(["-c", "core.hooksPath=.git/hooks", "hook", "run", "pre-commit"]);
        let _ = careless.try_git(["checkout", "--quiet", "--", "."]);
        let caught = fixture.ran();
        traps.iter().all(|name| caught.iter().any(|mark| mark == name))
    });

    let project = attributed(&fixture, "shop");
    set_traps(&fixture, &project);
    clear(&fixture.path("ran"));
    let advanced = whole_job(&fixture, &project).await;
    assert_eq!(fixture.ran(), Vec::<String>::new());
    assert!(matches!(advanced, Err(AdvanceError::FilterOff { .. })), "{advanced:?}");
}

#[tokio::test]
async fn a_fetch_starts_no_program_of_the_repository() {
    let fixture = Fixture::new().await;
    let remote = fixture.project("remote");
    let project = fixture.project("shop");
    project.git(["remote", "add", "origin", &remote.dir().to_string_lossy()]);
    set_traps(&fixture, &project);
    clear(&fixture.path("ran"));
    let repo = fixture.open(&project).await;
    repo.base(&main(), true).await.unwrap();
    assert_eq!(fixture.ran(), Vec::<String>::new());
    let mark = |name: &str| fixture.path("ran").join(name).to_string_lossy().into_owned();
    for url in [
        format!("ext::touch {}", mark("ext")),
        format!("-u{}", mark("dash")),
        "ssh://-oProxyCommand=touch/x".to_owned(),
    ] {
        project.git(["config", "remote.origin.url", &url]);
        let base = repo.base(&main(), true).await.unwrap();
        assert!(base.note.unwrap().contains("not reached"), "{url}");
    }
    project.git(["config", "remote.origin.url", "https://localhost:1/x"]);
    project.git(["config", "remote.origin.vcs", "trap"]);
    repo.base(&main(), true).await.unwrap();
    assert_eq!(fixture.ran(), Vec::<String>::new());
}

#[tokio::test]
async fn a_filter_of_the_users_own_configuration_works() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    project.git(["config", "--global", "filter.up.smudge", "tr a-z A-Z"]);
    project.git(["config", "--global", "filter.up.clean", "tr A-Z a-z"]);
    project.write(".gitattributes", "*.up filter=up\n");
    project.write("x.up", "Word\n");
    project.commit("filtered");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert_eq!(crate::kit::read_file(&worktree.path.join("x.up")), "WORD\n");
    // An agent cannot replace it by saying something else in the repository.
    project.git(["config", "filter.up.smudge", &format!("touch {}", fixture.path("ran/smudge").display())]);
    let worktree = fixture.ensure(&repo, 2, "x").await.unwrap();
    assert_eq!(crate::kit::read_file(&worktree.path.join("x.up")), "WORD\n");
    assert_eq!(fixture.ran(), Vec::<String>::new());
}

#[tokio::test]
async fn pointers_that_an_agent_rewrites_lead_nowhere_else() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let trap = fixture.project("trap");
    let repo = fixture.open(&project).await;
    let worktree = fixture.ensure(&repo, 1, "x").await.unwrap();
    let trap_git = trap.dir().join(".git").to_string_lossy().into_owned();
    crate::kit::write_file(&worktree.path.join(".git"), &format!("gitdir: {trap_git}\n"));
    crate::kit::write_file(&worktree.checkout.git_dir.join("commondir"), &format!("{trap_git}\n"));
    crate::kit::write_file(&worktree.checkout.git_dir.join("config.worktree"), "[core]\n\tworktree = /etc\n");
    project.git(["config", "extensions.worktreeConfig", "true"]);
    crate::kit::write_file(&worktree.path.join("work"), "");
    let error = repo.commit_leftovers(&worktree.checkout, &worktree.branch, "left", Author::Orch).await.unwrap_err();
    assert!(matches!(error, LeftoversError::Git(GitError::Redirected { .. })), "{error}");
    let mended = fixture.ensure(&repo, 1, "x").await.unwrap();
    assert!(mended.notes[0].contains("set right"), "{:?}", mended.notes);
    assert_eq!(project.git(["show", "--name-only", "--format=%s", "orch/1-x"]), "orch: work in progress\n\nwork");
    assert_eq!(trap.subjects("--all"), ["Begin"]);
}

#[tokio::test]
async fn variables_of_git_around_the_daemon_change_nothing() {
    let fixture = Fixture::new().await;
    let project = fixture.project("shop");
    let mut environment = super::environment(fixture.root.path());
    for (name, value) in [
        ("GIT_DIR", "/nonexistent"),
        ("GIT_WORK_TREE", "/etc"),
        ("GIT_INDEX_FILE", "/nonexistent"),
        ("GIT_CONFIG_COUNT", "9"),
    ] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    let git = super::Git::locate(&environment, &fixture.path("locks")).await.unwrap();
    let repo = Repo::discover(&git, project.dir()).await.unwrap();
    assert!(fixture.ensure(&repo, 1, "x").await.unwrap().created);
}

fn clear(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
}
