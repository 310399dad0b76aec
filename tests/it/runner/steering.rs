//! Messages to an agent that works, and the interrupt that is one: small programs that speak as Claude Code does.

use super::*;
use orch_core::agents::Stdin;
use orch_core::message::{Author, MessageId};
use orch_runner::Handed;

/// Functions for the scripts: `hear` takes a line, `repeat` says that it was taken up.
const WORDS: &str = r#"hear() { IFS= read -r line; printf '%s\n' "$line" >> heard; }
repeat() { printf '{"isReplay":true,%s\n' "${line#?}"; }
hear; echo "$INIT"; repeat; touch begun
"#;

/// An agent whose conversation is held open. The script goes on after it has heard its prompt.
fn live(script: &str) -> Room {
    let mut room = Room::claude(&format!("{WORDS}{script}"));
    room.launch.spec.stdin = Stdin::Live;
    room
}

fn message(id: u64, text: &str) -> Handed {
    Handed { id: MessageId(id), from: Author::Person, text: text.into(), rendered: format!("The person says: {text}") }
}

fn receipts(room: &Room) -> Vec<u64> {
    room.dir().receipts().iter().map(|receipt| receipt.id.0).collect()
}

fn heard(room: &Room) -> String {
    std::fs::read_to_string(room.work("heard")).expect("readable")
}

#[test]
fn a_message_reaches_a_working_agent_once_and_stands_in_the_transcript() {
    let room = live("hear; repeat; echo \"$DONE\"; cat > rest");
    let running = room.start();
    room.wait_for("begun");
    let said = message(3, "use the new API, token canary-value-1");
    for _ in 0..3 {
        room.dir().hand_over(&said).expect("writable");
    }
    assert_eq!(running.finish(RUN).code, Some(0));
    assert_eq!(summary(&room.report()), "made it");
    assert_eq!(receipts(&room), [3]);
    assert_eq!(heard(&room).lines().count(), 2, "{}", heard(&room));
    assert!(heard(&room).contains("The person says: use the new API"), "{}", heard(&room));
    assert_eq!(std::fs::read_to_string(room.work("rest")).expect("readable"), "", "it was said once");
    assert_eq!(room.transcript().matches("— message from you: use the new API").count(), 1, "{}", room.transcript());
}

#[test]
fn a_message_in_the_transcript_is_masked_and_can_do_nothing_to_a_terminal() {
    let room = live("hear; repeat; echo \"$DONE\"").env("SOME_TOKEN", "canary-value-1");
    let running = room.start();
    room.wait_for("begun");
    room.dir().hand_over(&message(1, "key \u{1b}]52;c;AAAA\u{7}canary-value-1")).expect("writable");
    running.finish(RUN);
    assert!(room.transcript().contains("— message from you: key [REDACTED:SOME_TOKEN]\n"), "{}", room.transcript());
}

#[test]
fn the_conversation_is_closed_when_the_turn_is_over() {
    let room = live("echo \"$DONE\"; cat; touch left");
    let report = room.run();
    assert_eq!((summary(&report).as_str(), report.stopped), ("made it", None));
    assert!(room.work("left").exists(), "it was not made to leave");
}

#[test]
fn a_message_that_comes_as_the_turn_ends_begins_another_one() {
    let room = live(
        "while [ ! -e go ]; do sleep 0.01; done; echo \"$DONE\"; hear; echo \"$INIT\"; repeat; echo \"$DONE\"; cat",
    );
    room.prepare();
    let running = room.runner().start();
    room.wait_for("begun");
    room.dir().hand_over(&message(1, "one more thing")).expect("writable");
    write_file(&room.work("go"), "");
    running.finish(RUN);
    assert_eq!((summary(&room.report()).as_str(), receipts(&room)), ("made it", vec![1]));
}

#[test]
fn what_the_agent_did_not_take_up_has_no_receipt_and_is_not_said_again() {
    let room = live("hear; touch told; while [ ! -e go ]; do sleep 0.01; done; exit 3");
    let running = room.start();
    room.wait_for("begun");
    room.dir().hand_over(&message(8, "too late")).expect("writable");
    room.wait_for("told");
    room.dir().hand_over(&message(9, "later still")).expect("writable");
    write_file(&room.work("go"), "");
    running.finish(RUN);
    assert_eq!(class(&room.report()), FailureClass::Crashed);
    assert!(receipts(&room).is_empty());
    assert!(!room.transcript().contains("message from you"), "{}", room.transcript());
}

