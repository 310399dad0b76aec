//! Tests of a second reading after a runner was killed: no line is lost, and none is repeated.

use super::*;
use crate::launch::Limits;
use crate::render::Renderer;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::models::agents::{DialectKind, LaunchSpec};
use orch_core::tasks::outcome::RunKind;
use orch_core::text::redact::Redactor;
use orch_core::text::styled::LineStyle;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// A run whose output the test writes. A dropped reading represents a killed runner.
struct Run {
    _home: tempfile::TempDir,
    dir: RunDir,
    launch: Launch,
}

impl Run {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let dir = RunDir::new(home.path());
        let spec = LaunchSpec {
            program: "/bin/true".into(),
            args: Vec::new(),
            cwd: home.path().to_owned(),
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            stdin: Stdin::Prompt,
            files: BTreeMap::new(),
            opening: serde_json::Value::Null,
        };
        let launch = Launch {
            run_id: RunId::new(TaskId(7), 1, 1),
            task_id: TaskId(7),
            kind: RunKind::Work,
            agent: "mybot".into(),
            model: None,
            dialect: DialectKind::Command,
            spec,
            limits: Limits::default(),
            redact: Vec::new(),
            messages: Vec::new(),
            wake_socket: None,
        };
        let run = Self { _home: home, dir, launch };
        run.print("");
        OpenOptions::new().append(true).create(true).open(run.dir.stderr()).expect("writable");
        run
    }

    fn print(&self, text: &str) {
        let open = OpenOptions::new().append(true).create(true).open(self.dir.events());
        open.and_then(|mut file| file.write_all(text.as_bytes())).expect("writable");
    }

    fn print_lines(&self, lines: impl IntoIterator<Item = impl Display>) {
        self.print(&lines.into_iter().map(|line| format!("{line}\n")).collect::<String>());
    }

    fn transcript(&self) -> Transcript {
        Transcript::open(&self.dir, Renderer::new(Redactor::default()), None).expect("files")
    }

    /// Reads as the runner does.
    fn reading(&self) -> Reading {
        Reading::open(&self.dir, &self.launch, self.transcript()).expect("files")
    }

    /// Reads as `finish_lost` does.
    fn again(&self) -> Reading {
        let mut transcript = self.transcript();
        transcript.resume().expect("files");
        Reading::open(&self.dir, &self.launch, transcript).expect("files")
    }

    /// Reads all that is there as a runner that is then killed.
    fn read_and_die(&self) {
        let mut reading = self.reading();
        while reading.step() {}
    }

    fn lines_of(&self, path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).expect("readable");
        assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
        text.lines().map(str::to_owned).collect()
    }

    /// Returns the transcript without its first two lines, which name the run and say that it has started.
    fn transcript_lines(&self) -> Vec<String> {
        self.lines_of(&self.dir.transcript())[2..].to_vec()
    }
}

#[test]
fn new_output_after_a_flood_that_was_rendered_is_rendered_with_the_gap_marked() {
    let run = Run::new();
    run.print_lines((0..2000).map(|n| format!("before {n}")));
    run.read_and_die();
    run.print_lines((0..40_000).map(|n| format!("after {n}")));
    let mut reading = run.again();
    reading.finish_lines(100);
    drop(reading);
    for lines in [run.transcript_lines(), run.lines_of(&run.dir.raw())] {
        let before: Vec<&String> = lines.iter().filter(|line| line.starts_with("before ")).collect();
        assert_eq!(before.len(), 2000);
        assert_eq!(lines.last().map(String::as_str), Some("after 39999"));
        assert!(!lines.contains(&"after 30000".to_owned()), "the limit holds for what is new");
    }
    assert!(run.transcript_lines().iter().any(|line| line.contains(" bytes of output are left out here")));
}

#[test]
fn of_a_flood_before_the_first_reading_the_beginning_and_the_end_are_rendered() {
    let run = Run::new();
    run.print_lines((0..40_000).map(|n| format!("line {n}")));
    let mut reading = run.reading();
    reading.finish_lines(100);
    drop(reading);
    let lines = run.transcript_lines();
    assert_eq!(
        (lines.first().map(String::as_str), lines.last().map(String::as_str)),
        (Some("line 0"), Some("line 39999"))
    );
    assert!(lines.contains(&"line 1000".to_owned()) && !lines.contains(&"line 30000".to_owned()));
    assert!(lines.iter().any(|line| line.contains(" bytes of output are left out here")));
}

#[test]
fn a_partial_line_at_the_end_of_the_transcript_is_written_again_as_a_whole() {
    let run = Run::new();
    run.print_lines(["one", "two"]);
    run.read_and_die();
    let log = OpenOptions::new().write(true).open(run.dir.transcript()).expect("a transcript");
    log.set_len(log.metadata().expect("known").len() - 2).expect("writable");
    run.print_lines(["three"]);
    run.again().finish_lines(u64::MAX);
    assert_eq!(run.transcript_lines(), ["one", "two", "three"]);
}

