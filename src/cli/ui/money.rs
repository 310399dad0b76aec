//! Sums of money as a person reads them. PURE.

use orch_core::money::Usd;

/// A sum of what is known: `$1.50`, `$1.50+` where some told no price, `?` where none did.
pub fn sum(known: Option<Usd>, unpriced: u64) -> String {
    match known {
        Some(sum) if unpriced > 0 => format!("{sum}+"),
        Some(sum) => sum.to_string(),
        None => "?".to_owned(),
    }
}
