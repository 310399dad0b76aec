//! Every recorded run of the real agent CLIs, read by its dialect, against the table `fixtures/agents/expected.txt`:
//! one line per case, none without a recording, no recording without a line.

use orch_core::models::agents::{DialectKind, EventReader};
use orch_core::tasks::answer::AnswerStatus;
use orch_core::tasks::outcome::{AgentEvent, Ending, Exit, FailureClass, Outcome, RunKind};
use proptest::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// One recorded run.
struct Case {
    agent: DialectKind,
    /// `<agent>/<case>`.
    name: String,
    stdout: String,
    meta: Value,
    /// The agent's own session file, where it was recorded.
    record: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agents")
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let agents = [("claude", DialectKind::Claude), ("codex", DialectKind::Codex), ("opencode", DialectKind::Opencode)];
    for (folder_name, agent) in agents {
        let folder = folder().join(folder_name);
        for entry in fs::read_dir(&folder).expect("the folder of an agent") {
            let file = entry.expect("an entry").file_name().into_string().expect("a plain name");
            let Some(case) = file.strip_suffix(".meta.json") else { continue };
            let read = |end: &str| fs::read_to_string(folder.join(format!("{case}{end}")));
            cases.push(Case {
                agent,
                name: format!("{folder_name}/{case}"),
                stdout: read(".jsonl").expect("the recorded output"),
                meta: serde_json::from_str(&read(".meta.json").expect("its facts")).expect("JSON"),
                record: read(".rollout.jsonl").unwrap_or_default(),
            });
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    fn find(name: &str) -> Self {
        cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no recording {name}"))
    }

    fn exit(&self) -> Exit {
        let signal = self.meta["signal"].as_str().map(|name| match name {
            "SIGINT" => 2,
            "SIGKILL" => 9,
            "SIGTERM" => 15,
            other => panic!("{}: unknown signal {other}", self.name),
        });
        Exit { code: self.meta["exit_code"].as_i64().map(|code| i32::try_from(code).expect("an exit code")), signal }
    }

    /// The reader for it: Codex has two protocols.
    fn reader(&self) -> Box<dyn EventReader> {
        let dialect = self.agent.dialect();
        if self.name.contains("/app-server-") {
            return dialect.live_reader(&Value::Null).expect("Codex can be talked to");
        }
        dialect.reader(RunKind::Work)
    }

    fn stderr(&self) -> &str {
        self.meta["stderr_tail"].as_str().unwrap_or_default()
    }

    /// Reads the whole run.
    fn read(&self) -> (Vec<AgentEvent>, Box<dyn EventReader>, Ending) {
        let mut reader = self.reader();
        let events = self.stdout.lines().flat_map(|line| reader.line(line)).collect();
        for line in self.record.lines() {
            reader.session_record_line(line);
        }
        let ending = reader.finish(self.exit(), self.stderr());
        (events, reader, ending)
    }

    /// The line of the table that the run amounts to.
    fn row(&self) -> String {
        let (events, reader, ending) = self.read();
        let end = match &ending.failure {
            None => "ok".to_owned(),
            Some(failure) => failure.class.to_string(),
        };
        let answer = match Outcome::from_ending(&ending) {
            Outcome::Finished { answer } if answer.status == AnswerStatus::Done => "done",
            Outcome::Finished { .. } => "other",
            Outcome::Failed(failure) if failure.class == FailureClass::Malformed => "malformed",
            Outcome::Failed(_) | Outcome::Cancelled { .. } => "-",
        };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let usage = ending.usage;
        let tokens = [usage.input, usage.output, usage.cached].map(|n| or_dash(n.map(|n| n.to_string()))).join("/");
        let total = if ending.usage_is_thread_total { " of thread" } else { "" };
        let hopeless = if reader.fatal_failure().is_some() { " hopeless" } else { "" };
        let collided = reader.is_start_collision(self.exit(), self.stderr());
        let columns = [
            self.name.clone(),
            end,
            answer.to_owned(),
            if ending.session_id.is_some() { "session" } else { "-" }.to_owned(),
            or_dash(ending.model),
            format!("{tokens}{total}"),
            or_dash(ending.cost.map(|cost| format!("{} µ$", cost.micros()))),
            or_dash(ending.failure.and_then(|failure| failure.retry_at).map(|at| at.to_string())),
            or_dash((!ending.denials.is_empty()).then(|| ending.denials.join("; "))),
            format!("{}{}", trace(&events), if collided { " collided" } else { hopeless }),
        ];
        columns.join(" | ")
    }

    /// Recorded over a protocol that no reader of lines reads: a server's events, see `agents::opencode::conversation`.
    fn other_protocol(&self) -> bool {
        self.name.ends_with("/serve-events")
    }

    fn other_row(&self) -> String {
        let (events, reader, _) = self.read();
        assert!(events.is_empty() && reader.fatal_failure().is_none(), "{}: read as events: {events:?}", self.name);
        for line in self.stdout.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok_and(|value| value.is_object()), "{}: {line}", self.name);
        }
        format!("{} | other protocol | {} lines", self.name, self.stdout.lines().count())
    }
}

