//! How many agents the machine can run now: a rule with hysteresis over samples of load and memory, and the minimum of
//! free disk space. PURE: samples and time are arguments. Knows nothing of tasks.

use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;

/// How long a level is kept before it is eased. Tightening does not wait.
pub const EASE: SignedDuration = SignedDuration::from_secs(30);
/// Time without a sample after which the state starts anew: the machine was idle, or the clock jumped.
pub const STALE: SignedDuration = SignedDuration::from_secs(120);

/// Share of available memory below which memory is short, and above which it no longer is.
const MEMORY: (f64, f64) = (0.10, 0.15);
/// Percentage of time that tasks wait for memory above which memory is short, and below which it no longer is.
const PRESSURE: (f64, f64) = (20.0, 10.0);
/// Load per processor above which the machine is overloaded, and down to which it stays so.
const OVERLOADED: (f64, f64) = (0.85, 0.75);
/// Load per processor above which the machine is busy, and down to which it stays so.
const BUSY: (f64, f64) = (0.70, 0.60);
/// Load per processor below which more agents may run than configured, and up to which that holds.
const FREE: (f64, f64) = (0.40, 0.50);

/// A sample of the machine. A value of `None` is unknown and limits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Load average of the last minute, divided by the number of processors.
    pub load: Option<f64>,
    /// Memory available without swapping, as a share of all memory.
    pub available: Option<f64>,
    /// Share of the last ten seconds in which tasks waited for memory, in percent.
    pub pressure: Option<f64>,
}

/// The load level of the processors, in increasing order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// More agents may run than configured.
    Free,
    /// As many agents run as configured.
    #[default]
    Normal,
    /// Half as many agents run.
    Busy,
    /// One agent runs at a time.
    Overloaded,
}

/// What the settings let the rule change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Whether short memory lowers the slots.
    pub by_memory: bool,
    /// Whether load lowers and raises the slots.
    pub by_load: bool,
    /// `engine.max_parallel`.
    pub base: usize,
    /// The upper limit of the slots; a value below `base` counts as `base`.
    pub ceiling: usize,
}

/// The reason for fewer slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strain {
    /// Memory is short.
    Memory,
    /// The processors are busy.
    Load,
}

/// How many agents may run now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// The number of agents.
    pub slots: usize,
    /// Why the slots are fewer than `engine.max_parallel`.
    pub strain: Option<Strain>,
    /// The sample behind the decision.
    pub sample: Sample,
}

impl Pace {
    /// Returns the configured slots, for a machine without a sample.
    pub fn unmeasured(base: usize) -> Self {
        Self { slots: base, strain: None, sample: Sample::default() }
    }

    /// Describes the figures behind fewer slots; empty if there is no strain.
    pub fn describe(&self) -> String {
        let percent = |share: f64| (share * 100.0).round();
        match self.strain {
            None => String::new(),
            Some(Strain::Load) => {
                let load = self.sample.load.unwrap_or_default();
                format!("the load is {:.0} % of the processors", percent(load))
            }
            Some(Strain::Memory) => {
                let available =
                    self.sample.available.map(|a| format!("{:.0} % of the memory is available", percent(a)));
                let pressure = self.sample.pressure.map(|p| format!("programs wait for it {p:.0} % of the time"));
                let figures: Vec<String> = available.into_iter().chain(pressure).collect();
                if figures.is_empty() { "memory is short".to_owned() } else { figures.join(", ") }
            }
        }
    }
}

/// The state derived from the samples so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Governor {
    level: Level,
    level_since: Option<Timestamp>,
    is_short: bool,
    short_since: Option<Timestamp>,
    last: Option<(Timestamp, Sample)>,
}

impl Governor {
    /// Returns the state after one more sample.
    #[must_use]
    pub fn observe(&self, sample: Sample, now: Timestamp) -> Self {
        let fresh = self.last.is_some_and(|(at, _)| (SignedDuration::ZERO..=STALE).contains(&now.duration_since(at)));
        let before = if fresh { *self } else { Self::default() };
        let mut next = Self { last: Some((now, sample)), ..before };
        match sample.load.map(|load| before.level.after(load)) {
            None => next.level = Level::Normal,
            Some(level) if level >= before.level => next.level = level,
            // Eased one step at a time, so that a burst of starts is measured before the next step.
            Some(_) if has_held_long_enough(before.level_since, now) => next.level = before.level.eased(),
            Some(_) => {}
        }
        let is_short = before.is_short_after(sample);
        if is_short || sample.available.or(sample.pressure).is_none() || has_held_long_enough(before.short_since, now) {
            next.is_short = is_short;
        }
        if next.level != before.level || next.level_since.is_none() {
            next.level_since = Some(now);
        }
        if next.is_short != before.is_short || next.short_since.is_none() {
            next.short_since = Some(now);
        }
        next
    }

    /// Returns when the last sample was taken.
    pub fn last_sample_at(&self) -> Option<Timestamp> {
        self.last.map(|(at, _)| at)
    }

