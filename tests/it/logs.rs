//! The output of runs afterwards: printed in parts, looked through, packed, dropped when its time has come, and found
//! again, with the index, without it, and with a broken one.

use crate::kit::process::Ran;
use crate::kit::repo::Repo;
use crate::kit::sealed_box::SealedBox;
use crate::kit::wait::{RUN, wait_until};
use crate::kit::{read_file, write_file};
use orch_core::base::ids::RunId;
use orch_store::search::SearchIndex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    /// The agent `teller` prints a thousand lines, some of them unusual; `failing` fails.
    fn new(config: &str) -> Self {
        let sealed = SealedBox::new();
        sealed.program(
            "teller",
            "#!/bin/sh\ncat > /dev/null\ni=0\nwhile [ $i -lt 1000 ]; do echo \"line $i of the story\"; i=$((i+1)); done\n\
             printf 'a bell \\007 and a title \\033]0;pwned\\007 and Needle(42)\\n'\necho more >> README.md\n\
             git commit -qam told; echo 'told it all'\n",
        );
        sealed.program("failing", "#!/bin/sh\ncat > /dev/null\necho 'the needle(42) was broken'; exit 1\n");
        sealed.config(&format!(
            "agents: {{teller: {{kind: command, command: teller}}, failing: {{kind: command, command: failing}}}}\n\
             workflow: {{max_attempts: 1}}\n{config}"
        ));
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        Self { sealed, repo }
    }

    fn add(&self, agent: &str) -> String {
        let label = format!("agent:{agent}");
        let args = ["task", "add", "Tell", "-l", &label, "--json"];
        self.sealed.orch_in(self.repo.dir(), args).ok().json()["id"].to_string()
    }

    fn orch(&self, args: &[&str]) -> Ran {
        self.sealed.orch(args)
    }

    fn status(&self, id: &str) -> String {
        let shown = self.orch(&["task", "show", id, "--json"]).ok().json();
        shown["status"].as_str().unwrap_or_default().to_owned()
    }

    fn state(&self) -> PathBuf {
        self.sealed.orch_home().join(".orch")
    }

    /// The directory of the task's first run.
    fn run_dir(&self, id: &str) -> PathBuf {
        let is_it = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{id}-1-")))
        };
        let runs = std::fs::read_dir(self.state().join("runs")).expect("runs").flatten().map(|entry| entry.path());
        runs.into_iter().find(is_it).expect("a run")
    }

    fn indexed(&self) -> BTreeSet<RunId> {
        let index = SearchIndex::open_existing(&self.state().join("search.db")).ok().flatten();
        index.and_then(|index| index.runs().ok()).unwrap_or_default().into_keys().collect()
    }

    fn search(&self, args: &[&str]) -> Vec<Value> {
        let ran = self.orch(&[&["search", "--json"], args].concat());
        ran.json_lines()
    }
}

fn texts(hits: &[Value]) -> Vec<&str> {
    hits.iter().filter_map(|hit| hit["text"].as_str()).collect()
}

fn age(path: &Path, days: u64) {
    let file = File::options().append(true).open(path).expect("a file");
    let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    file.set_modified(then).expect("an age");
}

