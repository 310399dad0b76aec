//! R12: agents that misbehave, and are then cancelled: none of their processes may be left, and no other may be harmed.

use crate::check::{self, Allowed};
use crate::fixture::{Ends, Fixture, Job, MARKS};
use crate::kit::wait::{self, RUN};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The row.
pub const ROW: Row = Row {
    id: "R12",
    code: file!(),
    fault: "agent hangs, ignores TERM, leaves daemons behind (double fork, own session, empty environment), forks 300 children (full form: once 10,000), ends before its first line",
    goal: "within grace (5 s) + 1 s of the cancel nothing of the task runs, everything else does",
    run: Run::Trials { quick: 5, full: 100, run },
};

/// Longer than the grace that an agent gets, with the time of a busy machine.
const GONE: Duration = Duration::from_secs(10);

/// The misbehaviour of the first agent; each leaves a process `sleep 3021`.
const MISDEEDS: [&str; 4] = [
    "hang",
    "run sh -c 'trap \"\" TERM INT HUP; while :; do sleep 3021; done'",
    "run sh -c '(setsid sleep 3021 &) ; (setsid setsid env -i sleep 3021 &) ; true'\nhang",
    "run sh -c 'for i in $(seq 300); do sleep 3021 & done; true'\nhang",
];

/// Ten thousand take longer to be found and ended on two cores.
const TEN_THOUSAND_GONE: Duration = Duration::from_secs(30);

fn run(times: usize, size: Size) -> Tally {
    let mut tally = trials(times, 3, |trial| match MISDEEDS.get(trial % (MISDEEDS.len() + 1)) {
        Some(misdeed) => cancelled(misdeed, GONE).1,
        None => says_nothing(),
    });
    if size == Size::Full {
        let took = Mutex::new(Duration::ZERO);
        let many = trials(1, 1, |_| {
            let (gone, found) = cancelled(&MISDEEDS[3].replace("300", "10000"), TEN_THOUSAND_GONE);
            *took.lock().expect("nobody panics with it") = gone;
            found
        });
        tally.times += 1;
        tally.findings.extend(many.findings);
        let took = took.into_inner().expect("nobody panics with it");
        tally.note = format!("10,000 children gone after {:.1} s", took.as_secs_f64());
    }
    tally
}

/// A task whose agent does this is cancelled. How long it took until nothing was left of it, and what was found.
fn cancelled(misdeed: &str, patience: Duration) -> (Duration, Findings) {
    let script = format!("write kept.txt right\n{misdeed}");
    let file = ("kept.txt".to_owned(), "right\n".to_owned());
    let bad = Job { title: "Misbehave".into(), script, ends: Ends::Cancelled, file, starts: 1 };
    let mut jobs = vec![bad];
    jobs.extend((0..2).map(|n| Job::plain(&format!("f{n}"), "wait 4s")));
    let fixture = Fixture::open(&jobs, "");
    let mut stranger = fixture.sealed.run_program("sleep").args(["4021"]).start();
    let daemon = fixture.until_idle(&[]);
    wait::wait_until("the agents", RUN, || fixture.started().len() == 3);
    let is_there = || fixture.worktrees().iter().any(|dir| dir.join("kept.txt").exists());
    wait::wait_until("the agent's work", RUN, is_there);
    if misdeed != "hang" {
        let many = misdeed.split_once("seq ").and_then(|(_, rest)| rest.split(')').next()?.parse::<usize>().ok());
        wait::wait_until("its children", RUN, || count(&fixture, "sleep 3021") >= many.unwrap_or(1));
    }
    let begun = Instant::now();
    fixture.orch(["task", "cancel", "1"]).ok();
    let left = || count(&fixture, "sleep 3021") + usize::from(fixture.show(1)["status"] != "cancelled");
    let mut found = Vec::new();
    if wait::poll(patience, || (left() == 0).then_some(())).is_none() {
        let text = format!("{} processes are left {:?} after the cancel", left(), begun.elapsed());
        found.push(finding(Broken::Lost, text));
    }
    let took = begun.elapsed();
    daemon.finish(RUN);
    if !stranger.is_running() {
        found.push(finding(Broken::Lost, "a stranger was ended"));
    }
    drop(stranger);
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    (took, found)
}

/// How many processes of the box have this in their command line.
fn count(fixture: &Fixture, command: &str) -> usize {
    // Those without their environment have the worktree as working directory.
    fixture.sealed.inmates().iter().filter(|one| one.command.ends_with(command)).count()
}

/// An agent that always ends without any output: a person is asked, and nothing else happens.
fn says_nothing() -> Findings {
    let silent = Job {
        title: "Say nothing".into(),
        script: "exit 3".into(),
        ends: Ends::Asks,
        file: (String::new(), String::new()),
        starts: 9,
    };
    let jobs = [silent, Job::plain("f1", "")];
    let fixture = Fixture::empty("");
    fixture.hire("mute", "kind: claude", "exit 3");
    let entry = jobs[0].entry_for("mute");
    fixture.sealed.write_tasks(&format!("{}\n{entry}{}{}\n", MARKS[0], jobs[1].entry(), MARKS[1]));
    fixture.until_idle(&[]).finish(RUN);
    check::all(&fixture, &jobs, Allowed::default())
}
