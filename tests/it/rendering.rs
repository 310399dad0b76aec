//! Tests the transcripts of recorded runs of the real agent CLIs: `fixtures/rendered/<agent>-<case>.txt`, line by line.
//! `ORCH_BLESS=1` updates those files; review the difference before committing it. Also tests runs of real programs on
//! a terminal and elsewhere.

use crate::kit::clis::Agent;
use crate::kit::model_server::{Action, ModelServer, Rule, Script};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::terminal::Terminal;
use crate::kit::wait::{self, RUN};
use crate::kit::write_file;
use orch_core::models::agents::{DialectKind, EventReader};
use orch_core::tasks::outcome::RunKind;
use orch_core::text::redact::Redactor;
use orch_runner::Renderer;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const CASES: [(DialectKind, &str); 9] = [
    (DialectKind::Claude, "claude/edits"),
    (DialectKind::Claude, "claude/success-commit"),
    (DialectKind::Claude, "claude/rate-limit-after-tool"),
    (DialectKind::Codex, "codex/edits"),
    (DialectKind::Codex, "codex/app-server-edits"),
    (DialectKind::Codex, "codex/tool-fails"),
    (DialectKind::Opencode, "opencode/edits"),
    (DialectKind::Opencode, "opencode/tool-fails"),
    (DialectKind::Opencode, "opencode/thinking"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn reader(agent: DialectKind, case: &str) -> Box<dyn EventReader> {
    if case.contains("/app-server-") {
        return agent.dialect().live_reader(&Value::Null).expect("Codex can be talked to");
    }
    agent.dialect().reader(RunKind::Work)
}

/// The transcript of a recording.
fn rendered(agent: DialectKind, case: &str) -> String {
    let recorded = fs::read_to_string(fixtures().join(format!("agents/{case}.jsonl"))).expect("a recording");
    let mut reader = reader(agent, case);
    let mut renderer = Renderer::new(Redactor::default()).below(Path::new("$WORKTREE"));
    let events = recorded.lines().flat_map(|line| reader.line(line));
    events.flat_map(|event| renderer.event(&event)).map(|line| line.text + "\n").collect()
}

#[test]
fn recorded_runs_read_as_they_were_blessed() {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller to write what it expects")]
    let bless = std::env::var_os("ORCH_BLESS").is_some();
    let mut wrong = Vec::new();
    for (agent, case) in CASES {
        let path = fixtures().join(format!("rendered/{}.txt", case.replace('/', "-")));
        let text = rendered(agent, case);
        if bless {
            crate::kit::write_file(&path, &text);
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if text != expected {
            wrong.push(format!("{case}: expected\n{expected}got\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Prints colours, and sequences that must not reach a terminal: for the clipboard, the title, a query, clearing the
/// screen. Then a secret with colours between its letters, and lines by request.
const PAINTER: &str = r"#!/bin/sh
cat > /dev/null
printf '\033]52;c;cm0gLXJm\007\033]0;owned\007\033P$qm\033\\\033[2J\033[1;32mtest passed\033[0m plainly\n'
printf 'key can\033[31mary-val\033[0mue-1\n'
while [ ! -e BASE/stop ]; do
  if [ -e BASE/say ]; then cat BASE/say; rm BASE/say; fi
  sleep 0.02
done
echo more >> README.md; git commit -qam said
";

/// A painter at work as task 1.
fn setup() -> (SealedBox, Repo) {
    let mut sealed = SealedBox::new();
    let base = sealed.base().display().to_string();
    sealed.program("painter", &PAINTER.replace("BASE", &format!("'{base}'")));
    sealed.config("agents: {painter: {kind: command, command: painter, env: {SOME_TOKEN: canary-value-1}}}\n");
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    sealed.serve();
    sealed.orch_in(repo.dir(), ["task", "add", "Paint", "-l", "agent:painter"]).ok();
    wait::wait_until("the painter to speak", RUN, || sealed.orch(["task", "log", "1"]).stdout.contains("REDACTED"));
    (sealed, repo)
}

/// Returns what a command line writes to a terminal, byte by byte, until it ends.
fn written(sealed: &SealedBox, line: &str) -> String {
    let (go, bytes) = (sealed.base().join("go"), sealed.base().join("bytes"));
    let waiting = format!("while [ ! -e '{}' ]; do sleep 0.02; done; {line}; echo over; exec cat", go.display());
    let terminal = Terminal::new(sealed, &waiting);
    terminal.tmux(&["pipe-pane", "-t", "=t:", &format!("cat > '{}'", bytes.display())]).ok();
    write_file(&go, "");
    terminal.shows("over");
    let mut last = String::new();
    wait::wait_until("the last byte", RUN, || {
        last = std::fs::read_to_string(&bytes).unwrap_or_default();
        last.contains("over")
    });
    terminal.close();
    std::fs::remove_file(go).expect("it is there");
    last
}

/// The text without its colours; anything else that a terminal acts on fails the test.
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        let end = sequence.find(|c: char| !(c.is_ascii_digit() || "[;".contains(c))).unwrap_or(sequence.len());
        assert!(
            sequence.starts_with('[') && sequence[end..].starts_with('m'),
            "not a colour: {:?} in {text:?}",
            &sequence[..end + 1]
        );
        rest = &sequence[end + 1..];
    }
    plain.push_str(rest);
    assert!(plain.chars().all(|c| matches!(c, '\n' | '\r' | '\t') || !c.is_control()), "{plain:?}");
    plain
}

#[test]
fn a_terminal_sees_the_agents_colours_and_nothing_else_of_them_and_a_pipe_sees_none() {
    let (sealed, _repo) = setup();
    write_file(&sealed.base().join("stop"), "");
    let piped = sealed.orch(["stream", "1", "--from-start"]).ok().stdout;
    assert!(piped.contains("\ntest passed plainly\nkey [REDACTED:SOME_TOKEN]\n"), "{piped}");
    for line in [format!("{ORCH} stream 1 --from-start"), format!("{ORCH} task log 1")] {
        let text = written(&sealed, &line);
        assert!(text.contains("\u{1b}[1;32mtest passed\u{1b}[0m plainly\r\n"), "{text:?}");
        assert!(text.contains("\u{1b}[1m— task 1, run 1-1-"), "orch's own lines have their colours: {text:?}");
        let plain = without_colours(&text).replace('\r', "");
        assert!(plain.contains(&piped), "{plain}\nis not\n{piped}");
        let colourless = written(&sealed, &format!("NO_COLOR=1 {line}"));
        assert!(!colourless.contains('\u{1b}'), "{colourless:?}");
    }
    // Programs, and what is searched, get text.
    for args in [
        &["stream", "1", "--from-start", "--json"][..],
        &["stream", "1", "--from-start", "--events"],
        &["stream", "1", "--from-start", "--raw"],
        &["task", "log", "1", "--json"],
        &["task", "log", "1", "--grep", "test passed plainly"],
        &["search", "test passed plainly"],
    ] {
        let said = sealed.orch(args).ok().stdout;
        assert!(said.contains("test passed plainly"), "{args:?}: {said}");
        assert!(!said.contains(['\u{1b}', '\u{7}']) && !said.contains("u001b") && !said.contains("canary"), "{said}");
        assert!(!said.contains("can") || !said.contains("ary-val"), "{args:?}: {said}");
    }
    sealed.finish();
}

#[test]
fn long_lines_go_on_under_their_prefix_in_a_terminal_of_any_size() {
    let (sealed, _repo) = setup();
    let terminal = Terminal::new(&sealed, &format!("{ORCH} stream --all --from-start"));
    terminal.shows("[1] test passed plainly");
    let words = "日本語の文章 👩\u{200d}👧 and words ".repeat(6);
    let say = |end: &str| write_file(&sealed.base().join("say"), &format!("{words}{end}\n"));
    let fits = |columns: usize, end: &str| {
        terminal.shows(end);
        let screen = terminal.screen();
        let mut lines = screen.lines().skip_while(|line| !line.starts_with("[1] 日本語")).peekable();
        assert!(lines.peek().is_some(), "{screen}");
        let is_reported: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        assert!(
            is_reported.len() > 1 && is_reported[1..].iter().all(|line| line.starts_with("    ")),
            "{columns}: {screen}"
        );
        is_reported.len()
    };
    say("the first");
    let wide = fits(100, "the first");
    terminal.tmux(&["resize-window", "-t", "=t:", "-x", "40", "-y", "30"]).ok();
    terminal.tmux(&["send-keys", "-t", "=t:", "-R"]).ok();
    terminal.tmux(&["clear-history", "-t", "=t:"]).ok();
    say("the second");
    let narrow = fits(40, "the second");
    assert!(narrow > wide, "{narrow} lines are not more than {wide}");
    write_file(&sealed.base().join("stop"), "");
    sealed.orch(["task", "run", "1"]).ok();
    terminal.tmux(&["kill-server"]).ok();
    sealed.finish();
}

/// Returns the instructions for the agent's own tools: create a file, and take half a second.
fn tools(agent: Agent) -> Rule {
    let word = format!("TOOLS-{}", agent.name());
    let patch = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: made.txt\n+one\n+two\n*** End Patch\nEOF";
    let tool = |name: &str, path: &str| Action::Tool {
        name: name.to_owned(),
        input: json!({ path: "made.txt", "content": "one\ntwo\n" }),
    };
    let edit = match agent {
        Agent::Claude => tool("Write", "file_path"),
        Agent::Codex => Action::Command(patch.to_owned()),
        Agent::Opencode => tool("write", "filePath"),
    };
    Rule::on(&word).step(edit).command("sleep 0.5; echo slept").done("made a file")
}

/// Returns the duration that codex reports for the command, in milliseconds.
fn codex_counted(raw: &str) -> u64 {
    let text = raw.lines().filter(|line| line.contains("echo slept"));
    let text = text.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    text.filter_map(|line| line.pointer("/params/item/durationMs")?.as_u64()).max().expect("a duration of codex's")
}

fn a_run_with_tools(agent: Agent) {
    let mut script = Script::standard();
    script = script.first(tools(agent));
    let server = ModelServer::start(script);
    let mut sealed = SealedBox::new();
    sealed.with_agents(&[agent], &server, "router: {mode: round_robin}\n");
    let repo = sealed.repo("shop");
    sealed.orch_in(repo.dir(), ["init"]).ok();
    let body = format!("TOOLS-{}", agent.name());
    sealed.orch_in(repo.dir(), ["task", "add", "Use tools", "-b", &body, "-l", "complexity:simple"]).ok();
    sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN * 2).run().code_is(0);
    let log = sealed.orch(["task", "log", "1"]).ok().stdout;
    let events = sealed.orch(["stream", "1", "--events", "--from-start"]).ok().stdout;
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();

    let name = if agent == Agent::Codex {
        "shell"
    } else if agent == Agent::Claude {
        "Bash"
    } else {
        "bash"
    };
    let after = log.split_once(&format!("▸ {name}: sleep 0.5; echo slept\n  ✓ ")).unwrap_or_else(|| panic!("{log}")).1;
    let took: f64 = after.split_once(" s · slept\n").expect(&log).0.parse().expect(&log);
    // codex measures the duration itself, starting a moment after the command.
    let raw = sealed.orch(["stream", "1", "--raw", "--from-start"]).ok().stdout;
    let least = if agent == Agent::Codex { codex_counted(&raw) } else { 500 };
    assert!(took < 60.0 && took >= (least / 100) as f64 / 10.0, "{least}: {log}");
    assert!(log.contains("made.txt +2 −0\n    + one\n    + two\n"), "{log}");
    let last = log.lines().last().expect("a last line");
    assert!(last.starts_with("— run ended: turn completed, done, ") && last.contains(" in, "), "{last}");
    assert_eq!(last.contains("; $"), agent != Agent::Codex, "{last}");
    assert_eq!(last.contains("; cost unknown"), agent == Agent::Codex, "{last}");

    let slept =
        of("tool_result").into_iter().find(|result| result["output"].as_str().is_some_and(|o| o.contains("slept")));
    assert!(slept.expect("the result")["took_ms"].as_u64().is_some_and(|took| took >= least), "{events:#?}");
    let edit = of("tool_result").into_iter().find_map(|result| result["edits"].get(0)).expect("a change");
    assert_eq!((&edit["kind"], &edit["added"], &edit["diff"]), (&json!("add"), &json!(2), &json!("+one\n+two\n")));
    let spent = of("spent");
    assert!(!spent.is_empty() && spent.iter().all(|spent| spent["usage"]["input"].is_u64()), "{events:#?}");
    let (sum, end) = (spent[spent.len() - 1], events.last().expect("an end"));
    assert_eq!((&end["type"], &end["cost_usd"]), (&json!("run_ended"), &sum["cost_usd"]));
    assert_eq!(end["cost_usd"].is_number(), agent != Agent::Codex, "{end}");
    assert_eq!(end["usage"], sum["usage"], "{events:#?}");
    drop(server);
    sealed.finish();
}

#[test]
fn a_run_of_claude_shows_its_tools_its_changes_and_what_it_used() {
    a_run_with_tools(Agent::Claude);
}

#[test]
fn a_run_of_codex_shows_its_tools_its_changes_and_what_it_used() {
    a_run_with_tools(Agent::Codex);
}

#[test]
fn a_run_of_opencode_shows_its_tools_its_changes_and_what_it_used() {
    a_run_with_tools(Agent::Opencode);
}
