//! Agents whose start collides with another start of the same program.

use super::*;
use orch_core::tasks::message::MessageId;
use orch_runner::Handed;

const COLLISION: &str =
    "printf 'Error: Unexpected error\\n\\nFailed query: \\n  CREATE TABLE `workspace` (\\n  );\\n' >&2; exit 1";
const STEP: &str = r#"{"type":"step_start","timestamp":1,"sessionID":"ses_1","part":{"type":"step-start"}}"#;
const SAID: &str = r#"{"type":"text","timestamp":2,"sessionID":"ses_1","part":{"type":"text","text":"{\"status\":\"done\",\"summary\":\"made it\"}"}}"#;
const STOP: &str = r#"{"type":"step_finish","timestamp":3,"sessionID":"ses_1","part":{"type":"step-finish","reason":"stop","tokens":{"input":1,"output":1}}}"#;

/// An agent with the dialect of OpenCode.
fn opencode(script: &str) -> Fixture {
    let mut fixture = Fixture::new(script);
    fixture.launch.dialect = DialectKind::Opencode;
    fixture.env("STEP", STEP).env("SAID", SAID).env("STOP", STOP)
}

fn starts(fixture: &Fixture) -> usize {
    std::fs::read_to_string(fixture.work("starts")).expect("readable").lines().count()
}

#[test]
fn an_agent_whose_start_collides_is_started_again_with_its_prompt_and_nobody_else_knows() {
    let good = r#"cat > prompt; printf '%s\n' "$STEP" "$SAID" "$STOP""#;
    let fixture = opencode(&format!("echo x >> starts; if [ $(wc -l < starts) -lt 3 ]; then {COLLISION}; fi; {good}"));
    let report = fixture.run();
    assert_eq!(summary(&report), "made it");
    assert_eq!(report.exit, Some(Exit { code: Some(0), signal: None }));
    assert_eq!(starts(&fixture), 3);
    assert_eq!(std::fs::read_to_string(fixture.work("prompt")).expect("readable"), "do it");
    assert!(fixture.transcript().contains("started 3 times"), "{}", fixture.transcript());
}

#[test]
fn what_fails_after_a_collision_is_reported_by_its_own_words() {
    let fixture = opencode(&format!(
        "echo x >> starts; if [ $(wc -l < starts) -lt 2 ]; then {COLLISION}; fi; echo no >&2; exit 3"
    ));
    let report = fixture.run();
    assert_eq!((class(&report), starts(&fixture)), (FailureClass::Crashed, 2));
    assert_eq!(report.ending.failure.expect("a failure").detail, "exit code 3: no");
}

#[test]
fn an_agent_that_has_said_a_word_is_never_started_again() {
    let fixture = opencode(&format!(r#"echo x >> starts; printf '%s\n' "$STEP"; {COLLISION}"#));
    assert_eq!((class(&fixture.run()), starts(&fixture)), (FailureClass::Crashed, 1));
}

#[test]
fn a_stop_ends_the_wait_for_the_next_start() {
    let fixture = opencode(&format!("echo x >> starts; {COLLISION}"));
    let runner = fixture.start();
    wait_until("some starts", SOON, || fixture.work("starts").exists() && starts(&fixture) == 3);
    fixture.dir().request_stop("not wanted any more").expect("writable");
    assert_eq!(runner.finish(SOON).code, Some(0));
    assert!(matches!(fixture.report().outcome(), Outcome::Cancelled { .. }), "{:?}", fixture.report());
    assert!(starts(&fixture) < 6);
}

#[test]
fn a_message_to_a_start_that_collided_is_said_to_the_next_one() {
    let lines = [
        r#"{"type":"orch.begun","sessionID":"ses_1"}"#,
        r#"{"type":"orch.heard","message":3}"#,
        STEP,
        SAID,
        STOP,
        r#"{"type":"orch.rest"}"#,
    ];
    let good = r#"printf '%s\n' "$LINES"; cat > rest"#;
    let hear = "echo x >> starts; read -r open; read -r said; printf '%s\n' \"$said\" >> heard";
    let mut fixture = opencode(&format!("{hear}; if [ $(wc -l < starts) -lt 2 ]; then {COLLISION}; fi; {good}"));
    fixture.launch.spec.stdin = Stdin::Live;
    let fixture = fixture.env("LINES", &lines.join("\n"));
    let running = fixture.start();
    wait_until("a start", SOON, || fixture.work("starts").exists());
    let said = Handed {
        id: MessageId(3),
        from: orch_core::tasks::message::Author::Person,
        text: "use it".to_owned(),
        rendered: "use it".to_owned(),
    };
    fixture.dir().hand_over(&said).expect("writable");
    assert_eq!(running.finish(RUN).code, Some(0));
    assert_eq!(summary(&fixture.report()), "made it");
    let heard = std::fs::read_to_string(fixture.work("heard")).expect("readable");
    let heard: Vec<&str> = heard.lines().collect();
    assert!(heard.len() == 2 && heard[0] == heard[1] && heard[0].contains("use it"), "{heard:?}");
    assert_eq!(fixture.dir().receipts().len(), 1);
    assert_eq!(std::fs::read_to_string(fixture.work("rest")).expect("readable"), "", "it was let go");
}
