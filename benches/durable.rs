//! What it costs that nothing is lost: events per second through the journal beside bare commits of SQLite with the same
//! care, how soon a daemon serves that has a hundred thousand tasks in its journal, what a turn of its loop takes, and how
//! soon it has taken over a hundred agents at work.

use crate::Scale;
use crate::agent;
use crate::fixture::{Fixture, repository, this_program};
use crate::kit::http;
use crate::kit::wait::{self, RUN};
use crate::measure::{Samples, timed};
use crate::table::Table;
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::{RunEnd, RunFact, Standing};
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::{FileState, Spec, State, Status, Task};
use orch_store::journal::{Entry, Journal, Write};
use rusqlite::{Connection, params};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Events in one transaction: what a busy turn of the loop writes.
const BATCH: u64 = 10;
/// Tasks in the journal of the restart.
const STORED: u64 = 100_000;
/// Milliseconds from the start of the daemon to its first answer.
const RESTART: f64 = 1000.0;
/// Milliseconds for a turn of the loop.
const TURN: f64 = 10.0;
/// Agents that are taken over.
const RUNS: u64 = 100;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    commits(scale.pick(400, 60), table);
    restart(scale, table);
    adoption(scale.pick(5, 2), table);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn commits(rounds: u64, table: &mut Table) {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = runtime();
    let (journal, _) = Journal::open(&dir.path().join("orch.db")).expect("a journal");
    let bare_db = bare(&dir.path().join("bare.db"));
    let [mut bare, mut orch] = [(); 2].map(|()| Samples::default());
    for round in 0..rounds {
        let entries: Vec<Entry> = (1..=BATCH).map(|place| entry(round * BATCH + place)).collect();
        bare.add(timed(|| commit_bare(&bare_db, &entries)).0);
        let writes = entries.into_iter().map(Write::Entry).collect();
        orch.add(timed(|| runtime.block_on(journal.commit(writes)).expect("stored")).0);
    }
    let name = format!("{BATCH} events stored at once: the journal / bare SQLite, synchronous FULL");
    table.ratio(name, &bare, &orch, (0.0, 1.5), "× ≤ 1.5");
}

fn bare(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a file");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
    connection.pragma_update(None, "synchronous", "FULL").expect("the same care");
    connection
        .execute_batch(
            "CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER, task_id INTEGER, run_id TEXT, kind TEXT, text TEXT);
             CREATE INDEX events_by_task ON events (task_id, seq);",
        )
        .expect("a table");
    connection
}

fn commit_bare(connection: &Connection, entries: &[Entry]) {
    connection.execute_batch("BEGIN IMMEDIATE").expect("begun");
    for entry in entries {
        let (task, fact) = (entry.task_id.map(|id| id.0), &entry.fact);
        let row = params![entry.seq, entry.at.as_millisecond(), task, fact.kind(), fact.text()];
        let sql = "INSERT INTO events (seq, at, task_id, kind, text) VALUES (?1, ?2, ?3, ?4, ?5)";
        connection.prepare_cached(sql).and_then(|mut insert| insert.execute(row)).expect("a row");
    }
    connection.execute_batch("COMMIT").expect("stored");
}

fn entry(seq: u64) -> Entry {
    let end = RunEnd::Finished { summary: "the login works again".to_owned() };
    let then = Standing::Is { status: Status::InReview };
    Entry {
        seq,
        at: Timestamp::UNIX_EPOCH,
        task_id: Some(TaskId(seq % 50 + 1)),
        run_id: None,
        actor: Actor::Orch,
        fact: RunFact::Ended { end, then }.into(),
    }
}

