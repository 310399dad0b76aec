//! Tests `orch batch`, with and without a daemon. The agent is the scripted one, which reports prices and waits for
//! files.

use crate::kit::process::Ran;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_until};
use crate::kit::write_file;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    fn new() -> Self {
        let sealed = SealedBox::new();
        let program = sealed.bin().join("orch-scripted-agent");
        symlink(ORCH, &program).expect("a link in the box");
        sealed.config(&format!(
            "agents: {{scripted: {{kind: claude, command: '{}'}}}}\nworkflow: {{review: 'off'}}\nengine: {{max_parallel: 6}}\n",
            program.display()
        ));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    /// A task that does its work when `go` is there, or at once.
    fn add(&self, title: &str, waits: bool) -> u64 {
        let wait = if waits { format!("wait-for {}\n", self.go().display()) } else { String::new() };
        self.add_script(title, &format!("{wait}write {title}.txt done\ncommit {title}\n"))
    }

    fn add_script(&self, title: &str, script: &str) -> u64 {
        let script = format!("```orch-script\n{script}```\n");
        let args = ["task", "add", title, "-b", &script, "-l", "agent:scripted", "--json"];
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].as_u64().expect("a number")
    }

    fn go(&self) -> std::path::PathBuf {
        self.sealed.base().join("go")
    }

    fn batch(&self, args: &[&str]) -> Ran {
        self.sealed.orch_in(self.repo.dir(), ["batch"].iter().chain(args))
    }

    fn json(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        self.batch(&all).ok().json()
    }

    fn statuses(&self, name: &str) -> Vec<String> {
        let batch = self.json(&["show", name]);
        let rows = batch["rows"].as_array().expect("rows").iter();
        rows.map(|row| row["status"].as_str().expect("a word").to_owned()).collect()
    }

    fn waits_for(&self, name: &str, statuses: &[&str]) {
        wait_until(&format!("{name} is {statuses:?}"), RUN, || self.statuses(name) == statuses);
    }

    /// Lines of the history of this kind.
    fn events(&self, kind: &str) -> Vec<String> {
        let history = self.sealed.orch(["events", "--since", "0", "--json"]).ok().stdout;
        let entries = history.lines().map(|line| serde_json::from_str::<Value>(line).expect("a document"));
        let of_kind = entries.filter(|entry| entry["kind"] == kind);
        of_kind.map(|entry| entry["text"].as_str().expect("text").to_owned()).collect()
    }
}

