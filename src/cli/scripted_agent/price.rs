//! The prices that the scripted agent claims. They are invented, so that there is something to add up.
//! `docs/how-to/demo.md` lists them, and a test compares.

use orch_core::base::money::Usd;

/// The price of a model. One dollar for a million tokens is one millionth of a dollar per token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// The model.
    pub name: &'static str,
    /// Dollars for a million input tokens. Cached ones cost a tenth.
    pub input: u64,
    /// Dollars for a million output tokens.
    pub output: u64,
}

/// The known models; any other name costs as much as the middle one.
pub const MODELS: [Price; 3] = [
    Price { name: "scripted-small", input: 1, output: 5 },
    Price { name: "scripted-medium", input: 3, output: 15 },
    Price { name: "scripted-large", input: 15, output: 75 },
];

/// Tokens of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tokens {
    /// Input tokens.
    pub input: u64,
    /// Cached input tokens.
    pub cached: u64,
    /// Output tokens.
    pub output: u64,
}

impl Tokens {
    /// Returns the tokens of a text: one for four bytes.
    pub(super) fn count(text: &str) -> u64 {
        (text.len() as u64).div_ceil(4)
    }

    /// Returns the cost, rounded to the nearest millionth of a dollar.
    pub(super) fn cost(&self, model: &str) -> Usd {
        let price = MODELS.iter().find(|price| price.name == model).unwrap_or(&MODELS[1]);
        let tenths = (self.input * 10 + self.cached) * price.input + self.output * 10 * price.output;
        Usd::from_micros(i64::try_from(tenths.saturating_add(5) / 10).unwrap_or(i64::MAX))
    }
}
