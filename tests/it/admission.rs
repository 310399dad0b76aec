//! What limits starts, with the real daemon: caps, the floor under the disk, and breakers that outlive it; and too little
//! of the machine for the daemon itself.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use serde_json::Value;

/// `waiter` works until `stop` is there; `broken` fails, until `mended` is there.
fn setup(config: &str) -> (SealedBox, Repo) {
    let sealed = SealedBox::new();
    let base = sealed.base().display().to_string();
    let work = "echo more >> README.md; git commit -qam did";
    sealed.program(
        "waiter",
        &format!("#!/bin/sh\ncat > /dev/null\nwhile [ ! -e '{base}/stop' ]; do sleep 0.05; done\n{work}\n"),
    );
    sealed.program(
        "broken",
        &format!(
            "#!/bin/sh\ncat > /dev/null\n[ -e '{base}/mended' ] || {{ echo 'out of order' >&2; exit 3; }}\n{work}\n"
        ),
    );
    let agents = "agents:\n  waiter: {kind: command, command: waiter, max_parallel: 1}\n  \
                  other: {kind: command, command: waiter}\n  broken: {kind: command, command: broken}\n";
    sealed.config(&format!("{agents}{config}"));
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    (sealed, repo)
}

/// Changes a setting as a person does: the file is never there in part.
fn set(sealed: &SealedBox, key: &str, value: &str) {
    sealed.orch(["config", "set", key, value]).ok();
}

fn add(sealed: &SealedBox, repo: &Repo, agent: &str) -> u64 {
    let label = format!("agent:{agent}");
    let added = sealed.orch_in(repo.dir(), ["task", "add", "Work", "-l", &label, "--json"]).ok().json();
    added["id"].as_u64().expect("an id")
}

fn why(sealed: &SealedBox, id: u64) -> Value {
    sealed.orch(["why", &id.to_string(), "--json"]).ok().json()
}

/// Waits until the task is held for this reason, and returns the answer of `orch why`.
fn held(sealed: &SealedBox, id: u64, reason: &str) -> Value {
    wait::wait_some(&format!("task {id} to be held: {reason}"), RUN, || {
        Some(why(sealed, id)).filter(|why| why["hold"]["reason"] == reason)
    })
}

fn reaches(sealed: &SealedBox, id: u64, status: &str) {
    wait::wait_until(&format!("task {id} to be {status}"), RUN, || why(sealed, id)["status"] == status);
}

#[test]
fn what_was_under_way_when_orch_left_does_not_claim_to_be_looked_after() {
    let (mut sealed, repo) = setup("engine: {max_parallel: 2}\n");
    sealed.serve();
    let id = add(&sealed, &repo, "waiter");
    reaches(&sealed, id, "in_progress");
    assert_eq!(why(&sealed, id)["next"], "it moves when the agent ends");
    sealed.kill_daemon();
    let answer = why(&sealed, id);
    assert!(
        answer["because"].as_str().is_some_and(|answer| answer.contains("was under way when orch left")),
        "{answer}"
    );
    assert_eq!(answer["next"], "`orch serve` goes on with it");
    sealed.serve();
    reaches(&sealed, id, "in_progress");
    sealed.orch(["task", "cancel", &id.to_string()]).ok();
    reaches(&sealed, id, "cancelled");
    sealed.finish();
}

