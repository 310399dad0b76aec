//! Renders times: how long ago, until when, in the person's time zone. PURE: the present time is an argument.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The present time, and the time zone.
#[derive(Debug, Clone)]
pub struct Now {
    /// The time.
    pub at: Timestamp,
    /// The person's time zone.
    pub zone: TimeZone,
}

impl Now {
    /// Renders the time since then: `3s`, `5m`, `2h`, `4d`. The future is `0s`.
    pub fn age(&self, since: Timestamp) -> String {
        short(self.at.duration_since(since))
    }

    /// Renders a time of day, with the date unless it is today: `17:03`, `2026-03-02 17:03`.
    pub fn local(&self, at: Timestamp) -> String {
        let (then, now) = (at.to_zoned(self.zone.clone()), self.at.to_zoned(self.zone.clone()));
        let format = if then.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        then.strftime(format).to_string()
    }

    /// Renders a future time: `17:03 (in 12m)`.
    pub fn until(&self, at: Timestamp) -> String {
        let left = at.duration_since(self.at);
        if left.is_positive() { format!("{} (in {})", self.local(at), short(left)) } else { self.local(at) }
    }

    /// Renders a past time: `17:03 (12m ago)`.
    pub fn past(&self, at: Timestamp) -> String {
        format!("{} ({} ago)", self.local(at), self.age(at))
    }

    /// Renders a time with seconds, for lines of a history.
    pub fn clock(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }
}

/// Renders a span in its largest unit.
pub fn short(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Renders a measured span: `0.4s`, `41s`, `3m 20s`.
pub fn took(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{}.{}s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        10_000..60_000 => format!("{}s", milliseconds / 1_000),
        _ => format!("{}m {}s", milliseconds / 60_000, milliseconds % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_reported_in_their_largest_unit() {
        for (seconds, expected) in
            [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (86_399, "23h"), (200_000, "2d")]
        {
            assert_eq!(short(SignedDuration::from_secs(seconds)), expected);
        }
        for (ms, expected) in [(40, "0.0s"), (1_250, "1.2s"), (41_000, "41s"), (200_000, "3m 20s")] {
            assert_eq!(took(ms), expected);
        }
    }

    #[test]
    fn times_are_reported_in_the_persons_zone_and_with_the_date_where_it_matters() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = Now { at: "2026-03-01T20:00:00Z".parse().expect("a time"), zone };
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(now.until(at("2026-03-01T20:12:30Z")), "22:12 (in 12m)");
        assert_eq!(now.until(at("2026-03-01T22:30:00Z")), "2026-03-02 00:30 (in 2h)");
        assert_eq!(now.until(at("2026-03-01T19:00:00Z")), "21:00");
        assert_eq!(now.past(at("2026-02-27T20:00:00Z")), "2026-02-27 22:00 (2d ago)");
        assert_eq!(now.clock(at("2026-03-01T20:12:30Z")), "22:12:30");
    }
}
