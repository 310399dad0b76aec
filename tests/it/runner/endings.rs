//! How runs end by themselves, and by limits.

use super::*;

#[test]
fn every_way_to_exit_is_recorded_exactly() {
    for (script, exit, failure) in [
        ("echo well", Exit { code: Some(0), signal: None }, None),
        ("exit 1", Exit { code: Some(1), signal: None }, Some(FailureClass::Crashed)),
        ("exit 143", Exit { code: Some(143), signal: None }, Some(FailureClass::Killed)),
        ("kill -KILL $$", Exit { code: None, signal: Some(9) }, Some(FailureClass::Killed)),
        ("kill -SEGV $$", Exit { code: None, signal: Some(11) }, Some(FailureClass::Crashed)),
    ] {
        let report = Fixture::new(script).run();
        assert_eq!(report.exit, Some(exit), "{script}");
        match failure {
            None => assert_eq!(summary(&report), "well"),
            Some(expected) => assert_eq!(class(&report), expected, "{script}"),
        }
        assert_eq!((report.stopped, report.swept), (None, vec![]), "{script}");
    }
}

#[test]
fn the_report_and_the_raw_files_are_private_and_the_transcript_shows_the_story() {
    let fixture = Fixture::new("echo working; echo 'a problem' >&2; exit 3");
    let report = fixture.run();
    assert_eq!(
        fixture.transcript().lines().map(|line| line.split(", after").next().unwrap_or_default()).collect::<Vec<_>>(),
        [
            &format!("— task 7, run {}: mybot (small)", fixture.launch.run_id),
            "— the agent has started",
            "working",
            "— stderr: a problem",
            "— run ended: crashed: exit code 3: a problem, exit code 3",
        ]
    );
    assert_eq!(report.transcript_bytes, fixture.transcript().len() as u64);
    let dir = fixture.dir();
    for file in [dir.events(), dir.stderr(), dir.transcript(), dir.outcome(), dir.started(), dir.launch(), dir.prompt()]
    {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(dir.path()), 0o700);
}

#[test]
fn events_of_a_known_cli_become_an_answer() {
    let report = Fixture::claude(r#"printf '%s\n%s\n' "$INIT" "$DONE""#).run();
    assert_eq!(summary(&report), "made it");
    assert_eq!(report.ending.session_id.as_deref(), Some("s-1"));
    assert_eq!(report.ending.cost.map(|cost| cost.micros()), Some(250_000));
}

#[test]
fn the_session_record_of_a_cli_shows_more_than_its_output() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agents/codex");
    let output = fixtures.join("usage-limit.jsonl");
    let mut fixture = Fixture::new(&format!("cat '{}'; exit 1", output.display()));
    fixture.launch.dialect = DialectKind::Codex;
    let home = fixture.home.path().join("home");
    let record = "rollout-2026-08-01T00-00-00-01a1f7db-b5f2-7983-aef7-01ad305345f3.jsonl";
    let record = home.join(".codex/sessions/2026/08/01").join(record);
    let text = std::fs::read_to_string(fixtures.join("usage-limit.rollout.jsonl")).expect("a fixture");
    write_file(&record, &text);
    write_file(&home.join(".codex/sessions/2026/08/02/rollout-other.jsonl"), "{}");
    let fixture = fixture.env("HOME", home.to_str().expect("text"));
    let Outcome::Failed(failure) = fixture.run().outcome() else { panic!("it failed") };
    assert_eq!(failure.class, FailureClass::RateLimited);
    assert!(failure.retry_at.is_some(), "only the record knows when");
}

#[test]
fn an_agent_that_never_ends_is_ended_at_its_time_limit() {
    let fixture =
        Fixture::new("trap '' INT TERM; echo begun; while :; do sleep 0.01; done").limits(|l| l.timeout_ms = 300);
    let report = fixture.run();
    assert_eq!(class(&report), FailureClass::Timeout);
    assert_eq!(report.exit, Some(Exit { code: None, signal: Some(9) }));
    assert!(fixture.transcript().contains("— ending the agent: timeout: it took longer than 0.3 s\n"));
}

#[test]
fn silence_without_work_is_a_stall_and_silent_work_is_not() {
    let report = Fixture::new("exec sleep 1000").limits(|l| l.silence_ms = 400).run();
    assert_eq!(class(&report), FailureClass::Stalled);
    let work = "n=0; while [ $n -lt 2000000 ]; do n=$((n+1)); done; echo counted";
    let report = Fixture::new(work).limits(|l| l.silence_ms = 400).run();
    assert_eq!(summary(&report), "counted");
}

#[test]
fn a_run_that_takes_too_much_memory_or_prints_too_much_is_ended() {
    let grow = "python3 -c 'import time; x = bytearray(b\"x\" * (200 << 20)); time.sleep(1000)'";
    let report = Fixture::new(grow).limits(|l| l.memory_bytes = Some(100 << 20)).run();
    assert_eq!(class(&report), FailureClass::Memory);
    let flood = "exec yes $(head -c 4000 /dev/zero | tr '\\0' x)";
    let report = Fixture::new(flood).limits(|l| l.max_output_bytes = Some(1 << 20)).run();
    assert_eq!(class(&report), FailureClass::Incomplete);
}

