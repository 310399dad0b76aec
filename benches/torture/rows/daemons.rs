//! R8: several daemons on one home, and one that is suspended until another has taken over.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job};
use crate::kit::process::Running;
use crate::kit::wait::{self, RUN, SOON};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, trials};
use rustix::process::Signal;
use std::time::Duration;

/// Ten at once.
pub const TEN: Row = Row {
    id: "R8",
    code: file!(),
    fault: "ten daemons started at the same moment",
    goal: "exactly one leads, the others say so and leave",
    run: Run::Trials { quick: 3, full: 200, run: ten },
};
/// Two at once, very often.
pub const TWO: Row = Row {
    id: "R8",
    code: file!(),
    fault: "two daemons started at the same moment",
    goal: "exactly one leads, the other says so and leaves",
    run: Run::Trials { quick: 5, full: 1000, run: two },
};
/// One that sleeps.
pub const ASLEEP: Row = Row {
    id: "R8",
    code: file!(),
    fault: "a daemon is stopped (SIGSTOP), its lock is taken away, another one leads; it wakes",
    goal: "the woken one writes nothing any more and leaves",
    run: Run::Trials { quick: 2, full: 100, run: asleep },
};

fn ten(times: usize, _: Size) -> Tally {
    at_once(10, times, 10)
}

fn two(times: usize, _: Size) -> Tally {
    at_once(2, times, 50)
}

/// So many are started at once, so often, so often in the same home: what a round leaves behind meets the next one.
fn at_once(crowd: usize, times: usize, rounds: usize) -> Tally {
    let mut tally = trials(times.div_ceil(rounds), 2, |trial| {
        let mut dice = Dice::new(trial as u64 + 4000);
        let jobs: Vec<Job> = (0..3).map(|n| Job::plain(&format!("f{n}"), "wait 300ms")).collect();
        let fixture = Fixture::open(&jobs, "");
        let mut found = Vec::new();
        for _ in 0..rounds.min(times - trial * rounds) {
            found.extend(round(&fixture, crowd, &mut dice));
        }
        fixture.until_idle(&[]).finish(RUN);
        found.extend(check::all(&fixture, &jobs, Allowed::default()));
        found
    });
    tally.times = times;
    tally
}

fn round(fixture: &Fixture, count: usize, dice: &mut Dice) -> Findings {
    let mut crowd: Vec<Running> = (0..count).map(|_| fixture.orch_program().args(["serve"]).start()).collect();
    let alive = |crowd: &mut Vec<Running>| crowd.iter_mut().filter_map(|one| one.is_running().then_some(())).count();
    let one_left = wait::poll(SOON * 2, || (alive(&mut crowd) <= 1).then_some(()));
    let mut found = Vec::new();
    let leads = alive(&mut crowd);
    if one_left.is_none() || leads != 1 {
        found.push(finding(Broken::Doubled, format!("{leads} daemons lead instead of one")));
    }
    for one in crowd {
        let mut one = one;
        if one.is_running() {
            wait::poll(SOON, || fixture.sealed.socket().map(drop));
            dice.pause(200);
            one.signal(Signal::KILL);
            one.finish(SOON);
        } else {
            let ran = one.finish(SOON);
            if ran.code != Some(7) {
                found.push(finding(Broken::Stuck, format!("one that came too late ended otherwise: {ran}")));
            }
        }
    }
    found
}

fn asleep(times: usize, _: Size) -> Tally {
    trials(times, 2, |trial| {
        let mut dice = Dice::new(trial as u64 + 5000);
        let jobs: Vec<Job> =
            (0..4).map(|n| Job::plain(&format!("f{n}"), &format!("wait {}ms", 100 + 200 * n))).collect();
        let fixture = Fixture::open(&jobs, "");
        let mut sleeper = fixture.orch_program().args(["serve"]).start();
        wait::wait_until("an agent", RUN, || !fixture.started().is_empty());
        dice.pause(300);
        sleeper.signal(Signal::STOP);
        // Without its lock it looks long dead.
        std::fs::remove_file(fixture.state().join("orch.lock")).expect("a lock");
        let leader = fixture.orch_program().args(["serve", "--until-idle"]).start();
        dice.pause(700);
        sleeper.signal(Signal::CONT);
        let mut found = Vec::new();
        leader.finish(RUN);
        // It learns that it is fenced off when it wants to write.
        let left = wait::poll(Duration::from_secs(15), || (!sleeper.is_running()).then_some(()));
        if left.is_none() {
            found.push(finding(Broken::Stuck, "the woken daemon serves on, though another one has taken over"));
            sleeper.signal(Signal::KILL);
        }
        sleeper.finish(SOON);
        fixture.until_idle(&[]).finish(RUN);
        found.extend(check::all(&fixture, &jobs, Allowed::default()));
        found
    })
}
