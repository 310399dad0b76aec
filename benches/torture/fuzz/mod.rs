//! Fuzzes parsers in a separate process: a stack overflow or exhausted memory ends only that one, and its parent knows
//! the case. Not guided by coverage, which needs a nightly compiler.

mod http;
mod targets;

use crate::kit::dice::Dice;
use orch_sys::process::env_var;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
pub use targets::NAMES;

/// What makes the program play the child: followed by the parser, the first case, the seconds and the directory.
const CHILD: &str = "--parser";
/// The longest that one case may take, in milliseconds of processor time.
const HANG: u64 = 1000;
/// The most additional memory of a parser, in kilobytes.
const MEMORY: u64 = 64 << 10;
/// What orch's own threads have for a stack.
const STACK: usize = 2 << 20;
/// After so many findings of one parser, enough is known.
const ENOUGH: usize = 5;

/// A parser, and spoilt input for it.
pub trait Target {
    /// The input of a case.
    fn input(&self, dice: &mut Dice) -> Vec<u8>;
    /// Reads it. What it may not do is panic.
    fn read(&mut self, input: &[u8]);
}

/// What came of one parser.
#[derive(Debug, Default)]
pub struct Fuzzed {
    /// Inputs that were read.
    pub cases: u64,
    /// The most additional memory, in kilobytes.
    pub memory: u64,
    /// The findings, each with the command that repeats it.
    pub wrong: Vec<String>,
}

/// Tries one parser for so long.
pub fn fuzz(name: &str, time: Duration) -> Fuzzed {
    let dir = tempfile::tempdir().expect("a directory");
    let mut fuzzed = Fuzzed::default();
    let only: Option<u64> = env_var("CASE").and_then(|text| text.parse().ok());
    let (mut next, begun) = (only.unwrap_or(26_000_000), Instant::now());
    while begun.elapsed() < time && fuzzed.wrong.len() < ENOUGH {
        let left = if only.is_some() { Duration::ZERO } else { time.saturating_sub(begun.elapsed()) };
        let note = Note::at(dir.path());
        let ended = run(name, next, left, dir.path());
        let last = note.read();
        fuzzed.cases += last.cases;
        fuzzed.memory = fuzzed.memory.max(last.memory);
        match ended {
            Ok(()) => break,
            Err(why) => fuzzed.wrong.push(describe(name, last.case, &why)),
        }
        if only.is_some() {
            break;
        }
        next = last.case + 1;
    }
    fuzzed
}

fn describe(name: &str, case: u64, why: &str) -> String {
    let mut dice = Dice::new(case);
    let kept = kept_at().join(format!("{name}-{case}"));
    let input = targets::target(name, None).map(|target| target.input(&mut dice)).unwrap_or_default();
    crate::kit::write_file(&kept, "");
    File::create(&kept).and_then(|file| file.write_all_at(&input, 0)).expect("a file in the target directory");
    format!("{name}, case {case}: {why}; again: make torture ROW=R26 PARSER={name} CASE={case}; {}", kept.display())
}

fn kept_at() -> PathBuf {
    let orch = Path::new(crate::kit::sealed_box::ORCH);
    orch.ancestors().nth(2).expect("a target directory").join("torture/parsers")
}

fn run(name: &str, first: u64, time: Duration, dir: &Path) -> Result<(), String> {
    let errors = File::create(dir.join("stderr")).expect("a file");
    let mut child = Command::new(std::env::current_exe().expect("a running program has a path"))
        .args([CHILD, name, &first.to_string(), &time.as_millis().to_string()])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .expect("this program starts");
    let status = watched(&mut child, time);
    let said = std::fs::read_to_string(dir.join("stderr")).unwrap_or_default();
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{status}: {}", said.trim())),
        None => Err("it does not end at all".to_owned()),
    }
}

/// The child watches over each case; that it lives far beyond its time is for the case that it cannot.
fn watched(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let ended = crate::kit::wait::poll(time + Duration::from_secs(60), || child.try_wait().ok().flatten());
    if ended.is_none() {
        child.kill().ok();
        child.wait().ok();
    }
    ended
}

