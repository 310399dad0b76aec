//! The definition and the result of a row. A new row is one file in `rows/` and a line in its list.

use crate::kit::wait;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// What CI has time for.
    Quick,
    /// What is published.
    Full,
}

impl Size {
    /// Returns the name in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}

/// A row.
pub struct Row {
    /// Its number; several rows may share it.
    pub id: &'static str,
    /// The file that tries it, from the root of the sources.
    pub code: &'static str,
    /// What goes wrong.
    pub fault: &'static str,
    /// The goal, in addition to 0 lost, 0 doubled, 0 stuck.
    pub goal: &'static str,
    /// What it does.
    pub run: Run,
}

/// What a row does.
pub enum Run {
    /// Tries it.
    Trials {
        /// How often in the quick form.
        quick: usize,
        /// How often in the full form.
        full: usize,
        /// Does it so many times.
        run: fn(usize, Size) -> Tally,
    },
}

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A task, a result, a commit, an edit, a byte is gone, or something is left that should not be.
    Lost,
    /// An agent ran twice, a commit was merged twice.
    Doubled,
    /// Something does not end, or needs a person who has done nothing wrong.
    Stuck,
}

/// A broken promise, and what was seen.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Which.
    pub broken: Broken,
    /// The description, for the developer.
    pub text: String,
}

/// All findings of one trial.
pub type Findings = Vec<Finding>;

/// A finding.
pub fn finding(broken: Broken, text: impl Into<String>) -> Finding {
    Finding { broken, text: text.into() }
}

/// The outcome of a row.
#[derive(Debug, Default)]
pub struct Tally {
    /// How often the fault struck.
    pub times: usize,
    /// Counted as the promises.
    pub findings: Findings,
    /// Worth knowing.
    pub note: String,
}

impl Tally {
    /// How often a promise was broken.
    pub fn count(&self, broken: Broken) -> usize {
        self.findings.iter().filter(|finding| finding.broken == broken).count()
    }
}

/// Runs trials, a few at a time. One that panics counts as stuck. Findings are printed at once.
pub fn trials(count: usize, at_once: usize, trial: impl Fn(usize) -> Findings + Sync) -> Tally {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        return;
                    }
                    let found = catch_unwind(AssertUnwindSafe(|| trial(number)));
                    let found = found.unwrap_or_else(|panic| vec![finding(Broken::Stuck, reason(&*panic))]);
                    for one in &found {
                        super::table::print_error(&format!("trial {number}: {:?}: {}", one.broken, one.text));
                    }
                    all.lock().expect("nobody panics with it").extend(found);
                }
            });
        }
    });
    Tally { times: count, findings: all.into_inner().expect("nobody panics with it"), note: String::new() }
}

/// Returns the message of a panic.
pub fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "it broke off".to_owned())
}

/// Pseudo-random numbers, reproducible from a seed.
pub struct Dice(u64);

impl Dice {
    /// For one trial.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    /// One of `0..below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    /// Lets a while pass, up to so many milliseconds.
    pub fn pause(&mut self, most: u64) {
        pause(Duration::from_micros(self.below(most * 1000)));
    }
}

/// Pauses: a fault strikes at a random moment.
pub fn pause(time: Duration) {
    wait::poll(time, || None::<()>);
}
