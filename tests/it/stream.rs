//! Tests watching agents, by people and programs: real commands, a real daemon, and its deaths.

use crate::kit::process::Running;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{self, RUN, SOON};
use crate::kit::write_file;
use serde_json::Value;
use std::path::PathBuf;

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    /// The agent `teller` counts until the file `stop` is there; `failing` fails the first time.
    fn new() -> Self {
        let sealed = SealedBox::new();
        let stop = sealed.base().join("stop");
        let first = sealed.base().join("first");
        sealed.program(
            "teller",
            &format!(
                "#!/bin/sh\ncat > /dev/null\ni=0\nwhile [ ! -e '{}' ]; do echo \"line $i\"; i=$((i+1)); sleep 0.01; done\n\
                 echo more >> README.md; git commit -qam told; echo 'told it all'\n",
                stop.display()
            ),
        );
        sealed.program(
            "failing",
            &format!(
                "#!/bin/sh\ncat > /dev/null\nif mkdir '{}'; then echo 'the first time'; exit 1; fi\n\
                 echo 'the second time'; echo more >> README.md; git commit -qam told\n",
                first.display()
            ),
        );
        sealed.config(
            "agents: {teller: {kind: command, command: teller}, failing: {kind: command, command: failing}}\n\
             workflow: {max_attempts: 2}\nengine: {max_parallel: 10}\n",
        );
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn add(&self, title: &str, agent: &str) -> String {
        let label = format!("agent:{agent}");
        let args = ["task", "add", title, "-l", &label, "--json"];
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn stop(&self) {
        write_file(&self.sealed.base().join("stop"), "");
    }

    fn stream(&self, args: &[&str]) -> Running {
        self.sealed.run_program(ORCH).args([&["stream"], args].concat()).deadline(RUN).start()
    }

    /// Waits for output in the transcript of the task's first run, and returns its path.
    fn transcript(&self, id: &str) -> PathBuf {
        let runs = self.sealed.orch_home().join(".orch/runs");
        let of_task = |entry: std::fs::DirEntry| {
            let is_it = entry.file_name().to_string_lossy().starts_with(&format!("{id}-1-"));
            is_it.then(|| entry.path().join("transcript.log"))
        };
        wait::wait_some("the agent to speak", RUN, || {
            let found = std::fs::read_dir(&runs).ok()?.flatten().find_map(of_task)?;
            std::fs::read_to_string(&found).is_ok_and(|text| text.contains("line 5\n")).then_some(found)
        })
    }
}

fn content(events: &[Value]) -> String {
    events.iter().filter(|event| event["type"] == "output").filter_map(|event| event["content"].as_str()).collect()
}

#[test]
fn watchers_lose_and_double_nothing_while_the_daemon_dies_and_comes_back() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    let tasks: [String; 10] = std::array::from_fn(|number| fixture.add(&format!("Tell {number}"), "teller"));
    let transcripts = tasks.clone().map(|id| fixture.transcript(&id));
    let watchers: Vec<Running> = tasks.iter().map(|id| fixture.stream(&[id, "--from-start", "--json"])).collect();
    let plain = fixture.stream(&[&tasks[0], "--from-start"]);
    let all = fixture.stream(&["--all", "--from-start"]);
    let grows = |what: &str| {
        let length = |path: &PathBuf| path.metadata().map_or(0, |found| found.len());
        let before = transcripts.each_ref().map(length);
        wait::wait_until(what, RUN, || {
            transcripts.iter().zip(before).all(|(path, before)| length(path) > before + 200)
        });
    };
    // A watcher that starts without a daemon opens its own engine, which other tests cover.
    let is_reported = |watcher: &Running| !watcher.said().0.is_empty();
    wait::wait_until("all to watch", RUN, || watchers.iter().chain([&plain, &all]).all(is_reported));
    grows("output under the first daemon");
    for round in 0..2 {
        fixture.sealed.kill_daemon();
        grows(&format!("output without a daemon, round {round}"));
        fixture.sealed.serve();
        grows(&format!("output under the next daemon, round {round}"));
    }
    fixture.stop();
    let mut answer = transcripts.each_ref().map(|_| String::new());
    for (index, watcher) in watchers.into_iter().enumerate() {
        let events = watcher.finish(RUN).code_is(0).json_lines();
        answer[index] = content(&events);
        assert_eq!(answer[index], std::fs::read_to_string(&transcripts[index]).expect("readable"));
        let finals = events.iter().filter(|event| event["is_final"] == true).count();
        assert_eq!(finals, 1, "{events:#?}");
    }
    assert_eq!(plain.finish(RUN).code_is(0).stdout, answer[0]);
    let expected: usize = answer.iter().map(|text| text.lines().count()).sum();
    wait::wait_until("all lines of all tasks", SOON, || all.said().0.lines().count() >= expected);
    let lines = all.said().0;
    assert_eq!(lines.lines().count(), expected);
    for (id, text) in tasks.iter().zip(&answer) {
        let mark = format!("[{id}] ");
        let own: Vec<&str> = lines.lines().filter_map(|line| line.strip_prefix(&mark)).collect();
        assert_eq!(own, text.lines().collect::<Vec<_>>());
    }
    drop(all);
    fixture.sealed.finish();
}

