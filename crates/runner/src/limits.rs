//! Decides when a run has to end, and tracks the agent's health until then. PURE: takes times and measurements, returns
//! a reason.

use super::launch::Limits;
use orch_core::base::health::{Monitor, Rules, Sample};
use orch_core::tasks::outcome::{Failure, FailureClass};
use orch_sys::process::Load;
use std::time::{Duration, Instant};

/// How often memory is measured, if it is limited.
const MEMORY_INTERVAL: Duration = Duration::from_secs(2);

/// The shortest time between two measurements of processor time during a silence.
const MIN_INTERVAL: Duration = Duration::from_millis(20);

/// Enforces the limits of one run.
#[derive(Debug)]
pub(super) struct Watchdog {
    limits: Limits,
    started: Instant,
    monitor: Monitor,
    memory_measured: Instant,
    /// When the turn ended, while the process stays.
    turn_over: Option<Instant>,
}

/// Why the watchdog wants the process to end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Alarm {
    /// A limit is exceeded.
    Limit(Failure),
    /// It uses up the machine's memory or disk, so it gets no grace period.
    Excess(Failure),
    /// The turn ended well, and something keeps the process alive.
    Lingering,
}

impl Watchdog {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let silence = Duration::from_millis(limits.silence_ms);
        let health = limits.health;
        let interval = Duration::from_millis(if health.enabled { health.interval_ms } else { u64::MAX });
        let stale_after = Duration::from_millis(health.stale_ms);
        let interval = interval.min(silence / 4).min(stale_after / 2).max(MIN_INTERVAL);
        let rules = Rules { interval, stale_after, retries: health.max_retries };
        let monitor = Monitor::new(rules, Duration::ZERO);
        Self { limits, started: now, monitor, memory_measured: now, turn_over: None }
    }

    /// Returns the health monitor, and the present on its clock.
    pub(super) fn health(&self, now: Instant) -> (&Monitor, Duration) {
        (&self.monitor, now - self.started)
    }

    /// Checks the limits. `output` is the number of bytes printed so far. `load` is called only when it matters, because it
    /// takes time; it returns `None` when the measurement took too long.
    pub(super) fn check(
        &mut self,
        now: Instant,
        output: u64,
        turn_ended: bool,
        load: &mut dyn FnMut() -> Option<Load>,
    ) -> Option<Alarm> {
        self.monitor.record_output(now - self.started, output);
        self.turn_over = turn_ended.then(|| self.turn_over.unwrap_or(now));
        if self.turn_over.is_some_and(|since| now - since >= Duration::from_millis(self.limits.linger_ms)) {
            return Some(Alarm::Lingering);
        }
        let excess = self.check_output(output).or_else(|| self.check_memory(now, load)).map(Alarm::Excess);
        excess.or_else(|| self.check_timeout(now).or_else(|| self.check_silence(now, load)).map(Alarm::Limit))
    }

    /// Returns how long until the next check is due.
    pub(super) fn next_check(&self, now: Instant) -> Duration {
        let timeout = self.started + Duration::from_millis(self.limits.timeout_ms);
        let health = self.started + self.next_health_check(now);
        let lingering = self.turn_over.map(|since| since + Duration::from_millis(self.limits.linger_ms));
        let memory = self.limits.memory_bytes.map(|_| self.memory_measured + MEMORY_INTERVAL);
        let due = [Some(timeout), Some(health), lingering, memory].into_iter().flatten().min();
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.limits.silence_ms)
    }

    /// Returns when the monitor or the limit of silence is due, whichever is first.
    fn next_health_check(&self, now: Instant) -> Duration {
        let now = now - self.started;
        let left = self.silence().saturating_sub(self.monitor.quiet_for(now));
        if left.is_zero() { self.monitor.due() } else { self.monitor.due().min(now + left) }
    }

    fn check_timeout(&self, now: Instant) -> Option<Failure> {
        let limit = Duration::from_millis(self.limits.timeout_ms);
        (now - self.started >= limit)
            .then(|| Failure::new(FailureClass::Timeout, format!("it took longer than {}", seconds(limit))))
    }

    fn check_output(&self, output: u64) -> Option<Failure> {
        let limit = self.limits.max_output_bytes.filter(|&limit| output > limit)?;
        Some(Failure::new(FailureClass::Incomplete, format!("it printed more than {limit} bytes")))
    }

    fn check_memory(&mut self, now: Instant, load: &mut dyn FnMut() -> Option<Load>) -> Option<Failure> {
        let limit = self.limits.memory_bytes?;
        if now - self.memory_measured < MEMORY_INTERVAL {
            return None;
        }
        self.memory_measured = now;
        let used = load()?.memory;
        (used > limit).then(|| self.limits.out_of_memory(Some(used)))
    }

    /// Checks for a silence without work. The first sample of a silence is only the reference for the later ones.
    fn check_silence(&mut self, now: Instant, load: &mut dyn FnMut() -> Option<Load>) -> Option<Failure> {
        let at = now - self.started;
        if !self.monitor.is_due(at) && self.monitor.quiet_for(at) < self.silence() {
            return None;
        }
        let found = load();
        // The supervisor reaps the agent itself.
        let sample = found.map(|load| Sample { alive: true, cpu: load.cpu, processes: load.processes });
        self.monitor.record_sample(at, sample);
        (found.is_some() && self.monitor.quiet_for(at) >= self.silence()).then(|| {
            let detail = format!("it printed nothing and did no work for {}", seconds(self.silence()));
            Failure::new(FailureClass::Stalled, detail)
        })
    }
}

