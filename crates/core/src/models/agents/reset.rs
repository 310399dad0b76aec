//! Parses when a provider's limit resets from an error's text: "try again in 1h 20m", "try again at 3:04 PM", "resets 3pm
//! (Europe/Berlin)", "retry-after: 3600", a date of HTTP or of ISO 8601, seconds since 1970. One parser for all CLIs.
//! PURE: the present and the machine's zone are arguments.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Words (in lower case) that precede a time, and the unit of a bare number behind them. The first that is followed by a
/// time wins.
const ANCHORS: [(&str, Bare); 13] = [
    ("retry-after-ms", Bare::Milliseconds),
    ("retry_after_ms", Bare::Milliseconds),
    ("retry-after", Bare::Seconds),
    ("retry_after", Bare::Seconds),
    ("retry after", Bare::Seconds),
    ("resets_in_seconds", Bare::Seconds),
    ("try again", Bare::Nothing),
    ("resets_at", Bare::Nothing),
    ("resets", Bare::Nothing),
    ("reset", Bare::Nothing),
    ("available", Bare::Nothing),
    ("limit reached|", Bare::Nothing),
    ("until", Bare::Nothing),
];
/// Words that may stand between such a word and its time.
const FILLERS: [&str; 10] =
    ["again ", "at ", "in ", "on ", "after ", "about ", "approximately ", "is ", "will be ", "date "];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
/// Times of day are rounded to the minute: one that is past by less than this means now, not tomorrow.
const JUST_NOW: SignedDuration = SignedDuration::from_mins(5);
/// The wait for such a time.
const SOON: SignedDuration = SignedDuration::from_secs(60);
/// The smallest numbers that count as seconds and milliseconds since 1970.
const EPOCH_SECONDS: f64 = 1e9;
const EPOCH_MILLISECONDS: f64 = 1e12;

/// The unit of a number without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    Seconds,
    Milliseconds,
    Nothing,
}

/// A parsed time.
enum Found {
    Wait(SignedDuration),
    At(Timestamp),
    Clock(Clock),
}

/// A time of day, with or without a date, a weekday and a zone.
#[derive(Debug, Default)]
struct Clock {
    month: Option<i8>,
    day: Option<i8>,
    year: Option<i16>,
    weekday: Option<Weekday>,
    time: Option<Time>,
    zone: Option<TimeZone>,
}

/// Returns when the limit resets, from an error's text that was printed at `now` on a machine in `zone`. `None` when the
/// text does not say.
pub fn reset_in(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    match parse(text)? {
        Found::Wait(wait) => now.checked_add(wait).ok(),
        Found::At(at) => Some(at),
        Found::Clock(clock) => clock.after(now, zone),
    }
}

/// Returns the wait that an error's text names, if it names a duration.
pub(super) fn wait_in(text: &str) -> Option<SignedDuration> {
    match parse(text)? {
        Found::Wait(wait) => Some(wait),
        Found::At(_) | Found::Clock(_) => None,
    }
}

fn parse(text: &str) -> Option<Found> {
    let lower = text.to_ascii_lowercase();
    ANCHORS.iter().find_map(|(anchor, bare)| {
        let places = lower.match_indices(anchor).map(|(at, _)| &text[at + anchor.len()..]);
        places.into_iter().find_map(|rest| parse_time(rest, *bare))
    })
}

fn parse_time(rest: &str, bare: Bare) -> Option<Found> {
    let mut rest = rest;
    loop {
        rest = rest.trim_start_matches([' ', ':', '=', '"', '\'', ',', '|', '~']);
        let filler = FILLERS.iter().find(|filler| starts(rest, filler));
        let Some(filler) = filler else { break };
        rest = &rest[filler.len()..];
    }
    let number = || numbered(rest, bare);
    dated(rest).map(Found::At).or_else(number).or_else(|| Clock::read(rest).map(Found::Clock))
}

fn starts(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|front| front.eq_ignore_ascii_case(word))
}

/// Parses a full date with its zone, in the formats of ISO 8601 and HTTP.
fn dated(rest: &str) -> Option<Timestamp> {
    let word: &str = rest.split([' ', '"', '\'', ',', ')', ']', '}']).next()?;
    let iso = || word.trim_end_matches('.').parse().ok();
    let http = || {
        let end = rest.find("GMT")? + "GMT".len();
        jiff::fmt::rfc2822::parse(rest.get(..end)?).ok().map(|at| at.timestamp())
    };
    // "2026-11-22 18:00:00 UTC"
    let spaced = || {
        let (day, time) = (rest.get(..10)?, rest.get(11..19)?);
        let ends = rest.get(19..)?.trim_start();
        let is_utc = starts(ends, "UTC") || starts(ends, "Z") || starts(ends, "GMT");
        is_utc.then(|| format!("{day}T{time}Z").parse().ok()).flatten()
    };
    iso().or_else(http).or_else(spaced)
}

