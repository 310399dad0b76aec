//! How long it takes to find a text in the output of many runs: by reading all of it, beside `rg` (or `grep`) on the
//! same files in turn, and with the index; and what index and packed transcripts take on the disk.

use crate::Scale;
use crate::fixture::Fixture;
use crate::kit::wait;
use crate::measure::{Samples, figure, timed};
use crate::table::{Row, Table};
use orch_core::base::ids::{RunId, TaskId};
use orch_store::search::SearchIndex;
use orch_sys::process::{Invocation, environment, run, which};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Milliseconds for a hit with the index.
const HIT: f64 = 100.0;
/// The accepted ratio of a scan to the baseline.
const SCAN: (f64, f64) = (0.0, 2.0);
/// Bytes of one transcript.
const TRANSCRIPT: usize = 5 << 20;
/// Stands in one line of all.
const NEEDLE: &str = "panicked at parser.rs:4711";
/// Stands nowhere.
const NOWHERE: &str = "zyzzyva is nowhere";

/// The rows.
pub fn rows(scale: Scale, table: &mut Table) {
    let mut fixture = Fixture::new("");
    let runs = scale.pick(200, 20);
    let megabytes = (runs * TRANSCRIPT) >> 20;
    let rounds = scale.pick(10, 5);
    write_runs(&fixture.sealed().orch_home(), runs);
    scans(&fixture, megabytes, rounds, table);
    let took = index(&mut fixture, runs);
    with_index(&fixture, megabytes, rounds, table);
    sizes(&fixture, megabytes, took, table);
    fixture.finish();
}

fn scans(fixture: &Fixture, megabytes: usize, rounds: usize, table: &mut Table) {
    let rg = which("rg", environment().get("PATH").map_or("", String::as_str));
    let name = if rg.is_some() { "rg" } else { "grep -F" };
    let (mut beside, mut own, mut odd) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..rounds {
        let other = match &rg {
            Some(rg) => fixture.program(rg, &runs_dir(fixture)).args(["--no-config", "-F", "-g", "*.log", NEEDLE, "."]),
            None => fixture.program("grep", &runs_dir(fixture)).args(["-rnF", NEEDLE, "."]),
        };
        beside.add(found_ms(&other, true));
        own.add(found_ms(&fixture.orch(["search", NEEDLE]), true));
        odd.add(found_ms(&fixture.orch(["search", "--regex", r"panicked at \w+\.rs:47\d\d"]), true));
    }
    table.ratio(format!("orch search, all of {megabytes} MB read / {name}"), &beside, &own, SCAN, "× ≤ 2");
    table.part("the same for a regular expression", &odd);
}

fn with_index(fixture: &Fixture, megabytes: usize, rounds: usize, table: &mut Table) {
    let [mut hit, mut miss, mut regex, mut all] = [(); 4].map(|()| Samples::default());
    for _ in 0..rounds {
        hit.add(found_ms(&fixture.orch(["search", NEEDLE, "-C", "2"]), true));
        miss.add(found_ms(&fixture.orch(["search", NOWHERE]), false));
        regex.add(found_ms(&fixture.orch(["search", "--regex", r"panicked at \w+\.rs:47\d\d"]), true));
        // Nothing of it can be looked up.
        all.add(found_ms(&fixture.orch(["search", "--regex", r"\d\d#\d\d"]), false));
    }
    table.limit(format!("orch search with the index, one hit in {megabytes} MB"), None, &hit, HIT);
    table.limit("the same without a hit", None, &miss, HIT);
    table.part("the same for a regular expression", &regex);
    table.part("all of it read, packed", &all);
}

fn sizes(fixture: &Fixture, megabytes: usize, took_ms: f64, table: &mut Table) {
    let index = size(&fixture.sealed().orch_home().join(".orch/search.db"));
    let entries = std::fs::read_dir(runs_dir(fixture)).expect("the runs").flatten();
    let packed: u64 = entries.map(|run| size(&run.path().join("transcript.log.zst"))).sum();
    let share = |bytes: u64| format!("{:.1} %", bytes as f64 / (megabytes as f64 * 1024.0 * 1024.0) * 100.0);
    let speed = format!("{} MB/s", figure(megabytes as f64 / took_ms * 1e3));
    for (name, value) in [
        ("the index, of the text it covers", share(index)),
        ("packed transcripts, of the text", share(packed)),
        ("packing and indexing, daemon and start included", speed),
    ] {
        table.add(Row { name: name.to_owned(), orch: value, ..Row::default() });
    }
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}

fn runs_dir(fixture: &Fixture) -> PathBuf {
    fixture.sealed().orch_home().join(".orch/runs")
}

/// Milliseconds of a program that finds something, or nothing.
fn found_ms(call: &Invocation, finds: bool) -> f64 {
    let (ms, output) = timed(|| run(call));
    let output = output.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(output.text().contains("4711"), finds, "{call:?}: {}{}", output.text(), output.error_text());
    ms
}

/// Lets a daemon pack and index everything. Milliseconds.
fn index(fixture: &mut Fixture, runs: usize) -> f64 {
    let path = fixture.sealed().orch_home().join(".orch/search.db");
    let indexed =
        || SearchIndex::open_existing(&path).ok().flatten().and_then(|index| index.runs().ok()).map_or(0, |r| r.len());
    let (ms, ()) = timed(|| {
        fixture.serve();
        wait::wait_until("everything to be in the index", Duration::from_secs(900), || indexed() == runs);
    });
    fixture.stop();
    ms
}

/// Transcripts as agents write them: words, paths, numbers, and sometimes a command with its result.
fn write_runs(home: &Path, runs: usize) {
    for number in 0..runs {
        let run = RunId::new(TaskId(number as u64 + 1), 1, 0xab);
        let dir = home.join(".orch/runs").join(run.as_str());
        std::fs::create_dir_all(&dir).expect("a directory");
        let mut text = transcript(number as u64 + 1);
        if number == runs / 2 {
            let middle = text[..text.len() / 2].rfind('\n').expect("lines") + 1;
            text.insert_str(middle, &format!("thread main {NEEDLE}: boom\n"));
        }
        crate::kit::write_file(&dir.join("transcript.log"), &text);
        crate::kit::write_file(&dir.join("outcome.json"), "{}");
    }
}

fn transcript(seed: u64) -> String {
    const WORDS: [&str; 32] = [
        "the",
        "parser",
        "reads",
        "a",
        "token",
        "and",
        "returns",
        "error",
        "when",
        "nothing",
        "is",
        "left",
        "fn",
        "let",
        "mut",
        "match",
        "Some",
        "None",
        "->",
        "{",
        "}",
        "test",
        "passed",
        "in",
        "src/main.rs",
        "tests/it.rs",
        "commit",
        "change",
        "warning:",
        "unused",
        "variable",
        "cargo",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = String::with_capacity(TRANSCRIPT + 200);
    while text.len() < TRANSCRIPT {
        let mut draw = random();
        match draw % 8 {
            // Writing to a string cannot fail.
            0 => drop(write!(text, "▸ Bash: git show {:016x} --stat", random())),
            1 => drop(write!(text, "  {:?} {} ms, {} bytes", (draw >> 8) % 1000, (draw >> 20) % 9000, draw >> 44)),
            _ => {
                for _ in 0..=draw % 12 {
                    draw = random();
                    text.push_str(WORDS[(draw % 32) as usize]);
                    text.push(' ');
                }
            }
        }
        text.push('\n');
    }
    text
}
