//! R2: `kill -9` at random moments: of the daemon, a runner, an agent, the tmux server, or everything.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, kill};
use crate::kit::process::Running;
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Dice, Findings, Row, Run, Size, Tally, finding, trials};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Daemon.
pub const DAEMON: Row =
    row("`kill -9` of the daemon at a random moment", "no agent is disturbed, none starts again", 25, 1000, daemons);
/// Runner.
pub const RUNNER: Row = row("`kill -9` of a runner at a random moment", "its run alone is done again", 8, 200, runners);
/// Agent.
pub const AGENT: Row = row("`kill -9` of an agent at a random moment", "its run alone is done again", 8, 200, agents);
/// tmux.
pub const TMUX: Row =
    row("`kill -9` of the tmux server at a random moment", "what ran in it is done again at most", 4, 100, tmux);
/// All.
pub const ALL: Row = row(
    "`kill -9` of everything of orch at the same moment, git commands as well",
    "what ran is done again at most",
    4,
    200,
    everything,
);

const fn row(fault: &'static str, goal: &'static str, quick: usize, full: usize, run: fn(usize, Size) -> Tally) -> Row {
    Row { id: "R2", code: file!(), fault, goal, run: Run::Trials { quick, full, run } }
}

/// Attempts enough for every kill to hit the same task.
const CONFIG: &str = "engine: {max_parallel: 4, tick_seconds: 2}\n";

/// Short tasks of different lengths.
fn jobs(count: u64, dice: &mut Dice) -> Vec<Job> {
    (0..count).map(|number| Job::plain(&format!("f{number}"), &format!("wait {}ms", dice.below(300)))).collect()
}

/// Kills per trial, and how many of them in all.
fn shares(times: usize, most: usize) -> Vec<usize> {
    (0..times.div_ceil(most)).map(|trial| most.min(times - trial * most)).collect()
}

fn daemons(times: usize, _: Size) -> Tally {
    let shares = shares(times, 25);
    let struck = AtomicUsize::new(0);
    let mut tally = trials(shares.len(), AT_ONCE, |trial| {
        let mut dice = Dice::new(trial as u64 + 1);
        let jobs = jobs(shares[trial] as u64, &mut dice);
        let fixture = Fixture::open(&jobs, CONFIG);
        for _ in 0..shares[trial] {
            let mut daemon = fixture.until_idle(&[]);
            dice.pause(900);
            if daemon.is_running() {
                struck.fetch_add(1, Ordering::SeqCst);
                daemon.signal(rustix::process::Signal::KILL);
            }
            daemon.finish(RUN);
        }
        to_the_end(&fixture, &jobs, 0)
    });
    tally.times = struck.into_inner();
    tally
}

/// Trials at the same time: they wait more than they work.
const AT_ONCE: usize = 3;

/// The daemon finishes what is left, and then everything is looked at.
fn to_the_end(fixture: &Fixture, jobs: &[Job], more_starts: usize) -> Findings {
    fixture.until_idle(&[]).finish(RUN * 2);
    check::all(fixture, jobs, Allowed { more_starts, ..Allowed::default() })
}

fn runners(times: usize, _: Size) -> Tally {
    victims(times, "__run")
}

fn agents(times: usize, _: Size) -> Tally {
    victims(times, "__scripted-agent")
}

/// Kills one process of a kind after the other, under a daemon that lives.
fn victims(times: usize, kind: &str) -> Tally {
    let shares = shares(times, 4);
    let mut tally = trials(shares.len(), AT_ONCE, |trial| {
        let mut dice = Dice::new(trial as u64 + 1000);
        let jobs = jobs(8, &mut dice);
        let fixture = Fixture::open(&jobs, CONFIG);
        let daemon = fixture.until_idle(&[]);
        let mut struck = 0;
        let mut daemon = Some(daemon);
        while struck < shares[trial] && daemon.as_mut().is_some_and(Running::is_running) {
            let found = fixture.processes(kind);
            if !found.is_empty() {
                dice.pause(250);
                let victim = found[usize::try_from(dice.below(found.len() as u64)).unwrap_or(0)];
                // It may have ended meanwhile; the number is looked at once more.
                if fixture.processes(kind).contains(&victim) {
                    struck += usize::from(kill(victim));
                }
            }
        }
        daemon.take().map(|daemon| daemon.finish(RUN * 2));
        to_the_end(&fixture, &jobs, struck)
    });
    tally.times = times;
    tally
}

fn tmux(times: usize, _: Size) -> Tally {
    trials(times, AT_ONCE, |trial| {
        let mut dice = Dice::new(trial as u64 + 2000);
        let jobs = jobs(6, &mut dice);
        let fixture = Fixture::open(&jobs, CONFIG);
        let daemon = fixture.until_idle(&[]);
        wait::wait_until("an agent", RUN, || !fixture.started().is_empty());
        dice.pause(600);
        let lived = fixture.processes("__run").len();
        for server in fixture.processes("tmux") {
            kill(server);
        }
        daemon.finish(RUN * 2);
        to_the_end(&fixture, &jobs, lived)
    })
}

fn everything(times: usize, _: Size) -> Tally {
    trials(times, AT_ONCE, |trial| {
        let mut dice = Dice::new(trial as u64 + 3000);
        let jobs = jobs(6, &mut dice);
        let fixture = Fixture::open(&jobs, CONFIG);
        let daemon = fixture.until_idle(&[]);
        wait::wait_until("an agent", RUN, || !fixture.started().is_empty());
        dice.pause(900);
        let lived = fixture.processes("__run").len();
        // Whoever is just being started is met in the next round.
        let over = wait::poll(Duration::from_secs(10), || {
            let all = fixture.sealed.inmates();
            for one in &all {
                kill(one.pid);
            }
            all.is_empty().then_some(())
        });
        daemon.finish(RUN);
        let mut found = to_the_end(&fixture, &jobs, lived);
        if over.is_none() {
            found.push(finding(Broken::Stuck, "not everything could be killed"));
        }
        found
    })
}
