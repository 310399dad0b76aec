//! R6: the daemon dies while agents run, and stays away past their ends. Each ends in another way.

use crate::check::{self, Allowed};
use crate::fixture::{Ends, Fixture, Job};
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use serde_json::Value;

/// The row.
pub const ROW: Row = Row {
    id: "R6",
    code: file!(),
    fault: "the daemon is away past the end of its agents, which end with 0, 1, 137 and 143",
    goal: "exact exit code and whole output on return, nothing is run again for it",
    run: Run::Trials { quick: 1, full: 50, run },
};

/// How an agent ends: the line of its script, and what its runner is to report.
const ENDINGS: [(&str, &str, Option<i64>, Option<i64>); 4] = [
    ("zero", "say the end", Some(0), None),
    ("one", "exit 1", Some(1), None),
    ("killed", "run sh -c 'kill -9 $PPID; sleep 60'", None, Some(9)),
    ("asked", "run sh -c 'kill -15 $PPID; sleep 60'", None, Some(15)),
];

fn run(times: usize, _: Size) -> Tally {
    trials(times, 2, |_| away())
}

fn away() -> Findings {
    let mut fixture = Fixture::empty("");
    let go = format!("run sh -c 'until [ -e {}/go ]; do sleep 0.01; done'", fixture.notes.display());
    let job = |(name, end, code, _): &(&str, &str, Option<i64>, Option<i64>)| {
        let work = format!("write {name}.txt right\ncommit Add {name}");
        let script = format!("say {name} was here\n{go}\n{work}\n{end}\non-retry:\n{work}");
        let starts = if *code == Some(0) { 1 } else { 2 };
        let file = (format!("{name}.txt"), "right\n".to_owned());
        Job { title: format!("End {name}"), script, ends: Ends::Done, file, starts }
    };
    let jobs: Vec<Job> = ENDINGS.iter().map(job).collect();
    let entries: String = jobs.iter().map(Job::entry).collect();
    fixture.sealed.write_tasks(&format!("{}\n{entries}{}\n", crate::fixture::MARKS[0], crate::fixture::MARKS[1]));
    fixture.sealed.serve();
    wait::wait_until("all agents", RUN, || fixture.started().len() == jobs.len());
    fixture.sealed.kill_daemon();
    std::fs::write(fixture.note("go"), "").expect("a file in the box");
    wait::wait_until("the end of all runs", RUN, || fixture.processes("__run").is_empty());
    let mut found = Vec::new();
    if fixture.started().len() != jobs.len() {
        found.push(finding(Broken::Doubled, "an agent was started while no daemon lived"));
    }
    fixture.until_idle(&[]).finish(RUN);
    for (id, (name, _, code, signal)) in (1..).zip(ENDINGS) {
        found.extend(reported(&fixture, id, name, (code, signal)));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}

/// Checks that the first run of the task is reported as it ended, with all of its output.
fn reported(fixture: &Fixture, id: u64, name: &str, (code, signal): (Option<i64>, Option<i64>)) -> Findings {
    let dir = fixture
        .runs()
        .into_iter()
        .find(|dir| dir.file_name().is_some_and(|run| run.to_string_lossy().starts_with(&format!("{id}-1-"))));
    let Some(dir) = dir else { return vec![finding(Broken::Lost, format!("the first run of task {id} is gone"))] };
    let report: Value = serde_json::from_str(&crate::kit::read_file(&dir.join("outcome.json"))).unwrap_or_default();
    let mut found = Vec::new();
    if (report["exit"]["code"].as_i64(), report["exit"]["signal"].as_i64()) != (code, signal) {
        found.push(finding(
            Broken::Lost,
            format!("task {id} ended with {}, expected {code:?} {signal:?}", report["exit"]),
        ));
    }
    let text = fixture.orch(["task", "log", &id.to_string(), "--run", "1"]).stdout;
    if !text.contains(&format!("{name} was here")) {
        found.push(finding(Broken::Lost, format!("what the agent of task {id} said is not there: {text}")));
    }
    found
}
