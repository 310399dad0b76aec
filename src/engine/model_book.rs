//! The models as they stand: the catalog with what providers told, whom of them can be used now, what the person prefers.
//! Reads the environment and files; asks nobody.

use super::credentials::{self, Environment};
use crate::config::Config;
use crate::config::raw::RawProvider;
use crate::domain::availability::{Asked, Probe, Probes, State};
use crate::domain::catalog::{Catalog, Facts, ModelRef};
use crate::domain::resolve::{Records, Resolver, Selection};
use crate::domain::usability::Usability;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Everything that a resolution depends on.
#[derive(Debug, Clone)]
pub struct ModelBook {
    /// The models.
    pub catalog: Catalog,
    /// Whose can be used, and what the others lack.
    pub usability: Usability,
    /// What the person prefers.
    pub selection: Selection,
    /// What history shows.
    pub records: Records,
    /// What providers answered last.
    pub probes: Probes,
    /// The person's settings of providers.
    pub providers: BTreeMap<String, RawProvider>,
}

impl ModelBook {
    /// As things stand with these settings, this environment and these answers of providers. `words` tells why one is passed
    /// over.
    pub fn look(
        config: &Config,
        environment: &Environment,
        probes: Probes,
        now: Timestamp,
        words: &dyn Fn(&str, &Probe) -> String,
    ) -> Self {
        let mut additions = config.model_additions();
        let mut catalog = Catalog::with(&additions);
        let providers = config.providers.clone();
        additions.api = listed(environment, &probes, &catalog, &providers);
        if !additions.api.is_empty() {
            catalog = Catalog::with(&additions);
        }
        let usability = credentials::usability(environment, config, &catalog);
        let selection = config.model_selection.0.clone();
        let mut book = Self { catalog, usability, selection, records: Records::default(), probes, providers };
        book.pass_over_the_failing(environment, now, words);
        book
    }

    /// A provider that did not answer well just now is not chosen, as long as that counts and key and address are the same.
    fn pass_over_the_failing(
        &mut self,
        environment: &Environment,
        now: Timestamp,
        words: &dyn Fn(&str, &Probe) -> String,
    ) {
        for (id, probe) in &self.probes {
            let is_same =
                asked_now(environment, id, &self.catalog, &self.providers).is_some_and(|asked| asked == probe.asked);
            let fails = probe.verdict.state != State::Available && probe.verdict.counts(probe.at, now);
            if is_same && fails {
                self.usability.suspend(id, words(id, probe));
            }
        }
    }

    /// For questions.
    pub fn resolver(&self) -> Resolver<'_> {
        Resolver {
            catalog: &self.catalog,
            usability: &self.usability,
            selection: &self.selection,
            records: &self.records,
        }
    }
}

/// What a provider would be asked with now.
fn asked_now(
    environment: &Environment,
    id: &str,
    catalog: &Catalog,
    declared: &BTreeMap<String, RawProvider>,
) -> Option<Asked> {
    let provider = catalog.providers().iter().find(|provider| provider.id == id)?;
    let key = credentials::key_of(environment, provider).map(|(_, key)| key);
    credentials::list_request(environment, declared, provider, key)?.ok().map(|request| request.asked())
}

/// What the providers told of their models, those that are still asked at the same address.
fn listed(
    environment: &Environment,
    probes: &Probes,
    catalog: &Catalog,
    declared: &BTreeMap<String, RawProvider>,
) -> Vec<(ModelRef, Facts)> {
    let lists = probes.iter().filter_map(|(id, probe)| {
        let asked = asked_now(environment, id, catalog, declared)?;
        probe.listed.as_ref().filter(|_| asked.address == probe.asked.address)
    });
    lists.flat_map(|list| list.models.iter().cloned()).collect()
}
