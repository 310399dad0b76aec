//! Batches as a user has them: `orch batch`, with and without a daemon. The agent is the scripted one, which tells what
//! it costs and waits for files.

use crate::kit::process::Ran;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, wait_until};
use crate::kit::write_file;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

struct Yard {
    sealed: SealedBox,
    repo: Repo,
}

impl Yard {
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
    fn told(&self, kind: &str) -> Vec<String> {
        let history = self.sealed.orch(["events", "--since", "0", "--json"]).ok().stdout;
        let entries = history.lines().map(|line| serde_json::from_str::<Value>(line).expect("a document"));
        let of_kind = entries.filter(|entry| entry["kind"] == kind);
        of_kind.map(|entry| entry["text"].as_str().expect("text").to_owned()).collect()
    }
}

#[test]
fn the_walk_of_a_batch_some_at_a_time_to_its_one_end() {
    let mut yard = Yard::new();
    let ids: Vec<String> = ["one", "two", "three"].iter().map(|title| yard.add(title, true).to_string()).collect();
    let made = yard.json(&["create", "night", "--tasks", &ids.join(","), "--concurrency", "2"]);
    assert_eq!(
        (&made["state"], &made["counts"], &made["concurrency"]),
        (&"open".into(), &json!({"new": 3}), &2.into())
    );
    yard.batch(&["wait", "night"]).code_is(4);
    assert!(yard.sealed.orch(["why", &ids[0]]).ok().stdout.contains("in batch night"));
    let task = yard.sealed.orch(["task", "show", &ids[0], "--json"]).ok().json();
    assert_eq!(task["batch"], "night");

    yard.sealed.serve();
    yard.waits_for("night", &["in_progress", "in_progress", "routed"]);
    let held = yard.sealed.orch(["task", "show", &ids[2], "--json"]).ok().json();
    assert_eq!(held["hold"]["reason"], "batch_slots");
    let why = yard.sealed.orch(["why", &ids[2]]).ok().stdout;
    assert!(why.contains("2 of 2 slots of batch night are busy") && why.contains("orch batch set"), "{why}");
    assert!(yard.sealed.orch(["status"]).ok().stdout.contains("batch night: 3 tasks"));
    let other = yard.add("beside", true).to_string();
    wait_until("it works beside the batch", RUN, || {
        let all = yard.sealed.orch(["dashboard", "--json"]).ok().json();
        all["running"].as_array().is_some_and(|running| running.len() == 3)
    });
    let of_batch = yard.sealed.orch(["dashboard", "--batch", "night", "--json"]).ok().json();
    assert_eq!(of_batch["running"].as_array().map(Vec::len), Some(2), "{of_batch}");
    assert_eq!((&of_batch["held"][0]["reason"], &of_batch["held"][0]["tasks"]), (&"batch_slots".into(), &json!([3])));
    let screen = yard.sealed.orch(["dashboard"]).ok().stdout;
    for part in ["slots: 3 of 6 busy", "batch night: ", "\nrunning\n", "\nwaiting\n", "batch_slots"] {
        assert!(screen.contains(part), "{part:?} in {screen}");
    }
    yard.sealed.orch(["dashboard", "--batch", "day"]).code_is(3);
    yard.batch(&["wait", "night", "--timeout", "1ms"]).code_is(6);
    yard.batch(&["set", "night", "--concurrency", "3"]).ok();
    yard.waits_for("night", &["in_progress", "in_progress", "in_progress"]);

    // A daemon that dies in between changes nothing about it.
    yard.sealed.kill_daemon();
    write_file(&yard.go(), "");
    yard.sealed.serve();
    let waited = yard.batch(&["wait", "night", "--json"]).ok().json();
    assert_eq!((&waited["state"], &waited["counts"]), (&"completed".into(), &json!({"done": 3})));
    assert!(waited["spent_usd"].as_f64().is_some_and(|spent| spent > 0.0), "{waited}");
    let ends = yard.told("batch_ended");
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert!(ends[0].starts_with("batch night is complete: 3 done, $") && ends[0].lines().count() == 4, "{ends:?}");
    let order: Vec<&Value> = waited["tasks"].as_array().expect("ids").iter().collect();
    assert_eq!(order.iter().map(|id| id.to_string()).collect::<Vec<_>>(), ids);
    yard.sealed.orch(["task", "wait", &other]).ok();
    let all = yard.sealed.orch(["dashboard", "--json"]).ok().json();
    assert_eq!(all["ended"].as_array().map(Vec::len), Some(4), "{all}");
    yard.batch(&["set", "night", "--no-budget"]).code_is(7);
    yard.batch(&["cancel", "night"]).code_is(7);

    // The name is free again.
    let next = yard.add("four", false).to_string();
    assert_eq!(yard.json(&["create", "night", "--tasks", &next])["state"], "open");
    yard.batch(&["wait", "night"]).ok();
    let listed = yard.json(&["list"]);
    assert_eq!(listed.as_array().expect("a list").len(), 2, "{listed}");
    assert_eq!(yard.told("batch_ended").len(), 2);
    yard.sealed.finish();
}

