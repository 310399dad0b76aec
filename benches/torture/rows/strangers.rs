//! R9: process ids are reused. orch stores none that it signals: it finds processes by their mark, and a stored id
//! (`started.json`) has its start time with it.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, kill};
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use serde_json::json;

/// The row.
pub const ROW: Row = Row {
    id: "R9",
    code: file!(),
    fault: "the number of a dead runner, wherever it is written, belongs to a living stranger now",
    goal: "no stranger is signalled",
    run: Run::Trials { quick: 2, full: 100, run },
};

fn run(times: usize, _: Size) -> Tally {
    trials(times, 2, |_| reused())
}

fn reused() -> Findings {
    let job = Job::plain("one", "wait 3s");
    let mut fixture = Fixture::open(std::slice::from_ref(&job), "");
    fixture.sealed.serve();
    wait::wait_until("the agent", RUN, || !fixture.started().is_empty());
    fixture.sealed.kill_daemon();
    for runner in fixture.processes("__run") {
        kill(runner);
    }
    let mut stranger = fixture.sealed.run_program("sleep").args(["1000"]).start();
    let pid = stranger.pid().as_raw_nonzero().get();
    let run = fixture.runs().pop().expect("a run");
    let started = json!({"runner": {"pid": pid, "started": "another time"}, "at": "2026-01-01T00:00:00Z"});
    crate::kit::write_file(&run.join("started.json"), &started.to_string());
    crate::kit::write_file(&fixture.state().join("orch.pid"), &pid.to_string());
    fixture.until_idle(&[]).finish(RUN);
    let mut found = Vec::new();
    if !stranger.is_running() {
        found.push(finding(Broken::Lost, "a stranger was ended"));
    }
    drop(stranger);
    found.extend(check::all(&fixture, &[job], Allowed { more_starts: 1, ..Allowed::default() }));
    found
}