    /// Returns how many agents may run.
    pub fn pace(&self, rule: Rule) -> Pace {
        let Some((_, sample)) = self.last else { return Pace::unmeasured(rule.base) };
        let base = rule.base.max(1);
        let by_load = match self.level {
            Level::Free => base.saturating_mul(2).min(rule.ceiling).max(base),
            Level::Normal => base,
            Level::Busy => base.div_ceil(2),
            Level::Overloaded => 1,
        };
        let wanted = if rule.by_load { by_load } else { base };
        let (slots, strain) =
            if rule.by_memory && self.is_short { (1, Strain::Memory) } else { (wanted, Strain::Load) };
        Pace { slots, strain: (slots < base).then_some(strain), sample }
    }

    fn is_short_after(&self, sample: Sample) -> bool {
        let (share, pressure) = if self.is_short { (MEMORY.1, PRESSURE.1) } else { (MEMORY.0, PRESSURE.0) };
        sample.available.is_some_and(|available| available < share) || sample.pressure.is_some_and(|p| p > pressure)
    }
}

fn has_held_long_enough(since: Option<Timestamp>, now: Timestamp) -> bool {
    since.is_some_and(|since| now.duration_since(since) >= EASE)
}

impl Level {
    /// Returns the level after a sample: each level is left later than it is entered.
    fn after(self, load: f64) -> Self {
        let stays = |bounds: (f64, f64), level: Self| if self >= level { bounds.1 } else { bounds.0 };
        if load > stays(OVERLOADED, Self::Overloaded) {
            Self::Overloaded
        } else if load > stays(BUSY, Self::Busy) {
            Self::Busy
        } else if load < (if self == Self::Free { FREE.1 } else { FREE.0 }) {
            Self::Free
        } else {
            Self::Normal
        }
    }

    fn eased(self) -> Self {
        match self {
            Self::Overloaded => Self::Busy,
            Self::Busy => Self::Normal,
            Self::Normal | Self::Free => Self::Free,
        }
    }
}

/// A disk with less free space than `engine.min_free_disk_mb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// A directory on the disk.
    pub dir: PathBuf,
    /// Free space in megabytes (1,000,000 bytes).
    pub free_mb: u64,
    /// The required minimum in megabytes.
    pub floor_mb: u64,
}

