//! Parses amounts of money as people type them. PURE.

use orch_core::base::money::Usd;

/// Parses an amount of US dollars; a negative one is refused.
pub fn usd(text: &str) -> Result<Usd, String> {
    let plain = text.strip_prefix('$').unwrap_or(text);
    let amount = plain.parse::<f64>().ok().filter(|dollars| *dollars >= 0.0).and_then(Usd::from_dollars);
    amount.ok_or_else(|| "expected an amount of US dollars such as 10 or 2.50".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_what_can_be_paid() {
        assert_eq!(usd("10"), Ok(Usd::from_micros(10_000_000)));
        assert_eq!(usd("$2.50"), Ok(Usd::from_micros(2_500_000)));
        assert_eq!(usd("$0.41"), Ok(Usd::from_micros(410_000)));
        assert_eq!(usd("0"), Ok(Usd::ZERO), "what was free was free");
        for wrong in ["-3", "nan", "NaN", "inf", "-inf", "1e300", "1e30", "2,50", "much", ""] {
            assert!(usd(wrong).is_err(), "{wrong}");
        }
    }
}
