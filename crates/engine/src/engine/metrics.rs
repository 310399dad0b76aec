//! Figures about this engine since it was started: what began, how it ended, how long turns took. Counting only.

use orch_core::base::ids::RunId;
use orch_core::tasks::outcome::{Outcome, RunKind};
use orch_core::tasks::task::{Phase, Run};
use orch_store::journal::Write;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets that durations are counted in, in seconds.
pub const BOUNDS: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0];

/// A histogram of durations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// How many were at most as long as each of [`BOUNDS`], and longer than the one before.
    pub buckets: [u64; BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// The sum of all, in seconds.
    pub sum: f64,
}

impl Histogram {
    fn take(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(at) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[at] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

/// The figures at one moment.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The number of runs that were started, by kind.
    pub starts: BTreeMap<&'static str, u64>,
    /// Runs that ended, by kind and outcome: `finished`, `cancelled` or the class of the failure.
    pub ends: BTreeMap<(&'static str, &'static str), u64>,
    /// The durations of the loop's turns, without waiting.
    pub turns: Histogram,
    /// The durations of writing a turn to the journal.
    pub commits: Histogram,
    /// Runs whose start was counted, or was another engine's.
    begun: HashSet<RunId>,
}

/// The figures, counted while the engine runs.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Figures>);

impl Metrics {
    /// Creates the metrics of an engine that found these runs under way.
    pub(crate) fn new<'a>(found: impl Iterator<Item = &'a RunId>) -> Self {
        Self(Mutex::new(Figures { begun: found.cloned().collect(), ..Figures::default() }))
    }

    /// Returns the present figures.
    pub fn figures(&self) -> Figures {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn, and what it changed.
    pub(crate) fn change_set(&self, took: Duration) {
        self.locked().turns.take(took);
    }

    /// What a turn changed is on disk.
    pub(crate) fn stored(&self, took: Duration) {
        self.locked().commits.take(took);
    }

    /// Counts the runs that begin and end with these changes.
    pub(crate) fn count(&self, writes: &[Write]) {
        let mut figures = self.locked();
        for write in writes {
            if let Write::Run(run) = write {
                figures.run(run);
            }
        }
    }
}

impl Figures {
    fn run(&mut self, run: &Run) {
        let kind = match run.kind {
            RunKind::Work => "work",
            RunKind::Review => "review",
            RunKind::Route => "route",
        };
        if self.begun.insert(run.id.clone()) {
            *self.starts.entry(kind).or_default() += 1;
        }
        if run.phase == Phase::Ended {
            self.begun.remove(&run.id);
            let outcome = match &run.outcome {
                Some(Outcome::Finished { .. }) => "finished",
                Some(Outcome::Failed(failure)) => failure.class.as_str(),
                Some(Outcome::Cancelled { .. }) | None => "cancelled",
            };
            *self.ends.entry((kind, outcome)).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_buckets() {
        let mut histogram = Histogram::default();
        for micros in [100, 500, 501, 60_000_000] {
            histogram.take(Duration::from_micros(micros));
        }
        assert_eq!((histogram.buckets[0], histogram.buckets[1], histogram.count), (2, 1, 4));
        assert!((histogram.sum - 60.001_101).abs() < 1e-9);
    }
}