/// Returns the disk with the least free space, if that is below the floor. `free`: bytes per directory, where known.
pub fn shortage(free: &[(PathBuf, Option<u64>)], floor_mb: u64) -> Option<Shortage> {
    let known = free.iter().filter_map(|(dir, free)| Some((dir, (*free)? / 1_000_000)));
    let (dir, free_mb) = known.filter(|(_, free)| *free < floor_mb).min_by_key(|(_, free)| *free)?;
    Some(Shortage { dir: dir.clone(), free_mb, floor_mb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Timestamp {
        "2026-08-01T12:00:00Z".parse().expect("a time")
    }

    fn at(seconds: i64) -> Timestamp {
        start() + SignedDuration::from_secs(seconds)
    }

    fn load(load: f64) -> Sample {
        Sample { load: Some(load), ..Sample::default() }
    }

    const RULE: Rule = Rule { by_memory: true, by_load: true, base: 5, ceiling: 8 };

    fn slots(samples: &[(i64, Sample)]) -> Vec<usize> {
        let mut governor = Governor::default();
        let step = |(seconds, sample): &(i64, Sample)| {
            governor = governor.observe(*sample, at(*seconds));
            governor.pace(RULE).slots
        };
        samples.iter().map(step).collect()
    }

    #[test]
    fn load_tightens_at_once_and_eases_step_by_step() {
        let seen = slots(&[
            (0, load(0.5)),
            (5, load(0.71)),
            (10, load(0.9)),
            (15, load(0.1)),
            (39, load(0.1)),
            (40, load(0.1)),
            (69, load(0.1)),
            (70, load(0.1)),
            (100, load(0.1)),
            (105, load(0.49)),
            (110, load(0.51)),
        ]);
        assert_eq!(seen, [5, 3, 1, 1, 1, 3, 3, 5, 8, 8, 5]);
    }

    #[test]
    fn a_level_is_left_later_than_it_is_entered() {
        assert_eq!(slots(&[(0, load(0.9)), (60, load(0.76)), (120, load(0.74))]), [1, 1, 3]);
        assert_eq!(slots(&[(0, load(0.71)), (60, load(0.61)), (120, load(0.59))]), [3, 3, 5]);
        assert_eq!(slots(&[(0, load(0.61))]), [5]);
    }

    #[test]
    fn short_memory_leaves_one_and_is_told_with_its_figures() {
        let short = |available: f64, pressure: f64| Sample {
            available: Some(available),
            pressure: Some(pressure),
            load: Some(0.5),
        };
        let seen = slots(&[
            (0, short(0.09, 0.0)),
            (40, short(0.14, 0.0)),
            (80, short(0.2, 11.0)),
            (120, short(0.2, 9.0)),
            (125, short(0.2, 21.0)),
        ]);
        assert_eq!(seen, [1, 1, 1, 5, 1]);
        let pace = Governor::default().observe(short(0.09, 3.0), start()).pace(RULE);
        assert_eq!(pace.describe(), "9 % of the memory is available, programs wait for it 3 % of the time");
        let pace = Governor::default().observe(load(0.93), start()).pace(RULE);
        assert_eq!((pace.strain, pace.describe().as_str()), (Some(Strain::Load), "the load is 93 % of the processors"));
    }

    #[test]
    fn what_is_unknown_or_switched_off_limits_nothing() {
        assert_eq!(slots(&[(0, load(0.9)), (5, Sample::default())]), [1, 5]);
        let worst = Sample { load: Some(9.0), available: Some(0.0), pressure: Some(99.0) };
        let seen = Governor::default().observe(worst, start());
        let off = Rule { by_memory: false, by_load: false, ..RULE };
        assert_eq!((seen.pace(off).slots, seen.pace(off).strain), (5, None));
        assert_eq!(Governor::default().pace(RULE), Pace::unmeasured(5));
        let exact = Rule { ceiling: 0, ..RULE };
        assert_eq!(Governor { level: Level::Free, ..seen }.pace(Rule { by_memory: false, ..exact }).slots, 5);
    }

    #[test]
    fn after_a_long_silence_or_a_jump_of_the_clock_it_begins_anew() {
        assert_eq!(slots(&[(0, load(0.9)), (121, load(0.5))]), [1, 5]);
        assert_eq!(slots(&[(100, load(0.9)), (50, load(0.5))]), [1, 5]);
    }

    #[test]
    fn the_shortest_disk_below_the_floor_is_named() {
        let disks = [("/a".into(), Some(400_000_000)), ("/b".into(), Some(300_999_999)), ("/c".into(), None)];
        let found = shortage(&disks, 401).expect("two are short");
        assert_eq!((found.dir, found.free_mb, found.floor_mb), ("/b".into(), 300, 401));
        assert_eq!(shortage(&disks, 300), None);
        assert_eq!(shortage(&disks, 0), None);
    }

    fn any_sample() -> impl Strategy<Value = Sample> {
        let share = || proptest::option::of(0.0f64..1.5);
        (share(), share(), proptest::option::of(0.0f64..60.0)).prop_map(|(load, available, pressure)| Sample {
            load,
            available,
            pressure,
        })
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        (any::<bool>(), any::<bool>(), 1usize..40, 0usize..100).prop_map(|(by_memory, by_load, base, ceiling)| Rule {
            by_memory,
            by_load,
            base,
            ceiling,
        })
    }

    proptest! {
        /// Whatever the samples are, there is always a slot, and never one more than a person allowed.
        #[test]
        fn slots_stay_within_what_was_allowed(
            samples in prop::collection::vec((0i64..200, any_sample()), 1..40), rule in any_rule(),
        ) {
            let (mut governor, mut time) = (Governor::default(), 0);
            for (pause, sample) in samples {
                time += pause;
                governor = governor.observe(sample, at(time));
                let pace = governor.pace(rule);
                prop_assert!((1..=rule.base.max(rule.ceiling)).contains(&pace.slots));
                prop_assert_eq!(pace.strain.is_some(), pace.slots < rule.base);
            }
        }

        /// Between two known samples that alternate, slots are raised at most once in each period of rest.
        #[test]
        fn two_samples_in_turn_never_make_it_flap(
            one in 0.0f64..1.2, two in 0.0f64..1.2, pause in 1i64..20, rounds in 10i64..60,
        ) {
            let (mut governor, mut raised, mut before) = (Governor::default(), 0, 0);
            for round in 0..rounds {
                governor = governor.observe(load(if round % 2 == 0 { one } else { two }), at(round * pause));
                let now = governor.pace(RULE).slots;
                raised += i64::from(round > 0 && now > before);
                before = now;
            }
            prop_assert!(raised <= rounds * pause / EASE.as_secs(), "raised {} times", raised);
        }

        /// A small tremble around any load changes nothing once a level is found.
        #[test]
        fn a_tremble_changes_nothing(middle in 0.0f64..1.2, rounds in 4i64..60) {
            let mut governor = Governor::default();
            let mut seen = Vec::new();
            for round in 0..rounds {
                let load_now = middle + if round % 2 == 0 { 0.04 } else { -0.04 };
                governor = governor.observe(load(load_now.max(0.0)), at(round * 60));
                seen.push(governor.level);
            }
            // Four levels: at most three steps to the right one.
            let settled = &seen[3.min(seen.len() - 1)..];
            prop_assert!(settled.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", seen);
        }

        /// The worse the sample, the fewer the slots, whatever was before.
        #[test]
        fn a_higher_load_never_gives_more(
            past in prop::collection::vec((0i64..60, any_sample()), 0..10), low in 0.0f64..1.2, more in 0.0f64..1.0,
        ) {
            let (mut governor, mut time) = (Governor::default(), 0);
            for (pause, sample) in past {
                time += pause;
                governor = governor.observe(sample, at(time));
            }
            let after = |load_now| governor.observe(load(load_now), at(time + 10)).pace(RULE).slots;
            prop_assert!(after(low + more) <= after(low));
        }
    }
}