#[test]
fn a_batch_that_has_spent_its_budget_begins_nothing_more_until_it_is_raised() {
    let mut yard = Yard::new();
    let ids: Vec<String> = ["one", "two"].iter().map(|title| yard.add(title, false).to_string()).collect();
    yard.batch(&["create", "night", "--tasks", &ids.join(","), "--concurrency", "1", "--budget", "0.000001"]).ok();
    yard.sealed.serve();
    wait_until("the second waits for money", RUN, || {
        let task = yard.sealed.orch(["task", "show", &ids[1], "--json"]).ok().json();
        task["hold"]["reason"] == "batch_budget"
    });
    let why = yard.sealed.orch(["why", &ids[1]]).ok().stdout;
    assert!(why.contains("batch night has spent $") && why.contains("orch batch set night --budget USD"), "{why}");
    wait_until("the first is done", RUN, || yard.statuses("night")[0] == "done");
    assert_eq!(yard.told("batch_spent").len(), 1);
    assert!(yard.batch(&["show", "night"]).ok().stdout.contains("its budget is spent"));
    yard.batch(&["set", "night", "--budget", "20"]).ok();
    yard.batch(&["wait", "night"]).ok();
    assert_eq!(yard.json(&["show", "night"])["counts"], json!({"done": 2}));
    yard.sealed.finish();
}

#[test]
fn a_batch_that_is_given_up_keeps_what_is_finished_and_ends_when_all_is_stopped() {
    let mut yard = Yard::new();
    let ids = [yard.add("one", false), yard.add("two", true), yard.add("three", true)].map(|id| id.to_string());
    yard.batch(&["create", "night", "--tasks", &ids.join(","), "--concurrency", "2"]).ok();
    yard.sealed.serve();
    yard.waits_for("night", &["done", "in_progress", "in_progress"]);
    let would = yard.batch(&["cancel", "night", "--dry-run"]).ok().stdout;
    assert!(would.contains("would give up 2 of 3 tasks"), "{would}");
    assert_eq!(yard.statuses("night")[1], "in_progress");
    yard.batch(&["cancel", "night"]).ok();
    yard.batch(&["wait", "night"]).code_is(1);
    let ended = yard.json(&["show", "night"]);
    assert_eq!((&ended["state"], &ended["counts"]), (&"cancelled".into(), &json!({"cancelled": 2, "done": 1})));
    let ends = yard.told("batch_ended");
    assert!(ends.len() == 1 && ends[0].starts_with("batch night was given up: 1 done, 2 cancelled"), "{ends:?}");
    yard.sealed.finish();
}

