//! R5: the disk has other content than was written: truncated, zeroed, a flipped bit. All damage is reported.

use crate::disk::scratch;
use crate::fixture::{Fixture, Job};
use crate::kit::process::Ran;
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Dice, Row, Run, Size, Tally, finding, trials};
use crate::rows::migrations::OldHome;
use ::orch_store::journal::SCHEMA;
use ::orch_store::search::SearchIndex;
use hurt::{Harm, hurt};
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The kinds of harm are those of the test suite.
#[expect(dead_code, reason = "a kind of harm of its own is for the test suite")]
#[path = "../../../tests/it/journal/hurt.rs"]
mod hurt;
#[path = "../../../tests/it/journal/random.rs"]
mod random;

/// All of a home, opened in this process.
pub const HOME: Row = Row {
    id: "R5",
    code: file!(),
    fault: "the journal, its log, tasks.yml, sidecars, reports: cut, zeroed, a bit flipped, one to three times",
    goal: "what was stored is there, or is told to be lost; no number is given out twice, nothing done is done again",
    run: Run::Trials { quick: 50, full: 10_000, run: homes },
};
/// tasks.yml, with the real program.
pub const FILE: Row = Row {
    id: "R5",
    code: file!(),
    fault: "tasks.yml: cut, zeroed, a bit flipped; orch is asked",
    goal: "no task changes or goes without a word",
    run: Run::Trials { quick: 20, full: 1000, run: files },
};
/// The index, with the real program.
pub const INDEX: Row = Row {
    id: "R5",
    code: file!(),
    fault: "the search index: cut, zeroed, a bit flipped; orch is asked to find a word",
    goal: "no panic; what is found is there; a damaged index is told, or missing",
    run: Run::Trials { quick: 20, full: 1000, run: indexes },
};

/// Homes damaged one after the other before the next trial.
const AT_ONCE: usize = 25;

fn homes(times: usize, _: Size) -> Tally {
    let mut tally = trials(times.div_ceil(AT_ONCE), 2, |_| {
        random::survive(u32::try_from(times.min(AT_ONCE)).expect("small"), scratch());
        Vec::new()
    });
    tally.times = times;
    // A case that is not survived breaks its trial off.
    tally.findings.iter_mut().for_each(|found| found.broken = Broken::Lost);
    tally
}

fn harm(dice: &mut Dice) -> Harm {
    let (at, bit) = (dice.below(1 << 30), u8::try_from(dice.below(8)).expect("small"));
    match dice.below(4) {
        0 => Harm::Cut { to: at },
        1 => Harm::Zeroed { from: at, length: 1 + dice.below(9000) },
        2 => Harm::Zeroed { from: at / 4096 * 4096, length: 4096 * (1 + dice.below(10)) },
        _ => Harm::Flipped { at, bit },
    }
}

fn files(times: usize, _: Size) -> Tally {
    trials(times, 3, |number| {
        let mut dice = Dice::new(number as u64 + 60_000);
        let fixture = OldHome::new(SCHEMA);
        let before = rows(&fixture.list(&[]));
        let lines = |fixture: &OldHome| fixture.orch(&["events"], &[]).stdout.lines().count();
        let known = lines(&fixture);
        let harm = harm(&mut dice);
        hurt(&fixture.home().join("tasks.yml"), &harm);
        let ran = fixture.list(&[]);
        let is_reported = ran.code != Some(0) || !ran.stderr.trim().is_empty();
        let now = rows(&ran);
        let mut found = Vec::new();
        if !is_reported && now != before && lines(&fixture) == known {
            found.push(finding(Broken::Lost, format!("{harm:?}: {before:?} has become {now:?} without a word: {ran}")));
        }
        if ran.code == Some(0) && before.len() != now.len() {
            found.push(finding(Broken::Lost, format!("{harm:?}: tasks are gone: {ran}")));
        }
        if format!("{ran}").contains("panicked") {
            found.push(finding(Broken::Lost, format!("{harm:?}: {ran}")));
        }
        found
    })
}

fn rows(ran: &Ran) -> Vec<String> {
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let row = |task: &Value| format!("{} {} {}", task["id"], task["status"], task["title"]);
    listed.as_array().into_iter().flatten().map(row).collect()
}

fn indexes(times: usize, _: Size) -> Tally {
    let fixture = spoken();
    let expected = hits(&fixture, &fixture.sealed.orch_home()).1;
    assert_eq!(expected.len(), 3, "each agent has said it");
    let missed = AtomicUsize::new(0);
    let mut tally = trials(times, 3, |number| {
        let mut dice = Dice::new(number as u64 + 70_000);
        let place = tempfile::Builder::new().prefix("ob-").tempdir_in(scratch()).expect("a directory");
        copy(&fixture.sealed.orch_home(), place.path());
        let harm = harm(&mut dice);
        hurt(&place.path().join(".orch/search.db"), &harm);
        let (ran, found) = hits(&fixture, place.path());
        if format!("{ran}").contains("panicked") {
            return vec![finding(Broken::Lost, format!("{harm:?}: {ran}"))];
        }
        if found.iter().any(|hit| !expected.contains(hit)) {
            return vec![finding(Broken::Lost, format!("{harm:?}: it finds {found:?}: {ran}"))];
        }
        missed.fetch_add(usize::from(found != expected && !ran.stderr.contains("index")), Ordering::SeqCst);
        Vec::new()
    });
    // The index has no checksums, so a readable one without some terms is not noticed.
    tally.note = format!("not promised: {} times a word was missed without a word of it", missed.into_inner());
    tally
}

/// Opens a fixture in which three agents have printed, with a complete index.
fn spoken() -> Fixture {
    let job = |name: &str| Job::plain(name, &format!("say the word of {name} is shibboleth\nflood 200KB"));
    let jobs: Vec<Job> = ["one", "two", "three"].iter().map(|name| job(name)).collect();
    let fixture = Fixture::open(&jobs, "");
    let mut daemon = fixture.orch_program().args(["serve"]).start();
    let index = fixture.state().join("search.db");
    let indexed = || SearchIndex::open_existing(&index).ok().flatten().and_then(|index| index.runs().ok());
    wait::wait_until("the index", RUN, || indexed().is_some_and(|runs| runs.len() >= 3));
    daemon.signal(rustix::process::Signal::TERM);
    wait::wait_until("its end", RUN, || !daemon.is_running());
    fixture
}

/// Searches for a word.
fn hits(fixture: &Fixture, home: &Path) -> (Ran, Vec<String>) {
    let ran = fixture.orch_program().envs([("ORCH_HOME", home)]).args(["search", "--json", "shibboleth"]).run();
    let mut found: Vec<String> = ran.json_lines().iter().map(|hit| hit["text"].to_string()).collect();
    found.sort();
    (ran, found)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && entry.file_name() != "worktrees" {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}
