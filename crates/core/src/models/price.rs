//! The cost of tokens at the catalog's prices, for agents that report tokens and no cost. Pure. This is the only place
//! that converts tokens to dollars. Where a price or count is unknown, the cost is unknown and never 0.

use super::catalog::{Catalog, Facts, Model, ModelRef};
use crate::base::money::Usd;
use crate::tasks::outcome::{RunKind, Usage};

/// The prices per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prices {
    /// The price of input tokens.
    pub input: Option<Usd>,
    /// The price of input tokens from the provider's cache; `None`: that of other input, so that a cost is never too
    /// low.
    pub cached: Option<Usd>,
    /// The price of output tokens.
    pub output: Option<Usd>,
}

impl Prices {
    /// Returns the prices from the facts of a model.
    pub fn from_facts(facts: &Facts) -> Self {
        Self { input: facts.input_price, cached: facts.cached_price, output: facts.output_price }
    }

    /// Returns the cost of these tokens, rounded up to a micro-dollar. `None`: a price or a count is unknown.
    pub fn cost(self, tokens: Usage) -> Option<Usd> {
        let input = self.input?;
        // A cache price never exceeds the input price, even if someone has configured a lower one.
        let cached = self.cached.unwrap_or(input).min(input);
        let part = |price: Usd, count: u64| i128::from(price.micros()) * i128::from(count);
        let read = part(input, tokens.input?) + part(cached, tokens.cached.unwrap_or(0));
        let sum = read + part(self.output?, tokens.output?);
        i64::try_from((sum + 999_999) / 1_000_000).ok().map(Usd::from_micros)
    }
}

/// Returns the prices of a model by its known names, the best first. `provider` applies to names without one. `None`:
/// the catalog has a price for none of these names.
pub fn prices(catalog: &Catalog, provider: Option<&str>, names: &[&str]) -> Option<Prices> {
    let found = names.iter().filter_map(|name| model(catalog, provider, name));
    let prices = found.map(|model| Prices::from_facts(model.facts()));
    prices.into_iter().find(|prices| prices.input.is_some() && prices.output.is_some())
}

fn model<'a>(catalog: &'a Catalog, provider: Option<&str>, name: &str) -> Option<&'a Model> {
    let full = || catalog.model(&name.parse().ok()?);
    let own = || catalog.model(&ModelRef::new(provider?, name));
    let spelled = || {
        let (provider, name) = match name.split_once('/') {
            Some((provider, name)) => (Some(provider), name),
            None => (provider, name),
        };
        // Of models with similar spelling, none is used if their prices differ.
        let found = catalog.spelled(name, Some(provider?));
        let first = found.first().copied()?;
        found
            .iter()
            .all(|model| Prices::from_facts(model.facts()) == Prices::from_facts(first.facts()))
            .then_some(first)
    };
    full().or_else(own).or_else(spelled)
}

/// Returns a high estimate of a run's tokens before it starts; the reservation is compared with limits.
pub fn pessimistic(kind: RunKind) -> Usage {
    let (input, cached, output) = match kind {
        RunKind::Work => (200_000, 3_000_000, 50_000),
        RunKind::Review => (100_000, 500_000, 10_000),
        RunKind::Route => (20_000, 0, 2_000),
    };
    Usage { input: Some(input), output: Some(output), cached: Some(cached) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(dollars: f64) -> Option<Usd> {
        Usd::from_dollars(dollars)
    }

    fn tokens(input: u64, cached: u64, output: u64) -> Usage {
        Usage { input: Some(input), output: Some(output), cached: Some(cached) }
    }

    #[test]
    fn what_comes_from_the_cache_has_its_own_price_and_what_is_not_known_no_price_at_all() {
        let prices = Prices { input: usd(1.0), cached: usd(0.1), output: usd(5.0) };
        assert_eq!(prices.cost(tokens(600_000, 400_000, 1_000_000)), usd(5.64));
        let without = Prices { cached: None, ..prices };
        assert_eq!(without.cost(tokens(600_000, 400_000, 1_000_000)), usd(6.0), "never too low");
        assert!(prices.cost(tokens(1, 0, 0)).expect("known") > Usd::ZERO, "what is begun counts");
        let lowered = Prices { input: usd(0.0), ..prices };
        assert_eq!(lowered.cost(tokens(1_000_000, 1_000_000, 0)), usd(0.0));
        assert_eq!(prices.cost(Usage { input: None, ..tokens(1, 1, 1) }), None);
        assert_eq!(prices.cost(Usage { output: None, ..tokens(1, 1, 1) }), None);
        assert_eq!(Prices { output: None, ..prices }.cost(tokens(1, 1, 1)), None);
        assert_eq!(prices.cost(Usage::default()), None);
    }

    #[test]
    fn a_model_is_found_by_its_full_name_and_by_the_name_that_its_agent_gives_it() {
        let catalog = Catalog::built_in();
        let known = prices(&catalog, None, &["openai/gpt-5.5"]).expect("a price");
        assert_eq!((known.input, known.cached, known.output), (usd(5.0), usd(0.5), usd(30.0)));
        assert_eq!(prices(&catalog, Some("openai"), &["gpt-5.5"]), Some(known));
        assert_eq!(prices(&catalog, Some("openai"), &["of-nobody", "gpt-5.5"]), Some(known), "as it was asked for");
        assert_eq!(prices(&catalog, Some("openai"), &["of-nobody"]), None);
        assert_eq!(prices(&catalog, None, &["gpt-5.5"]), None, "without a provider it is anybody's");
        assert_eq!(prices(&catalog, Some("elsewhere"), &["gpt-5.5"]), None);
    }
}
