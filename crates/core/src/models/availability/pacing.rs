//! When a provider says that it answers again. Each provider has its own headers for that, as durations or as times by
//! its own clock, which may be wrong: a time is taken relative to the answer's `date`.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The headers that are read, in lower case.
pub const HEADERS: [&str; 19] = [
    "date",
    "retry-after",
    "retry-after-ms",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-tokens-reset",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-unified-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "ratelimit-reset",
];

/// The longest wait that is believed.
const MAX_SPAN: SignedDuration = SignedDuration::from_hours(31 * 24);
/// Numbers from here on are seconds since 1970, and numbers a thousand times as large milliseconds.
const EPOCH_SECONDS: f64 = 1e9;
const EPOCH_MILLIS: f64 = 1e12;

type Headers = BTreeMap<String, String>;

/// Returns how far the provider's clock is ahead; `None` if it does not send its time.
pub fn skew(headers: &Headers, now: Timestamp) -> Option<SignedDuration> {
    Some(date(headers.get("date")?)?.duration_since(now))
}

/// Returns when the provider wants to be asked again, by the general header.
pub fn retry_after(headers: &Headers, now: Timestamp) -> Option<Timestamp> {
    let theirs = provider_time(headers, now);
    let millis = headers.get("retry-after-ms").and_then(|text| seconds(text, 1e-3));
    let span = millis.or_else(|| {
        let text = headers.get("retry-after")?;
        seconds(text, 1.0).or_else(|| Some(date(text)?.duration_since(theirs)))
    });
    capped(span?, now)
}

/// Returns when the limit ends: by the general header, else by the provider's own headers. Of those the last end of a
/// used-up limit counts; if none is said to be used up, the first end of any.
pub fn reset(headers: &Headers, now: Timestamp) -> Option<Timestamp> {
    if let Some(at) = retry_after(headers, now) {
        return Some(at);
    }
    let theirs = provider_time(headers, now);
    let resets = HEADERS.iter().filter(|name| name.contains("-reset")).filter_map(|name| {
        let at = capped(until_reset(headers.get(*name)?, theirs)?, now)?;
        let left = headers.get(&name.replace("-reset", "-remaining")).and_then(|text| text.trim().parse::<f64>().ok());
        Some((at, left == Some(0.0)))
    });
    let resets: Vec<(Timestamp, bool)> = resets.collect();
    let used_up = resets.iter().filter(|(_, used_up)| *used_up).map(|(at, _)| *at).max();
    used_up.or_else(|| resets.iter().map(|(at, _)| *at).min())
}

fn provider_time(headers: &Headers, now: Timestamp) -> Timestamp {
    headers.get("date").and_then(|text| date(text)).unwrap_or(now)
}

fn capped(span: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    let span = Some(span).filter(|span| span.is_positive())?.min(MAX_SPAN);
    now.saturating_add(span).ok()
}

/// Parses a duration, a time by the provider's clock, or seconds since 1970.
fn until_reset(text: &str, theirs: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.duration_since(theirs));
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    match number {
        Some(millis) if millis >= EPOCH_MILLIS => since_epoch(millis / 1e3, theirs),
        Some(seconds) if seconds >= EPOCH_SECONDS => since_epoch(seconds, theirs),
        Some(_) => seconds(text, 1.0),
        None => span(text),
    }
}

fn since_epoch(seconds: f64, theirs: Timestamp) -> Option<SignedDuration> {
    let at = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()?;
    Some(at.duration_since(theirs))
}

fn seconds(text: &str, unit: f64) -> Option<SignedDuration> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)?;
    Some(SignedDuration::try_from_secs_f64(number * unit).unwrap_or(SignedDuration::MAX))
}

/// Parses an HTTP date.
fn date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text.trim()).ok().map(|at| at.timestamp())
}

/// Parses a duration in Go's notation: `6m0s`, `1.5s`, `20ms`.
fn span(text: &str) -> Option<SignedDuration> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    let is_span = !text.is_empty() && f64::is_finite(sum);
    is_span.then(|| SignedDuration::try_from_secs_f64(sum).unwrap_or(SignedDuration::MAX))
}
