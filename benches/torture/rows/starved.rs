//! R27: a daemon with minimal resources: hardly any processor time, few descriptors, little memory.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS};
use crate::kit::process::Running;
use crate::kit::wait::{self, RUN, SOON};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use std::os::unix::net::UnixStream;

/// The row.
pub const ROW: Row = Row {
    id: "R27",
    code: file!(),
    fault: "daemon at nice 19 beside 2 × cores burners that outweigh it five to one; 256 descriptors, and 400 connections that say nothing; address space limited",
    goal: "only slower; what cannot be done has a reason",
    run: Run::Trials { quick: 3, full: 30, run },
};

/// The number of silent connections.
const IDLE: usize = 400;

fn run(times: usize, size: Size) -> Tally {
    let count = if size == Size::Quick { 2 } else { 8 };
    let mut tally = trials(times, 1, |trial| match trial % 3 {
        0 => burnt(count),
        1 => crowded(count),
        _ => small(count),
    });
    tally.note = "a limit of memory by cgroup is not tried".to_owned();
    tally
}

fn jobs(count: usize) -> Vec<Job> {
    (0..count).map(|n| Job::plain(&format!("f{n}"), "wait 300ms")).collect()
}

/// A daemon that begins below these limits; so does all that it starts.
fn limited(fixture: &Fixture, limits: &str, args: &str) -> Running {
    let orch = crate::orch().display();
    fixture.sealed.run_program("sh").args(["-c", &format!("{limits}; exec nice -n 19 '{orch}' {args}")]).start()
}

/// No time.
fn burnt(count: usize) -> Findings {
    let jobs = jobs(count);
    let fixture = Fixture::open(&jobs, "");
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let burns =
        || fixture.sealed.run_program("sh").args(["-c", "renice -n 15 $$ > /dev/null; while :; do :; done"]).start();
    let burners: Vec<Running> = (0..cores * 2).map(|_| burns()).collect();
    let ran = limited(&fixture, "ulimit -n 256", "serve --until-idle").finish(RUN * 4);
    drop(burners);
    ended(&fixture, &jobs, &ran)
}

/// No descriptors: most are taken by connections.
fn crowded(count: usize) -> Findings {
    let jobs = jobs(count);
    let fixture = Fixture::open(&jobs, "");
    fixture.sealed.write_tasks(&format!("{}\n{}\n", MARKS[0], MARKS[1]));
    let daemon = limited(&fixture, "ulimit -n 256", "serve");
    let socket = wait::wait_some("a daemon", RUN, || fixture.sealed.socket());
    let idle: Vec<UnixStream> = (0..IDLE).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
    let mut found = Vec::new();
    // Tasks arrive and are done regardless.
    let entries: String = jobs.iter().map(Job::entry).collect();
    fixture.save_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));
    wait::poll(SOON * 2, || (fixture.started().len() >= count).then_some(()));
    if fixture.started().len() < count {
        found.push(finding(Broken::Stuck, format!("{} of {count} agents start", fixture.started().len())));
    }
    drop(idle);
    found.extend(fixture.until_done(count, RUN));
    found.extend(fixture.leaves(daemon));
    let ran = fixture.until_idle(&[]).finish(RUN);
    found.extend(ended(&fixture, &jobs, &ran));
    found
}

/// Little memory: it may fail to start, with a message; with enough to start, all tasks are done.
fn small(count: usize) -> Findings {
    let jobs = jobs(count);
    let fixture = Fixture::open(&jobs, "");
    let mut found = Vec::new();
    for megabytes in [64, 128, 256, 384, 512] {
        let limit = format!("ulimit -v {}", megabytes * 1024);
        if limited(&fixture, &limit, "version").finish(RUN).code != Some(0) {
            // The system does not even load it, as it does not where the program is larger than that.
            continue;
        }
        let ran = limited(&fixture, &limit, "serve --until-idle").finish(RUN);
        if crate::is_verbose() {
            crate::table::print_error(&format!("with {megabytes} MB: {ran}"));
        }
        if ran.code != Some(0) && ran.stderr.trim().is_empty() {
            found.push(finding(Broken::Stuck, format!("with {megabytes} MB it ends without a word: {ran}")));
        }
    }
    let ran = fixture.until_idle(&[]).finish(RUN);
    found.extend(ended(&fixture, &jobs, &ran));
    found
}

fn ended(fixture: &Fixture, jobs: &[Job], ran: &crate::kit::process::Ran) -> Findings {
    let mut found = Vec::new();
    if ran.code != Some(0) {
        found.push(finding(Broken::Stuck, format!("the daemon ended otherwise: {ran}")));
    }
    found.extend(check::all(fixture, jobs, Allowed::default()));
    found
}
