//! Hostile prompts, environments and output.

use super::*;

#[test]
fn a_hostile_prompt_arrives_byte_for_byte_on_stdin() {
    let mut fixture = Fixture::new("cat > got; echo ok");
    fixture.prompt = format!(
        "-leading dash $(touch pwned) `touch pwned` #{{pane_id}} %d \\n \"quotes\" 'single'\n\u{1b}[31m\u{202e}🙂\0\r\n{}",
        "x".repeat(3 << 20)
    );
    fixture.run();
    assert!(std::fs::read(fixture.work("got")).expect("readable") == fixture.prompt.as_bytes());
    assert!(!fixture.work("pwned").exists());
}

#[test]
fn the_agent_sees_the_given_environment_and_nothing_else() {
    let mut fixture =
        Fixture::new("").env("GIVEN", "a b").env("TMUX", "/tmp/tmux-0/default,1,0").env("TMUX_PANE", "%1");
    fixture.launch.spec.program = "/usr/bin/env".into();
    fixture.launch.spec.args.clear();
    fixture.launch.spec.env.insert("FROM_DIALECT".into(), "1".into());
    fixture.run();
    let output = std::fs::read_to_string(fixture.dir().events()).expect("readable");
    let mut seen: Vec<&str> = output.lines().collect();
    seen.sort_unstable();
    let run = format!("ORCH_RUN_ID={}", fixture.launch.run_id);
    let path = format!("PATH={}", fixture.env["PATH"]);
    let expected =
        ["FROM_DIALECT=1", "GIVEN=a b", "ORCH_AGENT=mybot", "ORCH_MODEL=small", &run, "ORCH_TASK_ID=7", &path];
    assert_eq!(seen, expected);
}

#[test]
fn secrets_reach_the_agent_and_no_other_place() {
    let secret = "canary/4f9a+17b2e0";
    let script = "echo \"my key is $SOME_API_KEY\"; printf %s \"$SOME_API_KEY\" | base64; echo \"oops $SOME_API_KEY\" >&2; \
                  printf ghp_; seq -s '' 0 30; exit 1";
    let fixture = Fixture::new(script).env("SOME_API_KEY", secret);
    let running = fixture.start();
    let ran = running.finish(RUN);
    let raw = std::fs::read_to_string(fixture.dir().events()).expect("readable");
    assert!(raw.contains(secret), "the agent has it");
    assert!(!fixture.dir().env().exists(), "the file with the secrets is gone");
    let mut shown = vec![("pane", ran.stdout), ("transcript", fixture.transcript())];
    for file in [fixture.dir().outcome(), fixture.dir().launch(), fixture.dir().started()] {
        shown.push(("file", std::fs::read_to_string(file).expect("readable")));
    }
    for (place, text) in shown {
        for leak in [secret, "Y2FuYXJ5", "0123456789101112"] {
            assert!(!text.contains(leak), "{leak} in {place}: {text}");
        }
    }
    assert!(fixture.transcript().contains("my key is [REDACTED:SOME_API_KEY]\n[REDACTED:SOME_API_KEY]"));
    assert!(fixture.transcript().contains("[REDACTED:github-pat]"));
}

#[test]
fn escape_sequences_reach_neither_log_nor_pane() {
    let script =
        r"printf '\033]52;c;cHduZWQ=\007one\033]0;title\033\\ \033[2J\033[31mred\033[0m\033Pq#0\033\\ two\010\r\n'";
    let fixture = Fixture::new(script);
    let ran = fixture.start().finish(RUN);
    assert!(fixture.transcript().contains("\none red two\n"), "{:?}", fixture.transcript());
    assert!(fixture.transcript().chars().all(|c| c == '\n' || !c.is_control()));
    // The pane has colours, orch's and the agent's, and nothing else.
    assert!(ran.stdout.contains("\none \x1b[31mred\x1b[0m two\n"), "{:?}", ran.stdout);
    let pane = ran.stdout.replace("\x1b[1m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
    assert!(pane.chars().all(|c| c == '\n' || !c.is_control()), "{pane:?}");
}

#[test]
fn output_that_is_no_protocol_is_a_failure_and_no_harm() {
    let script = r#"printf '%s\n' "$INIT"; printf '{"type": broken\n\377\376\000\n[[[[\n{"type":"assistant"}\nnull\n{"type":"res'"#;
    let report = Fixture::claude(script).run();
    assert_eq!(class(&report), FailureClass::Crashed);
    assert_eq!(report.exit, Some(Exit { code: Some(0), signal: None }));
}

#[test]
fn ignored_signals_are_not_inherited_by_the_agent() {
    let fixture = Fixture::new("kill -INT $$; echo survived");
    fixture.prepare();
    let (program, args) = runner_command();
    let script = "trap '' INT HUP QUIT TERM USR1; exec \"$@\"";
    let all = ["-c", script, "sh", program.to_str().expect("text")].map(str::to_owned).into_iter();
    let dir = fixture.dir().path().to_str().expect("text").to_owned();
    let ran = Program::new("/bin/sh", fixture.home.path()).args(all.chain(args).chain([dir])).run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(fixture.report().exit, Some(Exit { code: None, signal: Some(2) }));
}
