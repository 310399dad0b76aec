//! Tests replacing a daemon by another one or by itself: no run is affected, and no watcher loses a line.

use super::fixture::Fixture;
use crate::kit::process::Running;
use crate::kit::sealed_box::ORCH;
use crate::kit::wait::{self, RUN, SOON};
use rustix::process::Signal;
use serde_json::Value;

/// Who watches while daemons come and go.
struct Watchers {
    stream: Running,
    events: Running,
    status: Running,
}

impl Watchers {
    fn new(fixture: &Fixture, id: &str) -> Self {
        let stream = fixture.start(&["stream", id, "--from-start"]);
        let events = fixture.start(&["events", "--follow", "--since", "0", "--json"]);
        let status = fixture.start(&["status", "--watch", "--json"]);
        wait::wait_until("all to watch", RUN, || {
            stream.said().0.contains("line 3") && events.said().0.contains("run_started") && !status.said().0.is_empty()
        });
        Self { stream, events, status }
    }

    /// Waits until all have seen the task's end, and checks that they saw everything once.
    fn have_seen_everything_once(self, fixture: &Fixture, id: &str) {
        let text = self.stream.finish(RUN).code_is(0).stdout;
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("line ")).collect();
        let expected: Vec<String> = (0..lines.len()).map(|number| format!("line {number}")).collect();
        assert_eq!(lines, expected);
        wait::wait_until("the last events", SOON, || {
            let last = fixture.orch(&["events", "--json"]).ok().json_lines().pop().expect("events")["seq"].clone();
            self.events.said().0.lines().last().is_some_and(|line| line.contains(&format!("\"seq\":{last},")))
        });
        let seqs: Vec<u64> = self.events.said().0.lines().map(seq_of).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<u64>>());
        wait::wait_until("the last status", SOON, || self.status.said().0.contains("\"done\":1"));
        assert!(text.contains("told it all"), "task {id}: {text}");
        for watcher in [self.events, self.status] {
            watcher.signal(Signal::INT);
            watcher.finish(SOON).code_is(130);
        }
    }
}

fn seq_of(line: &str) -> u64 {
    serde_json::from_str::<Value>(line).expect("a document")["seq"].as_u64().expect("a number")
}

#[test]
fn a_new_daemon_takes_the_place_of_a_running_one_and_no_watcher_misses_a_line() {
    let mut fixture = Fixture::new("");
    let id = fixture.add("Tell", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&id]);
    fixture.orch(&["serve"]).code_is(7);
    let watchers = Watchers::new(&fixture, &id);
    for _ in 0..2 {
        let old = fixture.status()["pid"].clone();
        fixture.sealed.replace_daemon();
        // Between the two a follower's own engine may answer in their place: the agent must not end before the new one is there.
        wait::wait_until("the new one", RUN, || {
            let status = fixture.status();
            status["mode"] == "serve" && status["pid"] != old
        });
    }
    fixture.go();
    fixture.are_done_once(&[&id]);
    watchers.have_seen_everything_once(&fixture, &id);
    assert_eq!(fixture.count(Some(&id), "run_adopted"), 2);
    fixture.close();
}

#[test]
fn a_hangup_starts_the_daemon_anew_in_its_place() {
    let mut fixture = Fixture::new("");
    let id = fixture.add("Tell", "", Some("teller"));
    fixture.sealed.serve();
    fixture.until_started(&[&id]);
    let watchers = Watchers::new(&fixture, &id);
    let pid = fixture.status()["pid"].clone();
    fixture.sealed.daemon().signal(Signal::HUP);
    wait::wait_until("the next life", RUN, || fixture.lives().len() == 3);
    wait::wait_until("it to serve", RUN, || fixture.sealed.socket().is_some());
    assert_eq!(fixture.status()["pid"], pid, "the same process");
    fixture.go();
    fixture.are_done_once(&[&id]);
    watchers.have_seen_everything_once(&fixture, &id);
    let lives = fixture.lives();
    let messages: Vec<(&str, &str)> = lives.iter().map(|(kind, cause)| (kind.as_str(), cause.as_str())).collect();
    assert_eq!(messages, [("start", "command"), ("respawn", "signal"), ("start", "signal")]);
    fixture.close();
}

