//! The rows, in the order of the table.

mod agents;
mod answers;
mod budgets;
mod channels;
mod children;
mod cleanup;
mod clocks;
mod crash_points;
mod daemons;
mod damage;
mod down;
mod edits;
mod faults;
mod git;
mod kills;
mod lives;
mod migrations;
mod outage;
mod parsers;
mod person;
mod power;
mod replay;
mod seeds;
mod soak;
mod starved;
mod storm;
mod strangers;
mod surroundings;
mod takeover;
mod throng;
mod tmux;

use crate::row::Row;

/// All of them.
pub fn all() -> Vec<&'static Row> {
    let mut rows = vec![&crash_points::ROW, &kills::DAEMON, &kills::RUNNER, &kills::AGENT, &kills::TMUX, &kills::ALL];
    rows.extend([
        &faults::ONE,
        &faults::LASTING,
        &power::CUTS,
        &power::LIVE,
        &damage::HOME,
        &damage::FILE,
        &damage::INDEX,
        &down::ROW,
        &takeover::ROW,
        &daemons::TEN,
        &daemons::TWO,
        &daemons::ASLEEP,
        &strangers::ROW,
        &edits::RACES,
        &edits::BROKEN,
        &tmux::ROW,
        &agents::ROW,
        &storm::ROW,
        &outage::ROW,
        &git::ROW,
        &surroundings::MOVED,
        &surroundings::SLOW,
        &throng::TASKS,
        &throng::AGENTS,
        &soak::ROW,
        &starved::ROW,
        &children::ROW,
        &person::ROW,
    ]);
    rows.extend([&clocks::ROW, &answers::ROW, &lives::ROW, &cleanup::ROW, &migrations::DEATHS, &migrations::NEWER]);
    rows.extend([&budgets::ROW, &seeds::ROW, &replay::ROW, &parsers::ROW, &channels::ROW]);
    rows.sort_by_key(|row| number(row.id));
    rows
}

/// The number of a row, by which the table is sorted.
fn number(id: &str) -> u32 {
    let digits = id.trim_start_matches('R');
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(u32::MAX)
}
