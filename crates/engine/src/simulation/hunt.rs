//! Looks for seeds that break a rule. One that does is written down before anything else is done with it, so that nothing
//! loses it: neither the search for a smaller scenario, nor a test run that is ended from outside.

use super::course::Ground;
use super::rules::Broken;
use super::scenario::{Scenario, Worlds};
use super::shrink::shrink;
use super::trace::Trace;
use super::{ground, guarded, run};
use orch_sys::clock::instant;
use orch_sys::process::env_var;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions, create_dir_all};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the seeds of an ordinary test run begin.
const KNOWN: u64 = 277_043_037_527_715;
/// Lines of a failing course that are shown: its end.
const LINES: usize = 120;
/// After so many broken seeds a search ends.
const ENOUGH: usize = 5;

/// Where broken seeds are kept.
pub(super) struct Records {
    dir: PathBuf,
    /// Whether each is printed as soon as it is found.
    aloud: bool,
}

impl Records {
    /// `simulation` in the target directory.
    pub fn usual() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        // target/PROFILE/deps/PROGRAM
        let target = program.ancestors().nth(3).unwrap_or(Path::new("target"));
        Self { dir: target.join("simulation"), aloud: true }
    }

    /// The seeds that ever broke a rule, one in a line, with the rule.
    pub fn seeds(&self) -> PathBuf {
        self.dir.join("broken-seeds.txt")
    }

    /// The seed that is under way: should the whole process end by it, it stands here.
    fn under_way(&self) -> PathBuf {
        self.dir.join(format!("under-way-{}.txt", std::process::id()))
    }

    fn begin(&self, seed: u64) {
        create_dir_all(&self.dir).expect("a directory in the target directory");
        put(&self.under_way(), &format!("{seed}\n"));
    }

    fn end(&self) {
        std::fs::remove_file(self.under_way()).ok();
    }

    /// A seed broke a rule: it is written down and told, and only then the hunt looks for the smallest scenario that does.
    pub fn caught(&self, scenario: &Scenario, rule: &str, describe: impl FnOnce() -> String) -> String {
        let (seed, worlds) = (scenario.seed, scenario.worlds);
        create_dir_all(&self.dir).expect("a directory in the target directory");
        let mut seeds = OpenOptions::new().create(true).append(true).open(self.seeds()).expect("a file to append to");
        writeln!(seeds, "{seed} ({worlds:?}): {rule}").expect("room for a line");
        self.say(&format!("seed {seed} breaks a rule: {rule}\nit is kept in {}", self.seeds().display()));
        let report = describe();
        let story = self.dir.join(format!("seed-{seed}.txt"));
        put(&story, &report);
        self.say(&format!("{report}\nthis story: {}", story.display()));
        report
    }

    fn say(&self, text: &str) {
        if self.aloud {
            say(text);
        }
    }
}

fn put(path: &Path, text: &str) {
    File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("a file in the target directory");
}

/// Describes a seed that breaks a rule: the rule, the smallest scenario that breaks one, and its course.
pub(super) fn describe(scenario: &Scenario, rule: &str, ground: &Ground) -> String {
    let mut fails = |smaller: &Scenario| run(smaller, ground, Trace::default()).result.is_err();
    let small = shrink(scenario, &mut fails);
    let ran = run(&small, ground, Trace::in_words());
    let small_rule = ran.result.err().map_or_else(String::new, |Broken(rule)| rule);
    let lines = ran.trace.lines();
    format!(
        "seed {}: {rule}\nrepeat it: {}\n\nthe smallest scenario: {small_rule}\n{small}\nits course:\n{}",
        scenario.seed,
        repeat(scenario),
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    )
}

/// The command that plays a scenario again.
pub(super) fn repeat(scenario: &Scenario) -> String {
    format!("make simulate SEED={} WORLDS={}", scenario.seed, scenario.worlds.word())
}

/// What is looked for, and how long.
struct Hunt {
    worlds: Worlds,
    first: u64,
    /// The number of seeds; without one the hunt ends by time.
    seeds: Option<u64>,
    time: Duration,
    /// Each seed twice: its two courses must be the same.
    twice: bool,
}

/// What was found.
#[derive(Default)]
struct Bag {
    seeds: u64,
    days: f64,
    turns: u64,
    cpu: f64,
    broken: Vec<(u64, String)>,
    /// Seeds that went two ways.
    diverged: Vec<u64>,
}