#[test]
fn a_process_that_stays_after_its_turn_is_ended_and_its_work_counts() {
    let fixture =
        Fixture::claude(r#"printf '%s\n%s\n' "$INIT" "$DONE"; exec sleep 1000"#).limits(|l| l.linger_ms = 200);
    let report = fixture.run();
    assert_eq!((summary(&report).as_str(), &report.stopped), ("made it", &Some(Stop::Lingering)));
    let fixture =
        Fixture::claude(r#"printf '%s\n%s\n' "$INIT" "$DONE"; exec sleep 1000"#).limits(|l| l.timeout_ms = 300);
    assert_eq!(summary(&fixture.run()), "made it", "the limit came after the result");
}

#[test]
fn children_that_outlive_the_agent_are_ended_and_named() {
    let script = "setsid sleep 1000 & setsid env -i /bin/sleep 1001 & (sleep 1002 &) ; echo done";
    let fixture = Fixture::new(script);
    let report = fixture.run();
    assert_eq!(summary(&report), "done");
    assert_eq!(report.swept.len(), 3, "{:?}", report.swept);
    // One that is caught before it has become `sleep` has the name of what it was.
    let named =
        |line: &String| ["sleep", "setsid", "env", "sh"].iter().any(|n| line.starts_with(&format!("{n} (pid ")));
    assert!(report.swept.iter().all(named), "{:?}", report.swept);
    assert!(fixture.transcript().contains("— ended processes that were left behind: "), "{}", fixture.transcript());
}

#[test]
fn a_crowd_of_children_is_ended_too() {
    let script = "for i in $(seq 300); do setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000' & done; echo done";
    let report = Fixture::new(script).run();
    assert!(report.swept.len() >= 300, "{}", report.swept.len());
}

#[test]
fn what_cannot_start_says_why() {
    let mut fixture = Fixture::new("");
    fixture.launch.spec.program = "/no/such/agent".into();
    let report = fixture.run();
    assert_eq!((class(&report), report.exit), (FailureClass::AgentMissing, None));

    let mut fixture = Fixture::new("");
    fixture.launch.spec.program = fixture.home.path().join("text");
    write_file(&fixture.launch.spec.program, "not a program");
    assert_eq!(class(&fixture.run()), FailureClass::AgentMissing, "not executable");
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&fixture.launch.spec.program, executable).expect("ours");
    let mut other = Fixture::new("");
    other.launch.spec.program = fixture.launch.spec.program.clone();
    assert_ne!(other.run().outcome(), report.outcome(), "the words differ");
    assert_eq!(class(&other.report()), FailureClass::AgentMissing, "not a program");

    let fixture = Fixture::new("");
    fixture.prepare();
    std::fs::remove_dir(&fixture.launch.spec.cwd).expect("empty");
    assert_eq!(fixture.runner().run().code, Some(0));
    let report = fixture.report();
    assert_eq!(class(&report), FailureClass::Crashed);
    assert!(fixture.transcript().contains("is gone"), "{}", fixture.transcript());

    let mut fixture = Fixture::new("");
    fixture.launch.spec.args.push("x".repeat(200 << 10));
    assert_eq!(class(&fixture.run()), FailureClass::Crashed, "an argument over the kernel's limit");
}

#[test]
fn side_files_are_written_inside_the_run_directory_only() {
    let mut fixture = Fixture::new("cat \"$1\"; echo");
    let schema = fixture.dir().path().join("side/schema.json");
    fixture.launch.spec.args.extend(["sh".to_owned(), schema.to_str().expect("text").to_owned()]);
    fixture.launch.spec.files.insert(schema.clone(), "{}".into());
    assert_eq!(summary(&fixture.run()), "{}");
    assert_eq!(mode(&schema), 0o600);

    let mut fixture = Fixture::new("echo ran");
    let outside = fixture.dir().path().join("../outside");
    fixture.launch.spec.files.insert(outside.clone(), "x".into());
    assert_eq!(class(&fixture.run()), FailureClass::Crashed);
    assert!(!outside.exists());
}

#[test]
fn the_daemon_is_woken_at_start_and_end_and_may_be_away() {
    let mut fixture = Fixture::new("echo ok");
    let socket = fixture.home.path().join("wake.sock");
    fixture.launch.wake_socket = Some(socket.clone());
    assert_eq!(summary(&fixture.run()), "ok", "nobody listens");

    let mut fixture = Fixture::new("echo ok");
    let listener = UnixDatagram::bind(&socket).expect("free");
    listener.set_read_timeout(Some(SOON)).expect("settable");
    fixture.launch.wake_socket = Some(socket);
    fixture.run();
    let mut bytes = [0; 8];
    assert_eq!(listener.recv(&mut bytes).expect("woken at the start"), 0);
    assert_eq!(listener.recv(&mut bytes).expect("woken at the end"), 0);
}
