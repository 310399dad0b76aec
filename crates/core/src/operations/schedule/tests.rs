//! Schedules on the clocks of zones, where these are changed too.

use super::*;
use proptest::prelude::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The next times, on the zone's clock.
fn times(schedule: &str, name: &str, after: &str, count: usize) -> Vec<String> {
    let (schedule, zone) = (Schedule::parse(schedule).expect("a schedule"), zone(name));
    let mut times = Vec::new();
    let mut last = at(after);
    for _ in 0..count {
        last = schedule.next(last, &zone).expect("a time");
        times.push(last.to_zoned(zone.clone()).strftime("%a %F %H:%M %Z").to_string());
    }
    times
}

#[test]
fn days_of_the_week_are_those_of_a_crontab() {
    for (day, name) in ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].into_iter().enumerate() {
        let times = times(&format!("0 9 * * {day}"), "UTC", "2026-11-20T12:00:00Z", 1);
        assert!(times[0].starts_with(name), "{day}: {times:?}");
    }
    let days: Vec<String> = times("0 9 * * 1-5", "UTC", "2026-11-20T12:00:00Z", 6);
    let days: Vec<&str> = days.iter().map(|day| &day[..3]).collect();
    assert_eq!(days, ["Mon", "Tue", "Wed", "Thu", "Fri", "Mon"]);
}

#[test]
fn a_day_of_the_month_or_of_the_week_is_enough() {
    let days = times("0 0 13 * 5", "UTC", "2026-11-01T00:00:00Z", 3);
    assert_eq!(days, ["Fri 2026-11-06 00:00 UTC", "Fri 2026-11-13 00:00 UTC", "Fri 2026-11-20 00:00 UTC"]);
}

#[test]
fn names_stand_for_fields() {
    for (name, first) in [
        ("@hourly", "Fri 2026-11-20 13:00 UTC"),
        ("@daily", "Sat 2026-11-21 00:00 UTC"),
        ("@Midnight", "Sat 2026-11-21 00:00 UTC"),
        ("@weekly", "Sun 2026-11-22 00:00 UTC"),
        ("@monthly", "Tue 2026-12-01 00:00 UTC"),
        ("@yearly", "Fri 2027-01-01 00:00 UTC"),
        ("@annually", "Fri 2027-01-01 00:00 UTC"),
    ] {
        assert_eq!(times(name, "UTC", "2026-11-20T12:00:00Z", 1), [first], "{name}");
    }
}

#[test]
fn what_is_no_schedule_is_told_with_its_field() {
    for (text, expected, hint) in [
        ("61 * * * *", "`61` is no minute in `61 * * * *`", "0 to 59"),
        ("* 24 * * *", "`24` is no hour in `* 24 * * *`", "0 to 23"),
        ("* * 0 * *", "`0` is no day of the month in `* * 0 * *`", "1 to 31"),
        ("* * * Foo *", "`Foo` is no month in `* * * Foo *`", "JAN to DEC"),
        ("* * * * 8", "`8` is no day of the week in `* * * * 8`", "0 and 7 are Sunday"),
        ("* * * *", "`* * * *` has 4 fields instead of five", "0 9 * * 1-5"),
        ("0 0 9 * * 1-5", "`0 0 9 * * 1-5` has 6 fields instead of five", "minute, hour"),
        ("", "`` has 0 fields instead of five", "@daily"),
        ("@never", "no schedule is called @never", "there are @hourly"),
        ("@dayly", "no schedule is called @dayly", "did you mean @daily?"),
        ("@reboot", "no schedule is called @reboot", "there are @hourly"),
        ("0 0 30 2 *", "the time of `0 0 30 2 *` never comes", "L is the last day"),
        ("0 0 31 4,6,9,11 *", "the time of `0 0 31 4,6,9,11 *` never comes", "the third field"),
        ("5-1 * * * *", "`5-1` is no minute", "0 to 59"),
        ("*/0 * * * *", "`*/0` is no minute", "steps"),
    ] {
        let error = Schedule::parse(text).expect_err(text);
        assert!(error.message.starts_with(expected), "{text}: {error}");
        assert!(error.hint.contains(hint), "{text}: {}", error.hint);
    }
    assert!(Schedule::parse(&"1,".repeat(500)).is_err());
    assert_eq!(Schedule::parse("0 0 29 2 *").expect("leap years come").as_str(), "0 0 29 2 *");
}

