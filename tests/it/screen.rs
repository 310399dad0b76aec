//! Agents that only have a screen, from the configuration to the stream: a real daemon, real tmux, programs that draw,
//! and what a person does in the pane.

use crate::kit::process::{Ran, Running, find_program};
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::terminal::Terminal;
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    /// The agent `drawer` is this script; `$GO` is a file that the test makes.
    fn new(script: &str) -> Self {
        let sealed = SealedBox::new();
        let go = sealed.base().join("go");
        let end = "echo more >> README.md; git commit -qam told";
        sealed.program("drawer", &format!("#!/bin/sh\nGO='{}'\n{script}\n{end}\n", go.display()));
        sealed
            .config("agents: {drawer: {kind: command, command: drawer, mode: screen}}\nworkflow: {max_attempts: 1}\n");
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn add(&self) {
        let args = ["task", "add", "Draw", "-l", "agent:drawer"];
        self.sealed.orch_in(self.repo.dir(), args).ok();
    }

    fn go(&self) {
        write_file(&self.sealed.base().join("go"), "");
    }

    fn stream(&self) -> Running {
        let args = ["stream", "1", "--from-start", "--json"];
        self.sealed.run_program(ORCH).args(args).deadline(RUN).start()
    }

    /// The directory of the task's run, as soon as its transcript has `text`.
    fn run_with(&self, text: &str) -> PathBuf {
        let runs = self.sealed.orch_home().join(".orch/runs");
        wait::wait_some(&format!("the transcript to have {text:?}"), RUN, || {
            let mut entries = std::fs::read_dir(&runs).ok()?.flatten().map(|entry| entry.path());
            let dir =
                entries.find(|dir| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("1-1-")))?;
            std::fs::read_to_string(dir.join("transcript.log")).is_ok_and(|log| log.contains(text)).then_some(dir)
        })
    }

    /// tmux, with a target that is the session of the run.
    fn tmux(&self, run: &Path, command: &[&str], rest: &[&str]) -> Ran {
        let socket = self.sealed.tmux_socket().expect("a tmux server");
        let session = std::fs::read_to_string(run.join("session.txt")).expect("a session");
        let target = format!("={}:", session.trim());
        let args = [&["-S", socket.to_str().expect("text")], command, &["-t", &target], rest].concat();
        self.sealed.run_program("tmux").args(args).run().ok()
    }

    fn pane(&self, run: &Path) -> String {
        self.tmux(run, &["capture-pane", "-p"], &[]).stdout
    }

    fn see(&self, run: &Path, text: &str) {
        wait::wait_until(&format!("the pane to show {text:?}"), SOON, || self.pane(run).contains(text));
    }

    fn keys(&self, run: &Path, keys: &[&str]) {
        self.tmux(run, &["send-keys"], keys);
    }
}

/// Returns a program's output without orch's own lines.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('—')).collect()
}

fn content(ran: &Ran) -> String {
    let events: Vec<Value> = ran.json_lines();
    events.iter().filter(|event| event["type"] == "output").filter_map(|event| event["content"].as_str()).collect()
}

fn has(program: &str) -> bool {
    find_program(Path::new(program), "/usr/bin:/bin".as_ref()).is_some()
}

#[test]
fn a_person_sees_the_program_in_the_pane_and_answers_it_and_the_stream_has_each_line_once() {
    let mut fixture = Fixture::new(
        r"echo 'begin'; i=0; while [ $i -lt 30 ]; do i=$((i+1)); printf '\r\033[Kbuilding %d/30' $i; sleep 0.01; done; echo
        printf '\033[H\033[2J'; echo begin; echo building 30/30; printf '\033[32mgo on?\033[0m '; read answer
        echo the answer is $answer; grep -c Draw $ORCH_PROMPT_FILE",
    );
    fixture.sealed.serve();
    fixture.add();
    let stream = fixture.stream();
    let run = fixture.run_with("go on?");
    fixture.see(&run, "go on?");
    let colours = fixture.tmux(&run, &["capture-pane", "-p", "-e"], &[]).stdout;
    assert!(colours.contains("\u{1b}[32m"), "the real program, with its colours: {colours:?}");
    fixture.tmux(&run, &["resize-window"], &["-x", "70", "-y", "20"]);
    fixture.keys(&run, &["yes please", "Enter"]);
    let ran = stream.finish(RUN).code_is(0);
    let text = content(&ran);
    let said = lines(&text);
    let expected = ["begin", "building 30/30", "go on?", "go on? yes please", "the answer is yes please"];
    assert_eq!(said[..5], expected, "{text}");
    assert!(said[5].parse::<u32>().is_ok_and(|found| found > 0), "the prompt came as a file: {text}");
    assert_eq!(text, std::fs::read_to_string(run.join("transcript.log")).expect("readable"));
    fixture.sealed.finish();
}

