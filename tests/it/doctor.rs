//! `orch doctor` and `orch gc` as a person types them, with real git, tmux and processes, with a daemon and without.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use crate::kit::process::Program;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A home with an agent that commits, and a repository whose accepted work is merged.
fn setup() -> (SealedBox, Repo) {
    let sealed = SealedBox::new();
    sealed.program("worker", "#!/bin/sh\ncat > /dev/null\necho more >> README.md\ngit commit -qam did\n");
    private(&sealed.orch_home());
    sealed.config(
        "agents:\n  worker: {kind: command, command: worker}\nworkflow: {integrate: merge}\n\
         gc: {after_hours: 0}\nrouter: {mode: round_robin, agents: [worker]}\n",
    );
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    (sealed, repo)
}

fn private(dir: &Path) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Runs one task to its end, and returns its worktree.
fn done(sealed: &SealedBox, repo: &Repo) -> (u64, PathBuf) {
    let added = sealed.orch_in(repo.dir(), ["task", "add", "Work", "-l", "agent:worker", "--json"]).ok().json();
    let id = added["id"].as_u64().unwrap();
    sealed.run_program_in(ORCH, repo.dir()).args(["task", "run", &id.to_string()]).deadline(RUN).run().ok();
    let shown = sealed.orch(["show", &id.to_string(), "--json"]).ok().json();
    assert_eq!(shown["status"], "done", "{shown}");
    let path = sealed.orch_home().join(format!("worktrees/shop/orch/{id}-work"));
    assert!(path.is_dir(), "{shown}");
    (id, path)
}

fn gc(sealed: &SealedBox, args: &[&str]) -> Value {
    let args = [&["gc", "--json"], args].concat();
    sealed.orch(args).ok().json()
}

#[test]
fn a_merged_task_lets_its_worktree_go_and_gets_a_new_one_when_it_is_retried() {
    let (sealed, repo) = setup();
    let (id, path) = done(&sealed, &repo);
    write_file(&path.join("forgotten.txt"), "mine\n");
    let kept = gc(&sealed, &[]);
    assert_eq!(kept["worktrees"][0]["reason"], "changed", "{kept}");
    assert!(sealed.orch(["gc"]).ok().stdout.contains("forgotten.txt"));
    std::fs::remove_file(path.join("forgotten.txt")).unwrap();
    let would = gc(&sealed, &["--dry-run"]);
    assert_eq!(
        (&would["worktrees"][0]["action"], &would["dry_run"]),
        (&"would_remove".into(), &true.into()),
        "{would}"
    );
    assert!(path.is_dir() && would["freed_bytes"].as_u64().unwrap() > 0);
    let gone = gc(&sealed, &[]);
    assert_eq!(gone["worktrees"][0]["action"], "removed", "{gone}");
    assert!(!path.exists() && gone["freed_bytes"] == would["freed_bytes"], "{gone}");
    assert_eq!(repo.git(["branch", "--list", "orch/*"]).trim(), format!("orch/{id}-work"), "its branch stays");
    let events = sealed.orch(["events", "--task", &id.to_string(), "--json"]).ok().stdout;
    assert!(events.contains("gc.removed"), "{events}");
    assert_eq!(gc(&sealed, &[])["worktrees"], Value::Array(Vec::new()));
    sealed.orch(["retry", &id.to_string()]).ok();
    sealed.run_program_in(ORCH, repo.dir()).args(["task", "run", &id.to_string()]).deadline(RUN).run().ok();
    assert!(path.join("README.md").exists());
    sealed.finish();
}

#[test]
fn the_daemon_removes_what_may_go_once_the_clock_has_come_on_steadily() {
    let (mut sealed, repo) = setup();
    let (id, path) = done(&sealed, &repo);
    let (open, kept) = done(&sealed, &repo);
    write_file(&kept.join("new.txt"), "mine\n");
    let hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    write_file(&sealed.orch_home().join(".orch/gc"), &hour_ago.to_string());
    sealed.serve();
    wait::wait_until("the worktree to be gone", RUN, || !path.exists());
    let events = || sealed.orch(["events", "--task", &id.to_string(), "--json"]).ok().stdout;
    wait::wait_until("the history to have it", SOON, || events().contains("gc.removed"));
    assert!(kept.join("new.txt").exists(), "task {open}");
    sealed.finish();
}

