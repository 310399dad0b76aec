//! The simulation of the engine (`docs/explanation/simulation.md`), which lives in the unit tests: it needs adapters that nothing but a test
//! may open. Their program is built when a row wants it, for the full form with all speed, and says in a file what it
//! found.

use crate::row::{Broken, Findings, Size, finding};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The test that reads what is wanted from the environment.
const TEST: &str = "simulation::hunt::fresh_seeds";

/// What is wanted of it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// `all` or `clocks`.
    pub worlds: &'static str,
    /// So many seeds.
    pub seeds: usize,
    /// From this one on.
    pub first: u64,
    /// Each twice: its two courses must be the same.
    pub twice: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Seeds that were tried.
    pub seeds: u64,
    /// Simulated days.
    pub days: f64,
    /// How long that took.
    pub took: Duration,
    /// What was found.
    pub findings: Findings,
}

/// Runs the simulation in as many processes as there are cores.
pub fn simulate(wanted: Wanted, size: Size) -> Report {
    let program = match program(size) {
        Ok(program) => program,
        Err(why) => return Report { findings: vec![finding(Broken::Stuck, why)], ..Report::default() },
    };
    let dir = tempfile::tempdir().expect("a directory");
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(wanted.seeds);
    let each = wanted.seeds.div_ceil(cores);
    let begun = Instant::now();
    let mut text = Report::default();
    std::thread::scope(|scope| {
        let parts = (0..cores).map(|core| {
            let seeds = each.min(wanted.seeds - core * each);
            let part = Wanted { seeds, first: wanted.first + (core * each) as u64, ..wanted };
            let (program, result) = (&program, dir.path().join(format!("{core}.json")));
            scope.spawn(move || simulated(program, part, &result))
        });
        let parts: Vec<_> = parts.collect();
        for part in parts {
            let part = part.join().expect("it does not panic");
            text.seeds += part.seeds;
            text.days += part.days;
            text.findings.extend(part.findings);
        }
    });
    text.took = begun.elapsed();
    text
}

impl Report {
    /// How fast the time of the simulation goes.
    pub fn speed(&self) -> String {
        format!("{:.0} days a second", self.days / self.took.as_secs_f64().max(0.001))
    }
}

fn simulated(program: &Path, wanted: Wanted, result: &Path) -> Report {
    let mut command = Command::new(program);
    command.args(["--exact", TEST, "--nocapture", "--test-threads", "1"]).stdin(Stdio::null());
    let numbers = [("SEEDS", wanted.seeds as u64), ("FROM", wanted.first)];
    command.envs(numbers.map(|(name, number)| (name, number.to_string())));
    command.env("WORLDS", wanted.worlds).env("RESULT", result).env_remove("SEED").env_remove("SECONDS");
    command.env("TWICE", if wanted.twice { "1" } else { "" });
    let ran = command.output();
    let read = std::fs::read_to_string(result).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let Some(read) = read else {
        let said = ran.map_or_else(|error| error.to_string(), |ran| String::from_utf8_lossy(&ran.stdout).into_owned());
        let text = format!("the simulation of seeds from {} on left no result: {said}", wanted.first);
        return Report { findings: vec![finding(Broken::Stuck, text)], ..Report::default() };
    };
    let list = |key: &str| read[key].as_array().cloned().unwrap_or_default();
    let broken = list("broken").into_iter().map(|one| {
        let (seed, rule) = (&one["seed"], one["rule"].as_str().unwrap_or_default());
        finding(Broken::Lost, format!("seed {seed} ({}): {rule}", wanted.worlds))
    });
    let diverged =
        list("diverged").into_iter().map(|seed| finding(Broken::Doubled, format!("seed {seed} went two ways")));
    let findings: Findings = broken.chain(diverged).collect();
    findings.iter().for_each(|one| crate::table::print_error(&one.text));
    Report {
        seeds: read["seeds"].as_u64().unwrap_or_default(),
        days: read["days"].as_f64().unwrap_or_default(),
        findings,
        ..Report::default()
    }
}

/// The program of the unit tests, built where it is not.
fn program(size: Size) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/simulator");
    let profile = if size == Size::Quick { "dev" } else { "fast" };
    let ran = Command::new(&script).env("PROFILE", profile).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let ran = ran.map_err(|error| format!("{}: {error}", script.display()))?;
    let path = PathBuf::from(String::from_utf8_lossy(&ran.stdout).trim());
    if path.is_file() { Ok(path) } else { Err(format!("{} built nothing: run it by hand", script.display())) }
}
