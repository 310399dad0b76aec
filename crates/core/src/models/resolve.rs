//! Resolves a reference to a model: the only place that picks one. Pure and deterministic: the catalog, provider
//! access, the person's preferences and history are arguments.
//!
//! Parse → providers → capabilities → score → check. A named model is searched at all providers; a tag or a tier
//! chooses among usable ones. Needs are checked on every path: a task with images never gets a model without vision,
//! and a capability that is only guessed from a name meets no need. `docs/explanation/which-model.md` explains it for
//! people.

mod error;
mod kinds;
mod rank;
mod reference;
mod score;
#[cfg(test)]
mod tests;

pub use error::{ResolveError, Trouble};
pub use kinds::{Alternative, Choice, Mode, Needs, Policy, Record, Records, Resolution, Selection};
pub use reference::{Reference, Tag, parse};
pub use score::{CODE_CONTEXT, DOCS_CONTEXT, FAST_CONTEXT, Score, Term, needs_of, score};

use super::catalog::{AliasOrigin, Catalog, Model, ModelRef, Tier};
use super::provider_access::ProviderAccess;
use crate::base::nearest::nearest;
use rank::Ranking;
use std::collections::BTreeMap;

/// An empty history.
static NOTHING: Records = Records { models: BTreeMap::new(), tiers: BTreeMap::new() };
/// The most suggestions of an error.
const SUGGESTIONS: usize = 20;
/// The most alternatives of a result.
const ALTERNATIVES: usize = 5;

/// Everything that a choice depends on.
#[derive(Debug, Clone, Copy)]
pub struct Resolver<'a> {
    /// The known models.
    pub catalog: &'a Catalog,
    /// The providers that can be used.
    pub usability: &'a ProviderAccess,
    /// The preferences of the person.
    pub selection: &'a Selection,
    /// The track records of models.
    pub records: &'a Records,
}

/// The references followed so far, for messages and for the detection of cycles.
type Chain = Vec<String>;

