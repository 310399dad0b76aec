//! Whether an agent is alive, judged by what its processes do: output, processor time, processes that start and end.
//! PURE: time and samples are arguments. Screen contents are never considered.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The share of one processor above which an agent counts as working. An agent that only waits uses less: opencode's
/// own timers use up to 1.5 % on a slow machine while it waits for its model.
const WORKING_SHARE: f64 = 0.03;

/// The first pause before a suspicion is checked again; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Consecutive samples with work that end [`State::Stale`]. Output ends it at once.
const RECOVERY: u32 = 2;

/// The health of a run's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It shows activity.
    Healthy,
    /// It has shown no activity for a while, which is normal while it waits for its model.
    Quiet,
    /// It has shown no activity for so long that orch asks it for its state.
    Stale,
    /// Its process is gone, and no ending was reported.
    Dead,
}

/// The health of an agent and its duration. Stored with the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The current state.
    pub state: State,
    /// The last activity; for [`State::Healthy`], the first one after a silence.
    pub since: Timestamp,
    /// The size of its output until then, in bytes.
    pub output_bytes: u64,
    /// The number of its processes.
    pub processes: usize,
    /// How often orch has asked it for its state.
    #[serde(default)]
    pub asked: u32,
}

impl Health {
    /// Describes the health: `quiet for 12 min: no output, no processor time`.
    pub fn describe(&self, now: Timestamp) -> String {
        let lasts = format_span(now.duration_since(self.since));
        match self.state {
            State::Healthy => format!("at work for {lasts}"),
            State::Quiet | State::Stale => format!("quiet for {lasts}: no output, no processor time"),
            State::Dead => format!("its process is gone for {lasts}"),
        }
    }
}

/// Formats a duration in its largest unit: `40 s`, `12 min`, `3 h`.
pub fn format_span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

/// When samples are taken, and how they are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The time between two samples.
    pub interval: Duration,
    /// The time without activity after which an agent is stale.
    pub stale_after: Duration,
    /// Additional samples that must agree with the first before the state changes.
    pub retries: u32,
}

/// The result of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Whether the agent's process exists.
    pub alive: bool,
    /// Processor time of all its processes since their start. It may shrink when one ends.
    pub cpu: Duration,
    /// The number of its processes.
    pub processes: usize,
}

/// Monitors one agent. All times are measured from the same moment.
#[derive(Debug)]
pub struct Monitor {
    rules: Rules,
    state: State,
    /// The time of the last activity.
    last_activity: Duration,
    output: u64,
    /// The last sample of the current silence, and its time.
    last: Option<(Duration, Sample)>,
    /// Consecutive samples that agree on a state which is not reported yet.
    suspicions: u32,
    /// Consecutive samples that failed.
    failed_samples: u32,
    /// Consecutive samples with work of a stale agent.
    recovering: u32,
    due: Duration,
}

impl Monitor {
    /// Creates the monitor of an agent that starts at `at`.
    pub fn new(rules: Rules, at: Duration) -> Self {
        Self {
            rules,
            state: State::Healthy,
            last_activity: at,
            output: 0,
            last: None,
            suspicions: 0,
            failed_samples: 0,
            recovering: 0,
            due: at + rules.interval,
        }
    }

    /// Records the size of the output. Growth is activity that needs no sample.
    pub fn record_output(&mut self, at: Duration, output: u64) {
        if output != self.output {
            self.output = output;
            self.record_activity(at);
            (self.state, self.last, self.due) = (State::Healthy, None, at + self.rules.interval);
        }
    }

    /// Returns whether a sample is due.
    pub fn is_due(&self, at: Duration) -> bool {
        at >= self.due
    }

    /// Records a sample. `None` means that it could not be taken in time, which says nothing about the agent.
    pub fn record_sample(&mut self, at: Duration, found: Option<Sample>) {
        let Some(sample) = found else {
            self.failed_samples += 1;
            return self.retry_soon(at, self.failed_samples);
        };
        self.failed_samples = 0;
        let before = self.last.replace((at, sample));
        if !sample.alive {
            return self.suspect(at, State::Dead);
        }
        if before.is_some_and(|(then, before)| is_work(before, sample, at.saturating_sub(then))) {
            self.record_work(at);
        } else {
            self.recovering = 0;
        }
        let quiet = self.quiet_for(at);
        // Without an earlier sample nothing is known about the agent's work.
        if quiet >= self.rules.stale_after && self.state < State::Stale && before.is_some() {
            return self.suspect(at, State::Stale);
        }
        if quiet >= self.rules.interval * 2 {
            self.state = self.state.max(State::Quiet);
        }
        self.plan_next(at);
    }

