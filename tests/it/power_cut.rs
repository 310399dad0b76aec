//! Tests power failures: unflushed files may exist without content. No person is asked about them, and nothing that was
//! reported is lost. The torture table cuts the power at every call (row R4); these are tests of its findings.

use crate::kit::repo::Repo;
use crate::kit::sealed_box::{ORCH, SealedBox};
use crate::kit::wait::{RUN, SOON, poll, wait_until};
use crate::kit::{read_file, write_file};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;

struct Fixture {
    sealed: SealedBox,
    repo: Repo,
}

impl Fixture {
    /// An agent that commits when a gate is open, and whose base is merged into.
    fn new() -> Self {
        let sealed = SealedBox::new();
        let gate = sealed.base().join("gate");
        let waits = format!("while [ ! -e '{}' ]; do sleep 0.02; done", gate.display());
        let works = "echo work > work.txt && git add . && git commit -q -m work && echo finished";
        sealed.program("held", &format!("#!/bin/sh\ncat > /dev/null\n{waits}\n{works}\n"));
        sealed.config("agents: {held: {kind: command, command: held}}\nworkflow: {integrate: merge}\n");
        let repo = sealed.repo("shop");
        sealed.orch_in(repo.dir(), ["init"]).ok();
        sealed.orch_in(repo.dir(), ["task", "add", "Work", "-l", "agent:held"]).ok();
        Self { sealed, repo }
    }

    fn open_gate(&self) {
        write_file(&self.sealed.base().join("gate"), "");
    }

    fn journal(&self) -> PathBuf {
        self.sealed.orch_home().join(".orch/orch.db")
    }

    /// The directory of the one run.
    fn run(&self) -> PathBuf {
        let runs = std::fs::read_dir(self.sealed.orch_home().join(".orch/runs")).expect("runs");
        runs.flatten().next().expect("a run").path()
    }

    /// The machine is off.
    fn cut(&mut self) {
        self.sealed.kill_daemon();
        let off = poll(SOON, || {
            let left = self.sealed.inmates();
            for pid in left.iter().filter_map(|one| Pid::from_raw(one.pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            left.is_empty().then_some(())
        });
        assert!(off.is_some(), "nothing runs any more");
    }

    fn until_idle(&self) {
        let ran = self.sealed.run_program(ORCH).args(["serve", "--until-idle"]).deadline(RUN).run();
        let shown = self.sealed.orch(["task", "show", "1", "--json"]).ok().stdout;
        assert_eq!(ran.code, Some(0), "{ran}{shown}");
        assert_eq!(self.repo.show("main", "work.txt").as_deref(), Some("work\n"), "{shown}");
    }
}

#[test]
fn a_start_whose_files_are_empty_after_a_power_cut_is_done_again_and_nobody_is_asked() {
    let mut fixture = Fixture::new();
    fixture.sealed.serve();
    wait_until("the agent to start", RUN, || {
        let shown = fixture.sealed.orch(["task", "show", "1", "--json"]).ok().json();
        shown["runs"][0]["started_at"].is_string()
    });
    fixture.cut();
    // The power failed after the runner had taken the run and before its start was stored.
    let journal = Connection::open(fixture.journal()).expect("a journal");
    let sql = "UPDATE runs SET data = json_set(data, '$.phase', 'starting', '$.started_at', NULL), sum = NULL";
    assert_eq!(journal.execute(sql, []).expect("changed"), 1);
    drop(journal);
    for name in ["prepared.json", "launch.json", "guard.json", "started.json"] {
        assert!(!read_file(&fixture.run().join(name)).is_empty(), "{name} was there");
        write_file(&fixture.run().join(name), "");
    }
    fixture.open_gate();
    fixture.until_idle();
    fixture.sealed.finish();
}

/// git reports in its own trace which files it flushes.
#[test]
fn what_is_merged_is_flushed_before_it_is_reported() {
    let fixture = Fixture::new();
    let trace = fixture.sealed.base().join("trace");
    let settings = fixture.sealed.home().join(".gitconfig");
    let own = std::fs::read_to_string(&settings).unwrap_or_default();
    write_file(&settings, &format!("{own}\n[trace2]\n\teventTarget = {}\n", trace.display()));
    fixture.open_gate();
    fixture.until_idle();
    // Each process of git reports at its end how often it has flushed.
    let text = read_file(&trace);
    let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let flushed = |word: &str| {
        let is_it = |line: &&serde_json::Value| {
            line["event"] == "start" && line["argv"].as_array().is_some_and(|argv| argv.iter().any(|arg| arg == word))
        };
        let mut sessions = lines.iter().filter(is_it).map(|line| line["sid"].as_str().unwrap_or_default());
        sessions.any(|sid| lines.iter().any(|line| line["sid"] == sid && line["category"] == "fsync"))
    };
    assert!(flushed("--no-ff"), "the merge: {text}");
    assert!(flushed("--ff-only"), "the move of the base: {text}");
    fixture.sealed.finish();
}
