//! Parses times as people type them: how long ago, a day, or a time in their own zone. PURE.

use super::ui::time::Now;
use jiff::civil::DateTime;
use jiff::{Span, Timestamp, ToSpan};
use std::str::FromStr;

/// A time: relative or absolute.
#[derive(Debug, Clone, Copy)]
pub enum Since {
    /// This long ago, in calendar months and days.
    Ago(Span),
    /// At the start of the day this many days ago.
    Day(i32),
    /// At this local time.
    Wall(DateTime),
    /// At this instant.
    At(Timestamp),
}

/// The message about the accepted forms.
const EXPECTED: &str = "expected how long ago (10m, 2h 30m, 3d), a day (2026-08-01, today, yesterday) or a time (2026-08-01 14:30, \
                        2026-08-01T12:00:00Z)";

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "today" => return Ok(Self::Day(0)),
            "yesterday" => return Ok(Self::Day(1)),
            _ => {}
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        // A date alone means its start.
        if let Ok(wall) = text.parse::<DateTime>() {
            return Ok(Self::Wall(wall));
        }
        let says_ago = text.ends_with("ago");
        match text.parse::<Span>() {
            Ok(span) if span.is_negative() == says_ago && !text.starts_with(['-', '+']) => Ok(Self::Ago(span.abs())),
            Ok(_) | Err(_) => Err(EXPECTED.to_owned()),
        }
    }
}

impl Since {
    /// Returns the instant. A time before all others is clamped to the first.
    pub fn at(self, now: &Now) -> Timestamp {
        let here = || now.at.to_zoned(now.zone.clone());
        let meant = match self {
            Self::At(at) => return at,
            Self::Ago(span) => here().checked_sub(span),
            Self::Day(days) => here().checked_sub(days.days()).and_then(|day| day.start_of_day()),
            Self::Wall(wall) => wall.to_zoned(now.zone.clone()),
        };
        meant.map_or(Timestamp::MIN, |at| at.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn in_zone(zone: &str, now: &str) -> Now {
        Now { at: now.parse().expect("a time"), zone: TimeZone::get(zone).expect("a zone") }
    }

    #[test]
    fn a_time_may_be_said_in_many_ways() {
        let now = in_zone("Europe/Berlin", "2026-08-01T12:00:00Z");
        let at = |text: &str| text.parse::<Since>().map(|since| since.at(&now).to_string());
        for (text, expected) in [
            ("10m", "2026-08-01T11:50:00Z"),
            ("1h 30m", "2026-08-01T10:30:00Z"),
            ("90s ago", "2026-08-01T11:58:30Z"),
            ("3d", "2026-07-29T12:00:00Z"),
            ("2w", "2026-07-18T12:00:00Z"),
            ("1mo", "2026-07-01T12:00:00Z"),
            ("0s", "2026-08-01T12:00:00Z"),
            ("today", "2026-07-31T22:00:00Z"),
            ("yesterday", "2026-07-30T22:00:00Z"),
            ("2026-07-31", "2026-07-30T22:00:00Z"),
            (" 2026-07-31 ", "2026-07-30T22:00:00Z"),
            ("2026-07-31 14:30", "2026-07-31T12:30:00Z"),
            ("2026-07-31T14:30:05", "2026-07-31T12:30:05Z"),
            ("2026-01-31", "2026-01-30T23:00:00Z"),
            ("2026-07-31T00:00:00Z", "2026-07-31T00:00:00Z"),
            ("2026-07-31T00:00:00+02:00", "2026-07-30T22:00:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in ["soon", "", "-5m", "+5m", "-5m ago", "2026-13-01", "2026-02-30", "10", "yesterday 10:00"] {
            let output = at(wrong).expect_err(wrong);
            assert!(output.contains("10m") && output.contains("2026-08-01"), "{output}");
        }
        assert_eq!(at("20000y").ok().or(Some(Timestamp::MIN.to_string())), Some(Timestamp::MIN.to_string()));
    }

    #[test]
    fn a_day_begins_when_the_clock_there_says_so() {
        // In Beirut the hour after midnight of that day does not exist.
        let now = in_zone("Asia/Beirut", "2024-03-31T10:00:00Z");
        assert_eq!("today".parse::<Since>().expect("a day").at(&now).to_string(), "2024-03-30T22:00:00Z");
        assert_eq!("2024-03-31".parse::<Since>().expect("a day").at(&now).to_string(), "2024-03-30T22:00:00Z");
        // A day ago is not 24 hours ago where the clock was changed.
        assert_eq!("1d".parse::<Since>().expect("a span").at(&now).to_string(), "2024-03-30T11:00:00Z");
    }

    proptest! {
        #[test]
        fn whatever_is_typed_ends(text in ".{0,30}") {
            if let Ok(since) = text.parse::<Since>() {
                since.at(&in_zone("Europe/Berlin", "2026-08-01T12:00:00Z"));
            }
        }
    }
}
