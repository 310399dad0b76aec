//! The repository of a task is moved away and returns, and every program that orch calls takes a hundred times as long.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS};
use crate::kit::process::find_program;
use crate::kit::wait::{self, RUN, SOON};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use std::path::Path;

/// The repository is elsewhere for a while.
pub const MOVED: Row = Row {
    id: "R19",
    code: file!(),
    fault: "the repository is moved away while an agent works, while it is judged, and before it starts; and comes back",
    goal: "the work is kept, what waits says so, all is done afterwards",
    run: Run::Trials { quick: 3, full: 60, run: moved },
};
/// Everything is slow.
pub const SLOW: Row = Row {
    id: "slow",
    code: file!(),
    fault: "every git and tmux command takes 0.3 s more (a hundred times as long), the daemon is killed meanwhile",
    goal: "nobody is asked for that, nothing is started twice",
    run: Run::Trials { quick: 1, full: 10, run: slow },
};

fn moved(times: usize, _: Size) -> Tally {
    trials(times, 3, |trial| match trial % 3 {
        0 => away(Moment::AtWork),
        1 => away(Moment::Judged),
        _ => away(Moment::Before),
    })
}

/// When the repository goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    AtWork,
    Judged,
}

fn away(moment: Moment) -> Findings {
    let fixture = Fixture::empty("");
    let go = fixture.note("go").display().to_string();
    let before = if moment == Moment::AtWork { format!("wait-for {go}") } else { String::new() };
    let mut job = Job::plain("one", &before);
    // It is tried again where the repository was needed and was not there.
    job.starts = 3;
    let (here, there) = (fixture.repo.dir().to_owned(), fixture.repo.dir().with_file_name("elsewhere"));
    let goes = || std::fs::rename(&here, &there).expect("a directory that can be moved");
    if moment == Moment::Judged {
        // The agent's last act: it is judged without its repository.
        let once = fixture.note("once").display().to_string();
        let moves = format!("mkdir {once} && mv {} {}", here.display(), there.display());
        job.script = format!("{}\nrun sh -c '{moves}'", job.script);
    }
    if moment == Moment::Before {
        goes();
    }
    fixture.sealed.write_tasks(&format!("{}\n{}{}\n", MARKS[0], job.entry(), MARKS[1]));
    let daemon = fixture.serves(1);
    if moment == Moment::AtWork {
        wait::wait_until("the agent", RUN, || fixture.has_started(1));
        goes();
        std::fs::write(&go, "").expect("a file in the box");
    }
    // Until it reports what it waits for, or asks.
    let waits = || {
        let task = fixture.show(1);
        (there.exists()
            && (task["hold"].is_object() || task["status"] == "needs_review")
            && task["status"] != "in_progress")
            .then_some(task)
    };
    let task = wait::poll(SOON * 2, waits);
    std::fs::rename(&there, &here).expect("a directory that can be moved");
    let mut found = Vec::new();
    match task {
        Some(task) if task["status"] == "needs_review" => {
            // It asked: the answer is the first choice that it gave.
            fixture.orch(["task", "retry", "1"]).ok();
        }
        Some(_) => {}
        None => found.push(finding(
            Broken::Stuck,
            format!("it does not say that its repository is gone: {}", fixture.describe()),
        )),
    }
    found.extend(fixture.until_done(1, RUN));
    found.extend(fixture.leaves(daemon));
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &[job], Allowed::default()));
    found
}

fn slow(times: usize, size: Size) -> Tally {
    let count = if size == Size::Quick { 2 } else { 8 };
    trials(times, 2, |_| slowly(count))
}

fn slowly(count: usize) -> Findings {
    let jobs: Vec<Job> = (0..count).map(|n| Job::plain(&format!("f{n}"), "wait 1s")).collect();
    let fixture = Fixture::open(&jobs, "");
    let path = fixture.sealed.env().into_iter().find(|(key, _)| key == "PATH").expect("a PATH").1;
    for name in ["git", "tmux"] {
        let real = find_program(Path::new(name), &path).expect("a program of this machine");
        fixture.sealed.program(name, &format!("#!/bin/sh\nsleep 0.3\nexec '{}' \"$@\"\n", real.display()));
    }
    let daemon = fixture.orch_program().args(["serve"]).start();
    wait::wait_until("an agent", RUN, || !fixture.started().is_empty());
    daemon.signal(rustix::process::Signal::KILL);
    daemon.finish(SOON);
    let ran = fixture.until_idle(&[]).finish(RUN * 4);
    let mut found = Vec::new();
    if ran.code != Some(0) {
        found.push(finding(Broken::Stuck, format!("it does not come to rest: {ran}")));
    }
    for name in ["git", "tmux"] {
        std::fs::remove_file(fixture.sealed.bin().join(name)).expect("a file in the box");
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}
