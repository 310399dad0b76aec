//! Agents that only have a screen, as the runner carries them out: on a terminal of their own, without any pane.

use super::*;

impl Fixture {
    /// A script on a terminal of its own.
    fn on_screen(script: &str) -> Self {
        let mut fixture = Self::new(script);
        fixture.launch.spec.stdin = Stdin::Terminal;
        fixture.launch.spec.env.insert("ORCH_PROMPT_FILE".into(), fixture.dir().prompt().display().to_string());
        fixture
    }

    /// Returns the agent's output without orch's own lines.
    fn lines(&self) -> Vec<String> {
        self.transcript().lines().filter(|line| !line.starts_with('—')).map(str::to_owned).collect()
    }
}

#[test]
fn a_program_that_wants_a_terminal_has_one_and_its_last_line_is_its_report() {
    let script = r#"test -t 0 && test -t 1 && test -t 2 && test -c /dev/tty && echo terminal; stty size; echo "$TERM"
        cat "$ORCH_PROMPT_FILE"; echo; printf '{"status":"done","summary":"saw it"}'"#;
    let fixture = Fixture::on_screen(script);
    assert_eq!(summary(&fixture.run()), "saw it");
    assert_eq!(fixture.lines(), ["terminal", "50 200", "xterm-256color", "do it", "saw it"]);
    assert_eq!(mode(&fixture.dir().screen()), 0o600);
}

#[test]
fn a_bar_and_a_clear_tell_each_line_once() {
    let script = r"echo begin; i=0; while [ $i -lt 100 ]; do i=$((i+1)); printf '\r%d%%' $i; done; echo
        printf 'one\ntwo\n'; printf '\033[H\033[2J'; printf 'begin\n100%%\none\ntwo\nthree\n'";
    let fixture = Fixture::on_screen(script);
    assert_eq!(summary(&fixture.run()), "three");
    assert_eq!(fixture.lines(), ["begin", "100%", "one", "two", "three"]);
}

#[test]
fn a_flood_is_reported_without_a_gap_or_a_double() {
    let fixture = Fixture::on_screen("seq 100000");
    assert_eq!(summary(&fixture.run()), "100000");
    let expected: Vec<String> = (1..=100_000).map(|n| n.to_string()).collect();
    let lines = fixture.lines();
    let first = lines.iter().zip(&expected).position(|(line, expected)| line != expected);
    assert_eq!((first, lines.len()), (None, expected.len()));
}

#[test]
fn bytes_that_are_no_text_and_halves_of_sequences_do_no_harm() {
    let script = r"printf 'a\000b\377c\n'; printf '\033[3'; sleep 0.05; printf '1mred\033[0m\n'; printf '\360\237'; sleep 0.05
        printf '\231\202\n'; printf '\033]0;half a title'; sleep 0.05; echo; echo end; printf '\033['";
    let fixture = Fixture::on_screen(script);
    assert_eq!(summary(&fixture.run()), "end");
    assert_eq!(fixture.lines(), ["ab\u{fffd}c", "red", "\u{1f642}", "end"]);
}

#[test]
fn clipboard_titles_and_device_commands_never_reach_what_is_kept_for_people() {
    let script =
        r"printf 'a\033]52;c;c2VjcmV0\007b\033]0;my title\033\\c\033kmy title\033\\d\033P$qm\033\\e\033[6nf\n'";
    let fixture = Fixture::on_screen(script);
    assert_eq!(summary(&fixture.run()), "abcdef");
    let parts = [fixture.dir().transcript(), fixture.dir().raw(), fixture.dir().activity(), fixture.dir().outcome()];
    for part in parts {
        let text = std::fs::read_to_string(&part).expect("readable");
        let clean = !text.contains(['\u{1b}', '\u{7}']) && !text.contains("c2Vj") && !text.contains("title");
        assert!(clean, "{}: {text}", part.display());
    }
}

