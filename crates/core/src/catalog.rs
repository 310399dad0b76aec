//! The models that orch knows: a built-in table with its date and source, what providers tell, what the person says,
//! and last what names make likely. PURE. Who says what is kept for each fact; which model is taken is `domain::resolve`'s.

mod builtin;
mod infer;
mod model;
mod spelling;
#[cfg(test)]
mod tests;

pub use infer::infer;
pub use model::{Capability, Facts, Model, ModelRef, Source, Tier};
pub use spelling::{squash, words};

use builtin::BUILT_IN;
use spelling::{Rank, spellings};
use std::collections::{BTreeMap, HashMap};

/// Who serves models.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provider {
    /// Its name in references.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// Variables, each of which may hold its key.
    pub key_variables: Vec<String>,
    /// Where its API is.
    pub base_url: Option<String>,
    /// Other names that people have for it.
    pub also: Vec<String>,
    /// The person wrote it down under `providers`.
    pub declared: bool,
}

/// Another name for a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// As it was written.
    pub name: String,
    /// Any reference: a model, another alias, a tag, a tier.
    pub target: String,
    /// Whose it is.
    pub origin: AliasOrigin,
}

/// Whose an alias is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasOrigin {
    /// Built in, by that source and day.
    BuiltIn(String),
    /// The person's.
    Own,
}

/// A name that was in use, and what has its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// `provider/model`.
    pub name: String,
    /// `provider/model`.
    pub successor: String,
    /// By what source and of which day.
    pub about: String,
}

/// What is known beside the built-in table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Additions {
    /// What providers told of their models.
    pub api: Vec<(ModelRef, Facts)>,
    /// What the person says.
    pub overrides: Vec<(ModelRef, Facts)>,
    /// The person's aliases.
    pub aliases: BTreeMap<String, String>,
    /// What the person says of providers.
    pub providers: Vec<Provider>,
}

/// All models, aliases and providers.
#[derive(Debug, Clone)]
pub struct Catalog {
    about: String,
    providers: Vec<Provider>,
    models: Vec<Model>,
    by_id: HashMap<ModelRef, usize>,
    by_spelling: HashMap<String, Vec<(Rank, usize)>>,
    own_aliases: HashMap<String, Alias>,
    aliases: HashMap<String, Alias>,
    retired: HashMap<String, Vec<Retired>>,
}

impl Catalog {
    /// The built-in table alone.
    pub fn built_in() -> Self {
        Self::with(&Additions::default())
    }

    /// The built-in table and what is added to it.
    pub fn with(additions: &Additions) -> Self {
        let built_in = &*BUILT_IN;
        Self::of(built_in.about.clone(), &built_in.models, additions)
    }

    /// The additions alone, with the built-in providers: for a table of one's own.
    pub fn without_built_in_models(additions: &Additions) -> Self {
        Self::of("no built-in model".to_owned(), &[], additions)
    }

    fn of(about: String, table: &[(ModelRef, Facts)], additions: &Additions) -> Self {
        let mut models: BTreeMap<ModelRef, Model> = BTreeMap::new();
        let layers = [
            (Source::Catalog, table),
            (Source::ProviderApi, additions.api.as_slice()),
            (Source::Override, additions.overrides.as_slice()),
        ];
        for (source, said) in layers {
            for (id, facts) in said {
                let begun = || {
                    let mut model = Model::unknown(id.clone());
                    model.learn(&infer(&id.model), Source::Inferred);
                    model
                };
                models.entry(id.clone()).or_insert_with(begun).learn(facts, source);
            }
        }
        let mut catalog = Self {
            about,
            providers: providers(&models, &additions.providers),
            models: models.into_values().collect(),
            by_id: HashMap::new(),
            by_spelling: HashMap::new(),
            own_aliases: own(&additions.aliases),
            aliases: BUILT_IN.aliases.iter().map(|alias| (squash(&alias.name), alias.clone())).collect(),
            retired: HashMap::new(),
        };
        catalog.index();
        catalog
    }

    fn index(&mut self) {
        for (at, model) in self.models.iter().enumerate() {
            self.by_id.insert(model.id.clone(), at);
            for (name, rank) in spellings(&model.id.provider, &model.id.model) {
                self.by_spelling.entry(name).or_default().push((rank, at));
            }
        }
        for retired in &BUILT_IN.retired {
            let Ok(id) = retired.name.parse::<ModelRef>() else { continue };
            if self.by_id.contains_key(&id) {
                continue;
            }
            for (name, _) in spellings(&id.provider, &id.model) {
                let known = self.retired.entry(name).or_default();
                if !known.contains(retired) {
                    known.push(retired.clone());
                }
            }
        }
    }

