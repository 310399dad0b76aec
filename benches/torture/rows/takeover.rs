//! R7: one daemon after the other under agents at work, in every way in which that happens, also while agents are being
//! started. Programs are exchanged and deleted on the disk meanwhile.

use crate::check::{self, Allowed};
use crate::fixture::{Fixture, Job, MARKS};
use crate::gauge;
use crate::kit::process::Running;
use crate::kit::wait::{self, RUN, SOON};
use crate::row::{Broken, Findings, Row, Run, Size, Tally, finding, trials};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The row.
pub const ROW: Row = Row {
    id: "R7",
    code: file!(),
    fault: "another daemon in the place of the first (`serve --replace`, SIGHUP, SIGTERM and start), its program exchanged or deleted on the disk, under agents at work",
    goal: "no agent is disturbed, watchers see every line once, 500 ms without service",
    run: Run::Trials { quick: 10, full: 200, run },
};

/// What is more than this without service counts as stuck.
const TOO_LONG: Duration = Duration::from_secs(5);
/// How many agents are watched.
const WATCHED: usize = 3;

fn run(times: usize, size: Size) -> Tally {
    let agents = if size == Size::Quick { 6 } else { 32 };
    let silences = Mutex::new(Vec::new());
    let mut tally = trials(1, 1, |_| in_flight(times, agents, &silences));
    let silences = silences.into_inner().expect("nobody panics with it");
    tally.times = times;
    tally.note = format!("{agents} agents; without service: {}", gauge::summary(silences));
    tally
}

/// A way in which one daemon follows another.
#[derive(Debug, Clone, Copy)]
enum Switch {
    Replaced,
    HungUp,
    Terminated,
    Exchanged,
    Deleted,
}

const SWITCHES: [Switch; 5] =
    [Switch::Replaced, Switch::HungUp, Switch::Terminated, Switch::Exchanged, Switch::Deleted];

/// The ground, and who serves on it.
struct Post<'a> {
    fixture: &'a Fixture,
    daemon: Running,
    /// Where the program is, and another copy of it.
    program: PathBuf,
    spare: PathBuf,
    jobs: Vec<Job>,
}

fn in_flight(times: usize, agents: usize, silences: &Mutex<Vec<Duration>>) -> Findings {
    let jobs: Vec<Job> = (1..=agents).map(Job::teller).collect();
    let slots = agents + 2;
    let mut fixture = Fixture::empty(&format!("engine: {{max_parallel: {slots}, tick_seconds: 2, adaptive: none}}\n"));
    let (program, spare) = (fixture.sealed.bin().join("orch-served"), fixture.sealed.bin().join("orch-spare"));
    for copy in [&program, &spare] {
        fixture.sealed.run_program("cp").args([crate::orch(), copy]).run().ok();
    }
    fixture.sealed.is_run_by(&program);
    let entries: String = jobs.iter().map(|job| job.entry_for("teller")).collect();
    fixture.save_tasks(&format!("{}\n{entries}{}\n", MARKS[0], MARKS[1]));
    let daemon = fixture.orch_program().args(["serve"]).start();
    let over = AtomicBool::new(false);
    let mut post = Post { fixture: &fixture, daemon, program, spare, jobs };
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| gauge::silences(&fixture, &over));
        let end = gauge::AtEnd(&over);
        let watchers = Watchers::new(&fixture);
        for switch in SWITCHES.into_iter().cycle().take(times) {
            found.extend(post.passes_on(switch));
        }
        drop(end);
        let times = asking.join().expect("it only asks");
        let long = times.iter().filter(|time| **time > TOO_LONG);
        found.extend(long.map(|time| finding(Broken::Stuck, format!("nobody served for {time:?}"))));
        silences.lock().expect("nobody panics with it").extend(times);
        wait::wait_until("all agents", RUN * 2, || fixture.started().len() == post.jobs.len());
        std::fs::write(fixture.note("go"), "").expect("a file in the box");
        found.extend(fixture.until_done(post.jobs.len(), RUN * 4));
        found.extend(watchers.saw_everything_once(&fixture));
    });
    found.extend(fixture.leaves(post.daemon));
    fixture.until_idle(&[]).finish(RUN);
    found.extend(check::all(&fixture, &post.jobs, Allowed::default()));
    found
}

