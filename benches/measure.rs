//! Times and samples. The only module of the benchmarks that reads a clock or pauses.

use orch_sys::process::{Invocation, run};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970 by the clock that all processes share.
#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds from one moment to another; negative when they are the other way round.
pub fn ms_between(from_ns: u64, to_ns: u64) -> f64 {
    (to_ns as f64 - from_ns as f64) / 1e6
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "an idle daemon is watched for a time, and phases are random")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Pauses for a random time, so that nothing that repeats in the daemon is always met at the same moment.
pub fn random_pause(from_ms: u64, to_ms: u64) {
    let [a, b, ..] = *uuid::Uuid::new_v4().as_bytes();
    let part = u64::from(u16::from_be_bytes([a, b]));
    pause(Duration::from_micros(from_ms * 1000 + (to_ms - from_ms) * 1000 * part / 65_536));
}

/// How long `work` takes in milliseconds, and what it gives.
#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
pub fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64() * 1e3, result)
}

/// Runs a program that must succeed; how long it took in milliseconds.
pub fn program_ms(call: &Invocation) -> f64 {
    let (ms, output) = timed(|| run(call));
    let output = output.unwrap_or_else(|error| panic!("{error}"));
    assert!(output.success(), "{call:?} failed: {}{}", output.text(), output.error_text());
    ms
}

/// Milliseconds, of many rounds.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn add(&mut self, ms: f64) {
        self.0.push(ms);
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The value that `percent` of the rounds do not exceed.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    /// The median.
    pub fn p50(&self) -> f64 {
        self.percentile(50)
    }

    /// 95 of 100 are not above.
    pub fn p95(&self) -> f64 {
        self.percentile(95)
    }

    /// `p50 / p95 ms`.
    pub fn text(&self) -> String {
        format!("{} / {} ms", figure(self.p50()), figure(self.p95()))
    }
}

/// A number with as many places as say something.
pub fn figure(value: f64) -> String {
    match value.abs() {
        small if small < 1.0 => format!("{value:.2}"),
        middle if middle < 100.0 => format!("{value:.1}"),
        _large => format!("{value:.0}"),
    }
}