    /// What the built-in table is taken from, and when.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// All models, by provider and name.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// All providers: where nothing else decides, the earlier one is preferred.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The provider of that name, in any case and by any of its names.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        let exact = self.providers.iter().find(|provider| provider.id == name);
        let wanted = squash(name);
        exact.or_else(|| {
            let is_it = |provider: &&Provider| {
                squash(&provider.id) == wanted || provider.also.iter().any(|also| squash(also) == wanted)
            };
            self.providers.iter().find(is_it)
        })
    }

    /// Where the provider stands among all.
    pub fn rank(&self, provider: &str) -> usize {
        self.providers.iter().position(|known| known.id == provider).unwrap_or(usize::MAX)
    }

    /// The model of exactly that name.
    pub fn model(&self, id: &ModelRef) -> Option<&Model> {
        self.by_id.get(id).map(|at| &self.models[*at])
    }

    /// The models that are written like that, of one provider or of all: only those whose name is nearest.
    pub fn spelled(&self, name: &str, provider: Option<&str>) -> Vec<&Model> {
        let found = self.by_spelling.get(&squash(name)).map(Vec::as_slice).unwrap_or_default();
        let of_provider = |(_, at): &&(Rank, usize)| provider.is_none_or(|id| self.models[*at].id.provider == id);
        let found: Vec<(Rank, usize)> = found.iter().filter(of_provider).copied().collect();
        let nearest = found.iter().map(|(rank, _)| *rank).min();
        let mut found: Vec<usize> =
            found.into_iter().filter(|(rank, _)| Some(*rank) == nearest).map(|(_, at)| at).collect();
        found.dedup();
        found.into_iter().map(|at| &self.models[at]).collect()
    }

    /// The person's alias of that name.
    pub fn own_alias(&self, name: &str) -> Option<&Alias> {
        self.own_aliases.get(&squash(name))
    }

    /// The built-in alias of that name.
    pub fn alias(&self, name: &str) -> Option<&Alias> {
        self.aliases.get(&squash(name))
    }

    /// Every alias, the person's first, by name.
    pub fn aliases(&self) -> Vec<&Alias> {
        let mut all: Vec<&Alias> = self.own_aliases.values().chain(self.aliases.values()).collect();
        all.sort_by(|a, b| (a.origin != AliasOrigin::Own, &a.name).cmp(&(b.origin != AliasOrigin::Own, &b.name)));
        all
    }

    /// Names that were in use and are written like that, of one provider or of all.
    pub fn retired(&self, name: &str, provider: Option<&str>) -> Option<&Retired> {
        let found = self.retired.get(&squash(name))?;
        let of_provider = |retired: &&Retired| {
            provider.is_none_or(|id| retired.name.split_once('/').is_some_and(|(own, _)| own == id))
        };
        found.iter().find(of_provider)
    }
}

fn own(aliases: &BTreeMap<String, String>) -> HashMap<String, Alias> {
    let alias = |(name, target): (&String, &String)| {
        (squash(name), Alias { name: name.clone(), target: target.clone(), origin: AliasOrigin::Own })
    };
    aliases.iter().map(alias).collect()
}

/// The built-in ones in their order, then those that only the person or a model names, by name.
fn providers(models: &BTreeMap<ModelRef, Model>, declared: &[Provider]) -> Vec<Provider> {
    let mut providers = BUILT_IN.providers.clone();
    let mut others: BTreeMap<String, Provider> = BTreeMap::new();
    for said in declared {
        let known = providers.iter_mut().find(|provider| provider.id == said.id);
        let known = known.unwrap_or_else(|| {
            others.entry(said.id.clone()).or_insert_with(|| Provider { id: said.id.clone(), ..Provider::default() })
        });
        known.declared = true;
        if said.base_url.is_some() {
            known.base_url.clone_from(&said.base_url);
        }
        if !said.key_variables.is_empty() {
            known.key_variables.clone_from(&said.key_variables);
        }
    }
    for id in models.keys() {
        if !providers.iter().any(|provider| provider.id == id.provider) {
            let new = || Provider { id: id.provider.clone(), ..Provider::default() };
            others.entry(id.provider.clone()).or_insert_with(new);
        }
    }
    providers.extend(others.into_values());
    providers
}