/// Parses a number: a duration with units, or a bare number whose unit follows from its anchor or its size.
fn numbered(rest: &str, bare: Bare) -> Option<Found> {
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let number: f64 = rest[..end].trim_end_matches('.').parse().ok()?;
    if number >= EPOCH_SECONDS {
        let seconds = if number >= EPOCH_MILLISECONDS { number / 1000.0 } else { number };
        return Timestamp::from_second(seconds as i64).ok().map(Found::At);
    }
    if let Some(wait) = with_units(rest) {
        return Some(Found::Wait(wait));
    }
    let after = rest[end..].chars().next();
    if after.is_some_and(|c| c.is_ascii_alphabetic() || c == ':') {
        return None;
    }
    let seconds = match bare {
        Bare::Seconds => number,
        Bare::Milliseconds => number / 1000.0,
        Bare::Nothing => return None,
    };
    positive(seconds).map(Found::Wait)
}

fn positive(seconds: f64) -> Option<SignedDuration> {
    (seconds > 0.0).then(|| SignedDuration::try_from_secs_f64(seconds).ok()).flatten()
}

/// Parses a duration such as "11.054s", "1h 20m" or "2 days 3 hours".
fn with_units(mut rest: &str) -> Option<SignedDuration> {
    let mut total = 0.0;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..number_end].trim_end_matches('.').parse::<f64>() else { break };
        let unit = rest[number_end..].trim_start();
        let unit_end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let seconds = match unit[..unit_end].to_ascii_lowercase().as_str() {
            "ms" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => break,
        };
        total += number * seconds;
        rest = &unit[unit_end..];
    }
    positive(total)
}

impl Clock {
    /// Parses a time such as "3pm (Europe/Berlin)", "15:04 UTC", "Nov 25th, 2026 3:04 PM", "Oct 9 at 5am (UTC)", "Monday 9am".
    fn read(rest: &str) -> Option<Self> {
        let mut clock = Self::default();
        let mut words = rest.split([' ', ',', '\u{202f}']).filter(|word| !word.is_empty()).take(8).peekable();
        while let Some(word) = words.next() {
            let bare = word.trim_end_matches(['.', ';', '!', '"', '\'', '}', ')']);
            let bare = bare.trim_start_matches('(');
            if clock.time.is_some() {
                clock.zone = zone(bare);
                break;
            }
            let next = words.peek().map(|next| next.trim_end_matches(['.', ';', '!', ',', '"']));
            if let Some((time, took_next)) = time_of_day(bare, next) {
                clock.time = Some(time);
                if took_next {
                    words.next();
                }
            } else if !clock.take_date(bare)
                && !["at", "on", "next", "the"].contains(&bare.to_ascii_lowercase().as_str())
            {
                break;
            }
        }
        clock.time.is_some().then_some(clock)
    }

    /// Takes one word of a date. Returns `false` if it is none.
    fn take_date(&mut self, word: &str) -> bool {
        let front = word.get(..3).map(str::to_ascii_lowercase);
        let front = front.filter(|_| word.chars().all(|c| c.is_ascii_alphabetic()));
        if let Some(month) = front.as_deref().and_then(|front| MONTHS.iter().position(|month| *month == front)) {
            self.month = i8::try_from(month + 1).ok();
            return self.month.is_some();
        }
        let weekday = front.as_deref().and_then(|front| WEEKDAYS.iter().find(|(name, _)| *name == front));
        if let Some((_, weekday)) = weekday {
            self.weekday = Some(*weekday);
            return true;
        }
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: Option<i16> = digits.parse().ok();
        match number {
            Some(year @ 2000..=9999) if digits == word => self.year = Some(year),
            Some(day @ 1..=31) if self.month.is_some() && self.day.is_none() => self.day = i8::try_from(day).ok(),
            Some(_) | None => return false,
        }
        true
    }

    /// Returns the first such time that is not past.
    fn after(self, now: Timestamp, local: &TimeZone) -> Option<Timestamp> {
        let (time, zone) = (self.time?, self.zone.unwrap_or_else(|| local.clone()));
        let today = now.to_zoned(zone.clone()).date();
        let at = |date: Date| date.to_datetime(time).to_zoned(zone.clone()).ok().map(|at| at.timestamp());
        let is_past = |at: Timestamp| at <= now;
        let just_now = |at: Timestamp| is_past(at) && now.duration_since(at) < JUST_NOW;
        let soon = || now.checked_add(SOON).ok();
        if let (Some(month), Some(day)) = (self.month, self.day) {
            let in_year = |year: i16| at(Date::new(year, month, day).ok()?);
            return match self.year {
                Some(year) => in_year(year),
                None => match in_year(today.year())? {
                    this_year if just_now(this_year) => soon(),
                    this_year if is_past(this_year) => in_year(today.year() + 1),
                    this_year => Some(this_year),
                },
            };
        }
        let mut date = today;
        for _ in 0..8 {
            let fits = self.weekday.is_none_or(|weekday| date.weekday() == weekday);
            match at(date)? {
                at if fits && just_now(at) => return soon(),
                at if fits && !is_past(at) => return Some(at),
                _ => date = date.checked_add(1.day()).ok()?,
            }
        }
        None
    }
}

