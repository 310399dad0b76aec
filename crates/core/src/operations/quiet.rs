//! Quiet hours of a person, and times of day. Pure: the time zone is an argument.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A time of day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(Time);

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a time of day, as 08:00 is one");
        let (hour, minute) = text.trim().split_once(':').ok_or_else(wrong)?;
        let number = |part: &str| {
            let is_number = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| part.parse::<i8>().ok()).flatten()
        };
        let (hour, minute) = (number(hour).ok_or_else(wrong)?, number(minute).ok_or_else(wrong)?);
        Time::new(hour, minute, 0, 0).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TimeOfDay {
    /// Returns the last moment with this time of day, `now` included.
    pub fn last(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let today = now.to_zoned(zone.clone()).date();
        let of = |date: jiff::civil::Date| zone.to_timestamp(date.to_datetime(self.0)).ok();
        let yesterday = || today.yesterday().ok().and_then(of);
        of(today).filter(|at| *at <= now).or_else(yesterday).unwrap_or(now)
    }

    /// Returns the next moment with this time of day.
    pub fn next(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let today = now.to_zoned(zone.clone()).date();
        let of = |date: jiff::civil::Date| zone.to_timestamp(date.to_datetime(self.0)).ok();
        let tomorrow = || today.tomorrow().ok().and_then(of);
        let next = of(today).filter(|at| *at > now).or_else(tomorrow);
        next.unwrap_or_else(|| now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(now))
    }
}

/// A range of the day; over midnight where the second time is earlier, empty where they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    start: TimeOfDay,
    end: TimeOfDay,
}

impl FromStr for QuietHours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} are no hours, as 22:00-07:00 are");
        let (start, end) = text.split_once('-').ok_or_else(wrong)?;
        Ok(Self { start: start.parse().map_err(|_| wrong())?, end: end.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

impl Serialize for QuietHours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl QuietHours {
    /// Returns the end of the quiet hours; `None`: they do not apply now.
    pub fn end_of(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let time = now.to_zoned(zone.clone()).time();
        let (start, end) = (self.start.0, self.end.0);
        let is_quiet = if start <= end { start <= time && time < end } else { start <= time || time < end };
        is_quiet.then(|| self.end.next(now, zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").expect("a zone")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn hours_go_over_midnight_and_the_same_twice_are_none() {
        let night: QuietHours = "22:00-07:00".parse().expect("hours");
        // 21:59, 22:00, 06:59 and 07:00 in Berlin.
        for (now, end) in [
            ("2026-01-10T20:59:00Z", None),
            ("2026-01-10T21:00:00Z", Some("2026-01-11T06:00:00Z")),
            ("2026-01-11T05:59:59Z", Some("2026-01-11T06:00:00Z")),
            ("2026-01-11T06:00:00Z", None),
            // The clock goes forward by an hour in this night.
            ("2026-03-28T23:00:00Z", Some("2026-03-29T05:00:00Z")),
        ] {
            assert_eq!(night.end_of(at(now), &berlin()), end.map(at), "{now}");
        }
        let noon: QuietHours = "12:00-14:00".parse().expect("hours");
        assert_eq!(noon.end_of(at("2026-01-10T11:30:00Z"), &berlin()), Some(at("2026-01-10T13:00:00Z")));
        let off: QuietHours = "8:00-08:00".parse().expect("hours");
        assert_eq!(
            (off.end_of(at("2026-01-10T07:00:00Z"), &berlin()), off.to_string()),
            (None, "08:00-08:00".to_owned())
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "22", "22:00", "24:00-07:00", "22:60-07:00", "a-b", "22:00-", "+1:00-07:00", "22:00-07:00-08:00"]
        {
            assert!(text.parse::<QuietHours>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_last_time_is_not_to_come_and_the_next_one_is(second in 0_i64..4_000_000_000, hour in 0_i8..24, minute in 0_i8..60) {
            let (now, zone) = (Timestamp::from_second(second).expect("a time"), berlin());
            let time: TimeOfDay = format!("{hour}:{minute}").parse().expect("a time");
            let (last, next) = (time.last(now, &zone), time.next(now, &zone));
            prop_assert!(last <= now && now < next, "{last} {now} {next}");
            prop_assert!(next.duration_since(last) <= SignedDuration::from_hours(50));
        }

        #[test]
        fn quiet_hours_end_and_nothing_panics(text in ".{0,20}", second in 0_i64..4_000_000_000) {
            let now = Timestamp::from_second(second).expect("a time");
            if let Ok(hours) = text.parse::<QuietHours>()
                && let Some(end) = hours.end_of(now, &berlin())
            {
                prop_assert!(end > now);
            }
        }
    }
}