#[test]
fn lines_are_there_once_though_daemon_and_tmux_are_killed_and_another_daemon_takes_over() {
    let mut fixture = Fixture::new(
        r"i=0; while [ ! -e $GO ]; do i=$((i+1)); printf '\rworking'; printf '\r\033[Kline %d\n' $i
        [ $((i % 20)) = 0 ] && printf '\033[H\033[2J'; sleep 0.01; done; echo finished",
    );
    fixture.sealed.serve();
    fixture.add();
    let stream = fixture.stream();
    let run = fixture.run_with("line 30\n");
    let server = fixture.tmux(&run, &["display-message", "-p"], &["#{pid}"]).stdout;
    fixture.sealed.kill_daemon();
    let server = server.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(server, Signal::KILL).expect("tmux lives");
    let reached = || std::fs::read_to_string(run.join("transcript.log")).map_or(0, |text| text.lines().count());
    let before = reached();
    wait::wait_until("lines without daemon and tmux", SOON, || reached() > before + 30);
    fixture.sealed.serve();
    let before = reached();
    wait::wait_until("lines under the next daemon", SOON, || reached() > before + 30);
    fixture.go();
    let text = content(&stream.finish(RUN).code_is(0));
    let said = lines(&text);
    let expected: Vec<String> = (1..said.len()).map(|n| format!("line {n}")).chain(["finished".to_owned()]).collect();
    assert_eq!(said, expected);
    fixture.sealed.finish();
}

#[test]
fn control_c_in_the_pane_reaches_the_program_and_interrupting_the_task_ends_it() {
    let mut fixture = Fixture::new("trap 'echo not yet' INT; echo ready; while [ ! -e $GO ]; do sleep 0.05; done");
    fixture.sealed.serve();
    fixture.add();
    let run = fixture.run_with("ready");
    fixture.keys(&run, &["C-c"]);
    fixture.run_with("not yet");
    assert!(!run.join("outcome.json").exists(), "the key is the program's, not the runner's");
    fixture.sealed.orch(["task", "cancel", "1"]).ok();
    wait::wait_until("the end of the run", RUN, || run.join("outcome.json").exists());
    let outcome = std::fs::read_to_string(run.join("outcome.json")).expect("readable");
    assert!(outcome.contains("\"why\": \"asked\""), "{outcome}");
    fixture.sealed.finish();
}

#[test]
fn a_pager_is_followed_page_by_page() {
    if !has("less") {
        return;
    }
    let mut fixture = Fixture::new(
        "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo \"row $i.\"; done > \"$TMPDIR/rows\"; less \"$TMPDIR/rows\"; echo read it",
    );
    fixture.sealed.serve();
    fixture.add();
    let run = fixture.run_with("row 1.");
    fixture.see(&run, "row 1.");
    fixture.keys(&run, &["Space"]);
    fixture.see(&run, "row 60.");
    // Back to what was seen before, and forward again: nothing of that is new.
    fixture.keys(&run, &["b"]);
    fixture.see(&run, "row 1.");
    fixture.keys(&run, &["Space"]);
    fixture.see(&run, "row 60.");
    fixture.run_with("row 60.");
    fixture.keys(&run, &["q"]);
    fixture.run_with("read it");
    wait::wait_until("the end of the run", RUN, || run.join("outcome.json").exists());
    let text = std::fs::read_to_string(run.join("transcript.log")).expect("readable");
    let rows: Vec<&str> = lines(&text).into_iter().filter(|line| line.starts_with("row ")).collect();
    let expected: Vec<String> = (1..=rows.len()).map(|row| format!("row {row}.")).collect();
    assert!(rows == expected && rows.len() > 60, "{text}");
    fixture.sealed.finish();
}