    /// Returns the time since the last known activity.
    pub fn quiet_for(&self, at: Duration) -> Duration {
        at.saturating_sub(self.last_activity)
    }

    /// Returns the current state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns when the next sample is due.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Returns the size of the output, in bytes.
    pub fn output(&self) -> u64 {
        self.output
    }

    /// Returns the number of processes at the last sample.
    pub fn processes(&self) -> usize {
        self.last.map_or(0, |(_, sample)| sample.processes)
    }

    fn record_activity(&mut self, at: Duration) {
        (self.last_activity, self.suspicions, self.recovering) = (at, 0, 0);
    }

    /// Records work. An agent that was stale or dead needs [`RECOVERY`] samples with work to count as healthy again.
    fn record_work(&mut self, at: Duration) {
        let recovering = self.recovering + 1;
        self.record_activity(at);
        match self.state {
            State::Healthy | State::Quiet => self.state = State::Healthy,
            State::Stale | State::Dead if recovering >= RECOVERY => self.state = State::Healthy,
            State::Stale | State::Dead => self.recovering = recovering,
        }
    }

    /// Changes the state once enough samples agree.
    fn suspect(&mut self, at: Duration, verdict: State) {
        self.suspicions += 1;
        if self.suspicions > self.rules.retries {
            (self.state, self.suspicions) = (verdict, 0);
            return self.plan_next(at);
        }
        self.retry_soon(at, self.suspicions);
    }

    /// Schedules the next sample sooner than usual, later with each repetition, and at the usual interval after the
    /// last retry.
    fn retry_soon(&mut self, at: Duration, times: u32) {
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1)));
        let pause = if times > self.rules.retries { self.rules.interval } else { pause.min(self.rules.interval) };
        self.due = at + pause;
    }

    fn plan_next(&mut self, at: Duration) {
        let usual = at + self.rules.interval;
        let stale = self.last_activity + self.rules.stale_after;
        self.due = if stale > at { usual.min(stale) } else { usual };
    }
}