impl Post<'_> {
    /// One daemon follows the other, and serves when this returns.
    fn passes_on(&mut self, switch: Switch) -> Findings {
        let mut found = Vec::new();
        match switch {
            Switch::Replaced => {
                let next = self.fixture.orch_program().args(["serve", "--replace"]).start();
                let old = std::mem::replace(&mut self.daemon, next).finish(SOON * 2);
                if old.code != Some(0) {
                    found.push(finding(Broken::Stuck, format!("a daemon that was replaced ended otherwise: {old}")));
                }
                self.until_served();
            }
            Switch::HungUp => self.hangs_up(),
            Switch::Terminated => {
                self.daemon.signal(Signal::TERM);
                let next = || self.fixture.orch_program().args(["serve"]);
                wait::wait_until("the daemon to leave", SOON * 2, || !self.daemon.is_running());
                let old = std::mem::replace(&mut self.daemon, next().start()).finish(SOON);
                if old.code != Some(0) {
                    found.push(finding(Broken::Stuck, format!("a daemon that was ended ended otherwise: {old}")));
                }
                self.until_served();
            }
            Switch::Exchanged => {
                renameat_with(CWD, &self.program, CWD, &self.spare, RenameFlags::EXCHANGE).expect("two files");
                self.hangs_up();
            }
            Switch::Deleted => found.extend(self.works_without_its_file()),
        }
        if !self.daemon.is_running() {
            found.push(finding(Broken::Stuck, format!("no daemon is left after {switch:?}: {:?}", self.daemon.said())));
        }
        found
    }

    fn hangs_up(&mut self) {
        let before = self.socket();
        self.daemon.signal(Signal::HUP);
        wait::wait_until("the next life", SOON * 2, || self.socket() != before);
        self.until_served();
    }

    fn until_served(&self) {
        let socket = self.fixture.state().join("orch.sock");
        let pid = self.daemon.pid().as_raw_nonzero().get();
        // Not a watcher that does without a daemon for a moment.
        wait::wait_until("this daemon to serve", SOON * 2, || gauge::who_serves(&socket) == Some(pid));
    }

    /// Which socket it is: each daemon makes one of its own.
    fn socket(&self) -> Option<(u64, i64, i64)> {
        let meta = std::fs::metadata(self.fixture.state().join("orch.sock")).ok()?;
        Some((meta.ino(), meta.ctime(), meta.ctime_nsec()))
    }

    /// The daemon's program is deleted, as when an old version is cleaned away; a task comes; then it is back.
    fn works_without_its_file(&mut self) -> Findings {
        let aside = self.fixture.sealed.bin().join("orch-aside");
        self.fixture.sealed.run_program("cp").args([crate::orch(), &aside]).run().ok();
        std::fs::remove_file(&self.program).expect("a program");
        let job = Job::plain(&format!("late{}", self.jobs.len()), "");
        self.fixture.save_tasks(&format!("{}\n{}", self.fixture.sealed.read_tasks().trim_end(), job.entry()));
        let before = self.fixture.started().len();
        let begun = wait::poll(SOON * 2, || (self.fixture.started().len() > before).then_some(()));
        self.jobs.push(job);
        std::fs::rename(&aside, &self.program).expect("a program");
        if begun.is_some() {
            return Vec::new();
        }
        vec![finding(Broken::Stuck, "nothing begins while the daemon's program is not on the disk")]
    }
}

/// Who watches while daemons come and go.
struct Watchers {
    streams: Vec<Running>,
    events: Running,
}

impl Watchers {
    fn new(fixture: &Fixture) -> Self {
        let orch = |args: &[&str]| fixture.sealed.run_program(crate::orch()).args(args).start();
        let watched = wait::wait_some("some agents", RUN, || {
            let mut tasks: Vec<u64> = fixture.started().into_iter().map(|(task, ..)| task).collect();
            tasks.truncate(WATCHED);
            (tasks.len() == WATCHED).then_some(tasks)
        });
        let streams = watched.iter().map(|task| orch(&["stream", &task.to_string(), "--from-start"])).collect();
        Self { streams, events: orch(&["events", "--follow", "--since", "0", "--json"]) }
    }

    fn saw_everything_once(self, fixture: &Fixture) -> Findings {
        let mut found = Vec::new();
        for stream in self.streams {
            let ended = stream.finish(RUN);
            let text = ended.stdout;
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("line ")).collect();
            let expected: Vec<String> = (0..lines.len()).map(|number| format!("line {number}")).collect();
            if let Some(at) = lines.iter().zip(&expected).position(|(one, other)| *one != other.as_str()) {
                found.push(finding(Broken::Lost, format!("a watcher saw {:?} as line {at}", lines[at])));
            }
            if !text.contains(&format!("told it all: {}", lines.len())) {
                let (code, said) = (ended.code, ended.stderr.trim());
                let text = format!("a watcher saw {} lines and not the end (code {code:?}: {said})", lines.len());
                found.push(finding(Broken::Lost, text));
            }
        }
        let last = fixture.orch(["events", "--json"]).ok().json_lines().pop().map(|line| line["seq"].clone());
        let seen = || self.events.said().0.lines().filter_map(seq_of).collect::<Vec<u64>>();
        wait::poll(SOON, || (seen().last().copied() >= last.as_ref().and_then(Value::as_u64)).then_some(()));
        let seqs = seen();
        if seqs != (1..=seqs.len() as u64).collect::<Vec<u64>>() || seqs.last().copied() < last.and_then(|n| n.as_u64())
        {
            found.push(finding(Broken::Lost, format!("who follows the history saw {} events amiss", seqs.len())));
        }
        self.events.signal(Signal::INT);
        self.events.finish(SOON);
        found
    }
}

fn seq_of(line: &str) -> Option<u64> {
    serde_json::from_str::<Value>(line).ok()?["seq"].as_u64()
}
