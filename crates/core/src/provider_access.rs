//! Which providers can be used as things are. PURE: what the environment, files and programs show is an argument.

use super::catalog::ModelRef;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// By what a provider can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The person declared it, and it asks for no key.
    Declared,
    /// This variable holds its key.
    Key(String),
    /// Credentials are stored there.
    Stored(String),
    /// The agent of that name is logged in.
    LoggedIn {
        /// The agent.
        agent: String,
        /// What shows it.
        by: String,
    },
}

impl Way {
    /// For a person.
    pub fn told(&self) -> String {
        match self {
            Self::Declared => "declared under providers, without a key".to_owned(),
            Self::Key(variable) => format!("{variable} is set"),
            Self::Stored(place) => format!("credentials in {place}"),
            Self::LoggedIn { agent, by } => format!("agent {agent}: {by}"),
        }
    }
}

/// How a provider came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The person's configuration names it.
    Config,
    /// The person added it, with an address of its own.
    Custom,
    /// The environment has a variable of it.
    Env,
    /// It stands in a catalog, and nothing more.
    Api,
}

/// Whether a provider of that origin can be used: what merely stands in a catalog needs a key.
pub fn is_usable(origin: Origin, has_key: bool) -> bool {
    match origin {
        Origin::Config | Origin::Custom | Origin::Env => true,
        Origin::Api => has_key,
    }
}

/// What is known of all providers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderAccess {
    ways: BTreeMap<String, Way>,
    lacking: BTreeMap<String, String>,
    failing: BTreeMap<String, String>,
    lists: BTreeMap<String, ProgramList>,
    only: Option<ProgramList>,
}

/// The models among which a choice may be made for an agent's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramList {
    /// By their names at the program's provider.
    pub models: Arc<BTreeSet<String>>,
    /// Why no others, for a person.
    pub why: String,
}

impl ProviderAccess {
    /// Notes a way; the first one of a provider is told.
    pub fn allow(&mut self, provider: &str, way: Way) {
        self.lacking.remove(provider);
        self.ways.entry(provider.to_owned()).or_insert(way);
    }

    /// Notes what a provider lacks, unless there is a way.
    pub fn refuse(&mut self, provider: &str, why: String) {
        if !self.ways.contains_key(provider) {
            self.lacking.entry(provider.to_owned()).or_insert(why);
        }
    }

    /// Notes why a provider cannot be used just now, though there is a way.
    pub fn suspend(&mut self, provider: &str, why: String) {
        self.failing.insert(provider.to_owned(), why);
    }

    /// Forgets that a provider cannot be used just now.
    pub fn resume(&mut self, provider: &str) {
        self.failing.remove(provider);
    }

    /// Whether somebody is passed over to whom there is a way.
    pub fn passes_somebody_over(&self) -> bool {
        self.failing().next().is_some()
    }

    /// The same with nobody passed over.
    #[must_use]
    pub fn with_everybody(&self) -> Self {
        Self { failing: BTreeMap::new(), ..self.clone() }
    }

    /// Notes among which models a choice may be made for an agent's program.
    pub fn list(&mut self, agent: &str, list: ProgramList) {
        self.lists.insert(agent.to_owned(), list);
    }

    /// The same for that agent's program: a choice is made among what it lists.
    #[must_use]
    pub fn of_program(&self, agent: &str) -> Self {
        Self { only: self.lists.get(agent).cloned(), ..self.clone() }
    }

    /// Among which models alone a choice is made; `None`: among all.
    pub fn only(&self) -> Option<&ProgramList> {
        self.only.as_ref()
    }

    /// Whether a model may be chosen.
    pub fn allows_model(&self, id: &ModelRef) -> bool {
        self.allows(&id.provider) && self.only.as_ref().is_none_or(|list| list.models.contains(&id.model))
    }

    /// Forgets the ways that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&str, &Way) -> bool) {
        self.ways.retain(|provider, way| keep(provider, way));
    }

    /// What is the matter with the providers to which there is a way, and that fail.
    pub fn failing(&self) -> impl Iterator<Item = &str> {
        let reachable = self.failing.iter().filter(|(provider, _)| self.ways.contains_key(*provider));
        reachable.map(|(_, why)| why.as_str())
    }

    /// Whether the provider can be used.
    pub fn allows(&self, provider: &str) -> bool {
        self.ways.contains_key(provider) && !self.failing.contains_key(provider)
    }

    /// By what it can be used, whether or not it answers just now.
    pub fn way(&self, provider: &str) -> Option<&Way> {
        self.ways.get(provider)
    }

    /// The providers to which there is a way, whether or not they answer just now, by name.
    pub fn reachable(&self) -> impl Iterator<Item = &str> {
        self.ways.keys().map(String::as_str)
    }

    /// By what it can be used, or why not.
    pub fn why(&self, provider: &str) -> Result<String, String> {
        match (self.ways.get(provider), self.failing.get(provider)) {
            (Some(_), Some(failing)) => Err(failing.clone()),
            (Some(way), None) => Ok(way.told()),
            (None, _) => {
                Err(self.lacking.get(provider).cloned().unwrap_or_else(|| "nothing is known of a key".to_owned()))
            }
        }
    }

    /// The providers that can be used, by name.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.reachable().filter(|provider| !self.failing.contains_key(*provider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_catalog_alone_needs_a_key() {
        let table = [
            (Origin::Config, false, true),
            (Origin::Custom, false, true),
            (Origin::Env, true, true),
            (Origin::Api, true, true),
            (Origin::Api, false, false),
        ];
        for (origin, has_key, usable) in table {
            assert_eq!(is_usable(origin, has_key), usable, "{origin:?} {has_key}");
        }
    }

    #[test]
    fn the_first_way_is_told_and_a_way_goes_before_a_lack() {
        let mut usability = ProviderAccess::default();
        usability.refuse("a", "no key".to_owned());
        assert_eq!(usability.why("a"), Err("no key".to_owned()));
        usability.allow("a", Way::Key("A_KEY".to_owned()));
        usability.allow("a", Way::Declared);
        usability.refuse("a", "again".to_owned());
        assert_eq!(usability.why("a"), Ok("A_KEY is set".to_owned()));
        assert_eq!(usability.providers().collect::<Vec<_>>(), ["a"]);
        assert!(usability.why("b").is_err() && !usability.allows("b"));
    }

    #[test]
    fn a_provider_that_fails_is_not_usable_and_keeps_its_way() {
        let mut usability = ProviderAccess::default();
        usability.allow("a", Way::Declared);
        usability.allow("b", Way::Declared);
        usability.suspend("a", "limits requests".to_owned());
        usability.suspend("c", "no way at all".to_owned());
        assert_eq!(usability.why("a"), Err("limits requests".to_owned()));
        assert_eq!(usability.providers().collect::<Vec<_>>(), ["b"]);
        assert_eq!(usability.reachable().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(usability.failing().collect::<Vec<_>>(), ["limits requests"], "nobody can reach c");
        assert!(!usability.allows("a") && !usability.allows("c") && usability.way("a") == Some(&Way::Declared));
        assert!(usability.passes_somebody_over() && !usability.with_everybody().passes_somebody_over());
        assert!(usability.with_everybody().allows("a") && !usability.with_everybody().allows("c"));
        usability.resume("a");
        assert!(usability.allows("a") && !usability.passes_somebody_over(), "c has no way anyhow");
    }
}
