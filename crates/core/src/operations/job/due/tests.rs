//! Times that come, pass and are made up for, on clocks that do as they like.

use super::*;
use crate::operations::job::{JobSpec, REMEMBERED, tests::spec};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn timer(schedule: &str) -> Timer {
    Timer { schedule: Schedule::parse(schedule).expect("a schedule"), zone: TimeZone::UTC }
}

fn job(catch_up: CatchUp, overlap: Overlap) -> JobRecord {
    JobRecord::new(JobSpec { catch_up, overlap: Some(overlap), ..spec() }, at("2026-11-20T00:30:00Z"))
}

/// The hours of the times for which it fired.
fn fired(moves: &[Move]) -> Vec<String> {
    let hour = |due: &Timestamp| due.strftime("%H:%M").to_string();
    moves
        .iter()
        .filter_map(|one| match one {
            Move::Fire { due, .. } => Some(hour(due)),
            Move::Queue { .. } | Move::Skip { .. } | Move::Missed { .. } => None,
        })
        .collect()
}

#[test]
fn a_time_that_comes_is_dealt_with_once() {
    let (timer, mut job) = (timer("@hourly"), job(CatchUp::Once, Overlap::Allow));
    assert_eq!(advance(&mut job, &timer, false, at("2026-11-20T00:59:59Z")), []);
    let due = at("2026-11-20T01:00:00Z");
    assert_eq!(advance(&mut job, &timer, false, due), [Move::Fire { due, cause: Cause::Schedule }]);
    for later in ["2026-11-20T01:00:00Z", "2026-11-20T01:00:01Z", "2026-11-20T01:59:00Z"] {
        assert_eq!(advance(&mut job, &timer, false, at(later)), [], "{later}");
    }
    assert_eq!(timer.next(&job), Some(at("2026-11-20T02:00:00Z")));
}

#[test]
fn what_passed_while_nobody_looked_is_made_up_for_as_the_job_says() {
    for (catch_up, expected) in [
        (CatchUp::Skip, vec![]),
        (CatchUp::Once, vec!["05:00"]),
        (CatchUp::All, vec!["01:00", "02:00", "03:00", "04:00", "05:00"]),
    ] {
        let mut job = job(catch_up, Overlap::Allow);
        let moves = advance(&mut job, &timer("@hourly"), false, at("2026-11-20T05:30:00Z"));
        assert_eq!(fired(&moves), expected, "{catch_up:?}");
        let missed = moves.iter().find_map(|one| match one {
            Move::Missed { count, .. } => Some(*count),
            Move::Fire { .. } | Move::Queue { .. } | Move::Skip { .. } => None,
        });
        assert_eq!(missed.unwrap_or(0) + expected.len(), 5, "what is not made up for is told");
    }
}

#[test]
fn a_time_that_has_just_come_makes_up_for_those_before() {
    let mut job = job(CatchUp::Once, Overlap::Allow);
    let moves = advance(&mut job, &timer("@hourly"), false, at("2026-11-20T05:01:00Z"));
    assert_eq!(fired(&moves), ["05:00"]);
}

#[test]
fn making_up_has_an_end() {
    let mut job = job(CatchUp::All, Overlap::Allow);
    let moves = advance(&mut job, &timer("* * * * *"), false, at("2027-11-20T05:01:00Z"));
    assert_eq!(fired(&moves).len(), MOST);
    let text = |one: &Move| matches!(one, Move::Missed { more: true, .. });
    assert!(moves.iter().any(text), "{moves:?}");
}

#[test]
fn a_firing_that_is_under_way_holds_the_next_one_as_the_job_says() {
    let now = at("2026-11-20T01:00:00Z");
    for (overlap, expected) in [
        (Overlap::Skip, Move::Skip { due: now, why: "the previous firing is still running" }),
        (Overlap::Queue, Move::Queue { due: now }),
        (Overlap::Allow, Move::Fire { due: now, cause: Cause::Schedule }),
    ] {
        assert_eq!(advance(&mut job(CatchUp::Once, overlap), &timer("@hourly"), true, now), [expected]);
    }
}

#[test]
fn what_waits_fires_one_after_the_other() {
    let (timer, mut job) = (timer("@hourly"), job(CatchUp::All, Overlap::Queue));
    assert_eq!(fired(&advance(&mut job, &timer, false, at("2026-11-20T03:30:00Z"))), ["01:00"]);
    assert_eq!(job.waiting.len(), 2);
    assert_eq!(fired(&advance(&mut job, &timer, true, at("2026-11-20T03:31:00Z"))), Vec::<String>::new());
    assert_eq!(fired(&advance(&mut job, &timer, false, at("2026-11-20T03:32:00Z"))), ["02:00"]);
    assert_eq!(fired(&advance(&mut job, &timer, false, at("2026-11-20T04:00:00Z"))), ["03:00"], "4:00 waits now");
    assert_eq!(fired(&advance(&mut job, &timer, false, at("2026-11-20T04:01:00Z"))), ["04:00"]);
}