/// The tasks are settled, as most of so many are, and a hundred are open.
fn restart(scale: Scale, table: &mut Table) {
    let mut fixture = Fixture::new("");
    fixture.serve();
    fixture.stop();
    let path = fixture.sealed().orch_home().join(".orch/orch.db");
    let runtime = runtime();
    let (journal, _) = Journal::open(&path).expect("the journal");
    for from in (1..=STORED).step_by(1000) {
        let writes = (from..from + 1000).flat_map(|id| [task(id), Write::Entry(entry(id))]).collect();
        runtime.block_on(journal.commit(writes)).expect("stored");
    }
    runtime.block_on(journal.leave());
    drop(journal);
    let [mut left, mut killed] = [(); 2].map(|()| Samples::default());
    for _ in 0..scale.pick(5, 2) {
        left.add(timed(|| fixture.serve()).0);
        fixture.kill();
        killed.add(timed(|| fixture.serve()).0);
        fixture.stop();
    }
    table.limit("orch serve to the first answer, 100,000 tasks stored, after a stop", None, &left, RESTART);
    table.limit("the same after kill -9", None, &killed, RESTART);
    fixture.serve();
    turns(&fixture, scale.pick(200, 40), table);
    fixture.finish();
}

/// What one turn of the loop takes in that home, each of them woken by a task that is added.
fn turns(fixture: &Fixture, count: usize, table: &mut Table) {
    let mut samples = Samples::default();
    for number in 0..count {
        let before = turned(fixture);
        fixture.add(&format!("Wake the loop {number}"));
        let after = turned(fixture);
        let turns = (after.1 - before.1).max(1.0);
        samples.add((after.0 - before.0) * 1000.0 / turns);
    }
    table.limit("a turn of the daemon's loop, 100,000 tasks stored, 100 of them open", None, &samples, TURN);
}

/// The seconds that all turns took since the start, and how many they were.
fn turned(fixture: &Fixture) -> (f64, f64) {
    let socket = fixture.sealed().socket().expect("the daemon's socket answers");
    let text = http::get(&socket, "/metrics").body;
    let figure = |name: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}:\n{text}"));
        line.trim().parse().expect("a figure")
    };
    (figure("orch_loop_turn_seconds_sum "), figure("orch_loop_turn_seconds_count "))
}

/// A hundred agents at work whose daemon was killed: until the next one has written down that it took all of them over.
fn adoption(rounds: u64, table: &mut Table) {
    let program = json!(this_program());
    let agents = format!(
        "  teller: {{kind: command, command: {program}, args: [{}, STAMPS, \"{{task_id}}\"]}}\n",
        agent::TELLER
    );
    let mut fixture = Fixture::with(&agents, &format!("engine: {{max_parallel: {RUNS}, adaptive: none}}\n"));
    let repo = repository(fixture.sealed(), 10);
    fixture.serve();
    fixture.register(&repo);
    let ids: Vec<u64> = (0..RUNS).map(|number| fixture.add_for(&format!("Tell {number}"), "teller")).collect();
    for id in &ids {
        fixture.await_stamp(&id.to_string(), "begin");
    }
    let path = fixture.sealed().orch_home().join(".orch/orch.db");
    let adopted = || {
        let journal = Connection::open(&path).expect("the journal");
        let sql = "SELECT count(*) FROM events WHERE kind = 'run_adopted'";
        journal.query_row(sql, [], |row| row.get::<_, u64>(0)).expect("a count")
    };
    let mut samples = Samples::default();
    for round in 1..=rounds {
        fixture.kill();
        let until_all = || {
            fixture.serve();
            wait::wait_until("all to be adopted", RUN, || adopted() >= round * RUNS);
        };
        samples.add(timed(until_all).0);
    }
    table.limit("orch serve after kill -9, until 100 runs at work are taken over", None, &samples, RESTART);
    std::fs::File::create(fixture.stamps().join("go")).expect("a file in the box");
    std::fs::File::create(fixture.stamps().join("stop")).expect("a file in the box");
    wait::wait_until("all tasks to be done", 4 * RUN, || fixture.count("done") == RUNS);
    fixture.finish();
}

fn task(id: u64) -> Write {
    let state = if id.is_multiple_of(1000) { State::NEW } else { State::Done };
    // What is open is written into the file when the daemon is first started.
    let file = if state.status() == Status::Done { FileState::Removed { gave_up: false } } else { FileState::Pending };
    let spec = Spec { title: format!("Task number {id}"), body: "What is to be done. ".repeat(20), ..Spec::default() };
    Write::Task(Arc::new(Task { state, ..Task::new(TaskId(id), spec, file, Timestamp::UNIX_EPOCH) }))
}
