//! What the scripted agent claims to cost. Made up, so that there is something to add up: nobody is paid. The prices
//! stand in `docs/how-to/demo.md`, and a test compares.

use orch_core::money::Usd;

/// The price of a model. One dollar for a million tokens is one millionth of a dollar for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// The model.
    pub name: &'static str,
    /// Dollars for a million tokens read. What was read before in the same conversation costs a tenth.
    pub input: u64,
    /// Dollars for a million tokens written.
    pub output: u64,
}

/// The models that there are; any other name costs as much as the one in the middle.
pub const MODELS: [Price; 3] = [
    Price { name: "scripted-small", input: 1, output: 5 },
    Price { name: "scripted-medium", input: 3, output: 15 },
    Price { name: "scripted-large", input: 15, output: 75 },
];

/// Tokens of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tokens {
    /// Read for the first time.
    pub input: u64,
    /// Read again.
    pub cached: u64,
    /// Written.
    pub output: u64,
}

impl Tokens {
    /// The tokens of a text: four bytes each.
    pub(super) fn of(text: &str) -> u64 {
        (text.len() as u64).div_ceil(4)
    }

    /// What they cost, rounded to the nearest millionth of a dollar.
    pub(super) fn cost(&self, model: &str) -> Usd {
        let price = MODELS.iter().find(|price| price.name == model).unwrap_or(&MODELS[1]);
        let tenths = (self.input * 10 + self.cached) * price.input + self.output * 10 * price.output;
        Usd::from_micros(i64::try_from(tenths.saturating_add(5) / 10).unwrap_or(i64::MAX))
    }
}
