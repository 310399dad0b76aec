//! Which files of finished runs are kept, and for how long. Raw output is deleted first; files of open tasks are never
//! deleted. Pure.

use crate::base::ids::RunId;
use jiff::{SignedDuration, Timestamp};

/// The limits; `None`: unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// How long raw output is kept after the end of its run.
    pub raw: Option<SignedDuration>,
    /// How long a transcript is kept.
    pub transcript: Option<SignedDuration>,
    /// The most bytes that all files may take.
    pub total: Option<u64>,
}

/// The files of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// The run's id.
    pub run: RunId,
    /// When the run ended, if its task is final; `None`: nothing may be deleted.
    pub free_since: Option<Timestamp>,
    /// The size of the raw output, in bytes.
    pub raw: u64,
    /// The size of the transcript, in bytes.
    pub text: u64,
}

/// Files to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goes {
    /// The raw output of a run.
    Raw(RunId),
    /// The transcript of a run.
    Text(RunId),
}

/// Returns what exceeds its age limit.
pub fn expired(stock: &[Stock], limits: &Limits, now: Timestamp) -> Vec<Goes> {
    let is_over =
        |ended: Timestamp, limit: Option<SignedDuration>| limit.is_some_and(|limit| now.duration_since(ended) > limit);
    let mut dropped = Vec::new();
    for run in stock {
        let Some(ended) = run.free_since else { continue };
        if run.raw > 0 && is_over(ended, limits.raw) {
            dropped.push(Goes::Raw(run.run.clone()));
        }
        if run.text > 0 && is_over(ended, limits.transcript) {
            dropped.push(Goes::Text(run.run.clone()));
        }
    }
    dropped
}

/// Returns what exceeds the size limit: raw output first, then transcripts, each from the oldest on.
pub fn excess(stock: &[Stock], limits: &Limits) -> Vec<Goes> {
    let Some(limit) = limits.total else { return Vec::new() };
    let mut total = stock.iter().map(|run| run.raw.saturating_add(run.text)).fold(0, u64::saturating_add);
    let mut free: Vec<&Stock> = stock.iter().filter(|run| run.free_since.is_some()).collect();
    free.sort_by_key(|run| run.free_since);
    let raw = free.iter().filter(|run| run.raw > 0).map(|run| (run.raw, Goes::Raw(run.run.clone())));
    let text = free.iter().filter(|run| run.text > 0).map(|run| (run.text, Goes::Text(run.run.clone())));
    let mut dropped = Vec::new();
    for (size, drop) in raw.chain(text) {
        if total <= limit {
            break;
        }
        total -= size.min(total);
        dropped.push(drop);
    }
    dropped
}

/// The time since the last check, by a clock that may jump.
#[derive(Debug, Clone, Copy)]
pub struct Watch(Option<SignedDuration>);

impl Watch {
    /// Computes the time between two checks; `None`: there was none before.
    pub fn new(last_pass: Option<Timestamp>, now: Timestamp) -> Self {
        Self(last_pass.map(|last| now.duration_since(last)))
    }

    /// Whether the next check is due; also true when the clock jumped, or after a long time without a check.
    pub fn is_long_enough(self) -> bool {
        const SHORTEST: SignedDuration = SignedDuration::from_mins(50);
        self.0.is_none_or(|passed| passed.is_negative() || passed >= SHORTEST)
    }

    /// Whether the clock is reliable enough to delete by age: it has advanced steadily since the last check. After a
    /// jump, or a long time off, files are only deleted at the check after this one.
    pub fn is_steady(self) -> bool {
        const LONGEST: SignedDuration = SignedDuration::from_hours(24);
        let is_short = |passed: SignedDuration| !passed.is_negative() && passed <= LONGEST;
        self.is_long_enough() && self.0.is_some_and(is_short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TaskId;
    use proptest::prelude::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + hour * 3600).expect("a time")
    }

    fn run(number: u32, free_since: Option<i64>, raw: u64, text: u64) -> Stock {
        Stock { run: RunId::new(TaskId(1), number, 0), free_since: free_since.map(at), raw, text }
    }

    #[test]
    fn raw_output_goes_first_and_open_tasks_keep_everything() {
        let stock = [run(1, Some(0), 10, 5), run(2, Some(5), 10, 5), run(3, None, 10, 5), run(4, Some(2), 0, 0)];
        let id = |number: u32| RunId::new(TaskId(1), number, 0);
        let hours = |hours| Some(SignedDuration::from_hours(hours));
        let limits = Limits { raw: hours(4), transcript: hours(9), total: Some(30) };
        assert_eq!(expired(&stock, &limits, at(5)), [Goes::Raw(id(1))]);
        assert_eq!(expired(&stock, &limits, at(10)), [Goes::Raw(id(1)), Goes::Text(id(1)), Goes::Raw(id(2))]);
        assert_eq!(expired(&stock, &Limits::default(), at(99_999)), []);
        assert_eq!(expired(&stock, &limits, at(-99_999)), [], "a clock that was set back drops nothing");
        assert_eq!(excess(&stock, &limits), [Goes::Raw(id(1)), Goes::Raw(id(2))]);
        assert_eq!(excess(&stock, &Limits { total: Some(24), ..limits }).last(), Some(&Goes::Text(id(1))));
        assert_eq!(excess(&stock, &Limits { total: Some(45), ..limits }), []);
    }

    #[test]
    fn after_a_jump_of_the_clock_nothing_is_dropped_at_once() {
        let watch = |last: Option<i64>, now| {
            let watch = Watch::new(last.map(at), at(now));
            (watch.is_long_enough(), watch.is_steady())
        };
        assert_eq!(watch(Some(0), 1), (true, true));
        assert_eq!(watch(Some(0), 0), (false, false), "a daemon that was started twice");
        for (last, now) in [(Some(0), 24 * 365), (Some(5), 0), (None, 0)] {
            assert_eq!(watch(last, now), (true, false), "{last:?} {now}");
        }
    }

    proptest! {
        #[test]
        fn no_more_goes_than_must_and_nothing_of_open_tasks(
            runs in proptest::collection::vec((proptest::option::of(0_i64..50), 0_u64..100, 0_u64..100), 0..12),
            total in 0_u64..500,
        ) {
            let stock: Vec<Stock> =
                (1..).zip(&runs).map(|(number, (free, raw, text))| run(number, *free, *raw, *text)).collect();
            let size = |drop: &Goes| stock.iter().map(|run| match drop {
                Goes::Raw(id) if *id == run.run => run.raw,
                Goes::Text(id) if *id == run.run => run.text,
                Goes::Raw(_) | Goes::Text(_) => 0,
            }).sum::<u64>();
            let all: u64 = stock.iter().map(|run| run.raw + run.text).sum();
            let dropped = excess(&stock, &Limits { total: Some(total), ..Limits::default() });
            let gone: u64 = dropped.iter().map(size).sum();
            let free: u64 = stock.iter().filter(|run| run.free_since.is_some()).map(|run| run.raw + run.text).sum();
            prop_assert!(all - gone <= total || gone == free);
            if let Some(last) = dropped.last() {
                prop_assert!(all - gone + size(last) > total);
            }
        }
    }
}
