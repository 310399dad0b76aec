//! Messages to an agent that works, and the interrupt that is one: small programs that speak as Claude Code does.

use super::*;
use orch_core::models::agents::Stdin;
use orch_core::tasks::message::{Author, MessageId};
use orch_runner::Handed;

/// Functions for the scripts: `hear` reads a line, `repeat` acknowledges it.
const WORDS: &str = r#"hear() { IFS= read -r line; printf '%s\n' "$line" >> heard; }
repeat() { printf '{"isReplay":true,%s\n' "${line#?}"; }
hear; echo "$INIT"; repeat; touch begun
"#;

/// Returns an agent with an open conversation. The script continues after it has read its prompt.
fn live(script: &str) -> Fixture {
    let mut fixture = Fixture::claude(&format!("{WORDS}{script}"));
    fixture.launch.spec.stdin = Stdin::Live;
    fixture
}

fn message(id: u64, text: &str) -> Handed {
    Handed { id: MessageId(id), from: Author::Person, text: text.into(), rendered: format!("The person says: {text}") }
}

fn receipts(fixture: &Fixture) -> Vec<u64> {
    fixture.dir().receipts().iter().map(|receipt| receipt.id.0).collect()
}

fn heard(fixture: &Fixture) -> String {
    std::fs::read_to_string(fixture.work("heard")).expect("readable")
}

#[test]
fn a_message_reaches_a_working_agent_once_and_stands_in_the_transcript() {
    let fixture = live("hear; repeat; echo \"$DONE\"; cat > rest");
    let running = fixture.start();
    fixture.wait_for("begun");
    let said = message(3, "use the new API, token canary-value-1");
    for _ in 0..3 {
        fixture.dir().hand_over(&said).expect("writable");
    }
    assert_eq!(running.finish(RUN).code, Some(0));
    assert_eq!(summary(&fixture.report()), "made it");
    assert_eq!(receipts(&fixture), [3]);
    assert_eq!(heard(&fixture).lines().count(), 2, "{}", heard(&fixture));
    assert!(heard(&fixture).contains("The person says: use the new API"), "{}", heard(&fixture));
    assert_eq!(std::fs::read_to_string(fixture.work("rest")).expect("readable"), "", "it was said once");
    assert_eq!(
        fixture.transcript().matches("— message from you: use the new API").count(),
        1,
        "{}",
        fixture.transcript()
    );
}

#[test]
fn a_message_in_the_transcript_is_masked_and_can_do_nothing_to_a_terminal() {
    let fixture = live("hear; repeat; echo \"$DONE\"").env("SOME_TOKEN", "canary-value-1");
    let running = fixture.start();
    fixture.wait_for("begun");
    fixture.dir().hand_over(&message(1, "key \u{1b}]52;c;AAAA\u{7}canary-value-1")).expect("writable");
    running.finish(RUN);
    assert!(
        fixture.transcript().contains("— message from you: key [REDACTED:SOME_TOKEN]\n"),
        "{}",
        fixture.transcript()
    );
}

#[test]
fn the_conversation_is_closed_when_the_turn_is_over() {
    let fixture = live("echo \"$DONE\"; cat; touch left");
    let report = fixture.run();
    assert_eq!((summary(&report).as_str(), report.stopped), ("made it", None));
    assert!(fixture.work("left").exists(), "it was not made to leave");
}

#[test]
fn a_message_that_comes_as_the_turn_ends_begins_another_one() {
    let fixture = live(
        "while [ ! -e go ]; do sleep 0.01; done; echo \"$DONE\"; hear; echo \"$INIT\"; repeat; echo \"$DONE\"; cat",
    );
    fixture.prepare();
    let running = fixture.runner().start();
    fixture.wait_for("begun");
    fixture.dir().hand_over(&message(1, "one more thing")).expect("writable");
    write_file(&fixture.work("go"), "");
    running.finish(RUN);
    assert_eq!((summary(&fixture.report()).as_str(), receipts(&fixture)), ("made it", vec![1]));
}

#[test]
fn what_the_agent_did_not_take_up_has_no_receipt_and_is_not_said_again() {
    let fixture = live("hear; touch told; while [ ! -e go ]; do sleep 0.01; done; exit 3");
    let running = fixture.start();
    fixture.wait_for("begun");
    fixture.dir().hand_over(&message(8, "too late")).expect("writable");
    fixture.wait_for("told");
    fixture.dir().hand_over(&message(9, "later still")).expect("writable");
    write_file(&fixture.work("go"), "");
    running.finish(RUN);
    assert_eq!(class(&fixture.report()), FailureClass::Crashed);
    assert!(receipts(&fixture).is_empty());
    assert!(!fixture.transcript().contains("message from you"), "{}", fixture.transcript());
}