#[test]
fn an_editor_is_driven_by_keys_and_leaves_the_pane_as_it_was() {
    if !has("vi") {
        return;
    }
    let mut fixture = Fixture::new("echo before; vi \"$TMPDIR/note\"; cat \"$TMPDIR/note\"; echo after");
    fixture.sealed.serve();
    fixture.add();
    let run = fixture.run_with("before");
    fixture.see(&run, "~");
    fixture.keys(&run, &["i", "typed by hand", "Escape"]);
    fixture.see(&run, "typed by hand");
    fixture.keys(&run, &[":wq", "Enter"]);
    fixture.run_with("after");
    wait::wait_until("the end of the run", RUN, || run.join("outcome.json").exists());
    let text = std::fs::read_to_string(run.join("transcript.log")).expect("readable");
    let said = lines(&text);
    assert_eq!(said[said.len() - 2..], ["typed by hand", "after"], "{text}");
    fixture.sealed.finish();
}

#[test]
fn a_stuck_pane_holds_nobody_up_and_shows_later_how_things_stand() {
    let mut fixture =
        Fixture::new("echo ready; while [ ! -e $GO ]; do sleep 0.05; done; seq 100000; echo flooded; read answer");
    fixture.sealed.serve();
    fixture.add();
    let run = fixture.run_with("ready");
    let server = fixture.tmux(&run, &["display-message", "-p"], &["#{pid}"]).stdout;
    let server = server.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(server, Signal::STOP).expect("tmux lives");
    fixture.go();
    fixture.run_with("flooded");
    kill_process(server, Signal::CONT).expect("tmux lives");
    fixture.see(&run, "flooded");
    fixture.keys(&run, &["Enter"]);
    wait::wait_until("the end of the run", RUN, || run.join("outcome.json").exists());
    let text = std::fs::read_to_string(run.join("transcript.log")).expect("readable");
    let expected: Vec<String> = (1..=100_000).map(|n| n.to_string()).collect();
    assert!(lines(&text)[1..].iter().take(100_000).eq(expected.iter()), "a gap or a double");
    fixture.sealed.finish();
}

#[test]
fn a_person_attaches_to_answer_and_only_looks_when_asked_to() {
    let mut fixture = Fixture::new("echo begin; printf 'go on? '; read answer; echo the answer is $answer");
    fixture.sealed.serve();
    fixture.add();
    let run = fixture.run_with("go on?");
    let piped = fixture.sealed.orch(["task", "attach", "1"]).code_is(2);
    assert!(piped.stderr.contains("orch stream 1"), "{}", piped.stderr);
    let looking = Terminal::new(&fixture.sealed, &format!("'{ORCH}' task attach -r 1"));
    looking.shows("go on?");
    looking.tmux(&["send-keys", "-t", "=t:", "not this", "Enter"]).ok();
    // It detaches by tmux's own key, and the agent continues.
    looking.tmux(&["send-keys", "-t", "=t:", "C-b", "d"]).ok();
    wait::wait_until("the one who only looked to be gone", SOON, || looking.tmux(&["list-sessions"]).code != Some(0));
    assert!(!fixture.pane(&run).contains("not this"));
    // Its terminal is lost, but it continues to work.
    let (session, aside) = (run.join("session.txt"), run.join("session.aside"));
    std::fs::rename(&session, &aside).expect("moved");
    let lost = Terminal::new(&fixture.sealed, &format!("'{ORCH}' task attach -r 1; sleep 1000"));
    lost.shows("is active, but its terminal");
    lost.shows("orch stream 1");
    lost.close();
    std::fs::rename(&aside, &session).expect("moved");
    let answering = Terminal::new(&fixture.sealed, &format!("'{ORCH}' task attach 1"));
    answering.shows("go on?");
    answering.tmux(&["send-keys", "-t", "=t:", "yes please", "Enter"]).ok();
    let ran = fixture.stream().finish(RUN).code_is(0);
    assert!(content(&ran).contains("the answer is yes please\n"), "{}", content(&ran));
    wait::wait_until("the terminal to end with the session", SOON, || {
        answering.tmux(&["list-sessions"]).code != Some(0)
    });
    fixture.sealed.finish();
}