#[test]
fn a_run_that_takes_no_messages_leaves_them_alone() {
    let room = Room::claude(
        "cat > heard; echo \"$INIT\"; touch begun; while [ ! -e go ]; do sleep 0.01; done; echo \"$DONE\"",
    );
    let running = room.start();
    room.wait_for("begun");
    room.dir().hand_over(&message(1, "hello?")).expect("writable");
    write_file(&room.work("go"), "");
    running.finish(RUN);
    assert_eq!((summary(&room.report()).as_str(), heard(&room).as_str()), ("made it", "do it"));
    assert!(receipts(&room).is_empty());
}

#[test]
fn an_agent_that_does_not_read_holds_nothing_up() {
    let mut room = live("");
    room.prompt = "x".repeat(3 << 20);
    room.launch.spec.args[1] =
        "echo \"$INIT\"; touch begun; while [ ! -e go ]; do sleep 0.01; done; head -n 1 | wc -c > size; echo \"$DONE\""
            .into();
    let running = room.start();
    room.wait_for("begun");
    wait_until("the first words in the transcript", SOON, || room.transcript().contains("session s-1"));
    write_file(&room.work("go"), "");
    running.finish(RUN);
    assert_eq!(summary(&room.report()), "made it");
    let size: usize = std::fs::read_to_string(room.work("size")).expect("readable").trim().parse().expect("a number");
    assert!(size > 3 << 20, "{size}");
}

#[test]
fn a_message_of_the_prompt_is_receipted_by_the_first_sign_of_life() {
    let mut room =
        Room::claude("cat > /dev/null; while [ ! -e go ]; do sleep 0.01; done; echo \"$INIT\"; echo \"$DONE\"");
    room.launch.messages = vec![message(5, "begin with the tests")];
    let running = room.start();
    wait_until("the transcript", SOON, || room.dir().transcript().exists());
    assert!(receipts(&room).is_empty());
    write_file(&room.work("go"), "");
    running.finish(RUN);
    assert_eq!(receipts(&room), [5]);
    assert!(room.transcript().contains("— message from you: begin with the tests\n"), "{}", room.transcript());
}

#[test]
fn a_request_to_stop_interrupts_the_turn_and_no_signal_is_needed() {
    let cut = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"session_id":"s-1","terminal_reason":"aborted_tools","total_cost_usd":0.5}"#;
    let room = live("hear; case $line in *interrupt*) echo \"$CUT\";; esac; cat; exit 0").env("CUT", cut);
    let room = room.limits(|limits| limits.grace_ms = 20_000);
    let running = room.start();
    room.wait_for("begun");
    room.dir().request_stop("interrupted by a person").expect("writable");
    running.finish(RUN);
    let report = room.report();
    assert!(matches!(report.outcome(), Outcome::Cancelled { detail } if detail == "interrupted by a person"));
    assert_eq!(report.exit, Some(Exit { code: Some(0), signal: None }));
    assert_eq!(report.ending.cost.map(|cost| cost.micros()), Some(500_000), "what it had cost is known");
    assert_eq!(report.ending.session_id.as_deref(), Some("s-1"));
}

#[test]
fn an_agent_that_does_not_hear_the_interrupt_gets_the_signal() {
    let room = live("trap 'exit 5' INT; while :; do sleep 0.01; done");
    let running = room.start();
    room.wait_for("begun");
    room.dir().request_stop("enough").expect("writable");
    running.finish(RUN);
    let report = room.report();
    assert!(matches!(report.outcome(), Outcome::Cancelled { .. }));
    assert_eq!(report.exit, Some(Exit { code: Some(5), signal: None }));
}

#[test]
fn what_a_killed_runner_had_passed_on_is_settled_by_what_the_agent_printed() {
    let room = live("hear; repeat; touch repeated; hear; touch told; while :; do sleep 0.01; done");
    let running = room.start();
    room.wait_for("begun");
    // The runner sees nothing of the answer any more.
    room.dir().hand_over(&message(1, "first")).expect("writable");
    room.wait_for("repeated");
    room.dir().hand_over(&message(2, "second")).expect("writable");
    room.wait_for("told");
    running.signal(Signal::KILL);
    running.finish(RUN);
    for id in ["1", "2"] {
        let _ = std::fs::remove_file(room.dir().path().join(format!("receipt-{id}.json")));
    }
    finish_lost(&room.dir(), &room.env).expect("buried");
    assert_eq!(receipts(&room), [1]);
    assert_eq!(room.transcript().matches("— message from you: ").count(), 1, "{}", room.transcript());
}
