//! External programs that check files which orch writes for them (units, the formula, a package, workflows). A test skips
//! a missing program with a message; CI must have those that can be installed.

use super::process::find_program;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Reads a variable of the tests' own environment.
fn variable(name: &str) -> String {
    orch_sys::process::env_var(name).unwrap_or_default()
}

/// Finds a program in the `PATH` of the tests.
pub fn reader(name: &str) -> Option<PathBuf> {
    find_program(Path::new(name), std::ffi::OsStr::new(&variable("PATH")))
}

/// Prints that a test was skipped, to stderr, because the output of a passing test is not shown.
pub fn skipped(what: &str, why: &str) {
    writeln!(std::io::stderr(), "skipped: {what}: {why}").ok();
}

/// Skips a test because a program is missing. In CI `scripts/setup test` installs it where Linux has a package manager: unless
/// that recorded that it is unavailable, a missing program is an error.
pub fn left_out(what: &str, program: &str) {
    let is_had = cfg!(target_os = "linux") && ["apt-get", "dnf", "pacman"].iter().any(|name| reader(name).is_some());
    let noted = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/not-had");
    let noted = std::fs::read_to_string(noted).unwrap_or_default();
    let must = variable("CI") == "true" && is_had && !noted.lines().any(|name| program.starts_with(name));
    assert!(!must, "{what}: {program} is not installed; where CI=true it must be: scripts/setup test installs it");
    skipped(what, &format!("{program} is not installed"));
}
