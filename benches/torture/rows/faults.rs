//! R3: one call of the file system fails, or all from one call on, until there is space again. Each call in turn, until
//! a whole trial has none left to fail.

use crate::check::{self, Allowed};
use crate::disk::{Calls, Fault, Layer};
use crate::fixture::{Fixture, Job, MARKS};
use crate::kit::process::Ran;
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, pause, trials};
use crate::rows::migrations::{OldHome, VERSIONS};
use std::path::Path;
use std::time::Duration;

/// One call fails.
pub const ONE: Row = Row {
    id: "R3",
    code: file!(),
    fault: "the n-th call of the file system that orch makes fails with EIO, ENOSPC, EMFILE, EINTR or half a write: add, the whole way of a task, migration",
    goal: "no panic; an error names its path; nothing needs a person",
    run: Run::Trials { quick: 24, full: 6000, run: one },
};
/// All fail, until it is mended.
pub const LASTING: Row = Row {
    id: "R3",
    code: file!(),
    fault: "from its n-th call on the disk is full, or everything is read-only, for a while",
    goal: "orch goes on by itself when there is room, or had said what is wrong",
    run: Run::Trials { quick: 4, full: 400, run: lasting },
};

const FAULTS: [Fault; 5] = [Fault::Io, Fault::Full, Fault::Descriptors, Fault::Interrupted, Fault::Short];

/// The operation during which the call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Play {
    /// `orch task add` without a daemon, into a home that has tasks.
    Add,
    /// The same as the first task of a home.
    First,
    /// A daemon takes a task from `tasks.yml` to its merge.
    Whole,
    /// A command opens the journal of an earlier version.
    Migrate(usize),
}

/// One trial.
#[derive(Debug, Clone, Copy)]
struct Trial {
    play: Play,
    fault: Fault,
    calls: Calls,
    n: u64,
}

/// Every call of every play, with every fault; as many of them as are wanted. Counting the calls takes a play, too.
fn chosen(times: usize, size: Size) -> Vec<Trial> {
    let mut all = Vec::new();
    let versions = VERSIONS.take(if size == Size::Quick { 1 } else { usize::MAX });
    let plays = [Play::Add, Play::First, Play::Whole].into_iter().chain(versions.map(Play::Migrate));
    for play in plays {
        let kinds = [
            (Calls::Changes, &FAULTS[..]),
            (Calls::Opens, &[Fault::Descriptors][..]),
            (Calls::Reads, &[Fault::Io, Fault::Short][..]),
        ];
        for (calls, faults) in kinds {
            let count = counted(play, calls);
            all.extend(
                faults.iter().flat_map(|fault| (1..=count).map(move |n| Trial { play, fault: *fault, calls, n })),
            );
        }
    }
    let mut dice = Dice::new(all.len() as u64);
    while all.len() > times {
        let gone = dice.below(all.len() as u64);
        all.swap_remove(usize::try_from(gone).expect("small"));
    }
    all
}

fn one(times: usize, size: Size) -> Tally {
    let chosen = chosen(times, size);
    let mut tally = trials(chosen.len(), 3, |number| {
        let trial = chosen[number];
        let found = match trial.play {
            Play::Add | Play::First => add(&trial),
            Play::Whole => whole(&trial),
            Play::Migrate(version) => migrate(&trial, version),
        };
        let output = |text: &str| {
            format!("{:?} of call {} ({:?}) of {:?}: {text}", trial.fault, trial.n, trial.calls, trial.play)
        };
        found.into_iter().map(|one| finding(one.broken, output(&one.text))).collect()
    });
    if size == Size::Full {
        tally.note = "every call with every fault".to_owned();
    }
    tally
}