/// The file in which the child records its progress: the current case, the number of cases, and the memory used.
struct Note(File);

#[derive(Debug, Clone, Copy)]
struct Last {
    case: u64,
    cases: u64,
    memory: u64,
}

impl Note {
    fn at(dir: &Path) -> Self {
        let open = File::options().create(true).truncate(false).read(true).write(true).open(dir.join("note"));
        Self(open.expect("a file"))
    }

    fn write(&self, last: Last) {
        let text = format!("{:>20} {:>20} {:>20}\n", last.case, last.cases, last.memory);
        self.0.write_all_at(text.as_bytes(), 0).expect("room for a line");
    }

    fn read(&self) -> Last {
        let mut bytes = [0; 63];
        self.0.read_at(&mut bytes, 0).expect("a note");
        let text = String::from_utf8_lossy(&bytes);
        let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Last { case: next(), cases: next(), memory: next() }
    }
}

/// Runs the child if this process is to be one, and returns its result.
pub fn child(args: &[String]) -> Option<bool> {
    let [flag, name, first, millis, dir] = args else { return None };
    if flag != CHILD {
        return None;
    }
    let (first, millis) = (first.parse().ok()?, millis.parse().ok()?);
    // The message of a panic is reported with the case; a backtrace takes more memory than any parser.
    std::panic::set_hook(Box::new(|_| {}));
    let (name, dir) = (name.clone(), PathBuf::from(dir));
    let played = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || play(&name, first, Duration::from_millis(millis), &dir))
        .expect("a thread");
    Some(played.join().unwrap_or(false))
}

/// One case after the other; at the first that is wrong it ends, with the reason on stderr.
fn play(name: &str, first: u64, time: Duration, dir: &Path) -> bool {
    let Some(mut target) = targets::target(name, Some(dir)) else {
        crate::table::print_error(&format!("there is no parser {name}"));
        return false;
    };
    let (note, said) = (Note::at(dir), Mutex::new(String::new()));
    let watch = std::sync::Arc::new(AtomicU64::new(u64::MAX));
    let seen = std::sync::Arc::clone(&watch);
    std::thread::spawn(move || watch_over(&seen));
    let (begun, at_start) = (Instant::now(), memory("VmRSS:"));
    let mut last = Last { case: first, cases: 0, memory: 0 };
    loop {
        note.write(last);
        let input = target.input(&mut Dice::new(last.case));
        watch.store(cpu_millis(), Ordering::SeqCst);
        let read = catch_unwind(AssertUnwindSafe(|| target.read(&input)));
        watch.store(u64::MAX, Ordering::SeqCst);
        last.cases += 1;
        last.memory = memory("VmHWM:").saturating_sub(at_start);
        note.write(last);
        if let Err(panic) = read {
            *said.lock().expect("nobody panics with it") = format!("a panic: {}", crate::row::reason(&*panic));
        } else if last.memory > MEMORY {
            *said.lock().expect("nobody panics with it") = format!("{} kB of memory", last.memory);
        }
        let why = said.lock().expect("nobody panics with it").clone();
        if !why.is_empty() {
            crate::table::print_error(&why);
            return false;
        }
        if begun.elapsed() >= time {
            return true;
        }
        last.case += 1;
    }
}

/// Ends the process when one case takes too long.
#[expect(clippy::disallowed_methods, reason = "the one that hangs cannot be asked")]
fn watch_over(began: &AtomicU64) {
    loop {
        crate::row::pause(Duration::from_millis(50));
        let since = began.load(Ordering::SeqCst);
        if since != u64::MAX && cpu_millis().saturating_sub(since) > HANG {
            crate::table::print_error(&format!("it takes longer than {HANG} ms"));
            std::process::exit(3);
        }
    }
}

fn cpu_millis() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(used.tv_sec * 1000 + used.tv_nsec / 1_000_000).unwrap_or(0)
}

/// A figure of this process, in kilobytes.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
