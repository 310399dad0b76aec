//! Requests to stop, and starts that must not happen.

use super::*;

const WORKS: &str = "touch begun; while :; do sleep 0.01; done";

fn cancelled(report: &RunReport) -> String {
    match report.outcome() {
        Outcome::Cancelled { detail } => detail,
        other @ (Outcome::Finished { .. } | Outcome::Failed(_)) => panic!("not cancelled: {other:?}"),
    }
}

#[test]
fn a_stop_file_ends_the_agent_by_an_interrupt_first() {
    let script = "trap 'echo cleaned up; exit 5' INT; touch begun; while :; do sleep 0.01; done";
    let fixture = Fixture::new(script).limits(|l| l.grace_ms = 20_000);
    let running = fixture.start();
    fixture.wait_for("begun");
    fixture.dir().request_stop("cancelled by the user").expect("writable");
    assert_eq!(running.finish(RUN).code, Some(0));
    let report = fixture.report();
    assert_eq!(cancelled(&report), "cancelled by the user");
    assert_eq!(report.exit, Some(Exit { code: Some(5), signal: None }));
    assert!(fixture.transcript().contains("\ncleaned up\n"), "{}", fixture.transcript());
}

#[test]
fn an_agent_that_ignores_every_question_is_killed_with_all_its_children() {
    let script = "trap '' INT TERM HUP; setsid sh -c 'trap \"\" INT TERM; sleep 1000' & sleep 1000 & ";
    let fixture = Fixture::new(&format!("{script}{WORKS}"));
    let running = fixture.start();
    fixture.wait_for("begun");
    running.signal(Signal::TERM);
    assert_eq!(running.finish(RUN).code, Some(0));
    let report = fixture.report();
    assert_eq!(cancelled(&report), "stopped by a signal to the runner");
    assert_eq!(report.exit, Some(Exit { code: None, signal: Some(9) }));
    assert_eq!(fixture.marked(), 0);
}

#[test]
fn of_hundreds_of_processes_that_ignore_every_question_none_is_left_and_no_other_is_touched() {
    // Half of them leave the session and the family, as daemons do.
    let script = "trap '' INT TERM HUP; i=0; while [ $i -lt 150 ]; do sleep 1000 & (setsid sleep 1000 &) & i=$((i+1)); \
                  done; touch begun; while :; do sleep 1000; done";
    let fixture = Fixture::new(script);
    let bystander = Program::new("sleep", fixture.home.path()).args(["1000"]).start();
    let running = fixture.start();
    fixture.wait_for("begun");
    wait_until("all of them", RUN, || fixture.marked() > 300);
    fixture.dir().request_stop("enough").expect("writable");
    assert_eq!(running.finish(RUN).code, Some(0));
    assert_eq!((cancelled(&fixture.report()).as_str(), fixture.marked()), ("enough", 0));
    let took = fixture.report().ended_at.duration_since(stop_asked(&fixture));
    let grace = jiff::SignedDuration::from_millis(300);
    assert!(took <= grace + jiff::SignedDuration::from_secs(1), "{took:#}");
    let mut bystander = bystander;
    assert!(bystander.is_running(), "it has nothing to do with the run");
    bystander.signal(Signal::KILL);
    bystander.finish(SOON);
}

/// When the request to stop was written.
fn stop_asked(fixture: &Fixture) -> jiff::Timestamp {
    let written = fixture.dir().stop().metadata().and_then(|file| file.modified()).expect("a request");
    jiff::Timestamp::try_from(written).expect("a time")
}

#[test]
fn an_interrupt_typed_into_the_pane_is_a_request_to_stop() {
    let fixture = Fixture::new(WORKS);
    let running = fixture.start();
    fixture.wait_for("begun");
    running.signal(Signal::INT);
    running.finish(RUN);
    cancelled(&fixture.report());
}

#[test]
fn a_run_that_is_stopped_before_its_start_never_starts_its_agent() {
    let fixture = Fixture::new("touch begun");
    fixture.prepare();
    fixture.dir().request_stop("not needed any more").expect("writable");
    assert_eq!(fixture.runner().run().code, Some(0));
    assert_eq!(cancelled(&fixture.report()), "not needed any more");
    assert_eq!(fixture.report().exit, None);
    assert!(!fixture.work("begun").exists());
}

#[test]
fn a_damaged_stop_request_stops_as_well() {
    let fixture = Fixture::new(WORKS);
    let running = fixture.start();
    fixture.wait_for("begun");
    write_file(&fixture.dir().stop(), "{\"reason\":");
    running.finish(RUN);
    assert_eq!(cancelled(&fixture.report()), "stopped on request");
}

#[test]
fn a_second_start_is_refused_and_touches_nothing() {
    let fixture = Fixture::new("echo x >> starts; touch begun; while [ ! -e go ]; do sleep 0.01; done; echo done");
    assert_eq!(inspect(&fixture.prepare()).expect("readable"), RunState::NotStarted);
    let first = fixture.runner().start();
    fixture.wait_for("begun");
    assert!(matches!(inspect(&fixture.dir()).expect("readable"), RunState::Running { started: Some(_) }));
    fixture.dir().write_env(&fixture.env).expect("writable");
    assert_eq!(fixture.runner().run().code, Some(7), "while it runs");
    write_file(&fixture.work("go"), "");
    first.finish(RUN);
    let report = fixture.report();
    assert_eq!(fixture.runner().run().code, Some(7), "after its end");
    assert_eq!(fixture.report(), report);
    assert!(fixture.dir().env().exists(), "the late runner left everything as it was");
    assert_eq!(std::fs::read_to_string(fixture.work("starts")).expect("readable"), "x\n");
}

#[test]
fn of_many_runners_at_once_exactly_one_goes_on() {
    let fixture = Fixture::new("echo x >> starts; echo done");
    fixture.prepare();
    let runners: Vec<Running> = (0..8).map(|_| fixture.runner().start()).collect();
    let mut codes: Vec<_> = runners.into_iter().map(|runner| runner.finish(RUN).code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(7), Some(7), Some(7), Some(7), Some(7), Some(7), Some(7)]);
    assert_eq!(std::fs::read_to_string(fixture.work("starts")).expect("readable"), "x\n");
    assert_eq!(summary(&fixture.report()), "done");
}

#[test]
fn a_run_without_its_files_says_what_is_missing() {
    let fixture = Fixture::new("");
    let ran = fixture.runner().run();
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("launch.json"), "{}", ran.stderr);

    fixture.prepare();
    std::fs::remove_file(fixture.dir().env()).expect("exists");
    assert_eq!(fixture.runner().run().code, Some(0));
    assert_eq!(class(&fixture.report()), FailureClass::Crashed);
}
