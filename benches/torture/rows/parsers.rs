//! R26: parsers of external input, with valid input that was damaged.

use crate::fuzz::{Fuzzed, NAMES, fuzz};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding};
use orch_sys::process::env_var;
use std::time::Duration;

/// The row.
pub const ROW: Row = Row {
    id: "R26",
    code: file!(),
    fault: "tasks.yml, configuration, lines of agents, escape sequences and HTTP requests, spoilt: cut, doubled, flipped, \
            very deep, very long, no text at all",
    goal: "no crash, nothing above a second or above 64 MB of memory",
    // Seconds for each parser.
    run: Run::Trials { quick: 2, full: 240, run },
};

fn run(seconds: usize, _: Size) -> Tally {
    let wanted = env_var("PARSER");
    let names: Vec<&str> = NAMES.into_iter().filter(|name| wanted.as_ref().is_none_or(|word| word == name)).collect();
    let time = Duration::from_secs(seconds as u64);
    let halves = names.split_at(names.len().div_ceil(2));
    let one_after_another = |names: &[&str]| names.iter().map(|name| fuzz(name, time)).collect::<Vec<Fuzzed>>();
    // Two at a time: each watches itself.
    let fuzzed = std::thread::scope(|scope| {
        let first = scope.spawn(|| one_after_another(halves.0));
        let second = one_after_another(halves.1);
        first.join().expect("it does not panic").into_iter().chain(second).collect::<Vec<Fuzzed>>()
    });
    let mut findings = Findings::new();
    if names.is_empty() {
        findings.push(finding(Broken::Stuck, format!("there is no parser {wanted:?}: {NAMES:?}")));
    }
    for text in fuzzed.iter().flat_map(|one| &one.wrong) {
        crate::table::print_error(text);
        findings.push(finding(Broken::Stuck, text.as_str()));
    }
    let cases: u64 = fuzzed.iter().map(|one| one.cases).sum();
    let memory = fuzzed.iter().map(|one| one.memory).max().unwrap_or(0) / 1024;
    let note = format!("{memory} MB at most; {seconds} s each; mutation of recorded input, not guided by coverage");
    Tally { times: usize::try_from(cases).unwrap_or(usize::MAX), findings, note }
}