/// The events in order, a letter each.
fn trace(events: &[AgentEvent]) -> String {
    let letters: String = events
        .iter()
        .filter(|event| !matches!(event, AgentEvent::Spent { .. }))
        .map(|event| match event {
            AgentEvent::Started { .. } => 'S',
            AgentEvent::Text { .. } => 'T',
            AgentEvent::Reasoning { .. } => 'R',
            AgentEvent::ToolCall { .. } => 'C',
            AgentEvent::ToolResult { ok: true, .. } => '+',
            AgentEvent::ToolResult { ok: false, .. } => '-',
            AgentEvent::Retry { .. } => '~',
            AgentEvent::Warning { .. } => 'W',
            AgentEvent::Error { .. } => 'E',
            AgentEvent::Heard { .. } => 'H',
            AgentEvent::Spent { .. } => '$',
            AgentEvent::TurnEnded => '.',
        })
        .collect();
    match letters.len() {
        0 => "silent".to_owned(),
        1..=24 => letters,
        many => format!("{}… {many}", &letters[..12]),
    }
}

fn expected() -> Vec<String> {
    let table = fs::read_to_string(folder().join("expected.txt")).expect("the table");
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn name(row: &str) -> &str {
    row.split(" | ").next().unwrap_or_default()
}

#[test]
fn every_recorded_run_is_read_as_the_table_says() {
    let expected = expected();
    let mut wrong = Vec::new();
    for case in cases() {
        let row = if case.other_protocol() { case.other_row() } else { case.row() };
        if !expected.contains(&row) {
            let wanted = expected.iter().find(|line| name(line) == case.name).map_or("no line", String::as_str);
            wrong.push(format!("expected {wanted}\n     got {row}"));
        }
    }
    assert!(wrong.is_empty(), "{} of the recordings are read differently:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_table_and_the_recordings_have_the_same_cases() {
    let mut listed: Vec<String> = expected().iter().map(|row| name(row).to_owned()).collect();
    listed.sort();
    let recorded: Vec<String> = cases().into_iter().map(|case| case.name).collect();
    assert_eq!(listed, recorded);
    assert_eq!(recorded.len(), 145);
}

#[test]
fn a_run_cut_off_at_any_line_is_never_taken_for_a_good_end() {
    for case in cases().iter().filter(|case| !case.other_protocol()) {
        let lines: Vec<&str> = case.stdout.lines().collect();
        for cut in 0..lines.len() {
            let mut reader = case.reader();
            lines[..cut].iter().for_each(|line| drop(reader.line(line)));
            let (over, ending) = (reader.turn_ended(), reader.finish(Exit { code: None, signal: Some(9) }, ""));
            assert_eq!(ending.failure.is_none(), over && case.ended_well(cut), "{} cut at {cut}", case.name);
        }
    }
}

impl Case {
    /// Whether the end event of a good turn is among the first lines.
    fn ended_well(&self, lines: usize) -> bool {
        let last = self.stdout.lines().take(lines).filter_map(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            if event["method"] == "turn/completed" {
                return Some(event["params"]["turn"]["status"] == "completed");
            }
            match (event["type"].as_str()?, event["subtype"].as_str()) {
                ("result", _) => Some(event["is_error"] == false && event["num_turns"] != 0),
                ("turn.completed", _) => Some(true),
                ("step_finish", _) => Some(event["part"]["reason"] == "stop"),
                ("error", _) => Some(false),
                _ => None,
            }
        });
        last.last().unwrap_or(false)
    }
}

#[test]
fn a_failure_shows_its_cause_in_one_line() {
    for case in cases().iter().filter(|case| !case.other_protocol()) {
        let (_, _, ending) = case.read();
        let Some(failure) = ending.failure else { continue };
        assert!(!failure.detail.is_empty() && !failure.detail.contains(['\n', '\u{1b}']), "{}: {failure:?}", case.name);
    }
    let detail = |name: &str| Case::find(name).read().2.failure.unwrap().detail;
    assert_eq!(detail("opencode/resume-unknown"), "Error: Session not found");
    assert_eq!(
        detail("claude/resume-unknown"),
        "No conversation found with session ID: 00000000-0000-4000-8000-000000000000"
    );
    assert_eq!(detail("codex/hang-sigterm"), "ended by signal 15");
    assert!(detail("codex/not-a-repository").starts_with("exit code 1: Not inside a trusted directory"));
    assert!(detail("codex/rate-limit-long").ends_with("ended by signal 15 while it waited to try again"));
    assert_eq!(detail("claude/slash-command"), "the model was never asked: Unknown command: /nosuch");
}

#[test]
fn the_codex_session_file_shows_the_runs_own_tokens_and_is_found_by_its_thread() {
    let case = Case::find("codex/resume");
    let (_, reader, ending) = case.read();
    assert!(ending.usage_is_thread_total);
    assert_eq!(reader.session_record_suffix(), Some(format!("-{}.jsonl", ending.session_id.unwrap())));

    let mut reader = case.agent.dialect().reader(RunKind::Work);
    case.stdout.lines().for_each(|line| drop(reader.line(line)));
    let tokens = |input: u64, output: u64| {
        format!(
            r#"{{"payload":{{"type":"token_count","info":{{"total_token_usage":{{"input_tokens":{input},"cached_input_tokens":{},"output_tokens":{output}}}}}}}}}"#,
            input / 11
        )
    };
    let started = r#"{"payload":{"type":"task_started"}}"#;
    for line in [started, &tokens(110, 20), &tokens(220, 40), started, &tokens(330, 60)] {
        reader.session_record_line(line);
    }
    let ending = reader.finish(case.exit(), "");
    assert!(!ending.usage_is_thread_total);
    assert_eq!((ending.usage.input, ending.usage.output, ending.usage.cached), (Some(100), Some(20), Some(10)));
}

#[test]
fn tool_calls_are_one_readable_line() {
    let calls = |name: &str| -> Vec<String> {
        let (events, _, _) = Case::find(name).read();
        events
            .into_iter()
            .filter_map(|event| {
                let AgentEvent::ToolCall { name, input, .. } = event else { return None };
                Some(format!("{name}: {input}"))
            })
            .collect()
    };
    let commit = r"printf 'hello\n' > hello.txt && git add hello.txt && git commit -q -m 'Add hello.txt' && git log --oneline -1";
    assert_eq!(calls("claude/success-commit"), [format!("Bash: {commit}")]);
    assert_eq!(calls("codex/success-commit"), [format!("shell: {commit}")]);
    assert_eq!(calls("opencode/success-commit"), [format!("bash: {commit}")]);
    assert_eq!(calls("codex/patch"), ["edit: $WORKTREE/README.md (update), $WORKTREE/patched.txt (add)"]);
}

#[test]
fn opencode_that_waits_in_silence_is_understood_by_its_log() {
    let case = Case::find("opencode/rate-limit-logs");
    let log = case.meta["stderr_tail"].as_str().expect("a log");
    let killed = Exit { code: None, signal: Some(15) };
    let ending = case.agent.dialect().reader(RunKind::Work).finish(killed, log);
    let failure = ending.failure.expect("a failure");
    assert_eq!(failure.class, FailureClass::RateLimited);
    assert_eq!(failure.retry_at.expect("a time").to_string(), "2026-11-20T07:38:48.741Z");
    assert_eq!(ending.session_id.as_deref(), Some("ses_e081b8e65ffent0jTwoyyKHyMp"));

    // An event that came later shows that the request was repeated with success.
    let mut reader = case.agent.dialect().reader(RunKind::Work);
    reader.line(r#"{"type":"step_start","timestamp":1795200000000,"sessionID":"ses_1","part":{}}"#);
    assert_eq!(reader.finish(killed, log).failure.expect("a failure").class, FailureClass::Killed);
}

/// Lines as they might come: recorded ones, damaged ones, anything.
fn any_line(recorded: Vec<String>) -> impl Strategy<Value = String> {
    let recorded = prop::sample::select(recorded);
    let damaged = (recorded.clone(), any::<prop::sample::Index>(), "[\\PC]{0,3}").prop_map(
        |(line, at, put): (String, prop::sample::Index, String)| {
            let at = (0..=at.index(line.len() + 1)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            format!("{}{put}{}", &line[..at], &line[at..])
        },
    );
    let numbers = recorded.clone().prop_map(|line| line.replace("100", "18446744073709551615").replace("20", "-1"));
    let types = recorded.clone().prop_map(|line| line.replace("\"text\":\"", "\"text\":[],\"x\":\""));
    prop_oneof![4 => recorded, 1 => damaged, 1 => numbers, 1 => types, 1 => ".{0,40}", 1 => Just("{}".to_owned())]
}

fn recorded_lines() -> Vec<String> {
    let lines = |case: &Case| case.stdout.lines().chain(case.record.lines()).map(str::to_owned).collect::<Vec<_>>();
    cases().iter().flat_map(lines).filter(|line| line.len() < 4_000).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_mix_of_lines_is_read_without_a_panic(
        lines in prop::collection::vec(any_line(recorded_lines()), 0..40),
        code in prop::option::of(any::<i32>()),
        signal in prop::option::of(any::<i32>()),
        stderr in ".{0,80}",
    ) {
        for kind in [DialectKind::Claude, DialectKind::Codex, DialectKind::Opencode, DialectKind::Command] {
            let messages = [RunKind::Work, RunKind::Review, RunKind::Route].map(|run| kind.dialect().reader(run));
            let live = kind.dialect().live_reader(&Value::Null).map(|live| -> Box<dyn EventReader> { live });
            for mut reader in messages.into_iter().chain(live) {
                for line in &lines {
                    reader.line(line);
                    reader.session_record_line(line);
                    let _ = (reader.fatal_failure(), reader.turn_ended(), reader.session_record_suffix());
                }
                let ending = reader.finish(Exit { code, signal }, &stderr);
                let _ = Outcome::from_ending(&ending);
                prop_assert_eq!(&ending, &reader.finish(Exit { code, signal }, &stderr));
            }
        }
    }
}

#[test]
fn a_line_of_megabytes_is_cut_between_characters() {
    let text = "ä".repeat(3_000_000);
    let line = serde_json::json!({"type": "item.completed", "item": {"id": "1", "type": "command_execution",
        "command": text, "aggregated_output": text, "exit_code": 0, "status": "completed"}});
    let events = DialectKind::Codex.dialect().reader(RunKind::Work).line(&line.to_string());
    let [AgentEvent::ToolCall { input, .. }, AgentEvent::ToolResult { output, .. }] = events.as_slice() else {
        panic!("unexpected {events:?}")
    };
    assert!(input.chars().count() < 1_000);
    assert!(output.chars().count() < 10_000);
}
