//! R23: one daemon, task after task: its memory and descriptors must not grow.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS};
use crate::gauge::{self, Usage};
use crate::kit::wait::RUN;
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, pause, trials};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The row.
pub const ROW: Row = Row {
    id: "R23",
    code: file!(),
    fault: "one daemon does task after task",
    goal: "memory, descriptors and zombies do not grow while the person keeps `tasks.yml` tidy (what is read at once is as large as that file); 24 h in real time are not tried",
    run: Run::Trials { quick: 24, full: 2000, run },
};

/// Tasks that come at the same time.
const WAVE: usize = 12;
/// The time after which no more come.
const LONGEST: Duration = Duration::from_secs(600);
/// By how much its memory may be larger at the end than after a third of the time, in kilobytes for a thousand tasks: their
/// numbers, and the worktrees that are kept for a while.
const GROWTH_KB: u64 = 1 << 10;
/// The random difference between two measurements.
const NOISE_KB: u64 = 4 << 10;

fn run(times: usize, _: Size) -> Tally {
    let note = Mutex::new((0, String::new()));
    let mut tally = trials(1, 1, |_| soak(times, &note));
    (tally.times, tally.note) = note.into_inner().expect("nobody panics with it");
    tally
}

fn soak(times: usize, note: &Mutex<(usize, String)>) -> Findings {
    let fixture = Fixture::empty("");
    fixture.sealed.write_tasks(&format!("{}\n{}\n", MARKS[0], MARKS[1]));
    let daemon = fixture.orch_program().args(["serve"]).start();
    let pid = daemon.pid().as_raw_nonzero().get();
    let (mut jobs, mut looks, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let begun = Instant::now();
    while jobs.len() < times && begun.elapsed() < LONGEST && found.is_empty() {
        let wave: Vec<Job> = (0..WAVE).map(|n| Job::plain(&format!("f{}", jobs.len() + n), "")).collect();
        let entries: String = wave.iter().map(Job::entry).collect();
        // What is done leaves the file.
        fixture.save_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));
        jobs.extend(wave);
        found.extend(fixture.until_done(jobs.len(), RUN));
        looks.extend(at_rest(pid).map(|usage| (jobs.len(), usage)));
    }
    let (text, growth) = growth(&looks);
    found.extend(growth);
    *note.lock().expect("nobody panics with it") = (jobs.len(), text);
    found.extend(fixture.leaves(daemon));
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &jobs, Allowed { tidied: true, ..Allowed::default() }));
    found
}

/// Returns the daemon's usage when idle: the least of several measurements, because it may still be releasing memory.
fn at_rest(pid: i32) -> Option<Usage> {
    let mut least: Option<Usage> = None;
    for _ in 0..20 {
        pause(Duration::from_millis(25));
        let usage = gauge::usage(pid)?;
        let so_far = least.unwrap_or(usage);
        least = Some(Usage {
            own_kb: usage.own_kb.min(so_far.own_kb),
            files: usage.files.min(so_far.files),
            zombies: usage.zombies.min(so_far.zombies),
            ..usage
        });
    }
    least
}

/// Returns the growth between the first third and the end: before, caches fill.
fn growth(looks: &[(usize, Usage)]) -> (String, Findings) {
    let (Some((tasks, then)), Some((all, now))) = (looks.get(looks.len() / 3), looks.last()) else {
        return (String::new(), vec![finding(Broken::Stuck, "the daemon could not be looked at")]);
    };
    let kb = now.own_kb.saturating_sub(then.own_kb);
    let thousandths = (all - tasks) as u64;
    let mut found = Vec::new();
    if kb > NOISE_KB + GROWTH_KB * thousandths / 1000 {
        found.push(finding(Broken::Lost, format!("memory grew by {kb} kB over {thousandths} tasks: {looks:?}")));
    }
    if now.files > then.files + 2 || now.zombies > 0 {
        found.push(finding(Broken::Lost, format!("descriptors or zombies grew: {then:?}, {now:?}")));
    }
    let text = format!(
        "memory {} → {} MB, descriptors {} → {}, zombies {}, between {tasks} and {all} tasks",
        then.own_kb / 1024,
        now.own_kb / 1024,
        then.files,
        now.files,
        now.zombies
    );
    (text, found)
}