#[test]
fn a_run_that_takes_no_messages_leaves_them_alone() {
    let fixture = Fixture::claude(
        "cat > heard; echo \"$INIT\"; touch begun; while [ ! -e go ]; do sleep 0.01; done; echo \"$DONE\"",
    );
    let running = fixture.start();
    fixture.wait_for("begun");
    fixture.dir().hand_over(&message(1, "hello?")).expect("writable");
    write_file(&fixture.work("go"), "");
    running.finish(RUN);
    assert_eq!((summary(&fixture.report()).as_str(), heard(&fixture).as_str()), ("made it", "do it"));
    assert!(receipts(&fixture).is_empty());
}

#[test]
fn an_agent_that_does_not_read_holds_nothing_up() {
    let mut fixture = live("");
    fixture.prompt = "x".repeat(3 << 20);
    fixture.launch.spec.args[1] =
        "echo \"$INIT\"; touch begun; while [ ! -e go ]; do sleep 0.01; done; head -n 1 | wc -c > size; echo \"$DONE\""
            .into();
    let running = fixture.start();
    fixture.wait_for("begun");
    wait_until("the first words in the transcript", SOON, || fixture.transcript().contains("session s-1"));
    write_file(&fixture.work("go"), "");
    running.finish(RUN);
    assert_eq!(summary(&fixture.report()), "made it");
    let size: usize =
        std::fs::read_to_string(fixture.work("size")).expect("readable").trim().parse().expect("a number");
    assert!(size > 3 << 20, "{size}");
}

#[test]
fn a_message_of_the_prompt_is_receipted_by_the_first_sign_of_life() {
    let mut fixture =
        Fixture::claude("cat > /dev/null; while [ ! -e go ]; do sleep 0.01; done; echo \"$INIT\"; echo \"$DONE\"");
    fixture.launch.messages = vec![message(5, "begin with the tests")];
    let running = fixture.start();
    wait_until("the transcript", SOON, || fixture.dir().transcript().exists());
    assert!(receipts(&fixture).is_empty());
    write_file(&fixture.work("go"), "");
    running.finish(RUN);
    assert_eq!(receipts(&fixture), [5]);
    assert!(fixture.transcript().contains("— message from you: begin with the tests\n"), "{}", fixture.transcript());
}

#[test]
fn a_request_to_stop_interrupts_the_turn_and_no_signal_is_needed() {
    let cut = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"session_id":"s-1","terminal_reason":"aborted_tools","total_cost_usd":0.5}"#;
    let fixture = live("hear; case $line in *interrupt*) echo \"$CUT\";; esac; cat; exit 0").env("CUT", cut);
    let fixture = fixture.limits(|limits| limits.grace_ms = 20_000);
    let running = fixture.start();
    fixture.wait_for("begun");
    fixture.dir().request_stop("interrupted by a person").expect("writable");
    running.finish(RUN);
    let report = fixture.report();
    assert!(matches!(report.outcome(), Outcome::Cancelled { detail } if detail == "interrupted by a person"));
    assert_eq!(report.exit, Some(Exit { code: Some(0), signal: None }));
    assert_eq!(report.ending.cost.map(|cost| cost.micros()), Some(500_000), "what it had cost is known");
    assert_eq!(report.ending.session_id.as_deref(), Some("s-1"));
}

#[test]
fn an_agent_that_does_not_hear_the_interrupt_gets_the_signal() {
    let fixture = live("trap 'exit 5' INT; while :; do sleep 0.01; done");
    let running = fixture.start();
    fixture.wait_for("begun");
    fixture.dir().request_stop("enough").expect("writable");
    running.finish(RUN);
    let report = fixture.report();
    assert!(matches!(report.outcome(), Outcome::Cancelled { .. }));
    assert_eq!(report.exit, Some(Exit { code: Some(5), signal: None }));
}

#[test]
fn what_a_killed_runner_had_passed_on_is_settled_by_what_the_agent_printed() {
    let fixture = live("hear; repeat; touch repeated; hear; touch told; while :; do sleep 0.01; done");
    let running = fixture.start();
    fixture.wait_for("begun");
    // The runner sees nothing of the answer any more.
    fixture.dir().hand_over(&message(1, "first")).expect("writable");
    fixture.wait_for("repeated");
    fixture.dir().hand_over(&message(2, "second")).expect("writable");
    fixture.wait_for("told");
    running.signal(Signal::KILL);
    running.finish(RUN);
    for id in ["1", "2"] {
        let _ = std::fs::remove_file(fixture.dir().path().join(format!("receipt-{id}.json")));
    }
    finish_lost(&fixture.dir(), &fixture.env).expect("buried");
    assert_eq!(receipts(&fixture), [1]);
    assert_eq!(fixture.transcript().matches("— message from you: ").count(), 1, "{}", fixture.transcript());
}
