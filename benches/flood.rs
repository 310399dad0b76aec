//! Measures an agent that writes as fast as it can: the throughput to a watcher, compared to `tail -F` on the same
//! transcript, and whether a watcher that does not read slows the agent.

use crate::Scale;
use crate::agent;
use crate::fixture::{Fixture, repository, this_program};
use crate::kit::sealed_box::ORCH;
use crate::kit::wait::{self, RUN};
use crate::measure::{Samples, figure, ms_between, pause};
use crate::stream::transcript;
use crate::table::{Row, Table};
use crate::watch::{Reader, start, tail};
use serde_json::json;
use std::time::Duration;

/// The slowest that a watcher who does not read may make the agent.
const SLOWED: f64 = 1.1;

/// Floods without a watcher, and with one who does not read, in turn.
const ROUNDS: usize = 3;

/// Bytes that came, and when the last of them did.
#[derive(Default, Clone, Copy)]
struct Arrived {
    bytes: u64,
    last: u64,
}

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let megabytes = scale.pick(200, 40);
    let program = json!(this_program());
    let args = format!("[{}, STAMPS, \"{{task_id}}:{megabytes}\"]", agent::FLOODER);
    let mut fixture = Fixture::with(&format!("  flooder: {{kind: command, command: {program}, args: {args}}}\n"), "");
    let repo = repository(fixture.sealed(), 10);
    fixture.serve();
    fixture.register(&repo);
    let (mut alone, mut unread) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        alone.add(flood(&fixture, |_, _| ()).took_ms);
        let watch = |fixture: &Fixture, id: u64| start(fixture, ORCH, &["stream", &id.to_string(), "--from-start"]);
        let Flood { took_ms, mut during, .. } = flood(&fixture, watch);
        unread.add(took_ms);
        during.kill().and_then(|()| during.wait()).expect("it was a child");
    }
    let mut arrived = (Arrived::default(), Arrived::default());
    let watched = flood(&fixture, |fixture, id| {
        let count = |seen: &mut Arrived, piece: &[u8], at: u64| {
            (seen.bytes, seen.last) = (seen.bytes + piece.len() as u64, at);
        };
        let file = [transcript(fixture, id)];
        let orch = Reader::start(fixture, ORCH, &["stream", &id.to_string(), "--from-start"], count);
        (orch, Reader::start(fixture, "tail", &tail(&file), count))
    });
    let length = std::fs::metadata(transcript(&fixture, watched.id)).expect("a transcript").len();
    // Both have it all some time after the agent has ended.
    pause(Duration::from_secs(scale.pick(3, 2)));
    let (orch, bare) = watched.during;
    (arrived.0, arrived.1) = (orch.end(), bare.end());
    assert!(arrived.1.bytes >= length && arrived.0.bytes >= length, "both have all {length} bytes");
    report(megabytes, watched.begun, arrived, table);
    report_slowed(megabytes, alone.p50(), unread.p50(), table);
    fixture.finish();
}

/// One flood.
struct Flood<T> {
    id: u64,
    begun: u64,
    took_ms: f64,
    during: T,
}

fn flood<T>(fixture: &Fixture, watch: impl FnOnce(&Fixture, u64) -> T) -> Flood<T> {
    std::fs::remove_file(fixture.stamps().join("go")).ok();
    let done = fixture.count("done");
    let id = fixture.add_for("Flood", "flooder");
    fixture.await_stamp(&id.to_string(), "ready");
    let during = watch(fixture, id);
    pause(Duration::from_secs(1));
    std::fs::File::create(fixture.stamps().join("go")).expect("a file in the box");
    let begun = fixture.await_stamp(&id.to_string(), "begin");
    let ended = fixture.await_stamp(&id.to_string(), "end");
    wait::wait_until("the flood to be done", 4 * RUN, || fixture.count("done") > done);
    Flood { id, begun, took_ms: ms_between(begun, ended), during }
}

fn report(megabytes: u64, begun: u64, (orch, bare): (Arrived, Arrived), table: &mut Table) {
    let speed = |arrived: Arrived| arrived.bytes as f64 / 1e3 / ms_between(begun, arrived.last);
    table.add(Row {
        name: format!("a flood of {megabytes} MB, to the last byte on the watcher's stdout"),
        baseline: format!("{} MB/s", figure(speed(bare))),
        orch: format!("{} MB/s", figure(speed(orch))),
        own: format!("× {:.2}", speed(orch) / speed(bare)),
        ..Row::default()
    });
}

fn report_slowed(megabytes: u64, alone: f64, unread: f64, table: &mut Table) {
    table.add(Row {
        name: format!("the agent writes {megabytes} MB: nobody watches / a watcher does not read"),
        baseline: format!("{} ms", figure(alone)),
        orch: format!("{} ms", figure(unread)),
        own: format!("× {:.2}", unread / alone),
        goal: format!("× {SLOWED}"),
        reached: Some(unread <= alone * SLOWED),
    });
}