#[test]
fn a_secret_is_masked_in_pieces_in_colours_over_two_rows_and_drawn_letter_by_letter() {
    let script = r#"printf 'in pieces canary-'; sleep 0.05; printf 'value-1\n'
        printf 'in colours \033[31mcan\033[32mary-val\033[0mue-1\n'; printf 'over two rows %0180d canary-value-1\n' 0
        printf 'by letters '; for c in c a n a r y - v a l u e - 1; do printf '%s' "$c"; done; printf '\n'
        printf '                 value-1\rbackwards canary-\n'; echo end"#;
    let fixture = Fixture::on_screen(script).env("SOME_TOKEN", "canary-value-1");
    fixture.run();
    let parts = [fixture.dir().transcript(), fixture.dir().raw(), fixture.dir().activity(), fixture.dir().outcome()];
    for part in parts {
        let text = std::fs::read_to_string(&part).expect("readable");
        assert!(!text.contains("canary-v"), "{}: {text}", part.display());
    }
    let text = fixture.transcript();
    assert_eq!(text.matches("[REDACTED:SOME_TOKEN]").count(), 5, "{text}");
}

#[test]
fn a_code_other_than_zero_is_a_failure_and_what_it_left_behind_is_ended() {
    let fixture = Fixture::on_screen("setsid sleep 1000 & sleep 1000 & echo broken; exit 3");
    let report = fixture.run();
    assert_eq!((class(&report), report.exit.and_then(|exit| exit.code)), (FailureClass::Crashed, Some(3)));
    assert!(report.swept.len() <= 2 && fixture.transcript().contains("\nbroken\n"), "{report:?}");
}

#[test]
fn a_program_that_is_missing_is_shown_as_such() {
    let mut fixture = Fixture::on_screen("");
    fixture.launch.spec.program = "/no/such/program".into();
    assert_eq!(class(&fixture.run()), FailureClass::AgentMissing);
}

#[test]
fn it_is_stopped_by_interrupt_and_by_force_and_its_last_words_are_kept() {
    for (trap, seen) in [("trap 'echo bye; exit 0' INT", true), ("trap '' INT HUP", false)] {
        let script = format!("{trap}; printf working; touch begun; while :; do sleep 0.01; done");
        let fixture = Fixture::on_screen(&script);
        let running = fixture.start();
        fixture.wait_for("begun");
        fixture.dir().request_stop("enough").expect("writable");
        assert_eq!(running.finish(RUN).code, Some(0));
        assert!(matches!(fixture.report().outcome(), Outcome::Cancelled { detail } if detail == "enough"));
        let text = fixture.transcript();
        assert!(text.contains("\nworking") && text.contains("bye") == seen, "{text}");
        assert_eq!(fixture.marked(), 0);
    }
}

#[test]
fn silence_and_time_have_limits_and_a_spinner_is_a_sign_of_life() {
    let silent = Fixture::on_screen("echo hm; exec sleep 1000").limits(|limits| limits.silence_ms = 400);
    assert_eq!(class(&silent.run()), FailureClass::Stalled);
    let spins = r"while :; do printf '\r|'; sleep 0.05; printf '\r/'; sleep 0.05; done";
    let spinner = Fixture::on_screen(spins).limits(|limits| (limits.silence_ms, limits.timeout_ms) = (1000, 3000));
    assert_eq!(class(&spinner.run()), FailureClass::Timeout);
    let flood = Fixture::on_screen("exec yes").limits(|limits| limits.max_output_bytes = Some(1 << 20));
    assert_eq!(class(&flood.run()), FailureClass::Incomplete);
}

#[test]
fn what_a_killed_runner_did_not_tell_any_more_is_reported_at_the_burial() {
    let script = "trap '' HUP; echo one; echo two; printf 'a question? '; touch begun; sleep 1000";
    let fixture = Fixture::on_screen(script);
    let running = fixture.start();
    fixture.wait_for("begun");
    wait_until("the first lines", SOON, || fixture.transcript().contains("\ntwo\n"));
    running.signal(Signal::KILL);
    running.finish(RUN);
    let report = finish_lost(&fixture.dir(), &fixture.env).expect("buried");
    assert_eq!(class(&report), FailureClass::Crashed);
    assert_eq!(fixture.lines(), ["one", "two", "a question?"]);
    assert_eq!(fixture.marked(), 0);
}