#[test]
fn the_walk_of_a_batch_some_at_a_time_to_its_one_end() {
    let mut fixture = Fixture::new();
    let ids: Vec<String> = ["one", "two", "three"].iter().map(|title| fixture.add(title, true).to_string()).collect();
    let made = fixture.json(&["create", "night", "--tasks", &ids.join(","), "--concurrency", "2"]);
    assert_eq!(
        (&made["state"], &made["counts"], &made["concurrency"]),
        (&"open".into(), &json!({"new": 3}), &2.into())
    );
    fixture.batch(&["wait", "night"]).code_is(4);
    assert!(fixture.sealed.orch(["why", &ids[0]]).ok().stdout.contains("in batch night"));
    let task = fixture.sealed.orch(["task", "show", &ids[0], "--json"]).ok().json();
    assert_eq!(task["batch"], "night");

    fixture.sealed.serve();
    fixture.waits_for("night", &["in_progress", "in_progress", "routed"]);
    let held = fixture.sealed.orch(["task", "show", &ids[2], "--json"]).ok().json();
    assert_eq!(held["hold"]["reason"], "batch_slots");
    let why = fixture.sealed.orch(["why", &ids[2]]).ok().stdout;
    assert!(why.contains("2 of 2 slots of batch night are busy") && why.contains("orch batch set"), "{why}");
    assert!(fixture.sealed.orch(["status"]).ok().stdout.contains("batch night: 3 tasks"));
    let other = fixture.add("beside", true).to_string();
    wait_until("it works beside the batch", RUN, || {
        let all = fixture.sealed.orch(["dashboard", "--json"]).ok().json();
        all["running"].as_array().is_some_and(|running| running.len() == 3)
    });
    let of_batch = fixture.sealed.orch(["dashboard", "--batch", "night", "--json"]).ok().json();
    assert_eq!(of_batch["running"].as_array().map(Vec::len), Some(2), "{of_batch}");
    assert_eq!((&of_batch["held"][0]["reason"], &of_batch["held"][0]["tasks"]), (&"batch_slots".into(), &json!([3])));
    let screen = fixture.sealed.orch(["dashboard"]).ok().stdout;
    for part in ["slots: 3 of 6 busy", "batch night: ", "\nrunning\n", "\nwaiting\n", "batch_slots"] {
        assert!(screen.contains(part), "{part:?} in {screen}");
    }
    fixture.sealed.orch(["dashboard", "--batch", "day"]).code_is(3);
    fixture.batch(&["wait", "night", "--timeout", "1ms"]).code_is(6);
    fixture.batch(&["set", "night", "--concurrency", "3"]).ok();
    fixture.waits_for("night", &["in_progress", "in_progress", "in_progress"]);

    // A daemon that dies in between changes nothing about it.
    fixture.sealed.kill_daemon();
    write_file(&fixture.go(), "");
    fixture.sealed.serve();
    let waited = fixture.batch(&["wait", "night", "--json"]).ok().json();
    assert_eq!((&waited["state"], &waited["counts"]), (&"completed".into(), &json!({"done": 3})));
    assert!(waited["spent_usd"].as_f64().is_some_and(|spent| spent > 0.0), "{waited}");
    let ends = fixture.events("batch_ended");
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert!(ends[0].starts_with("batch night is complete: 3 done, $") && ends[0].lines().count() == 4, "{ends:?}");
    let order: Vec<&Value> = waited["tasks"].as_array().expect("ids").iter().collect();
    assert_eq!(order.iter().map(|id| id.to_string()).collect::<Vec<_>>(), ids);
    fixture.sealed.orch(["task", "wait", &other]).ok();
    let all = fixture.sealed.orch(["dashboard", "--json"]).ok().json();
    assert_eq!(all["ended"].as_array().map(Vec::len), Some(4), "{all}");
    fixture.batch(&["set", "night", "--no-budget"]).code_is(7);
    fixture.batch(&["cancel", "night"]).code_is(7);

    // The name is free again.
    let next = fixture.add("four", false).to_string();
    assert_eq!(fixture.json(&["create", "night", "--tasks", &next])["state"], "open");
    fixture.batch(&["wait", "night"]).ok();
    let listed = fixture.json(&["list"]);
    assert_eq!(listed.as_array().expect("a list").len(), 2, "{listed}");
    assert_eq!(fixture.events("batch_ended").len(), 2);
    fixture.sealed.finish();
}

#[test]
fn a_batch_that_has_spent_its_budget_begins_nothing_more_until_it_is_raised() {
    let mut fixture = Fixture::new();
    let ids: Vec<String> = ["one", "two"].iter().map(|title| fixture.add(title, false).to_string()).collect();
    fixture.batch(&["create", "night", "--tasks", &ids.join(","), "--concurrency", "1", "--budget", "0.000001"]).ok();
    fixture.sealed.serve();
    wait_until("the second waits for money", RUN, || {
        let task = fixture.sealed.orch(["task", "show", &ids[1], "--json"]).ok().json();
        task["hold"]["reason"] == "batch_budget"
    });
    let why = fixture.sealed.orch(["why", &ids[1]]).ok().stdout;
    assert!(why.contains("batch night has spent $") && why.contains("orch batch set night --budget USD"), "{why}");
    wait_until("the first is done", RUN, || fixture.statuses("night")[0] == "done");
    assert_eq!(fixture.events("batch_spent").len(), 1);
    assert!(fixture.batch(&["show", "night"]).ok().stdout.contains("its budget is spent"));
    fixture.batch(&["set", "night", "--budget", "20"]).ok();
    fixture.batch(&["wait", "night"]).ok();
    assert_eq!(fixture.json(&["show", "night"])["counts"], json!({"done": 2}));
    fixture.sealed.finish();
}

#[test]
fn a_batch_that_is_given_up_keeps_what_is_finished_and_ends_when_all_is_stopped() {
    let mut fixture = Fixture::new();
    let ids =
        [fixture.add("one", false), fixture.add("two", true), fixture.add("three", true)].map(|id| id.to_string());
    fixture.batch(&["create", "night", "--tasks", &ids.join(","), "--concurrency", "2"]).ok();
    fixture.sealed.serve();
    fixture.waits_for("night", &["done", "in_progress", "in_progress"]);
    let would = fixture.batch(&["cancel", "night", "--dry-run"]).ok().stdout;
    assert!(would.contains("would give up 2 of 3 tasks"), "{would}");
    assert_eq!(fixture.statuses("night")[1], "in_progress");
    fixture.batch(&["cancel", "night"]).ok();
    fixture.batch(&["wait", "night"]).code_is(1);
    let ended = fixture.json(&["show", "night"]);
    assert_eq!((&ended["state"], &ended["counts"]), (&"cancelled".into(), &json!({"cancelled": 2, "done": 1})));
    let ends = fixture.events("batch_ended");
    assert!(ends.len() == 1 && ends[0].starts_with("batch night was given up: 1 done, 2 cancelled"), "{ends:?}");
    fixture.sealed.finish();
}

