//! The agent of the benchmarks: this program, which records the time when it starts, commits a line, and records the
//! time when it ends. The baseline starts the same program the same way.

use crate::measure::{now_ns, pause, random_pause};
use crate::table::say;
use orch_sys::fs::{Durability, append_private, read_text, write_private};
use orch_sys::process::{Invocation, env_var, environment, run, which};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// `<this program> --as-agent <directory of stamps> <name>`.
pub const FLAG: &str = "--as-agent";

/// What the agent does.
pub fn work(stamps: &Path, name: &str) -> ExitCode {
    let begun = now_ns();
    let worked = stamp(stamps, name, "begin", begun).is_some() && commit().is_some();
    let ended = now_ns();
    ExitCode::from(u8::from(!worked || stamp(stamps, name, "end", ended).is_none()))
}

/// `<this program> --as-teller <directory of stamps> <name>`.
pub const TELLER: &str = "--as-teller";

/// An agent that prints a line every fifty milliseconds, from the file `go` to the file `stop`.
pub fn write_lines(stamps: &Path, name: &str) -> ExitCode {
    let there = |file: &str| stamps.join(file).exists();
    if stamp(stamps, name, "begin", now_ns()).is_none() {
        return ExitCode::FAILURE;
    }
    while !there("go") {
        random_pause(40, 60);
    }
    // Not all in the same moment.
    random_pause(0, 50);
    let mut said = 0;
    while !there("stop") {
        say(&format!("T {name} {said} {}", now_ns()));
        said += 1;
        pause(Duration::from_millis(50));
    }
    let worked = commit().is_some() && stamp(stamps, name, "said", said).is_some();
    ExitCode::from(u8::from(!worked))
}

/// `<this program> --as-flooder <directory of stamps> <name>:<megabytes>`.
pub const FLOODER: &str = "--as-flooder";

/// An agent that writes so many megabytes of lines from the file `go` on, as fast as it can. It stamps `begin` and
/// `end` of that.
pub fn flood(stamps: &Path, args: &str) -> ExitCode {
    let Some((name, megabytes)) = args.split_once(':') else { return ExitCode::FAILURE };
    let Ok(megabytes) = megabytes.parse::<usize>() else { return ExitCode::FAILURE };
    let ready = stamp(stamps, name, "ready", now_ns());
    while !stamps.join("go").exists() {
        random_pause(40, 60);
    }
    let line = format!("{}\n", "One line of some length, as a build prints them by the thousand. ".repeat(2));
    let begun = now_ns();
    let written = write_out(line.as_bytes(), megabytes * 1_000_000 / line.len());
    let ended = now_ns();
    let stamped = stamp(stamps, name, "begin", begun).and_then(|()| stamp(stamps, name, "end", ended));
    ExitCode::from(u8::from(ready.and(stamped).and(commit()).is_none() || !written))
}

/// Writes a line so many times, 64 kB at a time.
fn write_out(line: &[u8], times: usize) -> bool {
    let at_once = (64 << 10) / line.len();
    let block = line.repeat(at_once);
    let mut out = std::io::stdout().lock();
    let blocks = (0..times / at_once).try_for_each(|_| out.write_all(&block));
    blocks.and_then(|()| out.write_all(&line.repeat(times % at_once))).and_then(|()| out.flush()).is_ok()
}

fn stamp(stamps: &Path, name: &str, which: &str, at: u64) -> Option<()> {
    write_private(&file(stamps, name, which), at.to_string().as_bytes(), Durability::Cached).ok()
}

fn file(stamps: &Path, name: &str, which: &str) -> PathBuf {
    stamps.join(format!("{name}.{which}"))
}

fn commit() -> Option<()> {
    append_private(Path::new("README.md"), b"One more line.\n").ok()?;
    let git = which("git", &env_var("PATH")?)?;
    let call = Invocation::new(git, std::env::current_dir().ok()?);
    let call = call.args(["commit", "--quiet", "--all", "--message", "Add a line"]).envs(environment());
    run(&call).ok()?.success().then_some(())
}

/// When the agent of that name did its first (`begin`) or last (`end`) act, once it did.
pub fn stamped(stamps: &Path, name: &str, which: &str) -> Option<u64> {
    read_text(&file(stamps, name, which), 64).ok()?.parse().ok()
}