#[test]
fn what_waits_for_a_person_or_for_other_work_keeps_a_batch_open() {
    let mut yard = Yard::new();
    let asks = yard.add_script("one", "status needs_review which way?\n").to_string();
    let good = yard.add("two", false).to_string();
    let after = ["task", "add", "three", "-l", "agent:scripted", "--depends-on", &asks, "--json"];
    let after = yard.sealed.orch_in(yard.repo.dir(), after).ok().json()["id"].to_string();
    yard.batch(&["create", "night", "--tasks", &format!("{asks},{good}")]).ok();
    yard.batch(&["create", "day", "--tasks", &after]).ok();
    yard.sealed.serve();
    let waited = yard.batch(&["wait", "night"]).code_is(5);
    assert!(waited.stderr.contains(&format!("orch why {asks}")), "{}", waited.stderr);
    let open = yard.json(&["show", "night"]);
    assert_eq!((&open["state"], &open["counts"]), (&"open".into(), &json!({"done": 1, "needs_review": 1})));
    assert!(open["rows"][0]["why"].as_str().is_some_and(|why| why.contains("which way?")), "{open}");
    yard.batch(&["wait", "day", "--timeout", "1ms"]).code_is(6);
    assert_eq!(yard.statuses("day"), ["blocked"]);
    yard.sealed.orch(["task", "cancel", &asks]).ok();
    yard.batch(&["wait", "night"]).code_is(1);
    assert_eq!(yard.json(&["show", "day"])["state"], "open");
    assert_eq!(yard.told("batch_ended").len(), 1);
    yard.sealed.finish();
}

#[test]
fn what_may_not_be_a_batch_is_refused_and_nothing_of_it_is_made() {
    let mut yard = Yard::new();
    let ids = [yard.add("one", false), yard.add("two", false), yard.add("three", false)].map(|id| id.to_string());
    let [one, two, three] = ids.each_ref().map(String::as_str);
    yard.sealed.orch(["task", "cancel", three]).ok();
    yard.sealed.orch(["pause"]).ok();
    for with_daemon in [false, true] {
        if with_daemon {
            yard.sealed.serve();
        }
        let refused = |tasks: String, code: i32, word: &str| {
            let ran = yard.batch(&["create", "bad", "--tasks", &tasks]).code_is(code);
            assert!(ran.stderr.contains(word) && ran.stderr.contains("hint"), "{}", ran.stderr);
        };
        refused(format!("{one},99"), 2, "there is no task 99");
        refused(format!("{one},{two},{one}"), 2, "more than once");
        refused(format!("{two},{three}"), 7, "is cancelled already");
        yard.batch(&["create", "bad", "--tasks", one, "--concurrency", "0"]).code_is(2);
        yard.batch(&["create", "bad", "--tasks", one, "--budget", "0"]).code_is(2);
        yard.batch(&["create", "b/d", "--tasks", one]).code_is(2);
        yard.batch(&["create", "bad", "--tasks", "x"]).code_is(2);
        yard.batch(&["create", "bad"]).code_is(2);
        yard.batch(&["show", "bad"]).code_is(3);
        yard.batch(&["cancel", "bad"]).code_is(3);
        yard.batch(&["wait", "bad"]).code_is(3);
        if !with_daemon {
            assert_eq!(yard.json(&["list"]), json!([]));
            yard.batch(&["create", "good", "--tasks", one]).ok();
        }
        let again = yard.batch(&["create", "good", "--tasks", two]).code_is(7);
        assert!(again.stderr.contains("there is an open batch good already"), "{}", again.stderr);
        let taken = yard.batch(&["create", "other", "--tasks", &format!("{two},{one}")]).code_is(7);
        assert!(taken.stderr.contains("is in batch good"), "{}", taken.stderr);
    }
    assert_eq!(yard.told("batch_created").len(), 1);
    // Given up from the command line, the batch is over with its only task.
    yard.sealed.orch(["task", "cancel", one]).ok();
    yard.batch(&["wait", "good"]).code_is(1);
    yard.sealed.finish();
}