#[test]
fn a_job_that_is_off_does_nothing() {
    let mut job = job(CatchUp::All, Overlap::Allow);
    job.spec.enabled = false;
    assert_eq!(advance(&mut job, &timer("@hourly"), false, at("2026-11-20T05:30:00Z")), []);
    assert_eq!(timer("@hourly").next(&job), None);
}

#[test]
fn a_delayed_job_fires_for_its_time_and_later() {
    let mut job = job(CatchUp::Skip, Overlap::Allow);
    job.spec.jitter_seconds = 1200;
    let delay = job.spec.delay();
    assert!(delay > SignedDuration::from_mins(3), "the name was chosen so: {delay}");
    let due = at("2026-11-20T01:00:00Z");
    assert_eq!(timer("@hourly").next(&job), Some(due + delay));
    assert_eq!(advance(&mut job, &timer("@hourly"), false, due + delay - SignedDuration::from_secs(1)), []);
    let moves = advance(&mut job, &timer("@hourly"), false, due + delay);
    assert_eq!(moves, [Move::Fire { due, cause: Cause::Schedule }], "it is not late");
}

#[test]
fn a_clock_that_was_a_year_ahead_stops_no_job() {
    let (timer, mut job) = (timer("@hourly"), job(CatchUp::Once, Overlap::Allow));
    let ahead = advance(&mut job, &timer, false, at("2027-11-20T05:00:00Z"));
    assert_eq!(fired(&ahead), ["05:00"]);
    assert_eq!(advance(&mut job, &timer, false, at("2026-11-20T05:30:00Z")), []);
    let due = at("2026-11-20T06:00:00Z");
    assert_eq!(advance(&mut job, &timer, false, due), [Move::Fire { due, cause: Cause::Schedule }]);
    // A year later that time is dealt with already.
    job.through = at("2027-11-20T04:00:00Z");
    assert_eq!(advance(&mut job, &timer, false, at("2027-11-20T05:00:00Z")), []);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]
    #[test]
    fn each_time_fires_at_most_once_whatever_the_clock_does(
        steps in prop::collection::vec((-4_000_i64..9_000, prop::bool::weighted(0.1), prop::bool::ANY), 1..200),
        catch_up in prop::sample::select(vec![CatchUp::Skip, CatchUp::Once, CatchUp::All]),
        overlap in prop::sample::select(vec![Overlap::Skip, Overlap::Queue, Overlap::Allow]),
    ) {
        let (timer, mut job) = (timer("*/10 * * * *"), job(catch_up, overlap));
        let mut now = job.through;
        let mut times: BTreeMap<Timestamp, usize> = BTreeMap::new();
        for (step, jumps, busy) in steps {
            let step = if jumps { step * 100 } else { step.abs() };
            now = now.checked_add(SignedDuration::from_secs(step)).expect("a time");
            for one in advance(&mut job, &timer, busy, now) {
                if let Move::Fire { due, .. } = one {
                    *times.entry(due).or_default() += 1;
                }
            }
            prop_assert!(job.recent.len() <= REMEMBERED && job.waiting.len() <= MOST);
        }
        prop_assert!(times.values().all(|count| *count == 1), "{:?}", times);
    }

    #[test]
    fn with_catch_up_all_each_time_fires_exactly_once(
        steps in prop::collection::vec((0_i64..30_000, prop::bool::ANY), 1..100),
        overlap in prop::sample::select(vec![Overlap::Queue, Overlap::Allow]),
    ) {
        let (timer, mut job) = (timer("*/10 * * * *"), job(CatchUp::All, overlap));
        let (start, mut now) = (job.through, job.through);
        let mut fired = Vec::new();
        let mut take = |moves: Vec<Move>| {
            let due = |one| if let Move::Fire { due, .. } = one { Some(due) } else { None };
            fired.extend(moves.into_iter().filter_map(due));
        };
        for (step, busy) in steps {
            // Up to fifty times pass at once, of which a hundred may wait.
            let busy = busy && job.waiting.len() < 50;
            now = now.checked_add(SignedDuration::from_secs(step)).expect("a time");
            take(advance(&mut job, &timer, busy, now));
            while job.waiting.len() > 49 {
                take(advance(&mut job, &timer, false, now));
            }
        }
        while !job.waiting.is_empty() {
            take(advance(&mut job, &timer, false, now));
        }
        let mut expected = Vec::new();
        let mut last = start;
        while let Some(due) = timer.schedule.next(last, &timer.zone).filter(|due| *due <= now) {
            expected.push(due);
            last = due;
        }
        fired.sort();
        prop_assert_eq!(fired, expected);
    }
}
