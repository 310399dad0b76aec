//! A runner that was killed: what it leaves, and how that is brought to its end.

use super::*;
use orch_runner::FinishLostError;

/// Kills the runner as soon as the agent has made `file`, and everything of the agent lives on.
fn lose(fixture: &Fixture, file: &str) {
    let running = fixture.start();
    fixture.wait_for(file);
    running.signal(Signal::KILL);
    running.finish(RUN);
    assert!(matches!(inspect(&fixture.dir()).expect("readable"), RunState::Lost { started: Some(_) }));
}

#[test]
fn a_run_whose_runner_was_killed_is_found_ended_and_reported_once() {
    let script = "echo some words; setsid sleep 1000 & touch begun; while :; do sleep 0.01; done";
    let fixture = Fixture::new(script);
    lose(&fixture, "begun");
    assert!(fixture.marked() >= 2, "the agent works on");
    let report = finish_lost(&fixture.dir(), &fixture.env).expect("buried");
    assert_eq!(fixture.marked(), 0);
    assert_eq!((class(&report), report.exit), (FailureClass::Crashed, None));
    assert!(report.swept.len() >= 2, "{:?}", report.swept);
    assert_eq!(fixture.report(), report);
    assert_eq!(finish_lost(&fixture.dir(), &fixture.env).expect("twice is once"), report);
    assert_eq!(fixture.runner().run().code, Some(7), "it never starts again");
}

#[test]
fn work_that_was_finished_before_the_burial_counts() {
    let script = r#"echo "$INIT"; touch begun; while [ ! -e go ]; do sleep 0.01; done
        printf '%s\n' '{"type":"assistant","message":{"content":[{"type":"text","text":"key canary-value-1"}]}}'
        echo "$DONE"; touch ended; sleep 1000"#;
    let fixture = Fixture::claude(script).env("SOME_TOKEN", "canary-value-1");
    lose(&fixture, "begun");
    write_file(&fixture.work("go"), "");
    fixture.wait_for("ended");
    let report = finish_lost(&fixture.dir(), &fixture.env).expect("buried");
    assert_eq!(summary(&report), "made it");
    assert_eq!(report.exit, None);
    let transcript = fixture.transcript();
    assert_eq!(transcript.matches("— session s-1, model sonnet\n").count(), 1, "no line twice: {transcript}");
    assert!(transcript.contains("\nkey [REDACTED:SOME_TOKEN]\n"), "no line lost: {transcript}");
    assert!(transcript.trim_end().lines().last().expect("lines").starts_with("— run ended: turn completed"));
}