#[test]
fn a_merged_branch_goes_where_it_is_wanted_and_an_unmerged_one_stays_with_its_worktree() {
    let (sealed, repo) = setup();
    let (id, path) = done(&sealed, &repo);
    sealed.orch(["config", "set", "workflow.integrate", "branch"]).ok();
    sealed.orch(["config", "set", "gc.delete_merged_branches", "true"]).ok();
    let (unmerged, stays) = done(&sealed, &repo);
    let report = gc(&sealed, &[]);
    assert!(!path.exists() && stays.is_dir(), "{report}");
    assert_eq!(
        (&report["worktrees"][0]["branch_deleted"], &report["worktrees"][1]["reason"]),
        (&true.into(), &"unmerged".into()),
        "{report}"
    );
    let branches = repo.git(["branch", "--list", "orch/*", "--format=%(refname:short)"]);
    assert_eq!(branches, format!("orch/{unmerged}-work"), "and not that of task {id}");
    sealed.finish();
}

// ---- doctor

fn doctor(sealed: &SealedBox, args: &[&str]) -> Vec<Value> {
    let args = [&["doctor", "--json"], args].concat();
    let report = sealed.orch(args).json();
    report["findings"].as_array().unwrap().clone()
}

/// The finding of that name, or of the first name that begins so.
fn find<'a>(findings: &'a [Value], name: &str) -> Option<&'a Value> {
    let begins = |finding: &&Value| finding["name"].as_str().is_some_and(|found| found.starts_with(name));
    findings.iter().find(begins)
}

fn found(sealed: &SealedBox, name: &str) -> Value {
    let findings = doctor(sealed, &[]);
    find(&findings, name).unwrap_or_else(|| panic!("no {name} in {findings:#?}")).clone()
}

