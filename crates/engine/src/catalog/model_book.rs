//! The present models: the catalog with what providers answered, which of them can be used now, what the person
//! prefers. Reads the environment and files; asks no provider.

use crate::catalog::credentials::{self, Environment};
use crate::catalog::made_catalogs;
use crate::catalog::reach::reach;
use jiff::Timestamp;
use orch_config::Config;
use orch_config::raw::RawProvider;
use orch_core::economics::track_record::{Sample, records};
use orch_core::models::agents::model_list;
use orch_core::models::availability::{Asked, Probe, Probes};
use orch_core::models::catalog::{Catalog, Facts, ModelRef, Provider};
use orch_core::models::provider_access::{ProgramList, ProviderAccess, Way};
use orch_core::models::resolve::{Needs, Records, Reference, Resolver, Selection, parse};
use orch_core::planning::plan::Cooldown;
use orch_sys::listed_models::listed_models;
use orch_sys::process::which;
use orch_sys::provider_api::Request;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The records of a home without a history.
static NOTHING: Records = Records { models: BTreeMap::new(), tiers: BTreeMap::new() };

/// Notes which models the programs of agents list.
fn list_programs(usability: &mut ProviderAccess, config: &Config, environment: &Environment) {
    let path = environment.get("PATH").map_or("", String::as_str);
    for (name, agent) in config.agents.iter() {
        let Some((args, read)) = model_list(agent.kind) else { continue };
        let Some(program) = which(&agent.command, path) else { continue };
        let list = if reach(config, name, environment).is_elsewhere || credentials::may_be_diverted(environment, agent)
        {
            let why = format!("{name} may speak with another provider than its own: its settings choose the model");
            ProgramList { models: Arc::default(), why }
        } else {
            match listed_models(&program, args, environment, read) {
                Some(models) => ProgramList { models, why: format!("{name} lists no model of the catalog that fits") },
                None => {
                    ProgramList { models: Arc::default(), why: format!("{name} does not list the models it knows") }
                }
            }
        };
        usability.list(name, list);
    }
}

/// Everything that a resolution depends on.
#[derive(Debug, Clone)]
pub struct ModelBook {
    /// The models that are known.
    pub catalog: Arc<Catalog>,
    /// The usable providers, and what the others lack.
    pub usability: ProviderAccess,
    /// What the person prefers.
    pub selection: Selection,
    /// The records from the history; empty until it is read.
    pub records: Records,
    /// Whether the history was read.
    pub knows_records: bool,
    /// What providers answered last.
    pub probes: Probes,
    /// The person's settings of providers.
    pub providers: BTreeMap<String, RawProvider>,
    /// The providers whose last answer counts against them, and until when.
    pub failing: BTreeMap<String, Cooldown>,
}

impl ModelBook {
    /// Builds the book from these settings, this environment and these answers of providers. `describe` says why one is
    /// passed over.
    pub fn load(
        config: &Config,
        environment: &Environment,
        probes: Probes,
        now: Timestamp,
        words: &dyn Fn(&str, &Probe) -> String,
    ) -> Self {
        let mut additions = config.model_additions();
        let mut catalog = made_catalogs::catalog(&additions);
        let providers = config.providers.clone();
        additions.api = listed(environment, &probes, &catalog, &providers);
        if !additions.api.is_empty() {
            catalog = made_catalogs::catalog(&additions);
        }
        let mut usability = credentials::usability(environment, config, &catalog);
        list_programs(&mut usability, config, environment);
        let selection = config.model_selection.0.clone();
        let mut book = Self {
            catalog,
            usability,
            selection,
            records: Records::default(),
            knows_records: false,
            probes,
            providers,
            failing: BTreeMap::new(),
        };
        book.pass_over_the_failing(environment, now, words);
        book
    }

    /// A provider that did not answer well just now is not chosen, as long as that counts and key and address are the
    /// same.
    fn pass_over_the_failing(
        &mut self,
        environment: &Environment,
        now: Timestamp,
        words: &dyn Fn(&str, &Probe) -> String,
    ) {
        for (id, probe) in &self.probes {
            let is_same =
                asked_now(environment, id, &self.catalog, &self.providers).is_some_and(|asked| asked == probe.asked);
            let class = probe.verdict.state.class().filter(|_| is_same && probe.verdict.counts(probe.at, now));
            if let Some(class) = class {
                let (detail, until) = (words(id, probe), probe.verdict.counts_until(probe.at));
                self.usability.suspend(id, detail.clone());
                self.failing.insert(id.clone(), Cooldown { since: Some(probe.at), until, class, detail });
            }
        }
    }

    /// Of these providers, the questions for their lists of models; none for those that have neither a key nor need
    /// none.
    pub fn questions(&self, environment: &Environment, wanted: impl Fn(&str) -> bool) -> Vec<(String, Request)> {
        let can_be_asked = |provider: &&Provider| {
            let is_open = self.usability.way(&provider.id) == Some(&Way::Declared);
            wanted(&provider.id) && (is_open || credentials::key_of(environment, provider).is_some())
        };
        let question = |provider: &Provider| {
            let key = credentials::key_of(environment, provider).map(|(_, key)| key);
            let request = credentials::list_request(environment, &self.providers, provider, key)?.ok()?;
            Some((provider.id.clone(), request))
        };
        self.catalog.providers().iter().filter(can_be_asked).filter_map(question).collect()
    }

    /// Takes over what these samples say of models, each of which is the one that its agent's program was given.
    pub fn remember(&mut self, config: &Config, environment: &Environment, samples: &[Sample], now: Timestamp) {
        let find = |agent: &str, name: &str| {
            // A choice among models is none of them.
            if self.chooses(name) {
                return None;
            }
            let resolver = Resolver { records: &NOTHING, ..self.resolver() };
            let id = reach(config, agent, environment).name(resolver, name, &Needs::default()).ok()?.model?;
            let tier = self.catalog.model(&id).and_then(|model| model.facts().tier);
            Some((id, tier))
        };
        self.records = records(samples, now, find);
        self.knows_records = true;
    }

    /// Returns whether a reference leaves a choice, so that history has a say in it: a tag, a tier, or an alias of the
    /// person's.
    pub fn chooses(&self, reference: &str) -> bool {
        match parse(reference) {
            Ok(Reference::Tag(_) | Reference::Tier(_)) => true,
            Ok(Reference::Name(name)) => self.catalog.own_alias(&name).is_some(),
            Ok(Reference::Explicit { .. }) | Err(_) => false,
        }
    }

    /// Returns a resolver over these models.
    pub fn resolver(&self) -> Resolver<'_> {
        Resolver {
            catalog: &self.catalog,
            usability: &self.usability,
            selection: &self.selection,
            records: &self.records,
        }
    }
}

/// Returns what a provider would be asked with now.
pub(crate) fn asked_now(
    environment: &Environment,
    id: &str,
    catalog: &Catalog,
    declared: &BTreeMap<String, RawProvider>,
) -> Option<Asked> {
    let provider = catalog.providers().iter().find(|provider| provider.id == id)?;
    let key = credentials::key_of(environment, provider).map(|(_, key)| key);
    credentials::list_request(environment, declared, provider, key)?.ok().map(|request| request.asked())
}

/// Returns what the providers answered about their models, those that are still asked at the same address.
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
