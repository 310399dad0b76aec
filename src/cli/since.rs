//! A time as a person says it: how long ago, or when. PURE.

use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;

/// A time: how long ago, or when.
#[derive(Debug, Clone, Copy)]
pub enum Since {
    /// So long ago.
    Ago(SignedDuration),
    /// Then.
    At(Timestamp),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        match text.parse::<SignedDuration>() {
            Ok(ago) if !ago.is_negative() => Ok(Self::Ago(ago)),
            Ok(_) | Err(_) => Err("expected how long ago (10m, 2h 30m) or a time (2026-08-01T12:00:00Z)".to_owned()),
        }
    }
}

impl Since {
    /// The time meant.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.saturating_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_said_in_two_ways() {
        let now: Timestamp = "2026-08-01T12:00:00Z".parse().expect("a time");
        let at = |text: &str| text.parse::<Since>().map(|since| since.at(now).to_string());
        assert_eq!(at("10m").as_deref(), Ok("2026-08-01T11:50:00Z"));
        assert_eq!(at("1h 30m").as_deref(), Ok("2026-08-01T10:30:00Z"));
        assert_eq!(at("2026-07-31T00:00:00Z").as_deref(), Ok("2026-07-31T00:00:00Z"));
        assert!(at("soon").is_err() && at("-5m").is_err());
    }
}
