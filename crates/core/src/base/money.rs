//! Money: integer micro-dollars inside, decimal dollars on the surface.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// An amount in millionths of a US dollar. An unknown amount is `Option::None`, never zero.
///
/// Serialized as a decimal number of dollars (`0.41`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(i64);

impl Usd {
    /// Zero dollars.
    pub const ZERO: Self = Self(0);

    /// Creates an amount from millionths of a dollar.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the amount in millionths of a dollar.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Converts dollars, rounded to the nearest millionth; `None` for NaN and amounts out of range.
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let micros = (dollars * 1e6).round();
        (micros.is_finite() && micros.abs() < 9e18).then_some(Self(micros as i64))
    }

    /// Renders the amount with all its digits (`$0.00003`), for limits on tiny amounts.
    pub fn exactly(self) -> String {
        format!("${}", self.dollars())
    }

    /// Converts to dollars, for interfaces without exact decimals.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    /// `$0.41`; amounts under a cent keep four digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents_or_more = self.0.abs() >= 10_000 || self.0 == 0;
        write!(f, "${:.*}", if cents_or_more { 2 } else { 4 }, self.dollars())
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "description": "US dollars." })
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Self::from_dollars(dollars).ok_or_else(|| serde::de::Error::custom("amount of dollars out of range"))
    }
}

/// The total cost of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spend {
    /// The sum of the known costs.
    pub known: Usd,
    /// The number of runs.
    pub runs: u64,
    /// The number of runs without a price; `known` is too low by their cost.
    pub unpriced: u64,
}

impl Spend {
    /// Adds a run.
    pub fn add(&mut self, cost: Option<Usd>) {
        self.runs += 1;
        self.unpriced += u64::from(cost.is_none());
        self.known = self.known + cost.unwrap_or_default();
    }

    /// Returns the sum; `None` if there were runs and none of them had a price.
    pub fn sum(&self) -> Option<Usd> {
        (self.runs == 0 || self.unpriced < self.runs).then_some(self.known)
    }
}

/// Dollars proposed as a new limit where the limit was 0.
const FIRST_LIMIT: f64 = 10.0;

/// Rounds a proposed limit in dollars up to whole cents; a default where nothing was allowed.
pub fn proposed_limit(dollars: f64) -> f64 {
    if dollars > 0.0 { (dollars * 100.0).ceil() / 100.0 } else { FIRST_LIMIT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_where_floats_are_not() {
        let tenth = Usd::from_dollars(0.1).expect("in range");
        assert_eq!((0..10).map(|_| tenth).sum::<Usd>(), Usd::from_dollars(1.0).expect("in range"));
        assert_eq!(Usd::from_dollars(f64::NAN), None);
    }

    #[test]
    fn small_amounts_stay_visible() {
        assert_eq!(Usd::from_micros(402).to_string(), "$0.0004");
        assert_eq!(Usd::from_micros(410_000).to_string(), "$0.41");
        assert_eq!(Usd::ZERO.to_string(), "$0.00");
    }
}
