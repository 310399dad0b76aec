//! Renders amounts of money. PURE.

use orch_core::base::money::Usd;

/// Renders a sum of known prices: `$1.50`, `$1.50+` if some are unknown, `?` if all are.
pub fn sum(known: Option<Usd>, unpriced: u64) -> String {
    match known {
        Some(sum) if unpriced > 0 => format!("{sum}+"),
        Some(sum) => sum.to_string(),
        None => "?".to_owned(),
    }
}
