//! R17: retry and escalation in the pure state machine: every sequence of twelve events, and long random ones.

use crate::kit::lives::{MOST_RUNS, every_life, random_life};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};

/// The row.
pub const ROW: Row = Row {
    id: "R17",
    code: file!(),
    fault: "every order of twelve events in the life of a task, and long lives at random: failures of every class, \
            refusals, late reports, people",
    goal: "attempts within the limit, no more than 60 runs that nobody asked for, every state can reach an end",
    run: Run::Trials { quick: 10_000, full: 1_000_000, run },
};

/// Lives of one trial.
const EACH: usize = 1000;

fn run(times: usize, _: Size) -> Tally {
    let walks = [&[][..], &["codex"]];
    let mut states = 0;
    let mut findings = Findings::new();
    for alternatives in walks {
        let walked = every_life(12, alternatives);
        states += walked.states;
        findings.extend(walked.wrong.into_iter().map(|text| finding(Broken::Stuck, text)));
        if walked.most_runs > MOST_RUNS {
            findings.push(finding(Broken::Doubled, "runs follow each other without end, and nobody is asked"));
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let tally = trials(times.div_ceil(EACH), cores, |trial| {
        let seeds = (trial * EACH..(trial * EACH + EACH).min(times)).map(|seed| seed as u64);
        seeds.filter_map(random_life).map(|text| finding(Broken::Stuck, text)).collect()
    });
    findings.extend(tally.findings);
    Tally { times, findings, note: format!("{states} states within twelve events") }
}
