//! Tests decisions of people: an approval is of the judged commit, a question has a kind, conflicts are returned as
//! long as the base moves, and nothing is accepted that the project's checks have not judged.

use super::{ASKS, Fixture, commit};
use crate::kit::http::{self, Answer, ask};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN};
use crate::kit::{read_file, write_file};
use serde_json::{Value, json};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The worktree of a task, for a person's hand.
fn worktree(fixture: &Fixture, id: u64) -> Repo {
    Repo::at(fixture.show(id)["worktree"].as_str().expect("a path").as_ref(), fixture.sealed.env())
}

/// Somebody commits on the task's branch.
fn commit_by_hand(at: &Repo, file: &str) {
    at.write(file, "by hand\n");
    at.git(["add", "."]);
    at.git(["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "A commit by hand"]);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn an_approval_that_names_no_commit_is_of_the_judged_one_and_a_moved_branch_is_refused_with_the_difference() {
    let mut fixture = Fixture::new("integrate: merge, checks: [sh check.sh]");
    let id = fixture.add("Ask first", &format!("{}\n{ASKS}", commit("a.txt", "hello")), &[]);
    fixture.run_all();
    let judged = fixture.show(id)["judged"].as_str().expect("a judged commit").to_owned();
    assert_eq!(judged, fixture.head(id));
    let hand = worktree(&fixture, id);
    commit_by_hand(&hand, "late.txt");
    let is_refused = |output: &str| {
        for part in ["has moved since it was judged", &judged[..10], "1 commit since: +1", "A commit by hand"] {
            assert!(output.contains(part), "{part} is not in: {output}");
        }
    };
    for verb in ["approve", "merge"] {
        is_refused(&fixture.task(verb, id, &[]).code_is(7).stderr);
    }
    let diff = fixture.task("diff", id, &["--stat", "--json"]).ok().json();
    assert_eq!(diff["judged"], judged, "{diff:#}");
    is_refused(&format!("has moved since it was judged {judged} {}", text(&diff["moved"])));
    fixture.sealed.serve();
    let socket = fixture.sealed.socket().expect("a socket");
    for verb in ["approve", "merge"] {
        let answer = ask(&socket, "POST", &format!("/v1/tasks/{id}/{verb}"), "{}");
        assert_eq!(answer.status, 409, "{}", answer.body);
        is_refused(text(&answer.json()["detail"]));
    }
    assert_eq!((fixture.status(id).as_str(), fixture.repo.show("main", "a.txt")), ("needs_review", None));
    hand.git(["reset", "--quiet", "--hard", &judged]);
    fixture.task("approve", id, &[]).ok();
    assert_eq!(fixture.repo.show("main", "a.txt").as_deref(), Some("hello\n"));
    fixture.sealed.finish();
}

#[test]
fn a_kept_branch_that_moved_since_it_was_judged_is_not_merged_and_an_approval_proposes_the_merge() {
    let fixture = Fixture::new("integrate: branch, review: human");
    let id = fixture.add("Add a file", &commit("a.txt", "a"), &[]);
    fixture.run_all();
    let approved = fixture.task("approve", id, &[]).ok().stderr;
    assert!(approved.contains(&format!("orch task merge {id}")), "{approved}");
    let hand = worktree(&fixture, id);
    commit_by_hand(&hand, "late.txt");
    let refused = fixture.task("merge", id, &[]).code_is(7);
    assert!(refused.stderr.contains("A commit by hand"), "{refused}");
    assert_eq!((fixture.status(id).as_str(), fixture.repo.show("main", "a.txt")), ("done", None));
    fixture.sealed.finish();
}

#[test]
fn a_task_that_needs_a_person_says_in_which_way_and_proposes_what_fits() {
    let fixture = Fixture::new("integrate: branch, review: human, max_attempts: 1, checks: [sh check.sh]");
    let ready = fixture.add("Do it", &commit("a.txt", "a"), &[]);
    let asks = fixture.add("Ask", &format!("{}\n{ASKS}", commit("b.txt", "b")), &[]);
    let failed = fixture.add("Break it", &commit("README.md", "broken"), &[]);
    let setup = fixture.add("Nobody can", &commit("c.txt", "c"), &[]);
    fixture.task("edit", setup, &["--remove-label", "agent:bot", "--add-label", "agent:codex"]).ok();
    fixture.run_all();
    let rows = fixture.sealed.orch(["task", "list"]).ok().stdout;
    let expected = [
        (ready, "ready", ("ready for you", "ready for you: the work waits"), "orch task diff"),
        (asks, "question", ("question", "the agent asks for a decision"), "orch task send"),
        (failed, "failed", ("failed", "failed: 1 of 1 attempts"), "orch task diff"),
        (setup, "setup", ("your setup", "your setup: "), "orch task unblock"),
    ];
    for (id, kind, (label, answer), first) in expected {
        let task = fixture.show(id);
        assert_eq!(task["question_kind"], kind, "{task:#}");
        let choices: Vec<&str> = task["choices"].as_array().into_iter().flatten().map(text).collect();
        assert!(choices[0].starts_with(first), "{choices:?}");
        assert!(rows.contains(&answer[..12]), "{answer}: {rows}");
        assert!(fixture.task("show", id, &[]).ok().stdout.contains(&format!("needs_review ({label})")));
        assert!(fixture.task("why", id, &[]).ok().stdout.contains(answer), "{answer}");
    }
    assert!(fixture.task("show", failed, &[]).ok().stdout.contains("bot: checks_failed"), "what was tried is told");
    let status = fixture.sealed.orch(["status", "--json"]).ok().json();
    let kinds: Vec<&str> = status["needs_you"].as_array().into_iter().flatten().map(|one| text(&one["kind"])).collect();
    assert_eq!(kinds, ["ready", "question", "failed", "setup"], "{status:#}");
    fixture.sealed.finish();
}

#[test]
fn work_that_is_not_accepted_has_no_reason_why_it_was_accepted() {
    let fixture = Fixture::new("integrate: branch, review: human");
    let id = fixture.add("Do it", &commit("a.txt", "a"), &[]);
    let accepted = || fixture.show(id)["evidence"]["accepted"].clone();
    fixture.run_all();
    assert_eq!((fixture.status(id).as_str(), accepted()), ("needs_review", Value::Null));
    fixture.task("reject", id, &["-m", "Not like this."]).ok();
    assert_eq!(accepted(), Value::Null);
    fixture.run_all();
    fixture.task("approve", id, &[]).ok();
    assert!(text(&accepted()).contains("1 file"), "{}", fixture.show(id));
    fixture.sealed.finish();
}

#[test]
fn a_second_conflict_goes_back_to_its_author_while_the_base_moves_and_rounds_resolve_it() {
    let mut fixture = Fixture::new("integrate: merge");
    let go = fixture.sealed.base().join("go");
    // Its first run changes the page. Each later one merges the base, resolves it, and waits with that.
    let body = format!(
        "DO: if ! [ -e \"$HOME/begun\" ]; then touch \"$HOME/begun\"; echo task > README.md; git commit -qam Page\n\
         DO: else git merge -q main; echo \"task with $(git rev-parse main)\" > README.md; git add . && git commit -qm Both\n\
         DO: fi; echo >> \"$HOME/rounds\"; while ! [ -e '{0}' ]; do sleep 0.1; done; rm '{0}'",
        go.display()
    );
    let id = fixture.add("Change the page", &body, &[]);
    let rounds = fixture.sealed.home().join("rounds");
    fixture.sealed.serve();
    for round in 1..=3 {
        let begun = || std::fs::read_to_string(&rounds).is_ok_and(|text| text.lines().count() == round);
        wait::wait_until("the round to be at work", RUN, begun);
        // The base moves on the same line under it, but for the last time.
        if round < 3 {
            fixture.repo.write("README.md", &format!("person {round}\n"));
            fixture.repo.commit("Write the page");
        }
        write_file(&go, "");
        wait::wait_until("it to go on", RUN, || !go.exists());
    }
    wait::wait_until("the work to be merged", RUN, || ["done", "needs_review"].contains(&fixture.status(id).as_str()));
    assert_eq!(fixture.status(id), "done", "{:#}", fixture.show(id));
    assert!(fixture.repo.show("main", "README.md").is_some_and(|page| page.starts_with("task with ")));
    // What the person committed meanwhile, and came with the merges, is not what it is judged by.
    assert_eq!(fixture.show(id)["evidence"]["files"], 1, "{:#}", fixture.show(id));
    fixture.sealed.finish();
}

#[test]
fn conflicts_that_no_round_resolves_end_with_a_person() {
    let mut fixture = Fixture::new("integrate: merge");
    let go = fixture.sealed.base().join("go");
    let body = format!(
        "DO: echo \"task $$\" > README.md; git commit -qam Page; echo >> \"$HOME/rounds\"\n\
         DO: while ! [ -e '{0}' ]; do sleep 0.1; done; rm '{0}'",
        go.display()
    );
    let id = fixture.add("Change the page", &body, &[]);
    let file = fixture.sealed.home().join("rounds");
    let rounds = || std::fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    fixture.sealed.serve();
    for round in 1.. {
        wait::wait_until("the round to be at work", RUN, || rounds() == round || fixture.status(id) == "needs_review");
        if fixture.status(id) == "needs_review" {
            break;
        }
        fixture.repo.write("README.md", &format!("person {round}\n"));
        fixture.repo.commit("Write the page");
        write_file(&go, "");
        wait::wait_until("it to go on", RUN, || !go.exists());
    }
    assert_eq!(rounds(), 3, "two rounds were for nothing");
    let task = fixture.show(id);
    assert!(text(&task["question"]).contains("conflicts with its base again"), "{task:#}");
    let first = text(&task["choices"][0]);
    assert!(first.starts_with("orch task diff"), "{task:#}");
    fixture.sealed.finish();
}

#[test]
fn checks_that_are_not_approved_hold_the_task_with_the_true_reason_until_they_are() {
    let fixture = Fixture::new("integrate: branch");
    fixture.repo.write(".orch.yml", "workflow:\n  checks: [sh check.sh]\n");
    fixture.repo.commit("Name the check");
    let id = fixture.add("Add a file", &commit("a.txt", "a"), &[]);
    let ran = fixture.task("run", id, &[]).code_is(75).stderr;
    for output in [ran, fixture.task("show", id, &[]).ok().stdout, fixture.sealed.orch(["task", "list"]).ok().stdout] {
        assert!(output.contains("not approved") && !output.contains("no check is configured"), "{output}");
    }
    let why = fixture.sealed.orch(["why", &id.to_string(), "--json"]).ok().json();
    assert_eq!(why["hold"]["reason"], "not_approved", "{why:#}");
    assert!(text(&why["next"]).contains("orch init"), "{why:#}");
    fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
    fixture.task("run", id, &[]).ok();
    assert!(text(&fixture.show(id)["evidence"]["accepted"]).contains("`sh check.sh` passed"), "{:#}", fixture.show(id));
    fixture.sealed.finish();
}

#[test]
fn a_merge_that_a_person_orders_waits_until_changed_checks_are_approved() {
    let fixture = Fixture::new("integrate: branch");
    fixture.repo.write(".orch.yml", "workflow:\n  checks: [sh check.sh]\n");
    fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
    let id = fixture.add("Add a file", &commit("a.txt", "a"), &[]);
    fixture.task("run", id, &[]).ok();
    fixture.repo.write(".orch.yml", "workflow:\n  checks: [sh check.sh, 'test -e a.txt']\n");
    fixture.task("merge", id, &[]).code_is(75);
    assert_eq!(
        (&fixture.show(id)["hold"]["reason"], fixture.repo.show("main", "a.txt")),
        (&"not_approved".into(), None)
    );
    fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
    let task = || fixture.show(id)["integration"]["state"].clone();
    fixture.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 3).run();
    wait::wait_until("the work to be merged", RUN, || task() == "merged");
    assert_eq!(fixture.repo.show("main", "a.txt").as_deref(), Some("a\n"));
    fixture.sealed.finish();
}

#[test]
fn a_check_that_proved_the_work_and_says_nothing_now_holds_its_merge_and_only_a_persons_word_goes_on() {
    let mut fixture = Fixture::new("integrate: merge");
    fixture.repo.write(".orch.yml", "workflow:\n  checks: ['test ! -e \"$HOME/down\"']\n");
    fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
    // It is judged while the base may not move.
    fixture.repo.git(["bisect", "start"]);
    let id = fixture.add("Add a file", &commit("a.txt", "a"), &[]);
    fixture.task("run", id, &[]).code_is(75);
    let held = fixture.show(id);
    assert_eq!(
        (&held["hold"]["reason"], &held["evidence"]["checks"][0]["state"]),
        (&"base_dirty".into(), &"passed".into())
    );
    write_file(&fixture.sealed.home().join("down"), "");
    fixture.repo.git(["bisect", "reset"]);
    fixture.sealed.serve();
    let reason = || fixture.show(id)["hold"]["reason"].clone();
    wait::wait_until("the merge to be held", RUN * 2, || reason() == "setup");
    let text = fixture.show(id)["hold"]["detail"].to_string();
    assert!(text.contains("passed on the branch, and now"), "{text}");
    assert_eq!(fixture.repo.show("main", "a.txt"), None);
    fixture.task("merge", id, &[]).ok();
    wait::wait_until("the work to be merged", RUN, || fixture.repo.show("main", "a.txt").is_some());
    assert_eq!(fixture.show(id)["runs"].as_array().map(Vec::len), Some(1));
    fixture.sealed.finish();
}

#[test]
fn a_task_that_is_cancelled_while_its_merge_is_checked_is_not_merged() {
    let mut fixture = Fixture::new("integrate: merge");
    // The first time for the branch, the second for the merge.
    let check = "echo x >> \"$HOME/calls\"; [ $(wc -l < \"$HOME/calls\") -lt 2 ] || \
                 while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done";
    fixture.repo.write(".orch.yml", &format!("workflow:\n  checks: ['{check}']\n"));
    fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
    fixture.sealed.serve();
    let id = fixture.add("Add a file", &commit("a.txt", "a"), &[]);
    let calls = fixture.sealed.home().join("calls");
    wait::wait_until("the merge to be checked", RUN * 2, || calls.exists() && read_file(&calls).lines().count() == 2);
    fixture.task("cancel", id, &[]).ok();
    write_file(&fixture.sealed.home().join("go"), "");
    let scratch = fixture.sealed.orch_home().join(".orch/merge");
    wait::wait_until("the trial to be gone", RUN, || {
        std::fs::read_dir(&scratch).is_ok_and(|entries| entries.count() == 0)
    });
    let task = fixture.show(id);
    assert_eq!((&task["status"], &task["integration"]), (&"cancelled".into(), &Value::Null), "{task}");
    assert_eq!(fixture.repo.show("main", "a.txt"), None);
    assert_eq!(fixture.repo.show(text(&task["branch"]), "a.txt").as_deref(), Some("a\n"), "the work is kept");
    fixture.sealed.finish();
}

#[test]
fn a_merge_by_which_an_agent_takes_the_work_of_others_back_is_a_persons_to_accept() {
    for resolve in ["git merge -q -s ours main", "git reset -q --soft main; git commit -qm 'All in one'"] {
        let mut fixture = Fixture::new("integrate: merge");
        let wait = "DO: touch \"$HOME/there\"; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done";
        let body = format!("{}\n{wait}\nDO: {resolve}", commit("a.txt", "a"));
        fixture.sealed.serve();
        let id = fixture.add("Add a file", &body, &[]);
        wait::wait_until("the agent to work", RUN, || fixture.sealed.home().join("there").exists());
        fixture.repo.write("README.md", "A person's own words\n");
        fixture.repo.commit("Words");
        write_file(&fixture.sealed.home().join("go"), "");
        wait::wait_until("the question", RUN, || fixture.show(id)["status"] == "needs_review");
        let task = fixture.show(id);
        assert!(text(&task["question"]).contains("README.md"), "{resolve}: {task}");
        assert_eq!(task["question_kind"], "ready", "{task}");
        assert_eq!(fixture.repo.show("main", "a.txt"), None, "{resolve}");
        fixture.sealed.finish();
    }
}

#[test]
fn two_homes_with_the_same_task_in_one_repository_have_branches_of_their_own() {
    let fixture = Fixture::new("integrate: branch");
    let other = SealedBox::new();
    other.program("bot", super::BOT);
    other.config("agents: {bot: {kind: command, command: bot}}\nworkflow: {integrate: branch}\n");
    let mine = fixture.add("Add a file", &commit("a.txt", "mine"), &[]);
    fixture.run_all();
    let dir = fixture.repo.dir();
    other.orch_in(dir, ["init"]).ok();
    let body = commit("a.txt", "theirs");
    let args = ["task", "add", "Add a file", "-b", &body, "-l", "agent:bot", "--json"];
    let theirs = other.orch_in(dir, args).ok().json()["id"].as_u64().expect("an id");
    assert_eq!(mine, theirs, "the same number");
    other.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run().ok();
    let task = other.orch(["task", "show", "1", "--json"]).ok().json();
    let (own, foreign) = (fixture.show(mine)["branch"].clone(), task["branch"].clone());
    assert!(own != foreign && text(&foreign).starts_with(text(&own)), "{own} {foreign}");
    assert_eq!(fixture.repo.show(text(&own), "a.txt").as_deref(), Some("mine\n"));
    assert_eq!(fixture.repo.show(text(&foreign), "a.txt").as_deref(), Some("theirs\n"));
    assert_eq!(task["evidence"]["commits"].as_array().map(Vec::len), Some(1), "only its own work: {task:#}");
    other.finish();
    fixture.sealed.finish();
}

#[test]
fn a_request_about_a_task_as_it_was_seen_is_refused_once_it_has_changed() {
    let mut sealed = SealedBox::new();
    sealed.serve();
    let socket = sealed.socket().expect("a socket");
    let seen = with_key(&socket, "/v1/tasks", "k-1", &json!({"title": "Once"})).json();
    let cancel = format!("/v1/tasks/1/cancel?unchanged_since={}", text(&seen["updated_at"]));
    sealed.orch(["task", "cancel", "1"]).ok();
    sealed.orch(["task", "retry", "1"]).ok();
    let refused = with_key(&socket, &cancel, "k-2", &Value::Null);
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.body.contains("has changed since"), "{}", refused.body);
    let seen = sealed.orch(["task", "show", "1", "--json"]).ok().json();
    assert_eq!(seen["status"], "new", "{seen}");
    let cancel = format!("/v1/tasks/1/cancel?unchanged_since={}", text(&seen["updated_at"]));
    assert_eq!(with_key(&socket, &cancel, "k-3", &Value::Null).json()["status"], "cancelled");
    sealed.finish();
}

