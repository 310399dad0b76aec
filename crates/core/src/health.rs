//! Whether an agent is alive, from what its processes do: output, processor time, processes that come and go. PURE: time
//! and samples come in, a state comes out. Never from what stands on a screen.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What counts as work: more than this share of one processor. A program that only waits uses less: opencode, whose own
/// clockwork goes on while it waits for its model, up to 1.5 % on a slow machine.
const WORKING_SHARE: f64 = 0.03;

/// The first pause before a doubt is looked into again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Looks with work, one after the other, that lift the verdict [`State::Stale`]. Output lifts it at once.
const RECOVERY: u32 = 2;

/// How a run's agent fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It shows signs of life.
    Healthy,
    /// It has shown none for a while, as agents do that wait for their model.
    Quiet,
    /// It has shown none for so long that it is asked what it does.
    Stale,
    /// Its process is gone, and nobody told how it ended.
    Dead,
}

/// How an agent fares, and since when. Kept with its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub state: State,
    /// The last sign of life; of [`State::Healthy`]: the first one after a silence.
    pub since: Timestamp,
    /// What it has printed by then, in bytes.
    pub output_bytes: u64,
    /// Its processes.
    pub processes: usize,
    /// How often orch has asked it what it does.
    #[serde(default)]
    pub asked: u32,
}

impl Health {
    /// In words: `quiet for 12 min: no output, no processor time`.
    pub fn told(&self, now: Timestamp) -> String {
        let lasts = span(now.duration_since(self.since));
        match self.state {
            State::Healthy => format!("at work for {lasts}"),
            State::Quiet | State::Stale => format!("quiet for {lasts}: no output, no processor time"),
            State::Dead => format!("its process is gone for {lasts}"),
        }
    }
}

/// A span in its largest unit: `40 s`, `12 min`, `3 h`.
pub fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

/// When to look, and what to make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Time between two looks.
    pub interval: Duration,
    /// Quiet for so long, it is stale.
    pub stale_after: Duration,
    /// Looks that must agree before a verdict, beside the first.
    pub retries: u32,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its process is there.
    pub alive: bool,
    /// Processor time of all its processes since their start. It may shrink when one ends.
    pub cpu: Duration,
    /// How many there are.
    pub processes: usize,
}

/// Watches one agent. All times count from the same moment.
#[derive(Debug)]
pub struct Monitor {
    rules: Rules,
    state: State,
    /// The last sign of life.
    sign: Duration,
    output: u64,
    /// The last look of this silence, and what it found.
    last: Option<(Duration, Sample)>,
    /// Looks in a row that agree on a verdict which is not given yet.
    doubts: u32,
    /// Looks in a row that could not be had.
    failed: u32,
    /// Looks in a row with work, of a stale one.
    recovering: u32,
    due: Duration,
}

impl Monitor {
    /// Of an agent that begins at `at`.
    pub fn new(rules: Rules, at: Duration) -> Self {
        Self {
            rules,
            state: State::Healthy,
            sign: at,
            output: 0,
            last: None,
            doubts: 0,
            failed: 0,
            recovering: 0,
            due: at + rules.interval,
        }
    }

    /// How much it has printed by now: more than before is a sign of life that needs no look.
    pub fn printed(&mut self, at: Duration, output: u64) {
        if output != self.output {
            self.output = output;
            self.alive(at);
            (self.state, self.last, self.due) = (State::Healthy, None, at + self.rules.interval);
        }
    }

    /// Whether a look is due.
    pub fn is_due(&self, at: Duration) -> bool {
        at >= self.due
    }

    /// Takes what a look found; `None`: it could not be had in time, which says nothing about the agent.
    pub fn look(&mut self, at: Duration, found: Option<Sample>) {
        let Some(sample) = found else {
            self.failed += 1;
            return self.look_again(at, self.failed);
        };
        self.failed = 0;
        let before = self.last.replace((at, sample));
        if !sample.alive {
            return self.doubt(at, State::Dead);
        }
        if before.is_some_and(|before| is_work(before, (at, sample))) {
            self.works(at);
        } else {
            self.recovering = 0;
        }
        let quiet = self.quiet_for(at);
        // Without an earlier look nothing is known of its work.
        if quiet >= self.rules.stale_after && self.state < State::Stale && before.is_some() {
            return self.doubt(at, State::Stale);
        }
        if quiet >= self.rules.interval * 2 {
            self.state = self.state.max(State::Quiet);
        }
        self.plan_next(at);
    }

    /// How long it has shown no sign of life, as far as looks tell.
    pub fn quiet_for(&self, at: Duration) -> Duration {
        at.saturating_sub(self.sign)
    }

    /// The verdict.
    pub fn state(&self) -> State {
        self.state
    }

    /// When the next look is due.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// What it has printed.
    pub fn output(&self) -> u64 {
        self.output
    }

    /// Its processes at the last look.
    pub fn processes(&self) -> usize {
        self.last.map_or(0, |(_, sample)| sample.processes)
    }

