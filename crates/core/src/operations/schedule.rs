//! Recurring schedules: the five fields of a crontab, or a name for them, evaluated on the wall clock of a time zone.
//! Pure: zone and time are arguments.

use crate::base::nearest::nearest;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// Names that stand for five fields.
pub const NAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// The fields and their valid values.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, L for the last"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 or SUN to SAT, where 0 and 7 are Sunday"),
];

/// The longest schedule, in bytes.
const LONGEST: usize = 200;

/// croner gives up at a gap of a whole day (Apia had one). This many hours later the gap is over.
const BEYOND_A_GAP: i64 = 26;

/// Why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadSchedule {
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

fn bad(message: String, hint: impl Into<String>) -> BadSchedule {
    BadSchedule { message, hint: hint.into() }
}

/// A valid schedule: it has a next time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

impl Schedule {
    /// Parses a schedule.
    ///
    /// # Errors
    /// Returns which field is wrong, or that the schedule never matches.
    pub fn parse(text: &str) -> Result<Self, BadSchedule> {
        let text = text.trim();
        if text.len() > LONGEST {
            let hint = "five fields: minute, hour, day of the month, month, day of the week";
            return Err(bad("this is too long for a schedule".to_owned(), hint));
        }
        let fields = if text.starts_with('@') { named(text)? } else { text };
        let count = fields.split_whitespace().count();
        if count != FIELDS.len() {
            let hint = "minute, hour, day of the month, month, day of the week, as in `0 9 * * 1-5`; or @daily";
            return Err(bad(format!("`{text}` has {count} fields instead of five"), hint));
        }
        let cron = parse(fields).map_err(|()| wrong_field(text, fields))?;
        // Eight years contain every valid date: February 29 may be missing once in a hundred years.
        let start = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
        if cron.find_next_occurrence(&start, true).is_err() {
            return Err(bad(
                format!("the time of `{text}` never comes: no month it names has such a day"),
                "the third field is the day of the month, the fourth the month; L is the last day",
            ));
        }
        Ok(Self { text: text.to_owned(), cron })
    }

    /// Returns the schedule as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the first time after `after`. For a schedule with a single time of day, a time that the zone's clock
    /// skips moves to the end of the gap, and one that occurs twice counts once; other schedules use each time that the
    /// clock shows.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        (0..BEYOND_A_GAP).find_map(|hours| {
            let start = after.checked_add(SignedDuration::from_hours(hours)).ok()?;
            let found = self.cron.find_next_occurrence(&start.to_zoned(zone.clone()), hours > 0).ok()?;
            Some(found.timestamp()).filter(|at| *at > after)
        })
    }

    /// Returns the last time that is not after `until`.
    pub fn last(&self, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        (0..BEYOND_A_GAP).find_map(|hours| {
            let start = until.checked_sub(SignedDuration::from_hours(hours)).ok()?;
            let found = self.cron.find_previous_occurrence(&start.to_zoned(zone.clone()), true).ok()?;
            Some(found.timestamp()).filter(|at| *at <= until)
        })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(fields: &str) -> Result<Cron, ()> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(fields).map_err(drop)
}

fn named(text: &str) -> Result<&'static str, BadSchedule> {
    let wanted = text.to_ascii_lowercase();
    if let Some((_, fields)) = NAMES.iter().find(|(name, _)| *name == wanted) {
        return Ok(fields);
    }
    let known = NAMES.map(|(name, _)| name);
    let hint = match nearest(text, known) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("there are {}", known.join(", ")),
    };
    Err(bad(format!("no schedule is called {text}"), hint))
}

/// Returns the error of the first invalid field.
fn wrong_field(text: &str, fields: &str) -> BadSchedule {
    for (at, field) in fields.split_whitespace().enumerate() {
        let mut alone = ["*"; 5];
        alone[at] = field;
        if parse(&alone.join(" ")).is_err() {
            let (name, range) = FIELDS[at];
            let hint = format!("{range}; also *, lists a,b, ranges a-b and steps */n");
            return bad(format!("`{field}` is no {name} in `{text}`"), hint);
        }
    }
    bad(format!("`{text}` is no schedule"), "five fields as in `0 9 * * 1-5`, or @daily")
}

#[cfg(test)]
mod tests;