/// A request with a key.
fn with_key(socket: &Path, path: &str, key: &str, body: &Value) -> Answer {
    let stream = UnixStream::connect(socket).expect("a daemon");
    let headers = [("host", "orch"), ("content-type", "application/json"), ("idempotency-key", key)];
    http::request(stream, "POST", path, &headers, &body.to_string())
}

#[test]
fn a_request_that_comes_twice_with_its_key_makes_one_thing_and_gets_the_first_answer() {
    let mut sealed = SealedBox::new();
    sealed.serve();
    let socket = sealed.socket().expect("a socket");
    let new = json!({"title": "Once"});
    let first = with_key(&socket, "/v1/tasks", "k-1", &new);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(with_key(&socket, "/v1/tasks", "k-1", &new).json(), first.json());
    // Many at once.
    let ids: Vec<Value> = std::thread::scope(|scope| {
        let ask = || with_key(&socket, "/v1/tasks", "k-2", &json!({"title": "Together"})).json()["id"].clone();
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    assert!(ids.iter().all(|id| *id == 2), "{ids:?}");
    let other = with_key(&socket, "/v1/tasks", "k-1", &json!({"title": "Another"}));
    assert_eq!(other.status, 409, "{}", other.body);
    assert_eq!(with_key(&socket, "/v1/tasks", "not a key", &new).status, 400);
    let path = "/v1/tasks/1/send";
    let said = with_key(&socket, path, "k-3", &json!({"text": "hello"}));
    assert_eq!(said.status, 200, "{}", said.body);
    assert_eq!(with_key(&socket, path, "k-3", &json!({"text": "hello"})).json()["id"], said.json()["id"]);
    // What was refused is not remembered.
    assert_eq!(with_key(&socket, "/v1/tasks", "k-4", &json!({"title": ""})).status, 400);
    assert_eq!(with_key(&socket, "/v1/tasks", "k-4", &json!({"title": "Mended"})).status, 200);
    let batch = json!({"name": "night", "tasks": [1, 2]});
    let made = with_key(&socket, "/v1/batches", "k-5", &batch);
    assert_eq!((made.status, with_key(&socket, "/v1/batches", "k-5", &batch).status), (200, 200), "{}", made.body);
    let cancelled = with_key(&socket, "/v1/tasks/3/cancel", "k-6", &Value::Null);
    assert_eq!(cancelled.json()["status"], "cancelled", "{}", cancelled.body);
    sealed.kill_daemon();
    sealed.serve();
    let socket = sealed.socket().expect("a socket");
    assert_eq!(with_key(&socket, "/v1/tasks", "k-1", &new).json()["id"], 1);
    sealed.orch(["task", "retry", "3"]).ok();
    let again = with_key(&socket, "/v1/tasks/3/cancel", "k-6", &Value::Null);
    assert_eq!(
        (again.status, &again.json()["status"]),
        (200, &json!("new")),
        "what was done stays undone: {}",
        again.body
    );
    assert_eq!(with_key(&socket, "/v1/tasks/3/unblock", "k-6", &Value::Null).status, 409);
    let tasks = sealed.orch(["task", "list", "--json"]).ok().json();
    assert_eq!(tasks.as_array().map(Vec::len), Some(3), "{tasks:#}");
    sealed.finish();
}