#[test]
fn the_output_of_a_task_is_read_in_parts_and_found_again_before_and_after_it_is_packed() {
    let mut fixture = Fixture::new("");
    fixture.sealed.serve();
    let (text, failed) = (fixture.add("teller"), fixture.add("failing"));
    wait_until("the task to be done", RUN, || {
        fixture.status(&text) == "done" && fixture.status(&failed) == "needs_review"
    });
    let (transcript, open) = (fixture.run_dir(&text).join("transcript.log"), fixture.run_dir(&failed));
    let whole = read_file(&transcript);

    let look = |fixture: &Fixture| {
        let log = fixture.orch(&["task", "log", &text]).ok().stdout;
        assert_eq!(log, whole);
        assert_eq!(fixture.orch(&["log", &text, "--json"]).ok().json()["content"], whole);
        let tail: Vec<&str> = whole.lines().skip(whole.lines().count() - 3).collect();
        assert_eq!(fixture.orch(&["log", &text, "--tail", "3"]).ok().stdout.lines().collect::<Vec<_>>(), tail);
        let found = fixture.orch(&["log", &text, "--grep", "line 99[89]", "-C", "1"]).ok().stdout;
        let number = 1 + whole.lines().position(|line| line == "line 998 of the story").expect("the line exists");
        let said = |n: usize, mark: char| format!("{}{mark} line {n} of the story\n", number + n - 998);
        let last = format!("{}- a bell  and a title  and Needle(42)\n", number + 2);
        assert_eq!(found, [said(997, '-'), said(998, ':'), said(999, ':'), last].concat());
        assert_eq!(fixture.orch(&["log", &text, "--grep", "^line", "--since", "1h"]).ok().stdout.lines().count(), 1000);
        fixture.orch(&["log", &text, "--grep", "line", "--since", "2200-01-01T00:00:00Z"]).code_is(1);
        fixture.orch(&["log", &text, "--grep", "never said"]).code_is(1);
        fixture.orch(&["log", &text, "--grep", "("]).code_is(2);
        let streamed = fixture.orch(&["stream", &text, "--from-start"]).ok().stdout;
        assert_eq!(streamed, whole);
        let hits = fixture.search(&["needle(42)"]);
        assert_eq!(texts(&hits), ["the needle(42) was broken"]);
        assert_eq!(hits[0]["task_id"].to_string(), failed);
        let hits = fixture.search(&["needle(42)", "-i", "-C", "1"]);
        assert_eq!(texts(&hits), ["a bell  and a title  and Needle(42)", "the needle(42) was broken"]);
        assert_eq!(hits[0]["before"][0], "line 999 of the story");
        assert_eq!(fixture.search(&["--regex", "line 9+ of", "--task", &text]).len(), 3);
        // The number of a run is by chance, and has no bracket.
        assert_eq!(fixture.search(&["(4", "--task", &failed]).len(), 1, "too short for any index");
        assert_eq!(fixture.search(&["needle", "--since", "2200-01-01T00:00:00Z"]).len(), 0);
        let shown = fixture.orch(&["search", "of the story", "--task", &text]).ok().stdout;
        assert!(shown.starts_with(&format!("task {text}, run {text}-1-")) && shown.lines().count() == 1001, "{shown}");
        fixture.orch(&["search", "never said"]).code_is(1);
    };
    look(&fixture);
    wait_until("both runs to be in the index", RUN, || fixture.indexed().len() == 2);
    look(&fixture);
    // The next start compresses finished runs.
    fixture.sealed.stop_daemon();
    fixture.sealed.serve();
    wait_until("the transcript to be packed", RUN, || !transcript.exists());
    assert!(open.join("transcript.log").exists(), "an open task keeps everything as it is");
    look(&fixture);
    // The index is only an index.
    fixture.sealed.stop_daemon();
    let index = fixture.state().join("search.db");
    std::fs::remove_file(&index).expect("removed");
    look(&fixture);
    write_file(&index, &"no database at all, but long enough to be taken for one\n".repeat(100));
    look(&fixture);
    let warned = fixture.orch(&["search", "needle(42)"]).ok().stderr;
    assert!(warned.contains("search index"), "{warned}");
    fixture.sealed.serve();
    wait_until("the index to be made anew", RUN, || fixture.indexed().len() == 2);
    look(&fixture);
    // A damaged transcript is reported, and hides nothing else.
    let packed = fixture.run_dir(&text).join("transcript.log.zst");
    OpenOptions::new().write(true).open(&packed).expect("a file").set_len(100).expect("cut");
    let log = fixture.orch(&["log", &text]).code_is(1);
    assert!(log.stderr.contains("damaged"), "{}", log.stderr);
    let ran = fixture.orch(&["search", "needle(42)", "-i"]).ok();
    assert!(ran.stdout.contains("was broken") && ran.stderr.contains("damaged"), "{} {}", ran.stdout, ran.stderr);
    fixture.sealed.finish();
}