impl Hunt {
    fn go(&self, ground: &Ground, records: &Records) -> Bag {
        let (begun, cpu, mut bag) = (instant(), cpu_seconds(), Bag::default());
        let is_over = |bag: &Bag| {
            let spent = self.seeds.map_or_else(|| begun.elapsed() >= self.time, |seeds| bag.seeds >= seeds);
            spent || bag.broken.len() >= ENOUGH
        };
        while !is_over(&bag) {
            let seed = self.first + bag.seeds;
            records.begin(seed);
            let scenario = Scenario::of_worlds(self.worlds, seed);
            let ran = run(&scenario, ground, Trace::default());
            if self.twice && run(&scenario, ground, Trace::default()).trace.hash() != ran.trace.hash() {
                say(&format!("seed {seed} went two ways"));
                bag.diverged.push(seed);
            }
            if let Err(Broken(rule)) = &ran.result {
                records.caught(&scenario, rule, || describe(&scenario, rule, ground));
                bag.broken.push((seed, rule.clone()));
            }
            bag.seeds += 1;
            bag.days += ran.days;
            bag.turns += ran.trace.turns;
        }
        records.end();
        bag.cpu = cpu_seconds() - cpu;
        bag
    }
}

impl Bag {
    fn summary(&self, first: u64) -> String {
        let Self { seeds, days, turns, cpu, broken, .. } = self;
        let hold = if broken.is_empty() { "hold".to_owned() } else { format!("were tried, {} broke", broken.len()) };
        format!(
            "{seeds} seeds from {first} on {hold}: {days:.0} simulated days, {turns} turns, {:.0} days and {:.0} turns a CPU \
             second",
            days / cpu,
            *turns as f64 / cpu
        )
    }

    /// Returns the result for a program that reads it: `make torture`.
    fn json(&self) -> Value {
        let broken = self.broken.iter().map(|(seed, rule)| json!({ "seed": seed, "rule": rule }));
        json!({
            "seeds": self.seeds,
            "days": self.days,
            "turns": self.turns,
            "cpu_seconds": self.cpu,
            "broken": broken.collect::<Vec<_>>(),
            "diverged": self.diverged,
        })
    }
}

fn word(name: &str) -> Option<String> {
    env_var(name).filter(|text| !text.is_empty())
}

fn number(name: &str) -> Option<u64> {
    word(name).map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// `make simulate [SEED=n] [FROM=n] [SECONDS=60] [SEEDS=n] [WORLDS=clocks|years] [TWICE=1] [RESULT=file]`. Without a word, a
/// moment of seeds that are always the same.
#[test]
fn fresh_seeds() {
    let dir = tempfile::tempdir().expect("a directory");
    let ground = ground(dir.path());
    let worlds = word("WORLDS").map_or(Worlds::All, |wanted| {
        let known = Worlds::ALL.into_iter().find(|worlds| worlds.word() == wanted);
        known.unwrap_or_else(|| panic!("WORLDS={wanted}: it is {}", Worlds::ALL.map(Worlds::word).join(", ")))
    });
    let seconds = number("SECONDS").map(Duration::from_secs);
    let fresh = || seconds.map(|_| RandomState::new().hash_one(0) >> 16);
    let hunt = Hunt {
        worlds,
        first: number("SEED").or_else(|| number("FROM")).or_else(fresh).unwrap_or(KNOWN),
        seeds: number("SEED").map(|_| 1).or_else(|| number("SEEDS")),
        time: seconds.unwrap_or(Duration::from_millis(100)),
        twice: word("TWICE").is_some(),
    };
    let bag = hunt.go(&ground, &Records::usual());
    if let Some(result) = word("RESULT") {
        put(Path::new(&result), &bag.json().to_string());
    }
    say(&bag.summary(hunt.first));
    assert!(bag.broken.is_empty() && bag.diverged.is_empty(), "{:?}, two ways: {:?}", bag.broken, bag.diverged);
}

#[test]
fn a_seed_that_breaks_a_rule_is_written_down_before_a_smaller_scenario_is_looked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let records = Records { dir: dir.path().join("records"), aloud: false };
    let kept = || std::fs::read_to_string(records.seeds()).expect("it is written down");
    let mut meanwhile = String::new();
    let report = records.caught(&Scenario::from_seed(4711), "a rule is broken", || {
        meanwhile = kept();
        "the story".to_owned()
    });
    assert_eq!((meanwhile.as_str(), report.as_str()), ("4711 (All): a rule is broken\n", "the story"));
    records.caught(&Scenario::from_seed(12), "another", String::new);
    assert_eq!(kept(), "4711 (All): a rule is broken\n12 (All): another\n");
}

#[test]
fn a_panic_in_a_course_is_a_broken_rule_with_its_words() {
    assert_eq!(guarded(|| panic!("no doors today")), Err(Broken("a panic: no doors today".to_owned())));
    assert_eq!(guarded(|| Ok(())), Ok(()));
}

fn cpu_seconds() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("somebody listens");
}