#[test]
fn orchs_own_lines_hide_no_line_of_the_agent() {
    let run = Run::new();
    run.print_lines(["one"]);
    let mut reading = run.reading();
    reading.step();
    reading.transcript.aside("ending the agent: enough");
    drop(reading);
    run.print_lines(["two", "three"]);
    for _ in 0..2 {
        run.again().finish_lines(u64::MAX);
        assert_eq!(run.transcript_lines(), ["one", "— ending the agent: enough", "two", "three"]);
    }
}

#[test]
fn the_last_lines_are_written_once_and_again_after_a_partial_write() {
    let run = Run::new();
    run.print_lines(["one"]);
    let last = ["stderr: oh".to_owned(), "run ended".to_owned()];
    let finish = |torn: u64| {
        let log = OpenOptions::new().write(true).open(run.dir.transcript()).expect("a transcript");
        log.set_len(log.metadata().expect("known").len() - torn).expect("writable");
        let mut reading = run.again();
        reading.finish_lines(u64::MAX);
        reading.transcript.end(&last);
        drop(reading);
        assert_eq!(run.transcript_lines(), ["one", "— stderr: oh", "— run ended"]);
    };
    run.read_and_die();
    [0, 0, 3, 14, 0].into_iter().for_each(finish);
}

#[test]
fn output_after_a_gap_is_read_anew() {
    let run = Run::new();
    run.print_lines(["one"]);
    run.read_and_die();
    run.print_lines((0..40_000).map(|n| format!("after {n}")));
    let mut once = Vec::new();
    for _ in 0..2 {
        run.again().finish_lines(100);
        let now = [run.transcript_lines(), run.lines_of(&run.dir.raw())];
        assert!(once.is_empty() || once == now, "{once:?} {now:?}");
        once = now.to_vec();
    }
}

#[test]
fn lines_that_a_full_disk_did_not_take_are_not_written_after_the_line_that_counts_them() {
    let run = Run::new();
    run.print_lines(["one"]);
    let mut reading = run.reading();
    reading.step();
    reading.transcript.with_full_disk(|transcript| {
        transcript.aside("lost, too");
        for n in 2..5 {
            transcript.event(&AgentEvent::Text { text: format!("lost {n}") });
        }
        transcript.flush();
    });
    run.print_lines(["lost 2", "lost 3", "lost 4"]);
    reading.transcript.event(&AgentEvent::Text { text: "five".to_owned() });
    reading.transcript.flush();
    drop(reading);
    run.print_lines(["five", "six"]);
    run.again().finish_lines(u64::MAX);
    let lines = run.transcript_lines();
    let (gap, rest) = lines[1..].split_first().expect("a gap");
    assert!(gap.starts_with("— 4 lines could not be written here: "), "{lines:?}");
    assert_eq!((lines[0].as_str(), rest), ("one", ["five".to_owned(), "six".to_owned()].as_slice()));
}

#[test]
fn colours_after_a_gap_stand_on_the_lines_that_they_were_meant_for() {
    let run = Run::new();
    let mut transcript = run.transcript();
    let say = |transcript: &mut Transcript, text: &str| {
        transcript.event(&AgentEvent::Warning { text: text.to_owned() });
        transcript.flush();
    };
    say(&mut transcript, "before");
    transcript.with_full_disk(|transcript| say(transcript, "lost"));
    say(&mut transcript, "after the gap");
    say(&mut transcript, "and more");
    let text = std::fs::read_to_string(run.dir.transcript()).expect("readable");
    let styles = run.lines_of(&run.dir.styles());
    let styled = styles.iter().map(|record| {
        let style = LineStyle::parse(record).expect("a record");
        let from = usize::try_from(style.offset).expect("a place");
        &text[from..from + usize::try_from(style.length).expect("a length")]
    });
    assert_eq!(styled.collect::<Vec<_>>(), ["! before", "! after the gap", "! and more"]);
}

#[test]
fn carriage_returns_make_no_empty_lines_and_hide_none() {
    let run = Run::new();
    run.print("one\r\n10%\r50%\r\ntwo\r\n");
    run.read_and_die();
    run.print("three\r\nfour\r\n");
    run.again().finish_lines(u64::MAX);
    assert_eq!(run.lines_of(&run.dir.raw()), ["one", "10%", "50%", "two", "three", "four"]);
}

#[test]
fn the_end_of_a_run_is_recorded_once_however_much_was_recorded_before() {
    let run = Run::new();
    let line = format!("{}\n", "x".repeat((1 << 20) - 1));
    let many: String = (0..65).map(|_| line.as_str()).collect();
    let mut full = OpenOptions::new().append(true).create(true).open(run.dir.activity()).expect("a file");
    full.write_all(many.as_bytes()).expect("writable");
    for round in 0..2 {
        run.print_lines((0..100).map(|n| format!("{round} {n}")));
        let mut reading = run.again();
        reading.finish_lines(u64::MAX);
        let outcome = Outcome::Cancelled { detail: "enough".to_owned() };
        reading.end_records(&outcome, &Ending::default());
        drop(reading);
        let lines = run.lines_of(&run.dir.activity());
        assert_eq!(lines.len(), 66);
        assert!(lines[65].contains(r#""type":"run_ended""#), "{}", lines[65]);
    }
}