/// How many calls a play makes.
fn counted(play: Play, calls: Calls) -> u64 {
    let count = |layer: &Layer| {
        assert!(layer.struck() == 0, "nothing fails while it is counted");
        layer.counted()
    };
    match play {
        Play::Add | Play::First => {
            let setup = Setup::new(play == Play::First);
            setup.layer.fail(Fault::Io, calls, (0, 0));
            setup.add(&setup.layer.env()).ok();
            count(&setup.layer)
        }
        Play::Whole => {
            let (fixture, layer) = one_task();
            layer.fail(Fault::Io, calls, (0, 0));
            fixture.under(&layer).args(["serve", "--until-idle"]).run().ok();
            count(&layer)
        }
        Play::Migrate(version) => {
            let fixture = OldHome::new(version);
            let layer = Layer::over(&[fixture.home()], fixture.root());
            layer.fail(Fault::Io, calls, (0, 0));
            fixture.list(&layer.env()).ok();
            count(&layer)
        }
    }
}

/// A home of its own in which something is added.
struct Setup {
    fixture: Fixture,
    layer: Layer,
    before: usize,
}

const TITLE: &str = "Add this";

impl Setup {
    fn new(is_fresh: bool) -> Self {
        let fixture = Fixture::empty("");
        let before = if is_fresh {
            std::fs::remove_dir_all(fixture.state()).expect("a state");
            fixture.sealed.orch_in(fixture.repo.dir(), ["init"]).ok();
            0
        } else {
            fixture.sealed.write_tasks(&format!("{}\n{}{}\n", MARKS[0], Job::plain("one", "").entry(), MARKS[1]));
            fixture.orch(["task", "list"]).ok();
            1
        };
        let layer = Layer::over(&[&fixture.sealed.orch_home()], &fixture.notes);
        Self { fixture, layer, before }
    }

    fn add(&self, env: &[(&'static str, String)]) -> Ran {
        let program = self.fixture.sealed.run_program_in(self.fixture.sealed.orch_program(), self.fixture.repo.dir());
        program.args(["task", "add", TITLE]).envs(env.iter().map(|(name, value)| (*name, value.as_str()))).run()
    }

    /// How often it is there, of how many tasks.
    fn listed(&self) -> (usize, usize) {
        let listed = self.fixture.json(["task", "list", "--json"]);
        let tasks: Vec<_> = listed.as_array().into_iter().flatten().collect();
        (tasks.iter().filter(|task| task["title"] == TITLE).count(), tasks.len())
    }
}

/// Checks that there is no panic, and that the error has a path.
fn said(ran: &Ran, layer: &Layer, home: &Path, found: &mut Findings) {
    let first = layer.first();
    if ran.stderr.contains("panicked") || ran.stdout.contains("panicked") || ran.code == Some(101) {
        found.push(finding(Broken::Lost, format!("it panicked at {first}: {ran}")));
    }
    if ran.code.is_none() {
        found.push(finding(Broken::Lost, format!("it was ended at {first}: {ran}")));
    }
    let setup = home.to_string_lossy();
    let is_reported = ran.stderr.contains(&*setup) || ran.stdout.contains(&*setup);
    if ran.code != Some(0) && ran.code != Some(5) && !is_reported {
        found.push(finding(Broken::Lost, format!("the error after {first} does not tell the place: {ran}")));
    }
}

fn add(trial: &Trial) -> Findings {
    let setup = Setup::new(trial.play == Play::First);
    setup.layer.fail(trial.fault, trial.calls, (trial.n, trial.n));
    let ran = setup.add(&setup.layer.env());
    let (mut found, first) = (Vec::new(), setup.layer.first());
    let home = setup.fixture.sealed.orch_home();
    said(&ran, &setup.layer, &home, &mut found);
    let (there, all) = setup.listed();
    // The operation may have succeeded with a warning.
    let is_done = ran.code == Some(0) || ran.stdout.contains("added task");
    match (is_done, there) {
        (true, 1) | (false, 0) => {}
        (true, _) => {
            found.push(finding(Broken::Lost, format!("after {first} {there} of what was added are there: {ran}")))
        }
        (false, _) => found.push(finding(Broken::Doubled, format!("after {first} it failed, and is there: {ran}"))),
    }
    if all != setup.before + there {
        found.push(finding(Broken::Lost, format!("after {first} there are {all} tasks: {ran}")));
    }
    if there == 0 {
        let again = setup.add(&[]);
        if again.code != Some(0) || setup.listed().0 != 1 {
            found.push(finding(Broken::Stuck, format!("after {first} it cannot be added: {again}")));
        }
    }
    found.extend(in_order(&setup.fixture, setup.before > 0));
    found
}

/// Whatever happened, the next command leaves journal and file agreed, and nothing half-written.
fn in_order(fixture: &Fixture, has_marks: bool) -> Findings {
    fixture.orch(["task", "list"]).ok();
    check::at_rest(fixture, Allowed { no_marks: !has_marks, ..Allowed::default() })
}

/// A repository and one task.
fn one_task() -> (Fixture, Layer) {
    let fixture = Fixture::open(&jobs(), "");
    let layer = Layer::over(&[&fixture.sealed.orch_home()], &fixture.notes);
    (fixture, layer)
}

fn jobs() -> Vec<Job> {
    vec![Job::plain("one", "say hello")]
}

fn whole(trial: &Trial) -> Findings {
    let (fixture, layer) = one_task();
    layer.fail(trial.fault, trial.calls, (trial.n, trial.n));
    let ran = fixture.under(&layer).args(["serve", "--until-idle"]).run();
    let first = layer.first();
    let mut found = Vec::new();
    said(&ran, &layer, &fixture.sealed.orch_home(), &mut found);
    found.extend(no_panic(&fixture));
    // A daemon that could not start has reported it; the next one can.
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &jobs(), Allowed { more_starts: 1, ..Allowed::default() }));
    found.into_iter().map(|one| finding(one.broken, format!("after {first}: {}", one.text))).collect()
}

