//! The models that orch knows, from a built-in table, providers' lists, the person's configuration, and guesses from
//! names, in this order. PURE. Records the source of each fact; `crate::models::resolve` chooses the model.

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

/// A provider of models.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provider {
    /// The name in references.
    pub id: String,
    /// The display name.
    pub name: Option<String>,
    /// Environment variables that may hold its key.
    pub key_variables: Vec<String>,
    /// The base URL of its API.
    pub base_url: Option<String>,
    /// Other common names.
    pub also: Vec<String>,
    /// Whether the person configured it under `providers`.
    pub declared: bool,
}

/// Another name for a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The alias as it was written.
    pub name: String,
    /// Any reference: a model, another alias, a tag, a tier.
    pub target: String,
    /// The source of the alias.
    pub origin: AliasOrigin,
}

/// The source of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasOrigin {
    /// Built in; its source and date.
    BuiltIn(String),
    /// Defined by the person.
    Own,
}

/// A model name that is no longer in use, and its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// `provider/model`.
    pub name: String,
    /// `provider/model`.
    pub successor: String,
    /// The source and its date.
    pub about: String,
}

/// Facts beyond the built-in table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Additions {
    /// Models as listed by providers.
    pub api: Vec<(ModelRef, Facts)>,
    /// Facts set by the person.
    pub overrides: Vec<(ModelRef, Facts)>,
    /// Aliases set by the person.
    pub aliases: BTreeMap<String, String>,
    /// Providers set by the person.
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
    /// Creates the catalog of the built-in table alone.
    pub fn built_in() -> Self {
        Self::with(&Additions::default())
    }

    /// Creates the catalog of the built-in table and the additions.
    pub fn with(additions: &Additions) -> Self {
        let built_in = &*BUILT_IN;
        Self::build(built_in.about.clone(), &built_in.models, additions)
    }

    /// Creates the catalog of the additions alone, with the built-in providers.
    pub fn without_built_in_models(additions: &Additions) -> Self {
        Self::build("no built-in model".to_owned(), &[], additions)
    }

    fn build(about: String, table: &[(ModelRef, Facts)], additions: &Additions) -> Self {
        let mut models: BTreeMap<ModelRef, Model> = BTreeMap::new();
        let layers = [
            (Source::Catalog, table),
            (Source::ProviderApi, additions.api.as_slice()),
            (Source::Override, additions.overrides.as_slice()),
        ];
        for (source, said) in layers {
            for (id, facts) in said {
                let new = || {
                    let mut model = Model::unknown(id.clone());
                    model.learn(&infer(&id.model), Source::Inferred);
                    model
                };
                models.entry(id.clone()).or_insert_with(new).learn(facts, source);
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

    /// Returns the source and date of the built-in table.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Returns all models, by provider and name.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Returns all providers; where nothing else decides, the earlier one is preferred.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// Returns the provider with this name, in any case and by any of its names.
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

    /// Returns the provider's position among all.
    pub fn rank(&self, provider: &str) -> usize {
        self.providers.iter().position(|known| known.id == provider).unwrap_or(usize::MAX)
    }

    /// Returns the model with exactly this name.
    pub fn model(&self, id: &ModelRef) -> Option<&Model> {
        self.by_id.get(id).map(|at| &self.models[*at])
    }

    /// Returns the models with this spelling, of one provider or of all: only those whose name is nearest.
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

    /// Returns the person's alias with this name.
    pub fn own_alias(&self, name: &str) -> Option<&Alias> {
        self.own_aliases.get(&squash(name))
    }

    /// Returns the built-in alias with this name.
    pub fn alias(&self, name: &str) -> Option<&Alias> {
        self.aliases.get(&squash(name))
    }

    /// Returns all aliases by name, the person's first.
    pub fn aliases(&self) -> Vec<&Alias> {
        let mut all: Vec<&Alias> = self.own_aliases.values().chain(self.aliases.values()).collect();
        all.sort_by(|a, b| (a.origin != AliasOrigin::Own, &a.name).cmp(&(b.origin != AliasOrigin::Own, &b.name)));
        all
    }

    /// Returns the retired model with this spelling, of one provider or of all.
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

/// Returns the built-in providers in their order, then the others by name.
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
