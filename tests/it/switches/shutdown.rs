//! Tests the ways to stop: agents continue, are waited for, or are interrupted and resumed.

use super::fixture::Fixture;
use crate::kit::http;
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_terminated_daemon_leaves_five_agents_alone_and_the_next_one_takes_them_over() {
    let mut fixture = Fixture::new("engine: {max_parallel: 5}\n");
    let ids: Vec<String> = (0..5).map(|number| fixture.add(&format!("Tell {number}"), "", Some("teller"))).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    fixture.sealed.serve();
    fixture.until_started(&ids);
    let ended = fixture.sealed.stop_daemon();
    assert_eq!(ended.code, Some(0), "{ended}");
    let manifest: Value = serde_json::from_str(&crate::kit::read_file(&fixture.manifest())).expect("a document");
    assert_eq!((&manifest["version"], &manifest["why"]), (&1.into(), &"SIGTERM".into()), "{manifest:#}");
    let runs = manifest["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 5, "{manifest:#}");
    for run in runs {
        for key in ["run_id", "session", "agent", "worktree", "branch", "run_dir"] {
            assert!(run[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {manifest:#}");
        }
        assert!(run["offset"].as_u64().is_some_and(|offset| offset > 0), "{manifest:#}");
    }
    fixture.sealed.serve();
    wait::wait_until("the manifest to be taken over", SOON, || !fixture.manifest().exists());
    for id in &ids {
        let adopted = fixture.history(Some(id)).into_iter().find(|(kind, _)| kind == "run_adopted").expect("a line").1;
        assert!(adopted.contains("SIGTERM"), "{adopted}");
    }
    fixture.go();
    fixture.are_done_once(&ids);
    let lives = fixture.lives();
    let messages: Vec<(&str, &str)> = lives.iter().map(|(kind, cause)| (kind.as_str(), cause.as_str())).collect();
    assert_eq!(messages, [("start", "command"), ("stop", "signal"), ("start", "command")]);
    fixture.close();
}

#[test]
fn a_draining_daemon_starts_nothing_finishes_what_runs_and_leaves() {
    let mut fixture = Fixture::new("");
    let first = fixture.add("Finish me", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&first]);
    let rehearsal = fixture.orch(&["shutdown", "--drain", "--dry-run", "--json"]).ok().json();
    assert_eq!((&rehearsal["dry_run"], &rehearsal["under_way"][0]["fate"]), (&true.into(), &"finished".into()));
    assert_eq!(fixture.status()["state"], "serving", "a rehearsal changes nothing");
    let drain = fixture.start(&["shutdown", "--drain"]);
    wait::wait_until("the daemon to drain", RUN, || fixture.status()["state"] == "shutting_down");
    let status = fixture.status();
    assert_eq!(status["shutting_down"]["how"], "drain", "{status:#}");
    let health = http::get(&fixture.sealed.socket().expect("a daemon"), "/healthz");
    assert_eq!((health.status, health.body.contains("\"code\":\"shutting_down\"")), (503, true), "{health:?}");
    let second = fixture.add("Too late", "", Some("teller"));
    assert_eq!(fixture.hold(&second), "shutting_down");
    fixture.go();
    let said = drain.finish(RUN).ok();
    assert!(said.stdout.contains("is finished first") && said.stderr.contains("has stopped"), "{said}");
    let daemon = fixture.sealed.ended_daemon();
    assert_eq!(daemon.code, Some(0), "{daemon}");
    assert_eq!(fixture.show(&first)["status"], "done");
    assert_eq!(fixture.starts_of(&second), 0);
    fixture.sealed.serve();
    fixture.are_done_once(&[&first, &second]);
    fixture.close();
}

/// Works until it is released; when its conversation continues, it commits.
const SCRIPT: &str = "```orch-script\nsay at work\nwrite begun.txt x\nwait-for go\non-retry:\nsay went on\n\
                      append begun.txt y\ncommit Finish it\n```";

#[test]
fn interrupted_agents_go_on_in_the_same_conversation_at_the_next_start_once() {
    let mut fixture = Fixture::new("");
    let talks = fixture.add("Go on", SCRIPT, Some("mine"));
    let forgets = fixture.add("Begin again", "", Some("teller"));
    fixture.sealed.serve();
    wait::wait_until("a worktree", RUN, || fixture.show(&talks)["worktree"].is_string());
    let work = std::path::PathBuf::from(fixture.show(&talks)["worktree"].as_str().expect("a path"));
    wait::wait_until("its work", RUN, || work.join("begun.txt").exists());
    fixture.until_started(&[&forgets]);
    write_file(
        &std::path::Path::new(fixture.show(&forgets)["worktree"].as_str().expect("a path")).join("kept.txt"),
        "mine\n",
    );
    let said = fixture.orch(&["shutdown", "--now"]).ok();
    assert_eq!(said.stdout.matches("is interrupted").count(), 2, "{said}");
    assert_eq!(fixture.sealed.ended_daemon().code, Some(0));
    for id in [&talks, &forgets] {
        let task = fixture.show(id);
        assert_eq!((task["status"].as_str(), task["runs"].as_array().map(Vec::len)), (Some("routed"), Some(1)));
        assert_eq!(task["runs"][0]["outcome"]["state"], "cancelled", "{task:#}");
        let events = fixture.orch(&["events", "--task", id, "--json"]).ok().json_lines();
        let asked = events.iter().find(|line| line["kind"] == "shutdown_asked").expect("a line");
        assert_eq!(asked["by"], "orch", "{asked}");
        assert!(events.iter().all(|line| line["kind"] != "interrupt_asked"), "no person asked for it: {events:#?}");
    }
    let manifest: Value = serde_json::from_str(&crate::kit::read_file(&fixture.manifest())).expect("a document");
    let interrupted = manifest["interrupted"].as_array().expect("tasks");
    assert_eq!((manifest["how"].as_str(), interrupted.len()), (Some("now"), 2), "{manifest:#}");
    let talk = &fixture.show(&talks)["runs"][0]["session_id"];
    assert_eq!((&interrupted[0]["conversation"], &interrupted[0]["agent"]), (talk, &"mine".into()), "{manifest:#}");
    fixture.go();
    fixture.sealed.serve();
    for id in [&talks, &forgets] {
        let task = fixture.until(id, "done");
        assert_eq!((task["runs"].as_array().map(Vec::len), task["attempts"].as_u64()), (Some(2), Some(1)), "{task:#}");
        let went_on =
            |(kind, text): &(String, String)| kind == "run_launched" && text.contains("goes on where the shutdown");
        assert_eq!(fixture.history(Some(id)).iter().filter(|line| went_on(line)).count(), 1);
    }
    let task = fixture.show(&talks);
    assert_eq!(task["runs"][0]["session_id"], task["runs"][1]["session_id"], "{task:#}");
    assert_eq!(fixture.repo.show("main", "begun.txt").as_deref(), Some("x\ny\n"));
    assert_eq!(fixture.repo.show("main", "kept.txt").as_deref(), Some("mine\n"), "earlier work is kept");
    let prompts = || std::fs::read_dir(fixture.sealed.base()).expect("a directory").flatten();
    let second =
        prompts().find(|entry| entry.file_name().to_string_lossy().starts_with(&format!("prompt-{forgets}-2-")));
    let prompt = crate::kit::read_file(&second.expect("a prompt").path());
    assert!(prompt.contains("orch was shut down while you worked"), "{prompt}");
    fixture.close();
}

#[test]
fn a_signal_interrupts_agents_where_the_person_wants_it() {
    let mut fixture = Fixture::new("engine: {on_signal: interrupt}\n");
    let forgets = fixture.add("Begin again", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&forgets]);
    let ended = fixture.sealed.stop_daemon();
    assert_eq!(ended.code, Some(0), "{ended}");
    let manifest: Value = serde_json::from_str(&crate::kit::read_file(&fixture.manifest())).expect("a document");
    let text = (manifest["runs"].as_array().map(Vec::len), manifest["interrupted"].as_array().map(Vec::len));
    assert_eq!(text, (Some(0), Some(1)), "{manifest:#}");
    assert_eq!(fixture.show(&forgets)["status"], "routed");
    fixture.go();
    fixture.sealed.serve();
    let task = fixture.until(&forgets, "done");
    assert_eq!((task["runs"].as_array().map(Vec::len), task["attempts"].as_u64()), (Some(2), Some(1)), "{task:#}");
    fixture.close();
}

#[test]
fn without_a_daemon_there_is_nothing_to_shut_down() {
    let fixture = Fixture::new("");
    let refused = fixture.orch(&["shutdown", "--json"]).code_is(4).json();
    assert_eq!(refused["error"]["code"], "no_daemon", "{refused}");
    fixture.close();
}

#[test]
fn a_daemon_that_was_killed_is_missed_by_the_next_one() {
    let mut fixture = Fixture::new("");
    fixture.sealed.serve();
    wait::wait_until("its start to be written down", RUN, || fixture.lives().len() == 1);
    fixture.sealed.kill_daemon();
    assert!(!fixture.manifest().exists());
    fixture.sealed.serve();
    assert_eq!(fixture.orch(&["shutdown"]).ok().code, Some(0));
    assert_eq!(fixture.sealed.ended_daemon().code, Some(0));
    let lives = fixture.lives();
    let messages: Vec<(&str, &str)> = lives.iter().map(|(kind, cause)| (kind.as_str(), cause.as_str())).collect();
    assert_eq!(messages, [("start", "command"), ("lost", "unknown"), ("start", "command"), ("stop", "command")]);
    assert_eq!(fixture.count(None, "service_lost"), 1);
    fixture.close();
}

#[test]
fn a_daemon_on_a_stopped_disk_is_gone_all_the_same() {
    let mut fixture = Fixture::new("");
    fixture.sealed.serve();
    // No other process can write during this transaction, so the daemon's last write waits for it in vain.
    let journal = fixture.sealed.orch_home().join(".orch/orch.db");
    let held = rusqlite::Connection::open(&journal).expect("the journal");
    held.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET value = value;").expect("a lock");
    fixture.sealed.daemon().signal(Signal::TERM);
    let ended = fixture.sealed.ended_daemon();
    assert!(ended.code.is_some(), "{ended}");
    drop(held);
    fixture.close();
}

#[test]
fn a_daemon_whose_loop_hangs_ends_hard_and_nothing_is_lost() {
    let mut fixture = Fixture::new("");
    let id = fixture.add("Tell", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&id]);
    let journal = fixture.sealed.orch_home().join(".orch/orch.db");
    let held = rusqlite::Connection::open(&journal).expect("the journal");
    held.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET value = value;").expect("a lock");
    let asks = fixture.start(&["pause"]);
    let socket = fixture.sealed.socket().expect("a daemon");
    wait::wait_until("its loop to hang", RUN, || {
        let health = http::get(&socket, "/healthz");
        health.status == 503 && health.body.contains("has not answered")
    });
    fixture.sealed.daemon().signal(Signal::TERM);
    assert_eq!(fixture.sealed.ended_daemon().code, Some(1));
    drop(held);
    fixture.sealed.serve();
    asks.finish(RUN);
    fixture.orch(&["resume"]).ok();
    fixture.go();
    fixture.are_done_once(&[&id]);
    fixture.close();
}
