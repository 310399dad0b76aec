//! Watchers, seen from outside: what they print or receive, and when each line arrived.

use crate::fixture::Fixture;
use crate::measure::{Samples, ms_between, now_ns};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// What a watcher saw of lines as [`crate::agent::tell`] says them: `T <task> <number> <nanoseconds>`.
#[derive(Default)]
pub struct Seen {
    /// By task and number: when it was written, and when it was seen.
    lines: BTreeMap<(u64, u64), (u64, u64)>,
    /// Lines that came more than once.
    pub doubled: usize,
}

impl Seen {
    /// A text in which there may be such a line, which comes once.
    pub fn line(&mut self, line: &str, at: u64) {
        let Some((key, written)) = parsed(line) else { return };
        self.doubled += usize::from(self.lines.insert(key, (written, at)).is_some());
    }

    /// A text in which there may be such a line, perhaps not for the first time.
    pub fn again(&mut self, line: &str, at: u64) {
        if let Some((key, written)) = parsed(line) {
            self.lines.entry(key).or_insert((written, at));
        }
    }

    /// How many lines.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// How many of the lines were written within a time.
    pub fn count_within(&self, (from, to): (u64, u64)) -> usize {
        self.lines.values().filter(|(written, _)| (from..to).contains(written)).count()
    }

    /// From the writing to the seeing, of what was written within a time.
    pub fn latency(&self, (from, to): (u64, u64)) -> Samples {
        let mut samples = Samples::default();
        for (written, at) in self.lines.values().filter(|(written, _)| (from..to).contains(written)) {
            samples.add(ms_between(*written, *at));
        }
        samples
    }
}

/// Task and number of a line, and when it was written.
pub fn parsed(line: &str) -> Option<((u64, u64), u64)> {
    let mut fields = line.split_once("T ")?.1.split(' ').map_while(|field| field.trim_end().parse().ok());
    Some(((fields.next()?, fields.next()?), fields.next()?))
}

/// A program whose output is read as it comes.
pub struct Reader<T> {
    child: Child,
    seen: JoinHandle<T>,
}

impl<T: Default + Send + 'static> Reader<T> {
    /// Starts the program. `take` gets each piece of its output with the time of its arrival.
    pub fn start<S: AsRef<OsStr>>(
        fixture: &Fixture,
        program: &str,
        args: &[S],
        mut take: impl FnMut(&mut T, &[u8], u64) + Send + 'static,
    ) -> Self {
        let mut child = start(fixture, program, args);
        let mut stdout = child.stdout.take().expect("piped");
        let seen = std::thread::spawn(move || {
            let (mut seen, mut piece) = (T::default(), vec![0; 64 << 10]);
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                take(&mut seen, &piece[..count], now_ns());
            }
            seen
        });
        Self { child, seen }
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Ends the program; what was seen.
    pub fn end(mut self) -> T {
        self.child.kill().expect("it can be ended");
        self.child.wait().expect("it was a child");
        self.seen.join().expect("the reader ends")
    }
}

/// A program in the box, with its output in a pipe that the caller reads or not.
#[expect(clippy::disallowed_methods, reason = "what a watcher prints is timed as it comes")]
pub fn start<S: AsRef<OsStr>>(fixture: &Fixture, program: &str, args: &[S]) -> Child {
    let mut command = Command::new(program);
    command.args(args).current_dir(fixture.sealed().base()).env_clear().envs(fixture.sealed().env());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// Cuts what comes into lines.
pub fn by_line() -> impl FnMut(&mut Seen, &[u8], u64) + Send + 'static {
    let mut text = Vec::new();
    move |seen, piece, at| {
        text.extend_from_slice(piece);
        let Some(end) = text.iter().rposition(|b| *b == b'\n') else { return };
        let rest = text.split_off(end + 1);
        String::from_utf8_lossy(&text).lines().for_each(|line| seen.line(line, at));
        text = rest;
    }
}

/// Arguments by which `tail` follows files from their beginning.
pub fn tail(files: &[impl AsRef<Path>]) -> Vec<String> {
    let mut args: Vec<String> = ["-q", "-F", "-n", "+1"].map(String::from).to_vec();
    args.extend(files.iter().map(|path| path.as_ref().display().to_string()));
    args
}