impl<'a> Resolver<'a> {
    /// Returns the model for a reference.
    ///
    /// # Errors
    /// Returns an error if the reference is unknown, or if its model does not meet the needs.
    pub fn resolve(&self, reference: &str, needs: &Needs) -> Result<Resolution<'a>, ResolveError> {
        let mut chain = vec![reference.trim().to_owned()];
        self.follow(&mut chain, needs).map_err(|cause| self.behind(chain, cause))
    }

    fn behind(&self, chain: Chain, cause: ResolveError) -> ResolveError {
        if chain.len() == 1 || matches!(cause, ResolveError::AliasCycle(_)) {
            return cause;
        }
        ResolveError::BehindAlias { chain, cause: Box::new(cause) }
    }

    fn follow(&self, chain: &mut Chain, needs: &Needs) -> Result<Resolution<'a>, ResolveError> {
        loop {
            let text = chain.last().cloned().unwrap_or_default();
            let target = match parse(&text)? {
                Reference::Tag(tag) => return self.by_tag(tag, chain, needs),
                Reference::Tier(tier) => return self.by_tier(tier, chain, needs),
                Reference::Explicit { provider, model } => match self.explicit(&text, &provider, &model)? {
                    Found::Model(model, choice, note) => return self.named(model, choice, note, chain, needs),
                    Found::Target(target) => target,
                },
                Reference::Name(name) => match self.by_name(&name)? {
                    Found::Model(model, choice, note) => return self.named(model, choice, note, chain, needs),
                    Found::Target(target) => target,
                },
            };
            push(chain, target)?;
        }
    }

    fn by_name(&self, name: &str) -> Result<Found<'a>, ResolveError> {
        if let Some(alias) = self.catalog.own_alias(name) {
            return Ok(Found::Target(alias.target.clone()));
        }
        if let Some(model) = self.spelled(name) {
            return Ok(Found::Model(model, Choice::Name, None));
        }
        if let Some(alias) = self.catalog.alias(name) {
            return Ok(Found::Target(alias.target.clone()));
        }
        self.retired(name, None).ok_or_else(|| ResolveError::UnknownModel {
            name: name.to_owned(),
            provider: None,
            suggestions: self.similar(name, None),
        })
    }

    fn explicit(&self, text: &str, provider: &str, model: &str) -> Result<Found<'a>, ResolveError> {
        let catalog = self.catalog;
        if let Some(found) = catalog.model(&ModelRef::new(provider, model)) {
            return Ok(Found::Model(found, Choice::Explicit, None));
        }
        let known = catalog.provider(provider).map(|provider| provider.id.as_str());
        let newest = |models: Vec<&'a Model>| models.into_iter().max_by_key(|model| (released(model), &model.id));
        let here = known.and_then(|id| newest(catalog.spelled(model, Some(id))));
        if let Some(found) = here.or_else(|| self.spelled(text)) {
            return Ok(Found::Model(found, Choice::Explicit, None));
        }
        let Some(known) = known else {
            return Err(self.no_provider(provider));
        };
        if let Some(alias) = catalog.alias(model)
            && alias.target.split_once('/').is_none_or(|(own, _)| own == known)
            && self.leads_to(&alias.target, known)
        {
            return Ok(Found::Target(alias.target.clone()));
        }
        self.retired(model, Some(known)).ok_or_else(|| ResolveError::UnknownModel {
            name: model.to_owned(),
            provider: Some(known.to_owned()),
            suggestions: self.similar(model, Some(known)),
        })
    }

    /// Whether the target of a built-in alias is at that provider. Built-in aliases have no cycles.
    fn leads_to(&self, target: &str, provider: &str) -> bool {
        match target.split_once('/') {
            Some((own, _)) => own == provider,
            None => self.catalog.alias(target).is_some_and(|next| self.leads_to(&next.target, provider)),
        }
    }

    /// Returns the model with that spelling: preferably of a usable provider, else of a preferred one, else the first.
    fn spelled(&self, name: &str) -> Option<&'a Model> {
        let catalog = self.catalog;
        let mut of_usable: Vec<&'a Model> = Vec::new();
        for provider in self.usability.providers() {
            of_usable.extend(catalog.spelled(name, Some(provider)));
        }
        let models = if of_usable.is_empty() { catalog.spelled(name, None) } else { of_usable };
        let preferred = |model: &Model| {
            let list = &self.selection.preferred_providers;
            list.iter().position(|name| *name == model.id.provider).unwrap_or(list.len())
        };
        models.into_iter().min_by(|a, b| {
            let key = |model: &Model| (preferred(model), catalog.rank(&model.id.provider));
            key(a).cmp(&key(b)).then_with(|| (released(b), &b.id).cmp(&(released(a), &a.id)))
        })
    }

    fn retired(&self, name: &str, provider: Option<&str>) -> Option<Found<'a>> {
        let retired = self.catalog.retired(name, provider)?;
        let model = self.catalog.model(&retired.successor.parse().ok()?)?;
        let note = format!("{} is an old name; {} has its place ({})", retired.name, model.id, retired.about);
        Some(Found::Model(model, Choice::Retired, Some(note)))
    }

    /// Returns a named model, from all providers, if it meets every need.
    fn named(
        &self,
        model: &'a Model,
        choice: Choice,
        note: Option<String>,
        chain: &Chain,
        needs: &Needs,
    ) -> Result<Resolution<'a>, ResolveError> {
        if let Some(lacks) = needs.missing(model) {
            let suggestions = self.capable(needs, true);
            return Err(ResolveError::Conflict { model: model.id.clone(), lacks, suggestions });
        }
        let mut warnings: Vec<String> = note.into_iter().collect();
        if let Err(why) = self.usability.why(&model.id.provider) {
            warnings.push(format!("{} cannot be used as things are: {why}", model.id.provider));
        }
        if model.is_deprecated() {
            warnings.push(format!("{} is deprecated", model.id));
        }
        if let Some(limit) = self.selection.max_cost_per_1k_tokens {
            match model.is_dearer_than(limit) {
                Some(true) => {
                    warnings.push(format!("it costs more than max_cost_per_1k_tokens {}", limit.exactly()));
                }
                None => warnings.push("its price is not known: max_cost_per_1k_tokens cannot be kept".to_owned()),
                Some(false) => {}
            }
        }
        let ranking = Ranking { resolver: self, tag: None, of_tier: true };
        let mut others =
            self.fitting(needs, |other| other.facts().tier.is_some() && other.facts().tier == model.facts().tier);
        others.retain(|other| other.id != model.id);
        Ok(Resolution {
            model,
            reason: self.named_reason(model, choice, chain),
            policy: self.policy(choice, "all", needs),
            score: ranking.score(model),
            warnings,
            alternatives: ranking.alternatives(&ranking.sorted(others)),
        })
    }

    fn named_reason(&self, model: &Model, choice: Choice, chain: &Chain) -> String {
        let text = chain.last().map_or("", String::as_str);
        let id = &model.id;
        let found = match choice {
            Choice::Explicit if text == id.to_string() => format!("{id} is named"),
            Choice::Name if text == id.model => format!("{id} is the model of that name"),
            Choice::Explicit | Choice::Name => format!("{text:?} is how {id} is written, too"),
            Choice::Retired => format!("{text:?} is an old name, and {id} has its place"),
            Choice::Tag | Choice::Tier | Choice::DefaultModel | Choice::SmallModel => format!("{id} is chosen"),
        };
        let Some((first, _)) = chain.split_last().filter(|(_, before)| !before.is_empty()).map(|_| (&chain[0], ()))
        else {
            return found;
        };
        let whose = match self.catalog.own_alias(first).or_else(|| self.catalog.alias(first)).map(|a| &a.origin) {
            Some(AliasOrigin::Own) => " of yours",
            Some(AliasOrigin::BuiltIn(_)) | None => "",
        };
        format!("alias{whose}: {}; {found}", chain.join(" → "))
    }

    fn by_tag(&self, tag: Tag, chain: &mut Chain, needs: &Needs) -> Result<Resolution<'a>, ResolveError> {
        let needs = needs.and(&needs_of(Some(tag))).of_choice();
        let preset = match tag {
            Tag::Auto => self.selection.model.as_ref().map(|model| ("model", model, Choice::DefaultModel)),
            Tag::Fast => self.selection.small_model.as_ref().map(|model| ("small_model", model, Choice::SmallModel)),
            Tag::Vision | Tag::Docs | Tag::Code | Tag::Reasoning | Tag::Cheap => None,
        };
        let mut warnings = Vec::new();
        if let Some((key, reference, choice)) = preset {
            match self.preset(reference, choice, chain, &needs) {
                Ok(found) => {
                    let reason = format!("{}: model_selection.{key}; {}", tag.as_str(), found.reason);
                    return Ok(Resolution { reason, ..found });
                }
                Err(why) => warnings.push(format!("model_selection.{key} {reference:?} is passed over: {why}")),
            }
        }
        let fitting = self.fitting(&needs, |_| true);
        let short = |model: &&&Model| model.facts().context_window.is_some_and(|tokens| tokens <= FAST_CONTEXT);
        let narrowed: Vec<&'a Model> =
            if tag == Tag::Fast { fitting.iter().filter(short).copied().collect() } else { Vec::new() };
        let candidates = if narrowed.is_empty() { fitting } else { narrowed };
        self.best(candidates, Some(tag), Choice::Tag, chain, &needs, warnings)
    }

    /// Returns the model that the person set for a tag, if it can be used and meets the needs.
    fn preset(
        &self,
        reference: &str,
        choice: Choice,
        chain: &Chain,
        needs: &Needs,
    ) -> Result<Resolution<'a>, ResolveError> {
        let mut inner = chain.clone();
        push(&mut inner, reference.to_owned())?;
        let from = inner.len() - 1;
        let found = self.follow(&mut inner, needs).map_err(|cause| self.behind(inner[from..].to_vec(), cause))?;
        if let Err(why) = self.usability.why(&found.model.id.provider) {
            let what = found.model.id.to_string();
            return Err(match self.usability.way(&found.model.id.provider) {
                Some(_) => ResolveError::AllFail { what, failing: why },
                None => ResolveError::NobodyUsable { what },
            });
        }
        let policy = self.policy(choice, "usable", needs);
        Ok(Resolution { policy, ..found })
    }

    fn by_tier(&self, tier: Tier, chain: &Chain, needs: &Needs) -> Result<Resolution<'a>, ResolveError> {
        let needs = &needs.of_choice();
        let mut warnings = Vec::new();
        for at in std::iter::once(tier).chain(tier.neighbours()) {
            let candidates = self.fitting(needs, |model| model.facts().tier == Some(at));
            if candidates.is_empty() {
                continue;
            }
            if at != tier {
                warnings.push(format!("no usable model of tier {tier} does; this is one of tier {at}"));
            }
            return self.best(candidates, None, Choice::Tier, chain, needs, warnings);
        }
        self.best(Vec::new(), None, Choice::Tier, chain, needs, warnings)
    }

    fn best(
        &self,
        candidates: Vec<&'a Model>,
        tag: Option<Tag>,
        choice: Choice,
        chain: &Chain,
        needs: &Needs,
        mut warnings: Vec<String>,
    ) -> Result<Resolution<'a>, ResolveError> {
        let what = chain.join(" → ");
        let ranking = Ranking { resolver: self, tag, of_tier: choice == Choice::Tier };
        let sorted = ranking.sorted(candidates);
        let Some(model) = sorted.first() else {
            return Err(self.none(chain.last().cloned().unwrap_or_default(), needs));
        };
        // Models that are only guessed to fit were not compared with known ones.
        let count = sorted.iter().filter(|other| ranking.is_guess(other) == ranking.is_guess(model)).count();
        if let Some(tier) = model.facts().tier.filter(|_| ranking.is_guess(model)) {
            let id = &model.id;
            warnings.push(format!("{id} is of tier {tier} by its name only; models.{id}.tier in config.yml says it"));
        }
        let score = ranking.score(model);
        let history = self.by_history(&sorted, &ranking);
        let paid = if score.is_paid_in_advance() {
            format!("; {} is paid in advance and has something left", model.id.provider)
        } else {
            String::new()
        };
        let with = Some(needs.describe()).filter(|text| !text.is_empty()).map(|text| format!(" with {text}"));
        let order = if ranking.by_price() { "the lowest price" } else { "the best score" };
        let reason = format!(
            "{what}: {order} of {count} usable model{}{}, score {} ({}){paid}{history}",
            if count == 1 { "" } else { "s" },
            with.unwrap_or_default(),
            score.describe(),
            self.selection.mode.as_str()
        );
        Ok(Resolution {
            model,
            reason,
            policy: self.policy(choice, "usable", needs),
            score,
            warnings,
            alternatives: ranking.alternatives(&sorted[1..]),
        })
    }

    fn no_provider(&self, provider: &str) -> ResolveError {
        let all = || self.catalog.providers().iter().map(|provider| provider.id.as_str());
        let mut suggestions = rank::nearest_names(provider, all());
        let meant = nearest(provider, all()).map(str::to_owned);
        let rest: Vec<String> =
            all().filter(|id| !suggestions.iter().any(|near| near == id)).map(str::to_owned).collect();
        suggestions.extend(rest);
        suggestions.truncate(SUGGESTIONS);
        ResolveError::UnknownProvider { provider: provider.to_owned(), meant, suggestions }
    }

    /// Returns the settings that would let a usable model qualify whose capabilities are only guessed from its name.
    fn unsaid(&self, needs: &Needs) -> Option<String> {
        let usable = self.catalog.models().iter().filter(|model| self.usability.allows(&model.id.provider));
        let mut looks =
            usable.filter(|model| self.is_cheap(model)).filter_map(|model| Some((model, needs.guessed_of(model)?)));
        let (model, guessed) = looks.next()?;
        let settings = guessed.into_iter().map(|capability| format!("models.{}.{capability}: true", model.id));
        Some(settings.collect::<Vec<_>>().join(" and "))
    }

    /// Describes how history changed the order: the record of the first model, and the models it has passed.
    fn by_history(&self, sorted: &[&'a Model], ranking: &Ranking<'_, '_>) -> String {
        let Some(first) = sorted.first().filter(|_| !self.records.is_empty()) else { return String::new() };
        let own = ranking.score(first).history().map(|text| format!("; {text}")).unwrap_or_default();
        let without = Resolver { records: &NOTHING, ..*self };
        let usual = Ranking { resolver: &without, tag: ranking.tag, of_tier: ranking.of_tier }.sorted(sorted.to_vec());
        let passed = usual.first().filter(|usual| usual.id != first.id).map(|usual| {
            let its = ranking.score(usual).history().map_or_else(|| "no history".to_owned(), str::to_owned);
            format!("; without history {} would be first ({its})", usual.id)
        });
        format!("{own}{}", passed.unwrap_or_default())
    }

    fn none(&self, what: String, needs: &Needs) -> ResolveError {
        let providers: Vec<&str> = self.usability.providers().collect();
        if providers.is_empty() {
            let failing = self.usability.failing().collect::<Vec<_>>().join("; ");
            return match failing.is_empty() {
                true => ResolveError::NobodyUsable { what },
                false => ResolveError::AllFail { what, failing },
            };
        }
        let needed = needs.describe();
        let mut lacks = if needed.is_empty() { "is known".to_owned() } else { format!("has {needed}") };
        let limit = self.selection.max_cost_per_1k_tokens;
        if let Some(limit) = limit {
            lacks.push_str(&format!(" at a known price of at most {} per 1,000 tokens", limit.exactly()));
        }
        ResolveError::NoneFits {
            what,
            providers: providers.join(", ").into(),
            lacks,
            is_limited: limit.is_some(),
            suggestions: self.capable(needs, false),
            unsaid: self.unsaid(needs),
        }
    }

    /// Returns the usable models that meet the needs and the price limit.
    fn fitting(&self, needs: &Needs, also: impl Fn(&Model) -> bool) -> Vec<&'a Model> {
        let fits = |model: &&Model| {
            self.usability.allows_model(&model.id) && also(model) && needs.met_by(model) && self.is_cheap(model)
        };
        self.catalog.models().iter().filter(fits).collect()
    }

    /// Whether the price limit, if there is one, allows a tag or a tier to choose the model.
    fn is_cheap(&self, model: &Model) -> bool {
        let limit = self.selection.max_cost_per_1k_tokens;
        limit.is_none_or(|limit| model.is_dearer_than(limit) == Some(false))
    }

    /// Returns models that meet the needs, the best first: of all providers, usable ones first, for a named reference;
    /// or of providers that cannot be used, for a tag or a tier.
    fn capable(&self, needs: &Needs, usable_too: bool) -> Vec<String> {
        let ranking = Ranking { resolver: self, tag: None, of_tier: false };
        let is_usable = |model: &Model| self.usability.allows(&model.id.provider);
        let met =
            |model: &&'a Model| needs.met_by(model) && (usable_too || (!is_usable(model) && self.is_cheap(model)));
        let mut models = ranking.sorted(self.catalog.models().iter().filter(met).collect());
        models.sort_by_key(|model| !is_usable(model));
        models.into_iter().take(SUGGESTIONS).map(|model| model.id.to_string()).collect()
    }

    /// Returns the known names that are nearest to an unknown one.
    fn similar(&self, name: &str, provider: Option<&str>) -> Vec<String> {
        let models = self.catalog.models().iter();
        let of_provider = models.filter(|model| provider.is_none_or(|id| model.id.provider == id));
        let ids: Vec<String> = of_provider.map(|model| model.id.to_string()).collect();
        let aliases = self.catalog.aliases().into_iter().filter(|_| provider.is_none());
        rank::nearest_names(name, ids.iter().map(String::as_str).chain(aliases.map(|alias| alias.name.as_str())))
    }

    fn policy(&self, choice: Choice, providers: &'static str, needs: &Needs) -> Policy {
        Policy {
            choice,
            providers: providers.into(),
            mode: self.selection.mode,
            max_cost_per_1k_tokens: self.selection.max_cost_per_1k_tokens,
            preferred_providers: self.selection.preferred_providers.clone(),
            required: needs.capabilities.iter().copied().collect(),
            min_context: needs.min_context,
        }
    }
}