#[test]
fn what_waits_for_a_person_or_for_other_work_keeps_a_batch_open() {
    let mut fixture = Fixture::new();
    let asks = fixture.add_script("one", "status needs_review which way?\n").to_string();
    let good = fixture.add("two", false).to_string();
    let after = ["task", "add", "three", "-l", "agent:scripted", "--depends-on", &asks, "--json"];
    let after = fixture.sealed.orch_in(fixture.repo.dir(), after).ok().json()["id"].to_string();
    fixture.batch(&["create", "night", "--tasks", &format!("{asks},{good}")]).ok();
    fixture.batch(&["create", "day", "--tasks", &after]).ok();
    fixture.sealed.serve();
    let waited = fixture.batch(&["wait", "night"]).code_is(5);
    assert!(waited.stderr.contains(&format!("orch why {asks}")), "{}", waited.stderr);
    let open = fixture.json(&["show", "night"]);
    assert_eq!((&open["state"], &open["counts"]), (&"open".into(), &json!({"done": 1, "needs_review": 1})));
    assert!(open["rows"][0]["why"].as_str().is_some_and(|why| why.contains("which way?")), "{open}");
    fixture.batch(&["wait", "day", "--timeout", "1ms"]).code_is(6);
    assert_eq!(fixture.statuses("day"), ["blocked"]);
    fixture.sealed.orch(["task", "cancel", &asks]).ok();
    fixture.batch(&["wait", "night"]).code_is(1);
    assert_eq!(fixture.json(&["show", "day"])["state"], "open");
    assert_eq!(fixture.events("batch_ended").len(), 1);
    fixture.sealed.finish();
}

#[test]
fn what_may_not_be_a_batch_is_refused_and_nothing_of_it_is_made() {
    let mut fixture = Fixture::new();
    let ids =
        [fixture.add("one", false), fixture.add("two", false), fixture.add("three", false)].map(|id| id.to_string());
    let [one, two, three] = ids.each_ref().map(String::as_str);
    fixture.sealed.orch(["task", "cancel", three]).ok();
    fixture.sealed.orch(["pause"]).ok();
    for with_daemon in [false, true] {
        if with_daemon {
            fixture.sealed.serve();
        }
        let refused = |tasks: String, code: i32, word: &str| {
            let ran = fixture.batch(&["create", "bad", "--tasks", &tasks]).code_is(code);
            assert!(ran.stderr.contains(word) && ran.stderr.contains("hint"), "{}", ran.stderr);
        };
        refused(format!("{one},99"), 2, "there is no task 99");
        refused(format!("{one},{two},{one}"), 2, "more than once");
        refused(format!("{two},{three}"), 7, "is cancelled already");
        fixture.batch(&["create", "bad", "--tasks", one, "--concurrency", "0"]).code_is(2);
        fixture.batch(&["create", "bad", "--tasks", one, "--budget", "0"]).code_is(2);
        fixture.batch(&["create", "b/d", "--tasks", one]).code_is(2);
        fixture.batch(&["create", "bad", "--tasks", "x"]).code_is(2);
        fixture.batch(&["create", "bad"]).code_is(2);
        fixture.batch(&["show", "bad"]).code_is(3);
        fixture.batch(&["cancel", "bad"]).code_is(3);
        fixture.batch(&["wait", "bad"]).code_is(3);
        if !with_daemon {
            assert_eq!(fixture.json(&["list"]), json!([]));
            fixture.batch(&["create", "good", "--tasks", one]).ok();
        }
        let again = fixture.batch(&["create", "good", "--tasks", two]).code_is(7);
        assert!(again.stderr.contains("there is an open batch good already"), "{}", again.stderr);
        let taken = fixture.batch(&["create", "other", "--tasks", &format!("{two},{one}")]).code_is(7);
        assert!(taken.stderr.contains("is in batch good"), "{}", taken.stderr);
    }
    assert_eq!(fixture.events("batch_created").len(), 1);
    // After the cancellation from the command line, the batch has ended with its only task.
    fixture.sealed.orch(["task", "cancel", one]).ok();
    fixture.batch(&["wait", "good"]).code_is(1);
    fixture.sealed.finish();
}
