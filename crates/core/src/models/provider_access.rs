//! Which providers can be used at present. Pure: what environment, files and programs show is an argument.

use super::catalog::ModelRef;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a provider can be accessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The person declared it, and it needs no key.
    Declared,
    /// This variable has its key.
    Key(String),
    /// Credentials are stored in this place.
    Stored(String),
    /// An agent is logged in.
    LoggedIn {
        /// The name of the agent.
        agent: String,
        /// The evidence of the login.
        by: String,
    },
}

impl Way {
    /// Describes the access for a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Declared => "declared under providers, without a key".to_owned(),
            Self::Key(variable) => format!("{variable} is set"),
            Self::Stored(place) => format!("credentials in {place}"),
            Self::LoggedIn { agent, by } => format!("agent {agent}: {by}"),
        }
    }
}

/// Where a provider is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The person's configuration.
    Config,
    /// A custom provider of the person, with an address of its own.
    Custom,
    /// A variable in the environment.
    Env,
    /// A catalog only.
    Api,
}

/// Whether a provider of that origin can be used: one that is only in a catalog needs a key.
pub fn is_usable(origin: Origin, has_key: bool) -> bool {
    match origin {
        Origin::Config | Origin::Custom | Origin::Env => true,
        Origin::Api => has_key,
    }
}

/// The access to all known providers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderAccess {
    ways: BTreeMap<String, Way>,
    reasons: BTreeMap<String, String>,
    failing: BTreeMap<String, String>,
    lists: BTreeMap<String, ProgramList>,
    only: Option<ProgramList>,
}

/// The models that may be chosen for an agent's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramList {
    /// Their names at the program's provider.
    pub models: Arc<BTreeSet<String>>,
    /// Why no other models, for a person.
    pub why: String,
}

impl ProviderAccess {
    /// Records an access; only the first one of a provider is kept.
    pub fn allow(&mut self, provider: &str, way: Way) {
        self.reasons.remove(provider);
        self.ways.entry(provider.to_owned()).or_insert(way);
    }

    /// Records why a provider cannot be used, unless there is an access.
    pub fn refuse(&mut self, provider: &str, why: String) {
        if !self.ways.contains_key(provider) {
            self.reasons.entry(provider.to_owned()).or_insert(why);
        }
    }

    /// Records why a provider cannot be used at present, although there is an access.
    pub fn suspend(&mut self, provider: &str, why: String) {
        self.failing.insert(provider.to_owned(), why);
    }

    /// Removes the record that a provider cannot be used at present.
    pub fn resume(&mut self, provider: &str) {
        self.failing.remove(provider);
    }

    /// Whether any provider with an access is suspended.
    pub fn has_suspended(&self) -> bool {
        self.failing().next().is_some()
    }

    /// Returns a copy without suspensions.
    #[must_use]
    pub fn without_suspensions(&self) -> Self {
        Self { failing: BTreeMap::new(), ..self.clone() }
    }

    /// Records the models that may be chosen for an agent's program.
    pub fn list(&mut self, agent: &str, list: ProgramList) {
        self.lists.insert(agent.to_owned(), list);
    }

    /// Returns a copy for the program of this agent, limited to the models that it lists.
    #[must_use]
    pub fn for_program(&self, agent: &str) -> Self {
        Self { only: self.lists.get(agent).cloned(), ..self.clone() }
    }

    /// Returns the models to which the choice is limited; `None`: no limit.
    pub fn only(&self) -> Option<&ProgramList> {
        self.only.as_ref()
    }

    /// Whether a model may be chosen.
    pub fn allows_model(&self, id: &ModelRef) -> bool {
        self.allows(&id.provider) && self.only.as_ref().is_none_or(|list| list.models.contains(&id.model))
    }

    /// Removes the accesses that `keep` rejects.
    pub fn retain(&mut self, keep: impl Fn(&str, &Way) -> bool) {
        self.ways.retain(|provider, way| keep(provider, way));
    }

    /// Returns why providers with an access fail at present.
    pub fn failing(&self) -> impl Iterator<Item = &str> {
        let reachable = self.failing.iter().filter(|(provider, _)| self.ways.contains_key(*provider));
        reachable.map(|(_, why)| why.as_str())
    }

    /// Whether the provider can be used.
    pub fn allows(&self, provider: &str) -> bool {
        self.ways.contains_key(provider) && !self.failing.contains_key(provider)
    }

    /// Returns the access to a provider, even if it fails at present.
    pub fn way(&self, provider: &str) -> Option<&Way> {
        self.ways.get(provider)
    }

    /// Returns the providers with an access by name, even if they fail at present.
    pub fn reachable(&self) -> impl Iterator<Item = &str> {
        self.ways.keys().map(String::as_str)
    }

    /// Describes the access to a provider, or returns why there is none.
    pub fn why(&self, provider: &str) -> Result<String, String> {
        match (self.ways.get(provider), self.failing.get(provider)) {
            (Some(_), Some(failing)) => Err(failing.clone()),
            (Some(way), None) => Ok(way.describe()),
            (None, _) => {
                Err(self.reasons.get(provider).cloned().unwrap_or_else(|| "nothing is known of a key".to_owned()))
            }
        }
    }

    /// Returns the usable providers by name.
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
        assert!(usability.has_suspended() && !usability.without_suspensions().has_suspended());
        assert!(usability.without_suspensions().allows("a") && !usability.without_suspensions().allows("c"));
        usability.resume("a");
        assert!(usability.allows("a") && !usability.has_suspended(), "c has no way anyhow");
    }
}