#[test]
fn what_is_too_old_goes_raw_output_first_but_not_after_a_jump_of_the_clock() {
    let mut fixture = Fixture::new("retention: {raw_days: 2, transcript_days: 5}\n");
    fixture.sealed.serve();
    let tasks = ["teller", "teller", "teller", "failing"].map(|agent| fixture.add(agent));
    let [young, middle, old, open] = &tasks;
    wait_until("the tasks to be at rest", RUN, || {
        [young, middle, old].iter().all(|id| fixture.status(id) == "done") && fixture.status(open) == "needs_review"
    });
    fixture.sealed.stop_daemon();
    let dirs = tasks.each_ref().map(|id| fixture.run_dir(id));
    for (dir, days) in dirs.iter().zip([0, 3, 9, 99]) {
        age(&dir.join("outcome.json"), days);
    }
    let has = |name: &str| dirs.each_ref().map(|dir| dir.join(name).exists());
    let stamp = fixture.state().join("retention");
    let look = |fixture: &mut Fixture, last_look: &str| {
        write_file(&stamp, last_look);
        fixture.sealed.serve();
        wait_until("the look", RUN, || {
            read_file(&stamp) != last_look && has("transcript.log") == [false, false, false, true]
        });
    };
    // The last check was long ago: the clock may have jumped.
    look(&mut fixture, "2001-01-01T00:00:00Z");
    wait_until("the index", RUN, || fixture.indexed().len() == 4);
    fixture.sealed.stop_daemon();
    assert_eq!(has("transcript.log.zst"), [true, true, true, false]);
    assert_eq!(has("events.jsonl"), [true; 4]);
    // An hour after the last check it is believed.
    let hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    look(&mut fixture, &hour_ago.to_string());
    wait_until("the old transcript to go", RUN, || has("transcript.log.zst") == [true, true, false, false]);
    wait_until("it to leave the index", RUN, || fixture.indexed().len() == 3);
    assert_eq!(has("events.jsonl"), [true, false, false, true]);
    assert_eq!(has("outcome.json"), [true; 4], "how a run went is always known");
    let log = fixture.orch(&["log", old]).ok();
    assert!(log.stdout.is_empty() && log.stderr.contains("retention.transcript_days"), "{}", log.stderr);
    assert_eq!(fixture.search(&["Needle"]).len(), 2);
    fixture.sealed.finish();
}

#[test]
fn a_search_reads_a_line_of_fifty_megabytes_and_what_is_no_text() {
    let fixture = Fixture::new("");
    let dir = fixture.state().join("runs/9-1-000000ab");
    std::fs::create_dir_all(&dir).expect("a directory");
    let mut text = b"first \0\xff\xfe line\n".to_vec();
    text.extend(std::iter::repeat_n(b'x', 50 << 20));
    text.extend(b" the needle\nlast \x1b]52;c;aGk=\x07 needle");
    File::create(dir.join("transcript.log")).and_then(|mut file| file.write_all(&text)).expect("written");
    let hits = fixture.search(&["needle", "-C", "1"]);
    assert_eq!(hits.iter().map(|hit| hit["line"].clone()).collect::<Vec<_>>(), [2, 3]);
    assert!(hits[0]["cut"] == true && hits[0]["text"].as_str().is_some_and(|text| text.len() < 5000));
    assert_eq!(hits[0]["before"][0], "first \0\u{fffd}\u{fffd} line");
    let shown = fixture.orch(&["search", "last"]).ok().stdout;
    assert!(!shown.contains('\u{1b}') && shown.contains("\\u{1b}]52"), "{shown}");
    std::fs::remove_file(dir.join("transcript.log")).expect("removed");
    fixture.orch(&["search", "needle"]).code_is(1);
    fixture.sealed.finish();
}
