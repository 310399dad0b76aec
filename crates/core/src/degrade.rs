//! Which cheaper model takes the work of a dear one where money is short. PURE. It goes by rungs, whatever the settings call
//! their models: those of the two highest give way to one of the middle one, as the budget tracker of the aidevops supervisor
//! has it. What a task needs is never given up for it.

use super::agent_model::{Named, Reach};
use super::catalog::{Model, Tier};
use super::money::Usd;
use super::resolve::{Needs, Reference, Resolver, Selection, needs_of, parse};

/// The rung that the work of a dear model goes down to.
const LOWER: Tier = Tier::Sonnet;
/// So many aliases are followed to what an asked model needs.
const ALIASES: usize = 8;
/// Prices are those of a million tokens, limits those of a thousand.
const THOUSANDS: i64 = 1000;

/// A model that would be asked for while money is short.
#[derive(Debug, Clone, Copy)]
pub struct Dear<'a> {
    /// What its agent's program can have.
    pub reach: Reach<'a>,
    /// The models as they stand for that agent.
    pub resolver: Resolver<'a>,
    /// What the task needs.
    pub needs: &'a Needs,
    /// The model, as it is asked for.
    pub asked: &'a str,
    /// `model_map` of the agent for complex, medium and simple tasks.
    pub mapped: [Option<&'a str>; 3],
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It is not dear, or nobody knows that it is.
    Same,
    /// It is dear and stays: why.
    Kept(String),
    /// Another takes its place.
    Cheaper {
        /// As the program is given it.
        name: String,
        /// `claude-sonnet-5 (tier sonnet) instead of opus (anthropic/claude-opus-5, tier opus)`.
        told: String,
    },
}

/// What stands for the dear one while another is looked for.
struct Height<'m> {
    tier: Option<Tier>,
    price: Option<Usd>,
    model: Option<&'m Model>,
}

impl Dear<'_> {
    /// What becomes of it.
    pub fn way(&self) -> Way {
        let Ok(named) = self.reach.name(self.resolver, self.asked, self.needs) else { return Way::Same };
        let model = self.model(&named);
        let height = Height {
            tier: model.and_then(|model| model.facts().tier),
            price: model.and_then(Model::average_price),
            model,
        };
        match height.tier {
            Some(Tier::Opus | Tier::Pro) => self.down_from(&height),
            Some(Tier::Haiku | Tier::Flash | Tier::Sonnet) => Way::Same,
            None => self.as_mapped(&height),
        }
    }

    /// `provider/model` of what is asked for, where the catalog has it.
    pub fn full_name(&self) -> Option<String> {
        let named = self.reach.name(self.resolver, self.asked, self.needs).ok()?;
        Some(named.model.map_or(named.name, |model| model.to_string()))
    }

    fn down_from(&self, dear: &Height<'_>) -> Way {
        let needs = self.needs.and(&self.needs_of_asked());
        let of_tier = |model: &Model| model.facts().tier == Some(LOWER) && dear.is_above(model);
        let of_any = |model: &Model| model.facts().tier < dear.tier && dear.is_known_above(model);
        let found = self
            .mapped_below(&needs, &of_tier)
            .or_else(|| self.of_lower_tier(&needs, dear))
            .or_else(|| self.mapped_below(&needs, &of_any));
        if let Some(found) = found {
            let told = self.told(&found.name, self.model(&found), dear);
            return Way::Cheaper { name: found.name, told };
        }
        let without_needs = self.of_lower_tier(&Needs::default(), dear);
        let lacks = without_needs.and_then(|found| Some((found.name.clone(), needs.lacking(self.model(&found)?)?)));
        Way::Kept(match lacks {
            Some((name, lacks)) => format!("{name} {lacks}"),
            None => format!("{} has no cheaper model of tier {LOWER}", self.reach.agent),
        })
    }

    /// A model on no known rung: that of complex tasks gives way to that of medium ones, by the person's own words.
    fn as_mapped(&self, dear: &Height<'_>) -> Way {
        let [complex, medium, _] = self.mapped;
        let Some(medium) = medium.filter(|medium| complex == Some(self.asked) && *medium != self.asked) else {
            return Way::Same;
        };
        let needs = self.needs.and(&self.needs_of_asked());
        match self.reach.name(self.resolver, medium, &needs) {
            Ok(_) => Way::Cheaper { name: medium.to_owned(), told: self.told(medium, None, dear) },
            Err(misfit) => Way::Kept(misfit.reason),
        }
    }

    /// The model of `model_map` for less hard tasks that fits.
    fn mapped_below(&self, needs: &Needs, fits: &dyn Fn(&Model) -> bool) -> Option<Named> {
        let [_, medium, simple] = self.mapped;
        let named = [medium, simple].into_iter().flatten();
        let mut found = named.filter_map(|name| self.reach.name(self.resolver, name, needs).ok());
        found.find(|named| self.model(named).is_some_and(fits))
    }

    /// The best model of the lower tier that costs less. At a server of which nothing is known, only the person knows names.
    fn of_lower_tier(&self, needs: &Needs, dear: &Height<'_>) -> Option<Named> {
        if self.reach.is_elsewhere {
            return None;
        }
        let below = dear.price.map(|price| Usd::from_micros((price.micros() - 1).max(0) / THOUSANDS));
        let own = self.resolver.selection;
        let limit = below.into_iter().chain(own.max_cost_per_1k_tokens).min();
        let selection = Selection { max_cost_per_1k_tokens: limit, ..own.clone() };
        let resolver = Resolver { selection: &selection, ..self.resolver };
        let named = self.reach.name(resolver, &format!("tier:{LOWER}"), needs).ok()?;
        let fits = self.model(&named).is_some_and(|model| model.facts().tier == Some(LOWER) && dear.is_above(model));
        fits.then_some(named)
    }

    fn told(&self, name: &str, model: Option<&Model>, dear: &Height<'_>) -> String {
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

    /// What the tag needs that is asked for, behind aliases of the person's as well.
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

impl Height<'_> {
    /// It costs more than that one, as far as anybody knows.
    fn is_above(&self, other: &Model) -> bool {
        self.price.zip(other.average_price()).is_none_or(|(own, its)| its < own)
    }

    /// It is known to cost more.
    fn is_known_above(&self, other: &Model) -> bool {
        self.price.zip(other.average_price()).is_some_and(|(own, its)| its < own)
    }
}

#[cfg(test)]
mod tests;