#[test]
fn a_cap_holds_its_own_and_lets_others_pass() {
    let (mut sealed, repo) = setup("engine: {max_parallel: 2}\n");
    sealed.serve();
    let (first, second, third, fourth) = (
        add(&sealed, &repo, "waiter"),
        add(&sealed, &repo, "waiter"),
        add(&sealed, &repo, "other"),
        add(&sealed, &repo, "other"),
    );
    reaches(&sealed, third, "in_progress");
    let full = held(&sealed, fourth, "slots");
    assert_eq!(full["because"], format!("2 of 2 slots are busy (tasks {first} {third})"));
    let words = sealed.orch(["why", &fourth.to_string()]).ok().stdout;
    assert!(words.contains("next: it starts when one of them ends; `orch task run 4` does not wait"), "{words}");
    set(&sealed, "workflow.max_parallel", "2");
    set(&sealed, "engine.max_parallel", "3");
    let capped = held(&sealed, second, "agent_slots");
    assert_eq!(capped["because"], format!("1 of 1 slot of agent waiter is busy (task {first})"));
    let project = held(&sealed, fourth, "project_slots");
    assert!(project["because"].as_str().is_some_and(|why| why.contains("2 of 2 slots of project")), "{project}");
    // A repository is data: its file can lower the limit and not raise it.
    write_file(&repo.dir().join(".orch.yml"), "workflow: {max_parallel: 9}\n");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    held(&sealed, fourth, "project_slots");
    // A person who asks does not wait.
    let run = sealed.run_program(ORCH).args(["task", "run", &second.to_string()]).deadline(RUN).start();
    reaches(&sealed, second, "in_progress");
    write_file(&sealed.base().join("stop"), "");
    run.finish(RUN).code_is(0);
    for id in [first, third, fourth] {
        reaches(&sealed, id, "done");
    }
    sealed.finish();
}

#[test]
fn a_disk_floor_holds_everything_until_it_is_lowered() {
    let (mut sealed, repo) = setup("engine: {min_free_disk_mb: 1000000000}\n");
    sealed.serve();
    write_file(&sealed.base().join("stop"), "");
    let id = add(&sealed, &repo, "other");
    let why = held(&sealed, id, "disk");
    assert!(why["because"].as_str().is_some_and(|why| why.contains("less than engine.min_free_disk_mb")), "{why}");
    assert!(why["next"].as_str().is_some_and(|next| next.starts_with("make room")), "{why}");
    // Not even for a person: the work would be interrupted.
    let ran = sealed.orch(["task", "run", &id.to_string()]).code_is(75);
    assert!(ran.stderr.contains("MB free") || ran.stdout.contains("MB free"), "{ran}");
    set(&sealed, "engine.min_free_disk_mb", "1");
    reaches(&sealed, id, "done");
    sealed.finish();
}

#[test]
fn a_breaker_opens_holds_the_next_task_and_survives_a_restart_until_it_is_reset() {
    let (mut sealed, repo) = setup("breaker: {failures: 3, cool_down_seconds: 3600}\nworkflow: {max_attempts: 1}\n");
    sealed.serve();
    for _ in 0..3 {
        let id = add(&sealed, &repo, "broken");
        reaches(&sealed, id, "needs_review");
    }
    let next = add(&sealed, &repo, "broken");
    let answer = held(&sealed, next, "breaker");
    assert!(answer["because"].as_str().is_some_and(|why| why.contains("agent:broken")), "{answer}");
    assert!(
        answer["hold"]["until"].is_string()
            && answer["next"].as_str().is_some_and(|n| n.contains("orch breaker reset"))
    );
    write_file(&sealed.base().join("stop"), "");
    let other = add(&sealed, &repo, "other");
    reaches(&sealed, other, "done");

    sealed.kill_daemon();
    sealed.serve();
    held(&sealed, next, "breaker");
    let status = sealed.orch(["status", "--json"]).ok().json();
    assert_eq!(
        (&status["breakers"][0]["name"], &status["breakers"][0]["state"]),
        (&"agent:broken".into(), &"open".into())
    );
    assert!(sealed.orch(["status"]).ok().stdout.contains("breaker agent:broken is open until"));
    let listed = sealed.orch(["breaker", "list", "--json"]).ok().json();
    assert_eq!((&listed[0]["failures"], &listed[0]["opened"]), (&3.into(), &1.into()), "{listed}");
    sealed.orch(["breaker", "reset", "agent:nobody"]).code_is(3);
    held(&sealed, next, "breaker");

    write_file(&sealed.base().join("mended"), "");
    assert_eq!(sealed.orch(["breaker", "reset", "agent:broken", "--json"]).ok().json()[0], "agent:broken");
    reaches(&sealed, next, "done");
    let answer = sealed.orch(["events"]).ok().stdout;
    assert!(answer.contains("breaker.opened") && answer.contains("breaker.closed"), "{answer}");
    let since = |when: &str| sealed.orch(["events", "--since", when]).ok().stdout;
    assert!(since("1h").starts_with(&answer), "all of it is younger");
    assert_eq!(since("2100-01-01T00:00:00Z"), "");
    assert_eq!(since("1").lines().next(), answer.lines().nth(1), "a number is a place");
    sealed.finish();
}