#[test]
fn a_hangup_while_the_daemon_opens_does_not_end_it() {
    let mut fixture = Fixture::new("");
    fixture.sealed.serve();
    fixture.sealed.stop_daemon().ok();
    // Like the engine of a short command, which is waited for.
    let lock = std::fs::File::open(fixture.sealed.orch_home().join(".orch/orch.lock")).expect("a lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("nobody holds it");
    let mut daemon = fixture.start(&["serve"]);
    let pid = daemon.pid().as_raw_nonzero().get();
    // A signal is caught a moment before it is heard; this one is the last that is listened for.
    wait::wait_until("it to listen for signals", SOON, || has(pid, "SigCgt:", Signal::TERM));
    daemon.signal(Signal::HUP);
    wait::wait_until("the signal to be taken", SOON, || !has(pid, "ShdPnd:", Signal::HUP));
    drop(lock);
    let anew = |fixture: &Fixture| fixture.lives().iter().filter(|(kind, _)| kind == "start").count() == 3;
    wait::wait_until("its next life", RUN, || !daemon.is_running() || anew(&fixture));
    assert!(daemon.is_running(), "{:?}", daemon.said());
    daemon.signal(Signal::TERM);
    daemon.finish(SOON).ok();
    fixture.close();
}

/// Whether a signal is in one of the sets of signals of the process.
fn has(pid: i32, set: &str, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix(set)).unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

#[test]
fn a_daemon_that_has_grown_too_large_starts_itself_anew_and_not_again_at_once() {
    let mut fixture = Fixture::new("engine: {tick_seconds: 1, self_memory_limit_mb: 1}\n");
    let id = fixture.add("Tell", "", Some("teller"));
    fixture.sealed.serve();
    let respawned =
        |fixture: &Fixture| fixture.lives().iter().any(|(kind, cause)| kind == "respawn" && cause == "memory");
    wait::wait_until("it to start anew", RUN, || respawned(&fixture));
    // The next memory check finds it too large again, and only reports it.
    wait::wait_until("it to say that it is too large", RUN, || {
        fixture.status()["problems"].to_string().contains("engine.self_memory_limit_mb")
    });
    assert_eq!(fixture.lives().iter().filter(|(kind, _)| kind == "respawn").count(), 1);
    fixture.go();
    fixture.are_done_once(&[&id]);
    let text = fixture.orch(&["service", "history"]).ok().stdout;
    assert!(text.contains("respawn") && text.contains("MB of memory"), "{text}");
    fixture.close();
}

#[test]
fn a_daemon_whose_program_was_cleaned_away_starts_agents_all_the_same() {
    let mut fixture = Fixture::new("");
    let old = fixture.sealed.bin().join("orch-old");
    fixture.sealed.run_program("cp").args([ORCH.as_ref(), old.as_os_str()]).run().ok();
    fixture.sealed.is_run_by(&old);
    fixture.sealed.serve();
    std::fs::remove_file(&old).expect("a program");
    fixture.sealed.is_run_by(ORCH);
    fixture.go();
    let id = fixture.add("Tell", "", Some("teller"));
    fixture.are_done_once(&[&id]);
    fixture.close();
}

#[test]
fn an_older_orch_says_who_wrote_the_journal_and_leaves_the_daemon_alone() {
    let mut fixture = Fixture::new("");
    fixture.sealed.serve();
    let journal = fixture.sealed.orch_home().join(".orch/orch.db");
    let newer = rusqlite::Connection::open(&journal).expect("the journal");
    newer.execute_batch("UPDATE meta SET value = '99.0.0' WHERE key = 'orch_version'").expect("a version");
    newer.pragma_update(None, "user_version", 10_000).expect("a form");
    drop(newer);
    let refused = fixture.orch(&["serve", "--replace", "--json"]).code_is(1).json();
    assert!(refused["error"]["message"].as_str().is_some_and(|m| m.contains("orch 99.0.0 wrote it")), "{refused}");
    assert!(refused["error"]["hint"].as_str().is_some_and(|hint| hint.contains("orch version")), "{refused}");
    assert_eq!(fixture.status()["state"], "serving");
    fixture.close();
}