impl Limits {
    /// Returns the failure of a run that needs more memory than it may use. `used` is in bytes, if it was measured.
    pub(super) fn out_of_memory(&self, used: Option<u64>) -> Failure {
        let allowed = self.memory_bytes.unwrap_or_default() >> 20;
        let detail = match used {
            Some(used) => format!("its processes use {} MiB of memory, {allowed} are allowed", used >> 20),
            None => format!("its processes wanted more than the {allowed} MiB of memory that are allowed"),
        };
        Failure::new(FailureClass::Memory, detail)
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_sys::clock::instant;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits { timeout_ms: 100_000, silence_ms: 8_000, linger_ms: 3_000, ..Limits::default() }
    }

    /// Checks once a second; returns the second of the first alarm, and the alarm.
    fn watch(limits: Limits, mut seen: impl FnMut(u32) -> (u64, bool, Load)) -> Option<(u32, Alarm)> {
        let start = instant();
        let mut dog = Watchdog::new(limits, start);
        (1..=200).find_map(|second| {
            let (output, ended, load) = seen(second);
            dog.check(start + SECOND * second, output, ended, &mut || Some(load)).map(|alarm| (second, alarm))
        })
    }

    fn class(alarm: Option<(u32, Alarm)>) -> Option<(u32, FailureClass)> {
        match alarm? {
            (second, Alarm::Limit(failure) | Alarm::Excess(failure)) => Some((second, failure.class)),
            (_, Alarm::Lingering) => None,
        }
    }

    #[test]
    fn silence_without_work_ends_a_run_and_work_or_output_do_not() {
        let idle = Load::default();
        assert_eq!(class(watch(limits(), |_| (0, false, idle))), Some((8, FailureClass::Stalled)));
        let talks = |second: u32| (u64::from(second), false, idle);
        assert_eq!(class(watch(limits(), talks)), Some((100, FailureClass::Timeout)));
        let works = |second: u32| (0, false, Load { cpu: SECOND * second / 10, ..Load::default() });
        assert_eq!(class(watch(limits(), works)), Some((100, FailureClass::Timeout)));
        let dozes = |second: u32| (0, false, Load { cpu: SECOND * second / 1000, ..Load::default() });
        assert_eq!(class(watch(limits(), dozes)), Some((8, FailureClass::Stalled)));
    }

    #[test]
    fn a_silence_begins_anew_after_work() {
        let works_until =
            |end: u32| move |second: u32| (0, false, Load { cpu: SECOND * second.min(end), ..Load::default() });
        let (second, _) = class(watch(limits(), works_until(20))).expect("an alarm");
        assert!((28..=30).contains(&second), "{second}");
    }

    #[test]
    fn memory_and_output_have_limits_where_they_are_set() {
        let load =
            |second: u32| (0, false, Load { cpu: Duration::ZERO, memory: u64::from(second) << 20, processes: 1 });
        let small = Limits { memory_bytes: Some(3 << 20), ..limits() };
        assert_eq!(class(watch(small, load)), Some((4, FailureClass::Memory)));
        let quiet = Limits { max_output_bytes: Some(5), ..limits() };
        let talks = |second: u32| (u64::from(second), false, Load::default());
        assert_eq!(class(watch(quiet, talks)), Some((6, FailureClass::Incomplete)));
    }

    #[test]
    fn a_process_that_stays_after_its_turn_is_ended_unless_a_new_turn_begins() {
        let stays = |second: u32| (u64::from(second), second >= 10, Load::default());
        assert_eq!(watch(limits(), stays), Some((13, Alarm::Lingering)));
        let again = |second: u32| (u64::from(second), !second.is_multiple_of(3), Load::default());
        assert_eq!(class(watch(limits(), again)), Some((100, FailureClass::Timeout)));
    }

    #[test]
    fn the_next_check_is_never_later_than_what_it_would_find() {
        let start = instant();
        let mut dog = Watchdog::new(limits(), start);
        assert_eq!(dog.next_check(start), SECOND * 2);
        assert_eq!(dog.check(start + SECOND, 1, true, &mut || Some(Load::default())), None);
        assert_eq!(dog.next_check(start + SECOND), SECOND * 2);
        assert_eq!(dog.check(start + SECOND * 3, 1, true, &mut || Some(Load::default())), None);
        assert_eq!(dog.next_check(start + SECOND * 3), SECOND);
    }
}
