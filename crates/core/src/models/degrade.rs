//! Which cheaper model replaces an expensive one when money is short. PURE. Decided by tiers, whatever names the
//! settings use: the two highest tiers are replaced by the middle one, as in the budget tracker of the aidevops
//! supervisor. A task's needs are always met.

use super::agent_model::{Named, Reach};
use super::catalog::{Model, Tier};
use super::resolve::{Needs, Reference, Resolver, Selection, needs_of, parse};
use crate::base::money::Usd;

/// The tier that replaces an expensive one.
const CHEAPER_TIER: Tier = Tier::Sonnet;
/// The most aliases followed to find what the requested model needs.
const ALIASES: usize = 8;
/// Tokens per unit of a price (a million), in units of a limit (a thousand).
const THOUSANDS: i64 = 1000;

/// A model requested while money is short.
#[derive(Debug, Clone, Copy)]
pub struct ExpensiveModel<'a> {
    /// The models that its agent's program can use.
    pub reach: Reach<'a>,
    /// The resolver for that agent.
    pub resolver: Resolver<'a>,
    /// The needs of the task.
    pub needs: &'a Needs,
    /// The requested model.
    pub asked: &'a str,
    /// The agent's `model_map` for complex, medium and simple tasks.
    pub mapped: [Option<&'a str>; 3],
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// The model is not expensive, or not known to be.
    Same,
    /// The model is expensive and is kept, with the reason.
    Kept(String),
    /// A cheaper model replaces it.
    Cheaper {
        /// The name passed to the program.
        name: String,
        /// The reason: `claude-sonnet-5 (tier sonnet) instead of opus (anthropic/claude-opus-5, tier opus)`.
        description: String,
    },
}

/// What is known of the expensive model.
struct Baseline<'m> {
    tier: Option<Tier>,
    price: Option<Usd>,
    model: Option<&'m Model>,
}

