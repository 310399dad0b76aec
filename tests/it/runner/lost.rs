//! A runner that was killed: what it leaves, and how that is brought to its end.

use super::*;
use orch::runner::BuryError;

/// Kills the runner as soon as the agent has made `file`, and everything of the agent lives on.
fn lose(room: &Room, file: &str) {
    let running = room.start();
    room.wait_for(file);
    running.signal(Signal::KILL);
    running.finish(RUN);
    assert!(matches!(inspect(&room.dir()).expect("readable"), RunState::Lost { started: Some(_) }));
}

#[test]
fn a_run_whose_runner_was_killed_is_found_ended_and_reported_once() {
    let script = "echo some words; setsid sleep 1000 & touch begun; while :; do sleep 0.01; done";
    let room = Room::new(script);
    lose(&room, "begun");
    assert!(room.marked() >= 2, "the agent works on");
    let report = bury(&room.dir(), &room.env).expect("buried");
    assert_eq!(room.marked(), 0);
    assert_eq!((class(&report), report.exit), (FailureClass::Crashed, None));
    assert!(report.swept.len() >= 2, "{:?}", report.swept);
    assert_eq!(room.report(), report);
    assert_eq!(bury(&room.dir(), &room.env).expect("twice is once"), report);
    assert_eq!(room.runner().run().code, Some(7), "it never starts again");
}

#[test]
fn work_that_was_finished_before_the_burial_counts() {
    let script = r#"echo "$INIT"; touch begun; while [ ! -e go ]; do sleep 0.01; done
        printf '%s\n' '{"type":"assistant","message":{"content":[{"type":"text","text":"key canary-value-1"}]}}'
        echo "$DONE"; touch ended; sleep 1000"#;
    let room = Room::claude(script).env("SOME_TOKEN", "canary-value-1");
    lose(&room, "begun");
    write_file(&room.work("go"), "");
    room.wait_for("ended");
    let report = bury(&room.dir(), &room.env).expect("buried");
    assert_eq!(summary(&report), "made it");
    assert_eq!(report.exit, None);
    let transcript = room.transcript();
    assert_eq!(transcript.matches("— session s-1, model sonnet\n").count(), 1, "no line twice: {transcript}");
    assert!(transcript.contains("\nkey [REDACTED:SOME_TOKEN]\n"), "no line lost: {transcript}");
    assert!(transcript.trim_end().lines().last().expect("lines").starts_with("— run ended: the turn ended well"));
}

#[test]
fn a_lost_run_that_was_asked_to_stop_is_cancelled() {
    let room = Room::new("touch begun; exec sleep 1000");
    lose(&room, "begun");
    room.dir().request_stop("enough").expect("writable");
    let report = bury(&room.dir(), &room.env).expect("buried");
    assert!(matches!(report.outcome(), Outcome::Cancelled { detail } if detail == "enough"));
}

#[test]
fn a_living_run_is_not_buried() {
    let room = Room::new("touch begun; while [ ! -e go ]; do sleep 0.01; done; echo done");
    let running = room.start();
    room.wait_for("begun");
    assert!(matches!(bury(&room.dir(), &room.env), Err(BuryError::Lives { .. })));
    write_file(&room.work("go"), "");
    running.finish(RUN);
    assert_eq!(summary(&room.report()), "done");
}

#[test]
fn a_runner_that_died_before_its_agent_started_leaves_a_crash() {
    let room = Room::new("touch begun");
    let dir = room.prepare();
    write_file(&dir.started(), "{\"half");
    assert_eq!(inspect(&dir).expect("readable"), RunState::Lost { started: None });
    let report = bury(&dir, &room.env).expect("buried");
    assert_eq!(class(&report), FailureClass::Crashed);
    assert!(!dir.env().exists(), "its secrets are gone");
    assert!(!room.work("begun").exists());
}