/// Returns whether an agent worked between two samples that were taken `elapsed` apart.
fn is_work(before: Sample, after: Sample, elapsed: Duration) -> bool {
    let share = WORKING_SHARE * elapsed.as_secs_f64();
    before.processes != after.processes || after.cpu.abs_diff(before.cpu).as_secs_f64() > share
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RULES: Rules =
        Rules { interval: SECOND.saturating_mul(30), stale_after: SECOND.saturating_mul(450), retries: 3 };
    const IDLE: Sample = Sample { alive: true, cpu: Duration::ZERO, processes: 2 };

    /// Takes every sample that is due until `end`; its result depends on the time.
    fn watch(
        monitor: &mut Monitor,
        end: Duration,
        mut found: impl FnMut(Duration) -> Option<Sample>,
    ) -> Vec<(u64, State)> {
        let mut states = Vec::new();
        while monitor.due() <= end {
            let (at, before) = (monitor.due(), monitor.state());
            monitor.record_sample(at, found(at));
            assert!(monitor.due() > at, "time goes on");
            if monitor.state() != before {
                states.push((at.as_secs(), monitor.state()));
            }
        }
        states
    }

    #[test]
    fn an_agent_that_does_nothing_becomes_quiet_and_then_stale() {
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        // The verdict comes after three more samples, a quarter, a half and a whole second apart.
        let states = watch(&mut monitor, SECOND * 3600, |_| Some(IDLE));
        assert_eq!(states, [(60, State::Quiet), (451, State::Stale)]);
        assert_eq!(monitor.quiet_for(SECOND * 3600), SECOND * 3600);
    }

    #[test]
    fn one_that_computes_or_starts_processes_is_healthy_without_a_word() {
        let computes = |at: Duration| Some(Sample { cpu: at / 20, ..IDLE });
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        assert_eq!(watch(&mut monitor, SECOND * 3600, computes), []);
        let starts =
            |at: Duration| Some(Sample { processes: 2 + usize::from((at.as_secs() / 30).is_multiple_of(2)), ..IDLE });
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        assert_eq!(watch(&mut monitor, SECOND * 3600, starts), []);
    }

    #[test]
    fn the_clockwork_of_one_that_waits_is_no_work() {
        let ticks = |at: Duration| Some(Sample { cpu: at / 70, ..IDLE });
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        assert_eq!(watch(&mut monitor, SECOND * 3600, ticks), [(60, State::Quiet), (451, State::Stale)]);
    }

    #[test]
    fn a_twitch_does_not_bring_a_stale_one_back_and_output_does_at_once() {
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        watch(&mut monitor, SECOND * 500, |_| Some(IDLE));
        let twitch = Sample { cpu: SECOND * 5, ..IDLE };
        monitor.record_sample(SECOND * 510, Some(twitch));
        monitor.record_sample(SECOND * 540, Some(twitch));
        assert_eq!(monitor.state(), State::Stale);
        monitor.record_sample(SECOND * 570, Some(Sample { cpu: SECOND * 10, ..IDLE }));
        monitor.record_output(SECOND * 571, 1);
        assert_eq!((monitor.state(), monitor.quiet_for(SECOND * 581)), (State::Healthy, SECOND * 10));
    }

    #[test]
    fn work_over_two_looks_brings_a_stale_one_back() {
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        let working = |at: Duration| Some(Sample { cpu: at.saturating_sub(SECOND * 600), ..IDLE });
        let states = watch(&mut monitor, SECOND * 900, working);
        assert_eq!(states[..2], [(60, State::Quiet), (451, State::Stale)]);
        assert_eq!(states[2].1, State::Healthy);
        assert!((631..=692).contains(&states[2].0), "{states:?}");
    }

    #[test]
    fn a_look_that_cannot_be_had_says_nothing() {
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        assert_eq!(watch(&mut monitor, SECOND * 3600, |_| None), []);
    }

    #[test]
    fn a_process_that_is_gone_is_dead_when_the_looks_agree() {
        let gone = Sample { alive: false, ..IDLE };
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        let blinks = |at: Duration| Some(if at == SECOND * 30 { gone } else { IDLE });
        assert_eq!(watch(&mut monitor, SECOND * 31, blinks), []);
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        assert_eq!(watch(&mut monitor, SECOND * 60, |_| Some(gone)), [(31, State::Dead)]);
    }

    #[test]
    fn it_reads_like_this() {
        let since: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let of = |state| Health { state, since, output_bytes: 0, processes: 1, asked: 0 };
        let now = since + SignedDuration::from_mins(12);
        assert_eq!(of(State::Stale).describe(now), "quiet for 12 min: no output, no processor time");
        assert_eq!(of(State::Healthy).describe(since + SignedDuration::from_secs(5)), "at work for 5 s");
        assert_eq!(of(State::Dead).describe(since - SignedDuration::from_secs(5)), "its process is gone for 0 s");
    }

    #[derive(Debug, Clone, Copy)]
    enum Does {
        Prints,
        Computes,
        Forks,
        Sleeps,
        Hides,
    }

    proptest! {
        /// Whatever happens: who shows a sign of life within the time is never stale; who shows none for that time and the
        /// pauses is; and no two looks are closer than the first pause.
        #[test]
        fn nobody_is_stale_who_lives_and_everybody_is_who_does_not(
            life in proptest::collection::vec(
                prop_oneof![
                    Just(Does::Prints), Just(Does::Computes), Just(Does::Forks), Just(Does::Sleeps), Just(Does::Hides)
                ],
                1..60,
            ),
            retries in 0_u32..5,
        ) {
            let rules = Rules { retries, ..RULES };
            let mut monitor = Monitor::new(rules, Duration::ZERO);
            let (mut output, mut cpu, mut processes) = (0, Duration::ZERO, 2);
            let (mut last_activity, mut hidden) = (0, false);
            for second in 0..life.len() as u64 * 60 {
                let at = SECOND * u32::try_from(second).expect("small");
                let does = life[usize::try_from(second / 60).expect("small")];
                match does {
                    Does::Prints => (output, last_activity) = (output + 1, second),
                    // More than before is only seen by who has seen how much it was before.
                    Does::Computes => (cpu, last_activity) = (cpu + SECOND / 10, if hidden { last_activity } else { second }),
                    Does::Forks if second % 60 == 0 => {
                        (processes, last_activity) = (processes + 1, if hidden { last_activity } else { second });
                    }
                    Does::Forks | Does::Sleeps | Does::Hides => {}
                }
                hidden |= matches!(does, Does::Hides);
                let before = monitor.state();
                monitor.record_output(at, output);
                while monitor.is_due(at) {
                    let due = monitor.due();
                    let found = Sample { alive: true, cpu, processes };
                    monitor.record_sample(at, Some(found).filter(|_| !matches!(does, Does::Hides)));
                    prop_assert!(monitor.due() >= due.min(at) + FIRST_PAUSE);
                }
                let silent = second - last_activity;
                if before != State::Stale && monitor.state() == State::Stale {
                    prop_assert!(silent + 120 >= 450 || matches!(does, Does::Computes | Does::Forks | Does::Hides), "{silent}");
                }
                if !hidden && silent > 450 + 60 + 16 {
                    prop_assert_eq!(monitor.state(), State::Stale, "quiet for {}", silent);
                }
            }
        }
    }
}