impl ExpensiveModel<'_> {
    /// Decides whether a cheaper model replaces this one.
    pub fn replacement(&self) -> Replacement {
        let Ok(named) = self.reach.name(self.resolver, self.asked, self.needs) else { return Replacement::Same };
        let model = self.model(&named);
        let height = Baseline {
            tier: model.and_then(|model| model.facts().tier),
            price: model.and_then(Model::average_price),
            model,
        };
        match height.tier {
            Some(Tier::Opus | Tier::Pro) => self.down_from(&height),
            Some(Tier::Haiku | Tier::Flash | Tier::Sonnet) => Replacement::Same,
            None => self.as_mapped(&height),
        }
    }

    /// Returns `provider/model` of the requested model, if the catalog has it.
    pub fn full_name(&self) -> Option<String> {
        let named = self.reach.name(self.resolver, self.asked, self.needs).ok()?;
        Some(named.model.map_or(named.name, |model| model.to_string()))
    }

    fn down_from(&self, dear: &Baseline<'_>) -> Replacement {
        let needs = self.needs.and(&self.needs_of_asked());
        let of_tier = |model: &Model| model.facts().tier == Some(CHEAPER_TIER) && dear.is_above(model);
        let of_any = |model: &Model| model.facts().tier < dear.tier && dear.is_known_above(model);
        let found = self
            .mapped_below(&needs, &of_tier)
            .or_else(|| self.of_lower_tier(&needs, dear))
            .or_else(|| self.mapped_below(&needs, &of_any));
        if let Some(found) = found {
            let description = self.describe(&found.name, self.model(&found), dear);
            return Replacement::Cheaper { name: found.name, description };
        }
        let without_needs = self.of_lower_tier(&Needs::default(), dear);
        let lacks = without_needs.and_then(|found| Some((found.name.clone(), needs.missing(self.model(&found)?)?)));
        Replacement::Kept(match lacks {
            Some((name, lacks)) => format!("{name} {lacks}"),
            None => format!("{} has no cheaper model of tier {CHEAPER_TIER}", self.reach.agent),
        })
    }

    /// Replaces a model without a known tier: the one for complex tasks by the one for medium tasks, as mapped by the
    /// person.
    fn as_mapped(&self, dear: &Baseline<'_>) -> Replacement {
        let [complex, medium, _] = self.mapped;
        let Some(medium) = medium.filter(|medium| complex == Some(self.asked) && *medium != self.asked) else {
            return Replacement::Same;
        };
        let needs = self.needs.and(&self.needs_of_asked());
        match self.reach.name(self.resolver, medium, &needs) {
            Ok(_) => Replacement::Cheaper { name: medium.to_owned(), description: self.describe(medium, None, dear) },
            Err(misfit) => Replacement::Kept(misfit.reason),
        }
    }

    /// Returns the model of `model_map` for easier tasks that fits.
    fn mapped_below(&self, needs: &Needs, fits: &dyn Fn(&Model) -> bool) -> Option<Named> {
        let [_, medium, simple] = self.mapped;
        let named = [medium, simple].into_iter().flatten();
        let mut found = named.filter_map(|name| self.reach.name(self.resolver, name, needs).ok());
        found.find(|named| self.model(named).is_some_and(fits))
    }

    /// Returns the best model of the cheaper tier that costs less. For an unknown server only the person knows model
    /// names.
    fn of_lower_tier(&self, needs: &Needs, dear: &Baseline<'_>) -> Option<Named> {
        if self.reach.is_elsewhere {
            return None;
        }
        let below = dear.price.map(|price| Usd::from_micros((price.micros() - 1).max(0) / THOUSANDS));
        let own = self.resolver.selection;
        let limit = below.into_iter().chain(own.max_cost_per_1k_tokens).min();
        let selection = Selection { max_cost_per_1k_tokens: limit, ..own.clone() };
        let resolver = Resolver { selection: &selection, ..self.resolver };
        let named = self.reach.name(resolver, &format!("tier:{CHEAPER_TIER}"), needs).ok()?;
        let fits =
            self.model(&named).is_some_and(|model| model.facts().tier == Some(CHEAPER_TIER) && dear.is_above(model));
        fits.then_some(named)
    }

    fn describe(&self, name: &str, model: Option<&Model>, dear: &Baseline<'_>) -> String {
        let tier = |tier: Option<Tier>| tier.map(|tier| format!("tier {tier}"));
        let about =
            |parts: Vec<String>| if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        let id = dear.model.map(|model| model.id.to_string()).filter(|id| id != self.asked);
        let new = about(tier(model.and_then(|model| model.facts().tier)).into_iter().collect());
        let old = about(id.into_iter().chain(tier(dear.tier)).collect());
        format!("{name}{new} instead of {}{old}", self.asked)
    }

    fn model(&self, named: &Named) -> Option<&Model> {
        self.resolver.catalog.model(named.model.as_ref()?)
    }

    /// Returns the needs of the requested tag, followed through the person's aliases.
    fn needs_of_asked(&self) -> Needs {
        let mut reference = self.asked.to_owned();
        for _ in 0..ALIASES {
            match parse(&reference) {
                Ok(Reference::Tag(tag)) => return needs_of(Some(tag)),
                Ok(Reference::Name(name)) => match self.resolver.catalog.own_alias(&name) {
                    Some(alias) => reference.clone_from(&alias.target),
                    None => break,
                },
                Ok(Reference::Tier(_) | Reference::Explicit { .. }) | Err(_) => break,
            }
        }
        Needs::default()
    }
}

impl Baseline<'_> {
    /// Returns whether it costs more than the other model, or a price is unknown.
    fn is_above(&self, other: &Model) -> bool {
        self.price.zip(other.average_price()).is_none_or(|(own, its)| its < own)
    }

    /// Returns whether it is known to cost more.
    fn is_known_above(&self, other: &Model) -> bool {
        self.price.zip(other.average_price()).is_some_and(|(own, its)| its < own)
    }
}

#[cfg(test)]
mod tests;
