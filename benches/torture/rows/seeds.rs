//! R24: the whole simulation, each seed twice: the same trace both times, and no rule violated.

use crate::row::{Row, Run, Size, Tally};
use crate::simulator::{Wanted, simulate};

/// The row.
pub const ROW: Row = Row {
    id: "R24",
    code: file!(),
    fault: "weeks of tasks, failures, crashes, full disks, people and editors from a seed, each seed twice",
    goal: "the same seed takes the same course, and no rule is broken (a divergence counts as doubled)",
    run: Run::Trials { quick: 60, full: 10_000, run },
};

/// The same seeds each time; fresh ones are for `make simulate`.
const FIRST: u64 = 24_000_000;

fn run(times: usize, size: Size) -> Tally {
    let text = simulate(Wanted { worlds: "all", seeds: times, first: FIRST, twice: true }, size);
    let times = usize::try_from(text.seeds).unwrap_or_default();
    let note = format!("{:.0} simulated days, twice, {}", text.days, text.speed());
    Tally { times, findings: text.findings, note }
}