/// Parses "3pm", "3:04" and "PM", or "15:04". Returns also whether the next word was a part of it.
fn time_of_day(word: &str, next: Option<&str>) -> Option<(Time, bool)> {
    let digits_end = word.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(word.len());
    let (digits, own) = word.split_at(digits_end);
    let half = |word: &str| match word.to_ascii_lowercase().replace('.', "").as_str() {
        "am" => Some(0),
        "pm" => Some(12),
        _ => None,
    };
    let (half, took_next) = match (half(own), next.and_then(half)) {
        (Some(half), _) => (Some(half), false),
        (None, Some(half)) if own.is_empty() => (Some(half), true),
        (None, _) if own.is_empty() => (None, false),
        (None, _) => return None,
    };
    let mut parts = digits.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next().map_or(Some(0), |part| part), parts.next());
    let is_clock = half.is_some() || digits.contains(':');
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    let time = Time::new(hour, minute?, second.flatten().unwrap_or(0), 0).ok().filter(|_| is_clock)?;
    Some((time, took_next))
}

fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "UTC" | "GMT" | "Z" => Some(TimeZone::UTC),
        _ if name.contains('/') => TimeZone::get(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a text that was printed at noon of 22 November 2026 (a Sunday) in New York, which is 17:00 UTC.
    fn parsed(text: &str) -> Option<String> {
        let now = "2026-11-22T17:00:00Z".parse().expect("a time");
        reset_in(text, now, &TimeZone::get("America/New_York").expect("a zone")).map(|at| at.to_string())
    }

    #[test]
    fn every_way_to_say_when_a_limit_ends_is_read() {
        let table = [
            ("You've hit your session limit · resets 6:40pm (UTC)", "2026-11-22T18:40:00Z"),
            ("You've hit your limit · resets 3pm (Europe/Berlin)", "2026-11-23T14:00:00Z"),
            ("You've hit your weekly limit · resets Nov 25, 5am (Europe/Berlin)", "2026-11-25T04:00:00Z"),
            ("weekly limit reached ∙ resets Jan 2 at 9am (Asia/Tokyo)", "2027-01-02T00:00:00Z"),
            ("visit https://chatgpt.com/settings/usage or try again at 3:04 PM.", "2026-11-22T20:04:00Z"),
            ("You’ve hit your usage limit. Try again at Nov 25th, 2026 8:28 AM.", "2026-11-25T13:28:00Z"),
            ("try again at 8:28 AM", "2026-11-23T13:28:00Z"),
            ("resets at 15:04 UTC", "2026-11-23T15:04:00Z"),
            ("your limit resets Monday 9am", "2026-11-23T14:00:00Z"),
            ("Claude AI usage limit reached|1795374000", "2026-11-22T19:00:00Z"),
            ("{\"error\":{\"resets_at\":1795374000}}", "2026-11-22T19:00:00Z"),
            ("429 Too Many Requests (retry-after: 3600)", "2026-11-22T18:00:00Z"),
            ("{\"retry_after\": 90.5}", "2026-11-22T17:01:30.5Z"),
            ("retry-after-ms: 1500", "2026-11-22T17:00:01.5Z"),
            ("Retry-After: Sun, 22 Nov 2026 19:28:00 GMT", "2026-11-22T19:28:00Z"),
            ("quota will reset after 5h12m", "2026-11-22T22:12:00Z"),
            ("Please try again in 11.054s. Visit …", "2026-11-22T17:00:11.054Z"),
            ("resets in 2 days 3 hours", "2026-11-24T20:00:00Z"),
            ("available again at 2026-11-22T18:30:00Z.", "2026-11-22T18:30:00Z"),
            ("limited until 2026-11-22 18:30:00 UTC", "2026-11-22T18:30:00Z"),
        ];
        for (text, at) in table {
            assert_eq!(parsed(text).as_deref(), Some(at), "{text}");
        }
    }

    #[test]
    fn a_text_without_a_time_has_no_reset() {
        for text in [
            "try again in a moment",
            "try again later",
            "rate limit exceeded",
            "the connection was reset",
            "connection reset by peer (os error 104)",
            "available models: 3",
            "retry after the 2 tests pass",
            "until 99:99",
            "resets 13pm",
            "",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn a_minute_that_has_just_begun_is_now_and_not_tomorrow() {
        assert_eq!(parsed("try again at 11:59 AM").as_deref(), Some("2026-11-22T17:01:00Z"));
        assert_eq!(parsed("try again at 11:50 AM").as_deref(), Some("2026-11-23T16:50:00Z"));
    }

    #[test]
    fn a_wait_is_found_in_words() {
        assert_eq!(wait_in("Please try again in 11.054s. Visit …"), Some(SignedDuration::from_millis(11_054)));
        assert_eq!(wait_in("try again in 1h 20m"), Some(SignedDuration::from_mins(80)));
        assert_eq!(wait_in("try again in 2 days 3 hours."), Some(SignedDuration::from_hours(51)));
        assert_eq!(wait_in("try again in a moment"), None);
        assert_eq!(wait_in("try again at 8:28 AM"), None);
    }
}