/// The meaning of a name.
enum Found<'a> {
    Model(&'a Model, Choice, Option<String>),
    Target(String),
}

fn released(model: &Model) -> &str {
    model.facts().released.as_deref().unwrap_or_default()
}

/// Adds a reference. It is an error if it occurred before.
fn push(chain: &mut Chain, next: String) -> Result<(), ResolveError> {
    let key = |text: &str| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ':' | '/');
        text.chars().filter(kept).flat_map(char::to_lowercase).collect::<String>()
    };
    let seen = chain.iter().any(|before| key(before) == key(&next));
    chain.push(next);
    if seen { Err(ResolveError::AliasCycle(chain.clone())) } else { Ok(()) }
}

/// Returns the cycles among a person's aliases, each with its first alias, in the order of names.
pub fn alias_cycles(aliases: &BTreeMap<String, String>) -> Vec<(String, ResolveError)> {
    let catalog = Catalog::without_built_in_models(&super::catalog::Additions {
        aliases: aliases.clone(),
        ..super::catalog::Additions::default()
    });
    let cycle = |name: &String| {
        let mut chain = vec![name.clone()];
        loop {
            let last = chain.last().cloned().unwrap_or_default();
            let target = catalog.own_alias(&last)?.target.clone();
            if let Err(error) = push(&mut chain, target) {
                return Some((name.clone(), error));
            }
        }
    };
    aliases.keys().filter_map(cycle).collect()
}
