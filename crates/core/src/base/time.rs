//! Times for display.

use jiff::{Timestamp, Unit};

/// Rounds a time to the second for display.
pub fn to_the_second(at: Timestamp) -> Timestamp {
    // Only the last representable second cannot be rounded.
    at.round(Unit::Second).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_no_parts_of_a_second() {
        let at: Timestamp = "2026-03-01T12:00:00.123456789Z".parse().expect("a time");
        assert_eq!(to_the_second(at).to_string(), "2026-03-01T12:00:00Z");
        assert_eq!(to_the_second(Timestamp::MAX), Timestamp::MAX);
    }
}