#[test]
fn a_call_whose_runner_was_killed_meanwhile_has_no_false_duration_and_no_line_comes_twice() {
    // The call has been seen before it begins to take its time: however slow the machine, it takes no less than that.
    const CALLS: &str = r#"echo "$INIT"; printf '%s\n' "$CALL_1"; while [ ! -e seen ]; do sleep 0.01; done
        sleep 0.3; printf '%s\n' "$RESULT_1" "$CALL_2""#;
    let call = |id: u8| {
        let call = format!(r#"{{"type":"tool_use","id":"c{id}","name":"Bash","input":{{"command":"make {id}"}}}}"#);
        format!(r#"{{"type":"assistant","message":{{"content":[{call}]}}}}"#)
    };
    let result = |id: u8| {
        let result = format!(r#"{{"type":"tool_result","tool_use_id":"c{id}","content":"made {id}"}}"#);
        format!(r#"{{"type":"user","message":{{"content":[{result}]}}}}"#)
    };
    let script = format!(
        r#"{CALLS}; while [ ! -e go ]; do sleep 0.01; done
        printf '%s\n' "$RESULT_2" "$DONE"; touch ended; sleep 1000"#
    );
    let fixture = Fixture::claude(&script).env("CALL_1", &call(1)).env("RESULT_1", &result(1));
    let fixture = fixture.env("CALL_2", &call(2)).env("RESULT_2", &result(2));
    let running = fixture.start();
    let called = |what: &str| {
        wait_until("a call to be read", RUN, || {
            std::fs::read_to_string(fixture.dir().transcript()).is_ok_and(|text| text.contains(what))
        });
    };
    called("▸ Bash: make 1\n");
    write_file(&fixture.work("seen"), "");
    called("▸ Bash: make 2\n");
    // Later output, and the unit of the first call's duration.
    wait_until("the call to be noted", RUN, || {
        std::fs::read_to_string(fixture.dir().activity()).is_ok_and(|text| text.contains(r#""input":"make 2""#))
    });
    running.signal(Signal::KILL);
    running.finish(RUN);
    write_file(&fixture.work("go"), "");
    fixture.wait_for("ended");
    finish_lost(&fixture.dir(), &fixture.env).expect("buried");
    let transcript = fixture.transcript();
    let (_, output) = transcript.split_once("▸ Bash: make 1\n  ✓ ").unwrap_or_else(|| panic!("{transcript}"));
    let (took, output) = output.split_once(" s · made 1\n").unwrap_or_else(|| panic!("{transcript}"));
    assert!(took.parse::<f64>().is_ok_and(|took| took >= 0.3), "{transcript}");
    assert!(output.starts_with("▸ Bash: make 2\n  ✓ made 2\n"), "{transcript}");
    assert_eq!(transcript.matches("make 1").count(), 1, "{transcript}");
    assert!(output.contains("; tokens: 1 in, 2 out; $0.25\n"), "{transcript}");
    let activity = std::fs::read_to_string(fixture.dir().activity()).expect("readable");
    let took = |id: &str| {
        let documents = activity.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let mut results = documents.filter(|event| event["type"] == "tool_result" && event["id"] == id);
        results.next().expect("a result")["took_ms"].as_u64()
    };
    assert!(took("c1").is_some_and(|took| took >= 300), "{activity}");
    assert_eq!(took("c2"), None, "{activity}");
}

#[test]
fn no_line_is_lost_and_none_comes_twice_when_the_runner_is_killed_while_it_ends_the_agent() {
    let fixture = Fixture::new(
        "trap '' INT; echo one; touch begun; while [ ! -e go ]; do sleep 0.01; done
        echo two; echo three; touch ended; while :; do sleep 0.01; done",
    );
    let fixture = fixture.limits(|limits| limits.grace_ms = 60_000);
    let running = fixture.start();
    fixture.wait_for("begun");
    fixture.dir().request_stop("enough").expect("writable");
    wait_until("the agent to be ended", RUN, || fixture.transcript().contains("— ending the agent: enough\n"));
    running.signal(Signal::KILL);
    running.finish(RUN);
    write_file(&fixture.work("go"), "");
    fixture.wait_for("ended");
    finish_lost(&fixture.dir(), &fixture.env).expect("buried");
    let transcript = fixture.transcript();
    let messages: Vec<&str> = transcript.lines().filter(|line| ["one", "two", "three"].contains(line)).collect();
    assert_eq!(messages, ["one", "two", "three"], "{transcript}");
}

#[test]
fn a_lost_run_that_was_asked_to_stop_is_cancelled() {
    let fixture = Fixture::new("touch begun; exec sleep 1000");
    lose(&fixture, "begun");
    fixture.dir().request_stop("enough").expect("writable");
    let report = finish_lost(&fixture.dir(), &fixture.env).expect("buried");
    assert!(matches!(report.outcome(), Outcome::Cancelled { detail } if detail == "enough"));
}

#[test]
fn a_living_run_is_not_buried() {
    let fixture = Fixture::new("touch begun; while [ ! -e go ]; do sleep 0.01; done; echo done");
    let running = fixture.start();
    fixture.wait_for("begun");
    assert!(matches!(finish_lost(&fixture.dir(), &fixture.env), Err(FinishLostError::Alive { .. })));
    write_file(&fixture.work("go"), "");
    running.finish(RUN);
    assert_eq!(summary(&fixture.report()), "done");
}

#[test]
fn a_runner_that_died_before_its_agent_started_leaves_a_crash() {
    let fixture = Fixture::new("touch begun");
    let dir = fixture.prepare();
    write_file(&dir.started(), "{\"half");
    assert_eq!(inspect(&dir).expect("readable"), RunState::Lost { started: None });
    let report = finish_lost(&dir, &fixture.env).expect("buried");
    assert_eq!(class(&report), FailureClass::Crashed);
    assert!(!dir.env().exists(), "its secrets are gone");
    assert!(!fixture.work("begun").exists());
}

#[test]
fn what_a_lost_run_said_last_is_not_shown_when_its_secrets_are_not_known_any_more() {
    let script = r#"echo "$INIT"; touch begun; while [ ! -e go ]; do sleep 0.01; done
        printf '%s\n' '{"type":"assistant","message":{"content":[{"type":"text","text":"key canary-value-1"}]}}'
        echo canary-value-1 >&2; echo "$DONE"; touch ended; sleep 1000"#;
    let done = CLAUDE_DONE.replace("made it", "made canary-value-1");
    let fixture = Fixture::claude(script).env("SOME_TOKEN", "canary-value-1").env("DONE", &done);
    let running = fixture.start();
    wait_until("the first line to be reported", RUN, || {
        std::fs::read_to_string(fixture.dir().transcript()).is_ok_and(|text| text.contains("— session s-1"))
    });
    running.signal(Signal::KILL);
    running.finish(RUN);
    write_file(&fixture.work("go"), "");
    fixture.wait_for("ended");
    let mut env = fixture.env.clone();
    env.remove("SOME_TOKEN");
    let report = finish_lost(&fixture.dir(), &env).expect("buried");
    assert!(summary(&report).starts_with("its last output is not shown: "), "the status stays: {report:?}");
    assert_eq!(report.ending.session_id.as_deref(), Some("s-1"));
    let dir = fixture.dir();
    for path in [dir.transcript(), dir.raw(), dir.activity(), dir.outcome()] {
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(!text.contains("canary"), "{}: {text}", path.display());
    }
    let transcript = fixture.transcript();
    assert!(transcript.contains("\n— its last output is not shown: "), "{transcript}");
    assert!(transcript.contains("(SOME_TOKEN)"), "{transcript}");
    let activity = std::fs::read_to_string(dir.activity()).expect("readable");
    assert!(activity.lines().last().is_some_and(|line| line.contains("run_ended")), "{activity}");
}
