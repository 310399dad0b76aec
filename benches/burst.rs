//! Measures how many agents start per second, for a hundred tasks at once.

use crate::Scale;
use crate::agent;
use crate::fixture::{Fixture, repository, this_program};
use crate::kit::repo::Repo;
use crate::kit::wait::{self, RUN};
use crate::measure::figure;
use crate::measure::{ms_between, now_ns, program_ms};
use crate::table::{Row, Table};

const TASKS: usize = 100;
const SLOTS: usize = 32;
/// Starts in a second.
const GOAL: f64 = 20.0;

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let rounds = scale.pick(3, 1);
    let (mut bare, mut orch) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (b, o) = round();
        bare.push(b);
        orch.push(o);
    }
    let middle = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let (bare, orch) = (middle(&mut bare), middle(&mut orch));
    table.add(Row {
        name: format!("{TASKS} tasks at once, {SLOTS} slots, small repository (n={rounds})"),
        baseline: format!("{} starts/s", figure(bare)),
        orch: format!("{} starts/s", figure(orch)),
        own: format!("× {:.2}", orch / bare),
        goal: format!("≥ {GOAL} starts/s"),
        reached: Some(orch >= GOAL),
    });
}

/// Starts in a second: bare, and by orch.
fn round() -> (f64, f64) {
    let mut fixture = Fixture::new(&format!("engine: {{max_parallel: {SLOTS}}}\n"));
    let repo = repository(fixture.sealed(), 10);
    let bare = bare(&fixture, &repo);
    fixture.serve();
    fixture.register(&repo);
    let titles: Vec<String> = (0..TASKS).map(|number| format!("Task {number}")).collect();
    let before = now_ns();
    fixture.add_all(&titles);
    wait::wait_until("all tasks to be done", 2 * RUN, || {
        assert_eq!(fixture.count("needs_review"), 0, "a task needs a person");
        fixture.count("done") == TASKS as u64
    });
    let last = (1..=TASKS).map(|id| fixture.await_stamp(&id.to_string(), "begin")).max().unwrap_or(before);
    fixture.finish();
    (bare, rate(before, last))
}

fn rate(before: u64, last: u64) -> f64 {
    TASKS as f64 * 1e3 / ms_between(before, last)
}

/// The same number of worktrees, sessions and agents, one after the other, by the bare programs.
fn bare(fixture: &Fixture, repo: &Repo) -> f64 {
    let dir = fixture.sealed().runtime().join("tmux");
    std::fs::create_dir_all(&dir).expect("a directory in the box");
    let socket = dir.join("bare");
    let tmux = |args: &[&str]| {
        fixture.program("tmux", fixture.sealed().root()).args(["-f", "/dev/null", "-S"]).arg(&socket).args(args)
    };
    program_ms(&tmux(&["new-session", "-d", "-s", "keep", "--", "sleep", "100000"]));
    let before = now_ns();
    for number in 0..TASKS {
        let name = format!("bare-{number}");
        let path = fixture.worktrees().join(&name);
        let add = ["worktree", "add", "--quiet", "--no-track", "-b", &name];
        program_ms(&fixture.program("git", repo.dir()).args(add).arg(&path).arg("main"));
        let session = tmux(&["new-session", "-d", "-s", &name, "-c"]).arg(&path).arg("--").arg(this_program());
        program_ms(&session.arg(agent::FLAG).arg(fixture.stamps()).arg(&name));
    }
    let starts = (0..TASKS).map(|number| fixture.await_stamp(&format!("bare-{number}"), "begin"));
    let last = starts.max().unwrap_or(before);
    for number in 0..TASKS {
        fixture.await_stamp(&format!("bare-{number}"), "end");
    }
    program_ms(&tmux(&["kill-server"]));
    rate(before, last)
}