/// Looks with --dry-run, which must change nothing, and then mends; the finding must be gone afterwards.
fn mends(sealed: &SealedBox, name: &str, still_there: impl Fn() -> bool) {
    let answer = doctor(sealed, &["--fix", "--dry-run"]);
    let answer = find(&answer, name).unwrap_or_else(|| panic!("no {name} in {answer:#?}"));
    assert!(answer["detail"].as_str().unwrap().contains("with --fix") && answer["fixed"] == false, "{answer}");
    assert!(still_there(), "a dry run touches nothing");
    let mended = doctor(sealed, &["--fix"]);
    assert_eq!(find(&mended, name).unwrap()["fixed"], true, "{mended:#?}");
    assert!(!still_there());
    let after = doctor(sealed, &[]);
    assert!(find(&after, name).is_none_or(|finding| finding["verdict"] == "ok"), "{after:#?}");
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_healthy_home_has_nothing_to_tell() {
    let (mut sealed, repo) = setup();
    done(&sealed, &repo);
    for with_daemon in [false, true] {
        if with_daemon {
            sealed.serve();
        }
        let ran = sealed.orch(["doctor"]).ok();
        assert!(!ran.stdout.contains("bad ") && !ran.stdout.contains("warning"), "{ran}");
    }
    sealed.finish();
}

#[test]
fn a_router_without_an_installed_agent_is_bad() {
    let (sealed, _) = setup();
    sealed.orch(["config", "set", "router.agents", "[claude, codex]"]).ok();
    let found = found(&sealed, "router");
    let text = (found["verdict"].as_str(), found["detail"].as_str(), found["remedy"].as_str());
    let (Some("bad"), Some(detail), Some(remedy)) = text else { panic!("{found}") };
    assert!(detail.contains("none of router.agents (claude, codex) is installed"), "{detail}");
    assert!(remedy.contains("orch config set router.agents '[worker]'"), "{remedy}");
    sealed.orch(["doctor"]).code_is(1);
}

#[test]
fn the_history_of_a_task_that_is_not_there_is_not_an_empty_one() {
    let (sealed, repo) = setup();
    done(&sealed, &repo);
    assert!(sealed.orch(["events", "--task", "1"]).ok().stdout.contains("task_added"));
    let missing = sealed.orch(["events", "--task", "99"]).code_is(3);
    assert!(missing.stderr.contains("99"), "{}", missing.stderr);
}

#[test]
fn looking_at_a_home_that_is_not_there_makes_none() {
    let sealed = SealedBox::new();
    std::fs::remove_dir(sealed.orch_home()).unwrap();
    sealed.orch(["doctor"]);
    assert!(!sealed.orch_home().exists());
}

#[test]
fn what_others_can_read_is_made_private() {
    let (sealed, _repo) = setup();
    let (home, file) = (sealed.orch_home(), sealed.orch_home().join(".orch/orch.db"));
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(found(&sealed, &format!("permissions {}", file.display()))["verdict"], "warning");
    mends(&sealed, "permissions /", || mode(&home) == 0o755);
    assert_eq!((mode(&home), mode(&file)), (0o700, 0o600));
}

#[test]
fn a_socket_that_nobody_serves_goes_and_one_that_is_served_stays() {
    let (mut sealed, _repo) = setup();
    let socket = sealed.orch_home().join(".orch/orch.sock");
    sealed.serve();
    assert!(find(&doctor(&sealed, &["--fix"]), "stale socket").is_none() && socket.exists());
    sealed.kill_daemon();
    assert!(socket.exists());
    mends(&sealed, "stale socket", || socket.exists());
    sealed.finish();
}

#[test]
fn a_refused_command_leaves_no_socket_behind() {
    let (mut sealed, repo) = setup();
    let (id, _) = done(&sealed, &repo);
    let sockets = ["orch.sock", "wake.sock"].map(|name| sealed.orch_home().join(".orch").join(name));
    sealed.orch(["task", "retry", "99"]).code_is(3);
    sealed.orch(["task", "cancel", &id.to_string()]).code_is(7);
    assert!(sockets.iter().all(|socket| !socket.exists()));
    sealed.serve();
    sealed.kill_daemon();
    let findings = doctor(&sealed, &["--fix"]);
    let fixed = findings.iter().filter(|finding| finding["name"] == "stale socket" && finding["fixed"] == true);
    assert_eq!(fixed.count(), 2, "{findings:#?}");
    assert!(sockets.iter().all(|socket| !socket.exists()));
    sealed.finish();
}

/// Asserts that a finding is bad, with a place, a remedy and the exit code.
fn is_bad(sealed: &SealedBox, name: &str, place: &str) {
    sealed.orch(["doctor"]).code_is(1);
    let found = found(sealed, name);
    let text = (found["verdict"].as_str(), found["detail"].as_str(), found["remedy"].as_str());
    let (Some("bad"), Some(detail), Some(_)) = text else { panic!("{found}") };
    assert!(detail.contains(place), "{detail}");
}

#[test]
fn a_tasks_file_that_does_not_read_or_was_emptied_is_bad() {
    let (sealed, repo) = setup();
    assert!(find(&doctor(&sealed, &[]), "tasks.yml").is_none_or(|finding| finding["verdict"] == "ok"));
    sealed.orch_in(repo.dir(), ["task", "add", "Work"]).ok();
    assert_eq!(found(&sealed, "tasks.yml")["verdict"], "ok");
    let good = sealed.read_tasks();
    for (text, place) in [
        ("tasks:\n\t- id: 1\n", "does not read: line 2"),
        ("tasks:\n  - {id: 1, title: One}\n  - {id: 1, title: Two}\n", "does not read: line 3"),
        ("", "is empty or gone, but 1 tasks were in it"),
    ] {
        sealed.write_tasks(text);
        is_bad(&sealed, "tasks.yml", place);
    }
    sealed.write_tasks(&format!("{good}  - {{id: 70}}\n"));
    let answer = found(&sealed, "tasks.yml");
    assert_eq!(answer["verdict"], "warning", "a mistake in one entry leaves the others alone: {answer}");
    std::fs::remove_file(sealed.tasks_file()).unwrap();
    is_bad(&sealed, "tasks.yml", "is empty or gone");
    std::fs::create_dir(sealed.tasks_file()).unwrap();
    is_bad(&sealed, "tasks.yml", "not a regular file");
    std::fs::remove_dir(sealed.tasks_file()).unwrap();
    sealed.finish();
}

#[test]
fn what_a_repository_says_of_itself_is_looked_at_too() {
    let (sealed, repo) = setup();
    assert_eq!(found(&sealed, "project shop")["verdict"], "ok");
    write_file(&repo.dir().join(".orch.yml"), "workflow:\n  checks: [make test]\n");
    let answer = found(&sealed, "project shop");
    assert_eq!(answer["verdict"], "warning", "{answer}");
    assert!(
        answer["detail"].as_str().unwrap().contains(".orch.yml:2:11: the commands of workflow.checks are not approved"),
        "{answer}"
    );
    assert!(answer["remedy"].as_str().unwrap().contains("orch init"), "{answer}");
    sealed.orch(["doctor"]).ok();
    write_file(&repo.dir().join(".orch.yml"), "workflow:\n\tchecks: [make test]\n");
    is_bad(&sealed, "project shop", ".orch.yml:2:");
    sealed.finish();
}

#[test]
fn a_broken_config_is_all_that_is_said_of_agents_that_nobody_can_know() {
    let (sealed, _repo) = setup();
    sealed.config("agents:\n  worker: {kind: command, command: worker}\nengine: {max_parallel: many}\n");
    is_bad(&sealed, "config", "config.yml:3");
    let findings = doctor(&sealed, &[]);
    let bad: Vec<&Value> = findings.iter().filter(|finding| finding["verdict"] == "bad").collect();
    assert_eq!(bad.len(), 1, "{bad:#?}");
    assert!(find(&findings, "agent").is_none() && find(&findings, "router").is_none(), "{findings:#?}");
    sealed.finish();
}

#[test]
fn credentials_are_reported_by_name_and_never_shown() {
    let (mut sealed, _repo) = setup();
    sealed.program("claude", "#!/bin/sh\necho '1.2.3 (Claude Code)'\n");
    let none = found(&sealed, "agent claude");
    assert_eq!(none["verdict"], "warning", "{none}");
    sealed.set("ANTHROPIC_API_KEY", "sk-secret-value");
    let ran = sealed.orch(["doctor"]).ok();
    assert!(ran.stdout.contains("ANTHROPIC_API_KEY is set") && !ran.stdout.contains("sk-secret"), "{ran}");
    sealed.unset("ANTHROPIC_API_KEY");
    write_file(&sealed.home().join(".claude/.credentials.json"), "{\"token\": \"sk-secret-file\"}");
    let ran = sealed.orch(["doctor"]).ok();
    assert!(ran.stdout.contains(".credentials.json") && !ran.stdout.contains("sk-secret"), "{ran}");
}

#[test]
fn too_little_room_is_bad_and_more_kept_than_fits_is_reported() {
    let (sealed, _repo) = setup();
    sealed.orch(["config", "set", "retention.total_mb", "900000000"]).ok();
    assert_eq!(found(&sealed, "disk")["verdict"], "warning");
    sealed.orch(["config", "set", "engine.min_free_disk_mb", "1000000000"]).ok();
    let ran = sealed.orch(["doctor"]).code_is(1);
    assert!(ran.stdout.contains("bad      disk:") && ran.stdout.contains("orch gc"), "{ran}");
}

#[test]
fn branches_of_no_task_go_only_when_their_commits_are_elsewhere_too() {
    let (sealed, repo) = setup();
    done(&sealed, &repo);
    repo.git(["branch", "orch/90-spare"]);
    let only = repo.worktree(&sealed.root().join("side"), "orch/91-only");
    only.write("only.txt", "only here\n");
    let sha = only.commit("only here");
    repo.git(["worktree", "remove", "--force", &only.dir().to_string_lossy()]);
    let in_use = repo.worktree(&sealed.root().join("used"), "orch/92-used");
    let has = |name: &str| !repo.git(["branch", "--list", name]).is_empty();
    mends(&sealed, "branch orch/90-spare", || has("orch/90-spare"));
    assert!(has("orch/91-only") && has("orch/92-used") && in_use.dir().exists());
    assert_eq!(repo.git(["rev-parse", "orch/91-only"]), sha);
    let answer = found(&sealed, "branch orch/91-only");
    assert!(answer["remedy"].as_str().unwrap().contains("log orch/91-only"), "{answer}");
}

#[test]
fn a_registration_without_a_directory_is_forgotten_and_a_directory_without_a_task_is_left_alone() {
    let (sealed, repo) = setup();
    let (_, path) = done(&sealed, &repo);
    let strange = sealed.orch_home().join("worktrees/shop/orch/77-strange");
    write_file(&strange.join("mine.txt"), "mine\n");
    std::fs::remove_dir_all(&path).unwrap();
    let listed = || repo.git(["worktree", "list", "--porcelain"]).contains("1-work");
    mends(&sealed, "registration", listed);
    assert_eq!(found(&sealed, "worktree ")["fixed"], false);
    assert!(strange.join("mine.txt").exists());
}

#[test]
fn an_old_lock_of_a_worktree_goes_and_the_persons_own_is_reported() {
    let (sealed, repo) = setup();
    let (id, _) = done(&sealed, &repo);
    let lock = repo.dir().join(format!(".git/worktrees/{id}-work/index.lock"));
    let own = repo.dir().join(".git/index.lock");
    [&lock, &own].into_iter().for_each(|file| write_file(file, ""));
    assert!(find(&doctor(&sealed, &["--fix"]), "lock").is_none(), "young ones may be somebody's");
    for file in [&lock, &own] {
        Program::new("touch", "/").args(["-t", "202001010000", &file.to_string_lossy()]).envs(sealed.env()).run().ok();
    }
    mends(&sealed, &format!("lock {}", lock.display()), || lock.exists());
    assert!(own.exists());
    assert_eq!(found(&sealed, &format!("lock {}", own.display()))["remedy"], format!("rm {}", own.display()));
}

#[test]
fn sessions_and_processes_of_a_run_that_is_over_are_ended_and_those_of_a_person_are_not() {
    let (sealed, repo) = setup();
    let (id, _) = done(&sealed, &repo);
    let shown = sealed.orch(["show", &id.to_string(), "--json"]).ok().json();
    let run = shown["runs"].as_array().unwrap().last().unwrap()["run_id"].as_str().unwrap().to_owned();
    // Its end lies long enough back.
    let old = sealed.orch_home().join(".orch").join(format!("runs/{run}/session.txt"));
    let name = std::fs::read_to_string(old).unwrap();
    let tmux = |args: &[&str]| {
        let socket = sealed.orch_home().join(".orch/tmux/orch");
        let args = [&["-f", "/dev/null", "-S", socket.to_str().unwrap()], args].concat();
        sealed.run_program("tmux").args(args).run()
    };
    tmux(&["new-session", "-d", "-s", &name, "sleep 1000"]).ok();
    tmux(&["new-session", "-d", "-s", "mine", "sleep 1000"]).ok();
    let script = "echo here; exec sleep 1000";
    let left = sealed.run_program("sh").args(["-c", script]).envs([("ORCH_RUN_ID", &run)]).start();
    wait::wait_until("the process to be there", SOON, || left.said().0.contains("here"));
    assert!(find(&doctor(&sealed, &["--fix"]), "processes").is_none(), "its end is too young to be sure");
    age(&sealed, &run);
    mends(&sealed, &format!("session {name}"), || tmux(&["has-session", "-t", &format!("={name}")]).code == Some(0));
    left.finish(SOON);
    assert_eq!(tmux(&["has-session", "-t", "=mine"]).code, Some(0));
    assert!(find(&doctor(&sealed, &[]), "processes").is_none());
    sealed.finish();
}

/// Lets a run have ended an hour earlier, by the journal itself.
fn age(sealed: &SealedBox, run: &str) {
    let then = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string();
    let journal = rusqlite::Connection::open(sealed.orch_home().join(".orch/orch.db")).unwrap();
    let sql = "UPDATE runs SET data = json_set(data, '$.ended_at', ?1), sum = NULL WHERE id = ?2";
    journal.execute(sql, [then.as_str(), run]).unwrap();
}

#[test]
fn a_clock_that_was_set_back_is_reported() {
    let (sealed, repo) = setup();
    done(&sealed, &repo);
    assert_eq!(found(&sealed, "clock")["verdict"], "ok");
    let future = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5)).as_millisecond();
    let journal = rusqlite::Connection::open(sealed.orch_home().join(".orch/orch.db")).unwrap();
    journal
        .execute("UPDATE events SET at = ?1, sum = NULL WHERE seq = (SELECT MAX(seq) FROM events)", [future])
        .unwrap();
    drop(journal);
    let answer = found(&sealed, "clock");
    assert!(answer["verdict"] == "warning" && answer["detail"].as_str().unwrap().contains("behind"), "{answer}");
}