#[test]
fn a_time_that_the_clock_skips_is_moved_to_the_end_of_the_gap() {
    // On 28 March 2027 clocks in Berlin go from 02:00 to 03:00.
    let days = times("30 2 * * *", "Europe/Berlin", "2027-03-26T12:00:00Z", 3);
    assert_eq!(days, ["Sat 2027-03-27 02:30 CET", "Sun 2027-03-28 03:00 CEST", "Mon 2027-03-29 02:30 CEST"]);
    let days = times("0 1 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", 2);
    assert_eq!(days, ["Sun 2027-03-28 01:00 CET", "Mon 2027-03-29 01:00 CEST"], "not once more after the gap");
}

#[test]
fn a_time_that_the_clock_shows_twice_counts_once() {
    // On 31 October 2027 clocks in Berlin go from 03:00 back to 02:00.
    let days = times("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", 2);
    assert_eq!(days, ["Sun 2027-10-31 02:30 CEST", "Mon 2027-11-01 02:30 CET"]);
}

#[test]
fn a_schedule_of_many_times_has_each_that_the_clock_shows() {
    let gap = times("*/30 * * * *", "Europe/Berlin", "2027-03-28T00:29:00Z", 3);
    assert_eq!(gap, ["Sun 2027-03-28 01:30 CET", "Sun 2027-03-28 03:00 CEST", "Sun 2027-03-28 03:30 CEST"]);
    let overlap = times("*/30 * * * *", "Europe/Berlin", "2027-10-31T00:15:00Z", 4);
    let expected = ["02:30 CEST", "02:00 CET", "02:30 CET", "03:00 CET"].map(|time| format!("Sun 2027-10-31 {time}"));
    assert_eq!(overlap, expected);
    let skipped = times("30 2,14 * * *", "Europe/Berlin", "2027-03-27T20:00:00Z", 2);
    assert_eq!(skipped, ["Sun 2027-03-28 14:30 CEST", "Mon 2027-03-29 02:30 CEST"]);
}

#[test]
fn zones_with_odd_clocks_are_no_trouble() {
    // Half an hour at Lord Howe; a day that Apia never had.
    let gap = times("15 2 * * *", "Australia/Lord_Howe", "2027-10-01T20:00:00Z", 2);
    assert_eq!(gap[0], "Sun 2027-10-03 02:30 +11");
    let days = times("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 2);
    assert_eq!(days, ["Thu 2011-12-29 12:00 -10", "Sat 2011-12-31 12:00 +14"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
    #[test]
    fn times_come_one_after_the_other_and_looking_back_finds_the_same(
        minute in prop::sample::select(vec!["0", "30", "*/7", "15,45", "*"]),
        hour in prop::sample::select(vec!["2", "*", "1-3", "*/5", "23", "0"]),
        day in prop::sample::select(vec!["*", "1", "28-31", "L"]),
        weekday in prop::sample::select(vec!["*", "0", "1-5", "7"]),
        name in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
        start in 1_790_000_000_i64..1_860_000_000,
    ) {
        let schedule = Schedule::parse(&format!("{minute} {hour} {day} * {weekday}")).expect("a schedule");
        let zone = zone(name);
        let mut last = Timestamp::from_second(start).expect("a time");
        for _ in 0..60 {
            let next = schedule.next(last, &zone).expect("a time");
            prop_assert!(next > last);
            prop_assert_eq!(schedule.last(next, &zone), Some(next));
            let before = next.checked_sub(jiff::SignedDuration::from_secs(1)).expect("a time");
            let back = schedule.last(before, &zone).expect("a time");
            // The first one may be younger than the arbitrary beginning.
            prop_assert!(back <= last, "{} is between {} and {}", back, last, next);
            last = next;
        }
    }
}
