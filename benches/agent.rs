//! The agent of the benchmarks: this very program, which stamps the time as its first act, commits a line, and stamps
//! the time as its last act. The baseline starts the same program the same way.

use crate::measure::now_ns;
use orch::adapters::fs::{Durability, append_private, read_text, write_private};
use orch::adapters::process::{Invocation, env_var, environment, run, which};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `<this program> --as-agent <directory of stamps> <name>`.
pub const FLAG: &str = "--as-agent";

/// What the agent does.
pub fn work(stamps: &Path, name: &str) -> ExitCode {
    let begun = now_ns();
    let worked = stamp(stamps, name, "begin", begun).is_some() && commit().is_some();
    let ended = now_ns();
    ExitCode::from(u8::from(!worked || stamp(stamps, name, "end", ended).is_none()))
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