#[test]
fn a_stream_waits_for_a_task_goes_on_with_its_second_run_and_ends_with_it() {
    let mut fixture = Fixture::new();
    let id = fixture.add("Fail first", "failing");
    let stranger = fixture.stream(&["99"]).finish(RUN).code_is(3);
    assert!(stranger.stderr.contains("there is no task 99"), "{}", stranger.stderr);
    let early = fixture.stream(&[&id]);
    wait::wait_until("it to say that it waits", SOON, || early.said().1.contains("waits"));
    fixture.sealed.serve();
    let ran = early.finish(RUN).code_is(0);
    let (first, second) = (ran.stdout.find("the first time"), ran.stdout.find("the second time"));
    assert!(first.is_some() && first < second, "{}", ran.stdout);
    assert!(ran.stderr.contains("attempt 2: failing") && ran.stderr.contains("is done"), "{}", ran.stderr);
    let afterwards = fixture.stream(&[&id]).finish(RUN).code_is(0);
    assert!(afterwards.stdout.contains("the second time") && !afterwards.stdout.contains("the first time"));
    fixture.sealed.stop_daemon();
    let events = fixture.stream(&[&id, "--events"]).finish(RUN).code_is(0).json_lines();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert!(kinds.contains(&"text") && kinds.last() == Some(&"run_ended"), "{events:#?}");
    let raw = fixture.stream(&[&id, "--raw"]).finish(RUN).code_is(0);
    assert_eq!(raw.stdout, "the second time\n");
    let without = fixture.stream(&[&id, "--tail", "1"]).finish(RUN).code_is(0);
    assert_eq!(without.stdout.lines().count(), 1, "{}", without.stdout);
    fixture.sealed.finish();
}

#[test]
fn a_watcher_resumes_at_a_byte_and_a_reader_that_goes_away_is_no_error() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    let id = fixture.add("Tell", "teller");
    let transcript = fixture.transcript(&id);
    let mut first = fixture.stream(&[&id, "--from-start", "--json"]);
    let seen = wait::wait_some("some output", SOON, || {
        let said = first.said().0;
        let whole = said.rfind('\n').map_or("", |end| &said[..end]);
        let events: Vec<Value> = whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (content(&events).contains("line 9\n")).then_some(events)
    });
    first.signal(rustix::process::Signal::KILL);
    wait::wait_until("the watcher's end", SOON, || !first.is_running());
    let reached = seen.iter().filter_map(|event| event["end"].as_u64()).max().expect("a place");
    let second = fixture.stream(&[&id, "--from", &reached.to_string(), "--json"]);
    let shell = format!("'{ORCH}' stream {id} --from-start | head -n 3");
    let piped = fixture.sealed.run_program("/bin/sh").args(["-c", &shell]).deadline(RUN).run().ok();
    assert_eq!(piped.stdout.lines().count(), 3);
    assert!(!piped.stderr.contains("panicked") && !piped.stderr.contains("error"), "{}", piped.stderr);
    fixture.stop();
    let rest = second.finish(RUN).code_is(0).json_lines();
    let text = std::fs::read_to_string(&transcript).expect("readable");
    assert_eq!(format!("{}{}", content(&seen), content(&rest)), text);
    fixture.sealed.finish();
}

#[test]
fn a_stream_outlives_the_tmux_server_and_a_transcript_that_is_cut_and_removed() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    let id = fixture.add("Tell", "teller");
    let transcript = fixture.transcript(&id);
    let watcher = fixture.stream(&[&id, "--from-start"]);
    let socket = fixture.sealed.tmux_socket().expect("orch's tmux");
    fixture.sealed.run_program("tmux").args(["-S", &socket.display().to_string(), "kill-server"]).run().ok();
    let last = |watcher: &Running| {
        let said = watcher.said().0;
        said.lines().filter_map(|line| line.strip_prefix("line ")?.parse::<u64>().ok()).max().unwrap_or(0)
    };
    let goes_on = |what: &str| {
        let reached = last(&watcher);
        wait::wait_until(what, SOON, || last(&watcher) > reached + 5);
    };
    goes_on("lines after the death of tmux");
    let before = watcher.said().0;
    std::fs::OpenOptions::new().write(true).open(&transcript).and_then(|file| file.set_len(0)).expect("cut");
    goes_on("lines after the cut");
    std::fs::remove_file(&transcript).expect("removed");
    fixture.stop();
    let ran = watcher.finish(RUN).code_is(0);
    assert!(ran.stdout.starts_with(&before), "what was told stays told");
    let numbers: Vec<u64> = ran.stdout.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "each line at most once: {}", ran.stdout);
    assert!(ran.stderr.contains("is done"), "{}", ran.stderr);
    fixture.sealed.finish();
}

#[test]
fn a_watcher_of_all_does_not_see_again_what_was_there_after_a_death_of_the_daemon() {
    let mut fixture = Fixture::new();
    let stop = fixture.sealed.base().join("stop");
    fixture.sealed.program(
        "failing",
        &format!(
            "#!/bin/sh\ncat > /dev/null\necho 'line 5'\nwhile [ ! -e '{}' ]; do sleep 0.01; done\n\
             echo 'and now the end'; echo more >> README.md; git commit -qam told\n",
            stop.display()
        ),
    );
    fixture.sealed.serve();
    let id = fixture.add("Be silent", "failing");
    fixture.transcript(&id);
    let all = fixture.stream(&["--all", "--json"]);
    wait::wait_until("the watcher to follow the run", RUN, || all.said().0.contains("\"run\""));
    fixture.sealed.kill_daemon();
    fixture.sealed.serve();
    fixture.stop();
    wait::wait_until("the last words", RUN, || all.said().0.contains("\"is_final\":true"));
    let text = all.said().0;
    assert!(text.contains("and now the end") && !text.contains("line 5"), "{text}");
    drop(all);
    fixture.sealed.finish();
}
