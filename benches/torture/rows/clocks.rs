//! R14: clocks that jump and machines that sleep, in the simulation. A timeout without reason, a longer wait, repeated
//! or endless work violates a rule there.

use crate::row::{Row, Run, Size, Tally};
use crate::simulator::{Wanted, simulate};

/// The row.
pub const ROW: Row = Row {
    id: "R14",
    code: file!(),
    fault: "the wall clock jumps by ± 90 s, 1 h (as at the change of summer time), a day, 40 days, a year; the machine \
            sleeps for a minute, an hour, 8 h; providers answer 429 for an hour meanwhile",
    goal: "nothing is too slow that was not, no wait gets longer, no attempt is counted for it",
    run: Run::Trials { quick: 12, full: 20_000, run },
};

/// The same seeds each time.
const FIRST: u64 = 14_000_000;

fn run(times: usize, size: Size) -> Tally {
    let text = simulate(Wanted { worlds: "clocks", seeds: times, first: FIRST, twice: false }, size);
    let note = format!(
        "simulated, {:.0} days, {}; the runner's own limits go by a clock that stands still in sleep",
        text.days,
        text.speed()
    );
    Tally { times: usize::try_from(text.seeds).unwrap_or_default(), findings: text.findings, note }
}