#[test]
fn a_half_open_breaker_lets_one_try_whose_success_lets_all_go_on() {
    let (mut sealed, repo) =
        setup("breaker: {failures: 2, cool_down_seconds: 2}\nworkflow: {max_attempts: 1}\nengine: {tick_seconds: 1}\n");
    sealed.serve();
    for _ in 0..2 {
        let id = add(&sealed, &repo, "broken");
        reaches(&sealed, id, "needs_review");
    }
    write_file(&sealed.base().join("mended"), "");
    let (one, two) = (add(&sealed, &repo, "broken"), add(&sealed, &repo, "broken"));
    for id in [one, two] {
        reaches(&sealed, id, "done");
    }
    wait::wait_until("the breaker to be forgotten", SOON, || {
        sealed.orch(["breaker", "list", "--json"]).ok().json().as_array().is_some_and(Vec::is_empty)
    });
    let text = sealed.orch(["events"]).ok().stdout;
    let kinds = ["breaker.opened", "breaker.half_open", "breaker.closed"];
    let places: Vec<Option<usize>> = kinds.iter().map(|kind| text.find(kind)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    sealed.finish();
}

#[test]
fn a_check_that_fails_for_every_task_stops_its_project_and_no_other() {
    let (mut sealed, repo) = setup(
        "breaker: {failures: 2, cool_down_seconds: 3600}\nworkflow: {max_attempts: 1, checks: [test -e mended]}\n",
    );
    let second = sealed.repo("other shop");
    sealed.orch_in(second.dir(), ["init"]).ok();
    write_file(&sealed.base().join("stop"), "");
    sealed.serve();
    for _ in 0..2 {
        let id = add(&sealed, &repo, "other");
        reaches(&sealed, id, "needs_review");
    }
    let next = add(&sealed, &repo, "other");
    let answer = held(&sealed, next, "breaker");
    assert!(
        answer["because"].as_str().is_some_and(|why| why.contains("check:") && why.contains("test -e mended")),
        "{answer}"
    );
    let elsewhere = add(&sealed, &second, "other");
    reaches(&sealed, elsewhere, "needs_review");
    // A person who asks is the trial.
    repo.write("mended", "yes");
    repo.commit("Mend it");
    sealed.orch(["task", "run", &next.to_string()]).ok();
    let names = sealed.orch(["breaker", "list", "--json"]).ok().json();
    let open = names.as_array().is_some_and(|all| all.iter().any(|breaker| breaker["state"] == "open"));
    assert!(!open, "{names}");
    sealed.finish();
}

#[test]
fn a_daemon_that_gets_too_few_threads_or_too_little_memory_ends_and_says_so() {
    let (sealed, _repo) = setup("");
    let limited = |megabytes: u64, args: &str| {
        let line = format!("ulimit -v {}; exec '{ORCH}' {args}", megabytes * 1024);
        sealed.run_program("sh").args(["-c", &line]).deadline(RUN).run()
    };
    let mut refused = 0;
    // Where it fails, between its first step and its last thread, depends on the machine: all of it is walked through.
    for megabytes in (8..=160).step_by(2) {
        if limited(megabytes, "version").code != Some(0) {
            continue; // the system does not even load it
        }
        let ran = limited(megabytes, "serve --until-idle");
        refused += usize::from(ran.code != Some(0));
        assert!(ran.code == Some(0) || !ran.stderr.trim().is_empty(), "with {megabytes} MB: {ran}");
    }
    assert!(refused > 0, "no limit was too small");
    sealed.finish();
}
