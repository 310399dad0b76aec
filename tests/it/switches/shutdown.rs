//! The ways out: agents go on, are waited for, or are interrupted and resumed.

use super::yard::Yard;
use crate::kit::http;
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_terminated_daemon_leaves_five_agents_alone_and_the_next_one_takes_them_over() {
    let mut yard = Yard::new("engine: {max_parallel: 5}\n");
    let ids: Vec<String> = (0..5).map(|number| yard.add(&format!("Tell {number}"), "", Some("teller"))).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    yard.sealed.serve();
    yard.until_started(&ids);
    let ended = yard.sealed.stop_daemon();
    assert_eq!(ended.code, Some(0), "{ended}");
    let manifest: Value = serde_json::from_str(&crate::kit::read_file(&yard.manifest())).expect("a document");
    assert_eq!((&manifest["version"], &manifest["why"]), (&1.into(), &"SIGTERM".into()), "{manifest:#}");
    let runs = manifest["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 5, "{manifest:#}");
    for run in runs {
        for key in ["run_id", "session", "agent", "worktree", "branch", "run_dir"] {
            assert!(run[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {manifest:#}");
        }
        assert!(run["offset"].as_u64().is_some_and(|offset| offset > 0), "{manifest:#}");
    }
    yard.sealed.serve();
    wait::wait_until("the manifest to be taken over", SOON, || !yard.manifest().exists());
    for id in &ids {
        let adopted = yard.history(Some(id)).into_iter().find(|(kind, _)| kind == "run_adopted").expect("a line").1;
        assert!(adopted.contains("SIGTERM"), "{adopted}");
    }
    yard.go();
    yard.are_done_once(&ids);
    let lives = yard.lives();
    let told: Vec<(&str, &str)> = lives.iter().map(|(kind, cause)| (kind.as_str(), cause.as_str())).collect();
    assert_eq!(told, [("start", "command"), ("stop", "signal"), ("start", "command")]);
    yard.close();
}

#[test]
fn a_draining_daemon_starts_nothing_finishes_what_runs_and_leaves() {
    let mut yard = Yard::new("");
    let first = yard.add("Finish me", "", Some("teller"));
    yard.sealed.serve();
    yard.until_started(&[&first]);
    let rehearsal = yard.orch(&["shutdown", "--drain", "--dry-run", "--json"]).ok().json();
    assert_eq!((&rehearsal["dry_run"], &rehearsal["under_way"][0]["fate"]), (&true.into(), &"finished".into()));
    assert_eq!(yard.status()["state"], "serving", "a rehearsal changes nothing");
    let drain = yard.start(&["shutdown", "--drain"]);
    wait::wait_until("the daemon to drain", RUN, || yard.status()["state"] == "shutting_down");
    let status = yard.status();
    assert_eq!(status["shutting_down"]["how"], "drain", "{status:#}");
    let health = http::get(&yard.sealed.socket().expect("a daemon"), "/healthz");
    assert_eq!((health.status, health.body.contains("\"code\":\"shutting_down\"")), (503, true), "{health:?}");
    let second = yard.add("Too late", "", Some("teller"));
    assert_eq!(yard.hold(&second), "shutting_down");
    yard.go();
    let said = drain.finish(RUN).ok();
    assert!(said.stdout.contains("is finished first") && said.stderr.contains("has left"), "{said}");
    let daemon = yard.sealed.ended_daemon();
    assert_eq!(daemon.code, Some(0), "{daemon}");
    assert_eq!(yard.show(&first)["status"], "done");
    assert_eq!(yard.starts_of(&second), 0);
    yard.sealed.serve();
    yard.are_done_once(&[&first, &second]);
    yard.close();
}

/// Works until it is let go; when its conversation goes on, it commits.
const SCRIPT: &str = "```orch-script\nsay at work\nwrite begun.txt x\nwait-for go\non-retry:\nsay went on\n\
                      append begun.txt y\ncommit Finish it\n```";

#[test]
fn interrupted_agents_go_on_in_the_same_conversation_at_the_next_start_once() {
    let mut yard = Yard::new("");
    let talks = yard.add("Go on", SCRIPT, Some("mine"));
    let forgets = yard.add("Begin again", "", Some("teller"));
    yard.sealed.serve();
    wait::wait_until("a worktree", RUN, || yard.show(&talks)["worktree"].is_string());
    let work = std::path::PathBuf::from(yard.show(&talks)["worktree"].as_str().expect("a path"));
    wait::wait_until("its work", RUN, || work.join("begun.txt").exists());
    yard.until_started(&[&forgets]);
    write_file(
        &std::path::Path::new(yard.show(&forgets)["worktree"].as_str().expect("a path")).join("kept.txt"),
        "mine\n",
    );
    let said = yard.orch(&["shutdown", "--now"]).ok();
    assert_eq!(said.stdout.matches("is interrupted").count(), 2, "{said}");
    assert_eq!(yard.sealed.ended_daemon().code, Some(0));
    for id in [&talks, &forgets] {
        let task = yard.show(id);
        assert_eq!((task["status"].as_str(), task["runs"].as_array().map(Vec::len)), (Some("routed"), Some(1)));
        assert_eq!(task["runs"][0]["outcome"]["state"], "cancelled", "{task:#}");
        let events = yard.orch(&["events", "--task", id, "--json"]).ok().json_lines();
        let asked = events.iter().find(|line| line["kind"] == "shutdown_asked").expect("a line");
        assert_eq!(asked["by"], "orch", "{asked}");
        assert!(events.iter().all(|line| line["kind"] != "interrupt_asked"), "no person asked for it: {events:#?}");
    }
    let manifest: Value = serde_json::from_str(&crate::kit::read_file(&yard.manifest())).expect("a document");
    let interrupted = manifest["interrupted"].as_array().expect("tasks");
    assert_eq!((manifest["how"].as_str(), interrupted.len()), (Some("now"), 2), "{manifest:#}");
    let talk = &yard.show(&talks)["runs"][0]["session_id"];
    assert_eq!((&interrupted[0]["conversation"], &interrupted[0]["agent"]), (talk, &"mine".into()), "{manifest:#}");
    yard.go();
    yard.sealed.serve();
    for id in [&talks, &forgets] {
        let task = yard.until(id, "done");
        assert_eq!((task["runs"].as_array().map(Vec::len), task["attempts"].as_u64()), (Some(2), Some(1)), "{task:#}");
        let went_on =
            |(kind, text): &(String, String)| kind == "run_launched" && text.contains("goes on where the shutdown");
        assert_eq!(yard.history(Some(id)).iter().filter(|line| went_on(line)).count(), 1);
    }
    let task = yard.show(&talks);
    assert_eq!(task["runs"][0]["session_id"], task["runs"][1]["session_id"], "{task:#}");
    assert_eq!(yard.repo.show("main", "begun.txt").as_deref(), Some("x\ny\n"));
    assert_eq!(yard.repo.show("main", "kept.txt").as_deref(), Some("mine\n"), "earlier work is kept");
    let prompts = || std::fs::read_dir(yard.sealed.base()).expect("a directory").flatten();
    let second =
        prompts().find(|entry| entry.file_name().to_string_lossy().starts_with(&format!("prompt-{forgets}-2-")));
    let prompt = crate::kit::read_file(&second.expect("a prompt").path());
    assert!(prompt.contains("orch was shut down while you worked"), "{prompt}");
    yard.close();
}

#[test]
fn a_signal_interrupts_agents_where_the_person_wants_it() {
    let mut yard = Yard::new("engine: {on_signal: interrupt}\n");
    let forgets = yard.add("Begin again", "", Some("teller"));
    yard.sealed.serve();
    yard.until_started(&[&forgets]);
    let ended = yard.sealed.stop_daemon();
    assert_eq!(ended.code, Some(0), "{ended}");
    let manifest: Value = serde_json::from_str(&crate::kit::read_file(&yard.manifest())).expect("a document");
    let told = (manifest["runs"].as_array().map(Vec::len), manifest["interrupted"].as_array().map(Vec::len));
    assert_eq!(told, (Some(0), Some(1)), "{manifest:#}");
    assert_eq!(yard.show(&forgets)["status"], "routed");
    yard.go();
    yard.sealed.serve();
    let task = yard.until(&forgets, "done");
    assert_eq!((task["runs"].as_array().map(Vec::len), task["attempts"].as_u64()), (Some(2), Some(1)), "{task:#}");
    yard.close();
}

#[test]
fn without_a_daemon_there_is_nothing_to_shut_down() {
    let yard = Yard::new("");
    let refused = yard.orch(&["shutdown", "--json"]).code_is(4).json();
    assert_eq!(refused["error"]["code"], "no_daemon", "{refused}");
    yard.close();
}

#[test]
fn a_daemon_that_was_killed_is_missed_by_the_next_one() {
    let mut yard = Yard::new("");
    yard.sealed.serve();
    wait::wait_until("its start to be written down", RUN, || yard.lives().len() == 1);
    yard.sealed.kill_daemon();
    assert!(!yard.manifest().exists());
    yard.sealed.serve();
    assert_eq!(yard.orch(&["shutdown"]).ok().code, Some(0));
    assert_eq!(yard.sealed.ended_daemon().code, Some(0));
    let lives = yard.lives();
    let told: Vec<(&str, &str)> = lives.iter().map(|(kind, cause)| (kind.as_str(), cause.as_str())).collect();
    assert_eq!(told, [("start", "command"), ("lost", "unknown"), ("start", "command"), ("stop", "command")]);
    assert_eq!(yard.count(None, "service_lost"), 1);
    yard.close();
}

#[test]
fn a_daemon_on_a_stopped_disk_is_gone_all_the_same() {
    let mut yard = Yard::new("");
    yard.sealed.serve();
    // Nobody else can write while this transaction is open: the daemon's own last words must wait for it in vain.
    let journal = yard.sealed.orch_home().join(".orch/orch.db");
    let held = rusqlite::Connection::open(&journal).expect("the journal");
    held.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET value = value;").expect("a lock");
    yard.sealed.daemon().signal(Signal::TERM);
    let ended = yard.sealed.ended_daemon();
    assert!(ended.code.is_some(), "{ended}");
    drop(held);
    yard.close();
}

#[test]
fn a_daemon_whose_loop_hangs_ends_hard_and_nothing_is_lost() {
    let mut yard = Yard::new("");
    let id = yard.add("Tell", "", Some("teller"));
    yard.sealed.serve();
    yard.until_started(&[&id]);
    let journal = yard.sealed.orch_home().join(".orch/orch.db");
    let held = rusqlite::Connection::open(&journal).expect("the journal");
    held.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET value = value;").expect("a lock");
    let asks = yard.start(&["pause"]);
    let socket = yard.sealed.socket().expect("a daemon");
    wait::wait_until("its loop to hang", RUN, || {
        let health = http::get(&socket, "/healthz");
        health.status == 503 && health.body.contains("has not answered")
    });
    yard.sealed.daemon().signal(Signal::TERM);
    assert_eq!(yard.sealed.ended_daemon().code, Some(1));
    drop(held);
    yard.sealed.serve();
    asks.finish(RUN);
    yard.orch(&["resume"]).ok();
    yard.go();
    yard.are_done_once(&[&id]);
    yard.close();
}
