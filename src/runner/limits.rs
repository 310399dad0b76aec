//! When a run has to end. PURE: time and measurements come in, a reason goes out.

use super::launch::Limits;
use crate::adapters::process::Load;
use crate::domain::outcome::{Failure, FailureClass};
use std::time::{Duration, Instant};

/// What counts as work: at least this share of one processor. A program that only waits uses less.
const WORKING_SHARE: f64 = 0.01;

/// How often memory is measured, when it is limited.
const MEMORY_LOOK: Duration = Duration::from_secs(2);

/// Watches one run.
#[derive(Debug)]
pub(super) struct Watchdog {
    limits: Limits,
    started: Instant,
    /// The last sign of life.
    sign: Instant,
    output: u64,
    /// When processor time was last measured in this silence, and what it was.
    measured: Option<(Instant, Duration)>,
    memory_measured: Instant,
    /// Since when the turn is over while the process stays.
    turn_over: Option<Instant>,
}

/// Why the watchdog wants the process to end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Alarm {
    /// A limit is passed.
    Limit(Failure),
    /// The turn ended well, and something keeps the process from leaving.
    Lingering,
}

impl Watchdog {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, started: now, sign: now, output: 0, measured: None, memory_measured: now, turn_over: None }
    }

    /// Looks at the state of the run. `output` is the number of bytes printed so far. `load` is asked only when it
    /// matters, because it costs milliseconds.
    pub(super) fn look(
        &mut self,
        now: Instant,
        output: u64,
        turn_ended: bool,
        load: &mut dyn FnMut() -> Load,
    ) -> Option<Alarm> {
        if output != self.output {
            (self.output, self.sign, self.measured) = (output, now, None);
        }
        self.turn_over = turn_ended.then(|| self.turn_over.unwrap_or(now));
        if self.turn_over.is_some_and(|since| now - since >= Duration::from_millis(self.limits.linger_ms)) {
            return Some(Alarm::Lingering);
        }
        let failure = self.too_long(now).or_else(|| self.too_much(output));
        let failure = failure.or_else(|| self.too_big(now, load)).or_else(|| self.too_silent(now, load));
        failure.map(Alarm::Limit)
    }

    /// How long until the next look is due.
    pub(super) fn next_look(&self, now: Instant) -> Duration {
        let timeout = self.started + Duration::from_millis(self.limits.timeout_ms);
        let silence = self.measured.map_or(self.sign, |(at, _)| at) + self.pace();
        let lingering = self.turn_over.map(|since| since + Duration::from_millis(self.limits.linger_ms));
        let memory = self.limits.memory_bytes.map(|_| self.memory_measured + MEMORY_LOOK);
        let due = [Some(timeout), Some(silence), lingering, memory].into_iter().flatten().min();
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.limits.silence_ms)
    }

    /// How often processor time is measured during a silence.
    fn pace(&self) -> Duration {
        (self.silence() / 4).max(Duration::from_millis(20))
    }

    fn too_long(&self, now: Instant) -> Option<Failure> {
        let limit = Duration::from_millis(self.limits.timeout_ms);
        (now - self.started >= limit)
            .then(|| Failure::new(FailureClass::Timeout, format!("it took longer than {}", seconds(limit))))
    }

    fn too_much(&self, output: u64) -> Option<Failure> {
        let limit = self.limits.max_output_bytes.filter(|&limit| output > limit)?;
        Some(Failure::new(FailureClass::Incomplete, format!("it printed more than {limit} bytes")))
    }

    fn too_big(&mut self, now: Instant, load: &mut dyn FnMut() -> Load) -> Option<Failure> {
        let limit = self.limits.memory_bytes?;
        if now - self.memory_measured < MEMORY_LOOK {
            return None;
        }
        self.memory_measured = now;
        let used = load().memory;
        (used > limit).then(|| {
            let detail = format!("its processes use {} MiB of memory, {} are allowed", used >> 20, limit >> 20);
            Failure::new(FailureClass::Memory, detail)
        })
    }

    /// The first measurement of a silence only sets the mark; later ones say whether there was work since.
    fn too_silent(&mut self, now: Instant, load: &mut dyn FnMut() -> Load) -> Option<Failure> {
        let since = self.measured.map_or(self.sign, |(at, _)| at);
        if now - since < self.pace() {
            return None;
        }
        let cpu = load().cpu;
        if let Some((at, before)) = self.measured.replace((now, cpu))
            && cpu.abs_diff(before).as_secs_f64() > WORKING_SHARE * (now - at).as_secs_f64()
        {
            self.sign = now;
        }
        (now - self.sign >= self.silence()).then(|| {
            let detail = format!("it printed nothing and did no work for {}", seconds(self.silence()));
            Failure::new(FailureClass::Stalled, detail)
        })
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::instant;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits { timeout_ms: 100_000, silence_ms: 8_000, linger_ms: 3_000, ..Limits::default() }
    }

    /// Looks once a second; returns the second of the first alarm, and the alarm.
    fn watch(limits: Limits, mut seen: impl FnMut(u32) -> (u64, bool, Load)) -> Option<(u32, Alarm)> {
        let start = instant();
        let mut dog = Watchdog::new(limits, start);
        (1..=200).find_map(|second| {
            let (output, ended, load) = seen(second);
            dog.look(start + SECOND * second, output, ended, &mut || load).map(|alarm| (second, alarm))
        })
    }

    fn class(alarm: Option<(u32, Alarm)>) -> Option<(u32, FailureClass)> {
        match alarm? {
            (second, Alarm::Limit(failure)) => Some((second, failure.class)),
            (_, Alarm::Lingering) => None,
        }
    }

    #[test]
    fn silence_without_work_ends_a_run_and_work_or_output_do_not() {
        let idle = Load::default();
        assert_eq!(class(watch(limits(), |_| (0, false, idle))), Some((8, FailureClass::Stalled)));
        let talks = |second: u32| (u64::from(second), false, idle);
        assert_eq!(class(watch(limits(), talks)), Some((100, FailureClass::Timeout)));
        let works = |second: u32| (0, false, Load { cpu: SECOND * second / 10, memory: 0 });
        assert_eq!(class(watch(limits(), works)), Some((100, FailureClass::Timeout)));
        let dozes = |second: u32| (0, false, Load { cpu: SECOND * second / 1000, memory: 0 });
        assert_eq!(class(watch(limits(), dozes)), Some((8, FailureClass::Stalled)));
    }

    #[test]
    fn a_silence_begins_anew_after_work() {
        let works_until = |end: u32| move |second: u32| (0, false, Load { cpu: SECOND * second.min(end), memory: 0 });
        let (second, _) = class(watch(limits(), works_until(20))).expect("an alarm");
        assert!((28..=30).contains(&second), "{second}");
    }

    #[test]
    fn memory_and_output_have_limits_where_they_are_set() {
        let load = |second: u32| (0, false, Load { cpu: Duration::ZERO, memory: u64::from(second) << 20 });
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
    fn the_next_look_is_never_later_than_what_it_would_find() {
        let start = instant();
        let mut dog = Watchdog::new(limits(), start);
        assert_eq!(dog.next_look(start), SECOND * 2);
        assert_eq!(dog.look(start + SECOND, 1, true, &mut Load::default), None);
        assert_eq!(dog.next_look(start + SECOND), SECOND * 2);
        assert_eq!(dog.look(start + SECOND * 3, 1, true, &mut Load::default), None);
        assert_eq!(dog.next_look(start + SECOND * 3), SECOND);
    }
}