    fn alive(&mut self, at: Duration) {
        (self.sign, self.doubts, self.recovering) = (at, 0, 0);
    }

    /// It computes. One that was given up takes more than a twitch to be taken back.
    fn works(&mut self, at: Duration) {
        let recovering = self.recovering + 1;
        self.alive(at);
        match self.state {
            State::Healthy | State::Quiet => self.state = State::Healthy,
            State::Stale | State::Dead if recovering >= RECOVERY => self.state = State::Healthy,
            State::Stale | State::Dead => self.recovering = recovering,
        }
    }

    /// A verdict is given when as many looks agree as the rules want.
    fn doubt(&mut self, at: Duration, verdict: State) {
        self.doubts += 1;
        if self.doubts > self.rules.retries {
            (self.state, self.doubts) = (verdict, 0);
            return self.plan_next(at);
        }
        self.look_again(at, self.doubts);
    }

    /// Sooner than usual, and later with each time; after as many times as the rules want, when it is usual.
    fn look_again(&mut self, at: Duration, times: u32) {
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1)));
        let pause = if times > self.rules.retries { self.rules.interval } else { pause.min(self.rules.interval) };
        self.due = at + pause;
    }

    fn plan_next(&mut self, at: Duration) {
        let usual = at + self.rules.interval;
        let stale = self.sign + self.rules.stale_after;
        self.due = if stale > at { usual.min(stale) } else { usual };
    }
}

fn is_work((then, before): (Duration, Sample), (now, after): (Duration, Sample)) -> bool {
    let share = WORKING_SHARE * now.saturating_sub(then).as_secs_f64();
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

    /// Looks whenever one is due, until `end`; what is found depends on the time.
    fn watch(
        monitor: &mut Monitor,
        end: Duration,
        mut found: impl FnMut(Duration) -> Option<Sample>,
    ) -> Vec<(u64, State)> {
        let mut told = Vec::new();
        while monitor.due() <= end {
            let (at, before) = (monitor.due(), monitor.state());
            monitor.look(at, found(at));
            assert!(monitor.due() > at, "time goes on");
            if monitor.state() != before {
                told.push((at.as_secs(), monitor.state()));
            }
        }
        told
    }

    #[test]
    fn an_agent_that_does_nothing_becomes_quiet_and_then_stale() {
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        // The verdict comes after three more looks, a quarter, a half and a whole second apart.
        let told = watch(&mut monitor, SECOND * 3600, |_| Some(IDLE));
        assert_eq!(told, [(60, State::Quiet), (451, State::Stale)]);
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
        monitor.look(SECOND * 510, Some(twitch));
        monitor.look(SECOND * 540, Some(twitch));
        assert_eq!(monitor.state(), State::Stale);
        monitor.look(SECOND * 570, Some(Sample { cpu: SECOND * 10, ..IDLE }));
        monitor.printed(SECOND * 571, 1);
        assert_eq!((monitor.state(), monitor.quiet_for(SECOND * 581)), (State::Healthy, SECOND * 10));
    }

    #[test]
    fn work_over_two_looks_brings_a_stale_one_back() {
        let mut monitor = Monitor::new(RULES, Duration::ZERO);
        let works = |at: Duration| Some(Sample { cpu: at.saturating_sub(SECOND * 600), ..IDLE });
        let told = watch(&mut monitor, SECOND * 900, works);
        assert_eq!(told[..2], [(60, State::Quiet), (451, State::Stale)]);
        assert_eq!(told[2].1, State::Healthy);
        assert!((631..=692).contains(&told[2].0), "{told:?}");
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
        assert_eq!(of(State::Stale).told(now), "quiet for 12 min: no output, no processor time");
        assert_eq!(of(State::Healthy).told(since + SignedDuration::from_secs(5)), "at work for 5 s");
        assert_eq!(of(State::Dead).told(since - SignedDuration::from_secs(5)), "its process is gone for 0 s");
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
            let (mut sign, mut hidden) = (0, false);
            for second in 0..life.len() as u64 * 60 {
                let at = SECOND * u32::try_from(second).expect("small");
                let does = life[usize::try_from(second / 60).expect("small")];
                match does {
                    Does::Prints => (output, sign) = (output + 1, second),
                    // More than before is only seen by who has seen how much it was before.
                    Does::Computes => (cpu, sign) = (cpu + SECOND / 10, if hidden { sign } else { second }),
                    Does::Forks if second % 60 == 0 => {
                        (processes, sign) = (processes + 1, if hidden { sign } else { second });
                    }
                    Does::Forks | Does::Sleeps | Does::Hides => {}
                }
                hidden |= matches!(does, Does::Hides);
                let before = monitor.state();
                monitor.printed(at, output);
                while monitor.is_due(at) {
                    let due = monitor.due();
                    let found = Sample { alive: true, cpu, processes };
                    monitor.look(at, Some(found).filter(|_| !matches!(does, Does::Hides)));
                    prop_assert!(monitor.due() >= due.min(at) + FIRST_PAUSE);
                }
                let silent = second - sign;
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
