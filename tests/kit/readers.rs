//! Programs of others that read what orch writes for them (units, the formula, a package, workflows). A test does without one that
//! is not there and says so; CI must have those that it can have.

use super::process::find_program;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the tests' own environment calls so.
fn variable(name: &str) -> String {
    orch_sys::process::env_var(name).unwrap_or_default()
}

/// A program in the `PATH` of the tests.
pub fn reader(name: &str) -> Option<PathBuf> {
    find_program(Path::new(name), std::ffi::OsStr::new(&variable("PATH")))
}

/// Says that a test could not do what it is for; also where the test passes, whose output nobody else shows.
pub fn skipped(what: &str, why: &str) {
    writeln!(std::io::stderr(), "skipped: {what}: {why}").ok();
}

/// The same for want of a program. CI has it installed (`scripts/setup test`) where there is a package manager of Linux: where
/// that does not note that it could not be had, it is missing because something is wrong.
pub fn left_out(what: &str, program: &str) {
    let is_had = cfg!(target_os = "linux") && ["apt-get", "dnf", "pacman"].iter().any(|name| reader(name).is_some());
    let noted = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/not-had");
    let noted = std::fs::read_to_string(noted).unwrap_or_default();
    let must = variable("CI") == "true" && is_had && !noted.lines().any(|name| program.starts_with(name));
    assert!(!must, "{what}: {program} is not installed; where CI=true it must be: scripts/setup test installs it");
    skipped(what, &format!("{program} is not installed"));
}
