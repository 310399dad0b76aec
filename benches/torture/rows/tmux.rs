//! R11: what happens to tmux: its server is killed (R2), its socket is gone, a session is renamed, closed, made tiny, typed
//! into, or tmux is not there at all.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job};
use crate::kit::process::Ran;
use crate::kit::wait::{self, RUN, SOON};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, pause, trials};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// What is done to it.
pub const ROW: Row = Row {
    id: "R11",
    code: file!(),
    fault: "tmux: socket unlinked, session renamed, closed, resized to 1×1, typed into; tmux missing at the start",
    goal: "the task is done, at most the run whose pane was closed again; other tasks are untouched",
    run: Run::Trials { quick: 6, full: 120, run },
};

fn run(times: usize, _: Size) -> Tally {
    trials(times, 3, |trial| match trial % 6 {
        0 => misfortune(0, |fixture| {
            let socket = fixture.sealed.tmux_socket().expect("tmux runs");
            std::fs::remove_file(socket).expect("a socket");
        }),
        1 => misfortune(0, |fixture| {
            drop(tmux(fixture, ["rename-session", "-t", &format!("={}", session(fixture)), "mine"]).ok())
        }),
        2 => {
            misfortune(1, |fixture| drop(tmux(fixture, ["kill-session", "-t", &format!("={}", session(fixture))]).ok()))
        }
        3 => misfortune(0, |fixture| {
            drop(tmux(fixture, ["resize-window", "-t", &format!("={}:", session(fixture)), "-x", "1", "-y", "1"]).ok());
        }),
        // But for Ctrl-C, with which a person stops the agent and is asked.
        4 => misfortune(0, |fixture| {
            let pane = format!("={}:", session(fixture));
            drop(tmux(fixture, ["send-keys", "-t", &pane, "rm -rf x", "Enter", "C-z", "C-d", "Enter"]));
        }),
        _ => missing(),
    })
}

/// The session of the first task.
fn session(fixture: &Fixture) -> String {
    let run = fixture
        .runs()
        .into_iter()
        .find(|run| run.file_name().is_some_and(|name| name.to_string_lossy().starts_with("1-")));
    crate::kit::read_file(&run.expect("a run of the first task").join("session.txt"))
}

fn tmux<const N: usize>(fixture: &Fixture, args: [&str; N]) -> Ran {
    let socket = fixture.sealed.tmux_socket().expect("tmux runs");
    let all: Vec<OsString> = [OsStr::new("-S"), socket.as_os_str()].into_iter().map(OsStr::to_owned).collect();
    let args = all.into_iter().chain(args.iter().map(OsString::from));
    fixture.sealed.run_program_in("tmux", fixture.sealed.root()).args(args).run()
}

fn misfortune(more_starts: usize, strike: impl Fn(&Fixture)) -> Findings {
    let jobs: Vec<Job> = (0..3).map(|n| Job::plain(&format!("f{n}"), "wait 2s")).collect();
    let fixture = Fixture::open(&jobs, "engine: {max_parallel: 2, tick_seconds: 2}\n");
    let daemon = fixture.until_idle(&[]);
    wait::wait_until("two agents", RUN, || fixture.started().len() == 2);
    strike(&fixture);
    daemon.finish(RUN);
    fixture.until_idle(&[]).finish(RUN);
    check::all(&fixture, &jobs, Allowed { more_starts, ..Allowed::default() })
}

/// tmux is not installed: a clear word and no harm; and once it is, everything is done.
fn missing() -> Findings {
    let jobs = [Job::plain("one", "")];
    let fixture = Fixture::open(&jobs, "");
    let mut found = Vec::new();
    let nowhere = fixture.sealed.root().join("nowhere");
    std::fs::create_dir_all(&nowhere).expect("a directory in the box");
    let path = nowhere.to_string_lossy().into_owned();
    let ran = fixture.orch_program().args(["serve", "--until-idle"]).envs([("PATH", path)]).run();
    if ran.code == Some(0) || !format!("{}{}", ran.stderr, ran.stdout).contains("tmux") {
        found.push(finding(Broken::Stuck, format!("without tmux it says: {ran}")));
    }
    pause(Duration::from_millis(100));
    let ran = fixture.until_idle(&[]).finish(SOON * 3);
    if ran.code != Some(0) {
        found.push(finding(Broken::Stuck, format!("with tmux again it says: {ran}")));
    }
    found.extend(check::all(&fixture, &jobs, Allowed::default()));
    found
}