fn no_panic(fixture: &Fixture) -> Findings {
    let log = std::fs::read_to_string(fixture.state().join("orch.log")).unwrap_or_default();
    let text = log.lines().filter(|line| line.contains("panicked"));
    text.map(|line| finding(Broken::Lost, format!("something panicked: {line}"))).collect()
}

fn migrate(trial: &Trial, version: usize) -> Findings {
    let fixture = OldHome::new(version);
    let layer = Layer::over(&[fixture.home()], fixture.root());
    layer.fail(trial.fault, trial.calls, (trial.n, trial.n));
    let ran = fixture.list(&layer.env());
    let mut found = Vec::new();
    said(&ran, &layer, fixture.home(), &mut found);
    let first = layer.first();
    found.extend(fixture.is_old_or_new());
    found.extend(fixture.tells_all());
    found.into_iter().map(|one| finding(one.broken, format!("after {first}: {}", one.text))).collect()
}

fn lasting(times: usize, _: Size) -> Tally {
    let count = counted(Play::Whole, Calls::Changes);
    trials(times, 3, |number| {
        let mut dice = Dice::new(number as u64 + 9000);
        let fault = if number % 2 == 0 { Fault::Full } else { Fault::ReadOnly };
        let n = 1 + dice.below(count);
        let found = for_a_while(fault, n, &mut dice);
        found.into_iter().map(|one| finding(one.broken, format!("{fault:?} from call {n} on: {}", one.text))).collect()
    })
}

fn for_a_while(fault: Fault, n: u64, dice: &mut Dice) -> Findings {
    let (fixture, layer) = one_task();
    layer.fail(fault, Calls::Changes, (n, u64::MAX));
    let mut daemon = fixture.under(&layer).args(["serve", "--until-idle"]).start();
    // The fault strikes, or the daemon ends before.
    wait::poll(RUN, || (layer.struck() > 0 || !daemon.is_running()).then_some(()));
    pause(Duration::from_millis(300 + dice.below(1500)));
    layer.heal();
    let ran = daemon.finish(RUN);
    let mut found = Vec::new();
    said(&ran, &layer, &fixture.sealed.orch_home(), &mut found);
    found.extend(no_panic(&fixture));
    if ran.code != Some(0) {
        // It could not start, and reported why.
        fixture.until_idle(&[]).finish(RUN);
    }
    found.extend(check::all(&fixture, &jobs(), Allowed { more_starts: 2, ..Allowed::default() }));
    let first = layer.first();
    found.into_iter().map(|one| finding(one.broken, format!("after {first}: {}", one.text))).collect()
}
