//! Measures the delay from an agent's line to a watcher, for all sessions at once, compared to `tail -F` on the same
//! transcripts, and the daemon's resources.

use crate::Scale;
use crate::agent;
use crate::fixture::{Fixture, repository, this_program};
use crate::idle::{pss_mb, watched};
use crate::kit::sealed_box::ORCH;
use crate::kit::wait::{self, RUN};
use crate::measure::{Samples, figure, now_ns, pause};
use crate::poll;
use crate::table::{Row, Table};
use crate::watch::{Reader, Seen, by_line, tail};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Milliseconds at the median, and at the 99th percentile.
const LATENCY: (f64, f64) = (1.0, 10.0);
/// Percent of one core with a hundred sessions that write twenty lines a second each, and with a hundred that are silent.
const BUSY: f64 = 5.0;
const SILENT: f64 = 0.1;
/// Megabytes.
const MEMORY: f64 = 40.0;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    for sessions in [1, 10, 100] {
        measure(sessions, scale, table);
    }
}

fn measure(sessions: usize, scale: Scale, table: &mut Table) {
    let program = json!(this_program());
    let teller = format!(
        "  teller: {{kind: command, command: {program}, args: [{}, STAMPS, \"{{task_id}}\"]}}\n",
        agent::TELLER
    );
    let mut fixture = Fixture::with(&teller, &format!("engine: {{max_parallel: {sessions}}}\n"));
    let repo = repository(fixture.sealed(), 10);
    fixture.serve();
    fixture.register(&repo);
    let ids: Vec<u64> = (0..sessions).map(|number| fixture.add_for(&format!("Session {number}"), "teller")).collect();
    for id in &ids {
        fixture.await_stamp(&id.to_string(), "begin");
    }
    let runs: Vec<PathBuf> = ids.iter().map(|id| transcript(&fixture, *id)).collect();
    let by_orch = Reader::start(&fixture, ORCH, &["stream", "--all", "--from-start"], by_line());
    let by_tail = Reader::start(&fixture, "tail", &tail(&runs), by_line());
    let pid = fixture.daemon_pid();
    pause(Duration::from_secs(2));
    if sessions == 100 {
        let time = Duration::from_secs(scale.pick(60, 15));
        let silent = watched(pid, time);
        processor(
            table,
            &format!("daemon, 100 silent sessions with a watcher, {} s", time.as_secs()),
            silent.cpu,
            SILENT,
        );
        let programs = if silent.programs { "some" } else { "0" };
        table.add(Row { name: "  · programs run".into(), orch: programs.into(), ..Row::default() });
    }
    let begun = now_ns();
    std::fs::File::create(fixture.stamps().join("go")).expect("a file in the box");
    let time = Duration::from_secs(scale.pick(20, 6));
    let (busy, of_tail) = std::thread::scope(|scope| {
        let of_tail = scope.spawn(|| watched(by_tail.pid(), time));
        (watched(pid, time), of_tail.join().expect("tail is watched"))
    });
    let memory = pss_mb(pid);
    let undisturbed = (begun, now_ns());
    let (polled, looked) = poll::poll(&fixture, scale.pick(6, 4));
    std::fs::File::create(fixture.stamps().join("stop")).expect("a file in the box");
    let said: BTreeMap<u64, u64> = ids.iter().map(|id| (*id, fixture.await_stamp(&id.to_string(), "said"))).collect();
    wait::wait_until("all tasks to be done", 2 * RUN, || fixture.count("done") == sessions as u64);
    pause(Duration::from_millis(500));
    let (orch, bare) = (by_orch.end(), by_tail.end());
    report(sessions, (&orch, &bare), &said, undisturbed, table);
    report_polled(&polled, &bare, looked, table);
    if sessions == 100 {
        let name = "daemon, 100 sessions of 20 lines a second, one watcher of all; `tail -F`";
        processor(table, name, busy.cpu, BUSY);
        table.beside(format!("{:.3} %", of_tail.cpu));
        table.add(Row {
            name: "  · its memory (PSS)".into(),
            orch: format!("{} MB", figure(memory)),
            goal: format!("≤ {MEMORY} MB"),
            reached: Some(memory <= MEMORY),
            ..Row::default()
        });
    }
    fixture.finish();
}

fn processor(table: &mut Table, name: &str, cpu: f64, goal: f64) {
    table.add(Row {
        name: name.to_owned(),
        orch: format!("{cpu:.3} %"),
        goal: format!("≤ {goal} % of a core"),
        reached: Some(cpu <= goal),
        ..Row::default()
    });
}

/// The transcript of a task's run, once it is there.
pub fn transcript(fixture: &Fixture, id: u64) -> PathBuf {
    wait::wait_some("a transcript", RUN, || {
        let path = fixture.task(id).runs?.pop()?.transcript;
        path.exists().then_some(path)
    })
}

fn report(
    sessions: usize,
    (orch, bare): (&Seen, &Seen),
    said: &BTreeMap<u64, u64>,
    undisturbed: (u64, u64),
    table: &mut Table,
) {
    let all: u64 = said.values().sum();
    let lost = all as i64 - orch.count() as i64;
    let (of_orch, of_tail) = (orch.latency(undisturbed), bare.latency(undisturbed));
    let (p50, p99) = (of_orch.p50(), of_orch.percentile(99));
    let in_goal = p50 <= LATENCY.0 && (p99 <= LATENCY.1 || p99 <= 2.0 * of_tail.percentile(99));
    table.add(Row {
        name: format!("line written → on the watcher's stdout, {sessions} sessions: p50 / p99 (n={})", of_orch.count()),
        baseline: both(&of_tail),
        orch: both(&of_orch),
        own: format!("× {:.1} / {:.1}", p50 / of_tail.p50(), p99 / of_tail.percentile(99)),
        goal: format!("≤ {} / {} ms", LATENCY.0, LATENCY.1),
        reached: Some(in_goal),
    });
    table.add(Row {
        name: "  · lost, doubled".to_owned(),
        orch: format!("{lost}, {}", orch.doubled),
        goal: "0, 0".to_owned(),
        reached: Some(lost == 0 && orch.doubled == 0),
        ..Row::default()
    });
}

fn both(samples: &Samples) -> String {
    format!("{} / {} ms", figure(samples.p50()), figure(samples.percentile(99)))
}

/// Adds the result of polling the panes every two seconds, for lines between the first and the last poll.
fn report_polled(polled: &Seen, bare: &Seen, looked: (u64, u64), table: &mut Table) {
    let written = bare.count_within(looked);
    let lost = 100.0 * (1.0 - polled.count_within(looked) as f64 / written as f64);
    table.add(Row {
        name: "  · by `tmux capture-pane` every 2 s instead, and what that loses".to_owned(),
        baseline: format!("{}, {} %", both(&polled.latency(looked)), figure(lost)),
        ..Row::default()
    });
}
