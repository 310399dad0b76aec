//! Measures commands with ten thousand stored tasks, with and without a daemon.

use crate::Scale;
use crate::fixture::Fixture;
use crate::kit::sealed_box::ORCH;
use crate::kit::wait;
use crate::library::{MANY, tasks_yaml};
use crate::measure::{Samples, program_ms, random_pause};
use crate::table::Table;
use orch_sys::process::Invocation;
use std::time::Duration;

/// Milliseconds for a list.
const LIST: f64 = 30.0;
/// "As quick with ten thousand as with none".
const SAME: (f64, f64) = (0.7, 1.3);

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let rounds = scale.pick(40, 8);
    // No project: a task that is added waits, and nothing of it disturbs the next.
    let (mut none, mut many) = (Fixture::new(""), with_many());
    none.sealed().quiet_repo();
    many.sealed().quiet_repo();
    none.serve();
    lists(&many, "with the daemon", rounds, table);
    adds(&none, &many, "with the daemon", rounds, table);
    none.stop();
    many.stop();
    lists(&many, "without a daemon", rounds, table);
    adds(&none, &many, "without a daemon", rounds, table);
    none.finish();
    many.finish();
}

/// Opens a fixture whose daemon has ten thousand finished tasks.
pub fn with_many() -> Fixture {
    let mut fixture = Fixture::new("");
    fixture.sealed().write_tasks(&tasks_yaml(MANY, "done"));
    fixture.serve();
    wait::wait_until("the tasks to be taken in", Duration::from_secs(120), || fixture.count("done") == MANY);
    fixture
}

fn lists(many: &Fixture, how: &str, rounds: usize, table: &mut Table) {
    let [mut bare, mut short, mut all, mut json] = [(); 4].map(|()| Samples::default());
    for _ in 0..rounds {
        random_pause(0, 20);
        bare.add(program_ms(&many.orch(["version"])));
        short.add(program_ms(&many.orch(["task", "list"])));
        all.add(program_ms(&many.orch(["task", "list", "--all"])));
        json.add(program_ms(&many.orch(["task", "list", "--all", "--json"])));
    }
    table.limit(format!("orch task list, 10,000 tasks, {how}; against version"), Some(&bare), &short, LIST);
    table.limit(format!("orch task list --all, 10,000 tasks, {how}; against version"), Some(&bare), &all, LIST);
    table.part(format!("the same with --json, {how}"), &json);
}

/// A task is added where a person would add it: in the repository.
fn add(fixture: &Fixture, title: &str) -> Invocation {
    fixture.program(ORCH, &fixture.sealed().base().join("shop")).args(["task", "add", title])
}

fn adds(none: &Fixture, many: &Fixture, how: &str, rounds: usize, table: &mut Table) {
    let (mut with_none, mut with_many) = (Samples::default(), Samples::default());
    for round in 0..rounds {
        let title = format!("Task {round} {how}");
        random_pause(20, 200);
        with_none.add(program_ms(&add(none, &title)));
        random_pause(20, 200);
        with_many.add(program_ms(&add(many, &title)));
    }
    let name = format!("orch task add, {how}: 10,000 stored / none");
    table.ratio(name, &with_none, &with_many, SAME, "× 0.7 – 1.3");
}
