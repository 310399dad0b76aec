//! What the engine knows of models and of money: what it has read of models, of providers and of past runs, and how long that
//! is good; what runs will cost; which models a person has set. Nothing of it is stored.

use crate::catalog::known_models::{Observed, book, read};
use crate::catalog::model_book::ModelBook;
use crate::deps::Deps;
use crate::engine::money::Money;
use crate::settings::Settings;
use crate::state::archive::Archive;
use jiff::{SignedDuration, Timestamp};
use orch_config::Config;
use orch_core::base::money::Usd;
use orch_core::economics::track_record::Sample;
use orch_core::models::availability::{Probe, Probes, State as Standing};
use orch_core::models::set_model::SetModels;
use orch_core::tasks::route::Complexity;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How long what was read is good enough: a strategy needs no news of the last second.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(60);

/// What estimates are alike for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EstimateKey {
    pub agent: String,
    /// The model as it was asked for.
    pub model: Option<String>,
    pub project: Option<PathBuf>,
    pub task_type: String,
    pub complexity: Complexity,
}

/// An estimate without the task's own limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    /// The price by what comparable runs have cost.
    pub forecast: Option<Usd>,
    /// The price by the catalog.
    pub catalog: Option<Usd>,
}

/// What is known of models, and when it was read.
#[derive(Debug, Default)]
pub(crate) struct Models {
    book: Option<(Timestamp, Arc<Config>, Arc<ModelBook>)>,
    samples: Option<(Timestamp, Arc<Vec<Sample>>)>,
    /// What runs showed of providers since that was written down last.
    probes: Probes,
    /// The same, shared with the task that writes it down.
    observed: Arc<Observed>,
    /// Estimates, as long as the samples that they are made from are the same.
    estimates: BTreeMap<EstimateKey, Estimate>,
    estimated_from: Arc<Vec<Sample>>,
    set: SetModels,
    money: Money,
}

impl Models {
    pub(crate) fn new(observed: Arc<Observed>) -> Self {
        Self { observed, ..Self::default() }
    }

    /// Returns the present models. No project changes them.
    pub(crate) fn book(&mut self, deps: &Deps, settings: &Settings, now: Timestamp) -> Arc<ModelBook> {
        if let Some((then, of, book)) = &self.book
            && Arc::ptr_eq(of, &settings.config)
            && is_good(*then, now)
        {
            return Arc::clone(book);
        }
        let book = Arc::new(book(deps, settings, &self.probes, now));
        let written = |id: &String| book.probes.get(id).map(|probe| probe.at);
        self.probes.retain(|id, probe| written(id).is_some_and(|at| at <= probe.at));
        self.book = Some((now, Arc::clone(&settings.config), Arc::clone(&book)));
        book
    }

    /// Returns the present models, with what history shows of them.
    pub(crate) fn book_with_records(
        &mut self,
        deps: &Deps,
        settings: &Settings,
        archive: &dyn Archive,
        now: Timestamp,
    ) -> Arc<ModelBook> {
        let book = self.book(deps, settings, now);
        if book.knows_records {
            return book;
        }
        let samples = self.samples(archive, now);
        let mut book = ModelBook::clone(&book);
        book.remember(&settings.config, &deps.environment, &samples, now);
        let book = Arc::new(book);
        if let Some((_, _, known)) = &mut self.book {
            *known = Arc::clone(&book);
        }
        book
    }

    /// Returns the models as they were read last.
    pub(crate) fn last_book(&self) -> Option<Arc<ModelBook>> {
        self.book.as_ref().map(|(_, _, book)| Arc::clone(book))
    }

    /// What providers answered last is read anew before it counts again.
    pub(crate) fn forget_book(&mut self) {
        self.book = None;
    }

    /// How runs were judged, as it was read a short while ago.
    pub(crate) fn samples(&mut self, archive: &dyn Archive, now: Timestamp) -> Arc<Vec<Sample>> {
        if let Some((then, samples)) = &self.samples
            && is_good(*then, now)
        {
            return Arc::clone(samples);
        }
        let samples = Arc::new(read(archive.samples()));
        self.samples = Some((now, Arc::clone(&samples)));
        samples
    }

    /// Returns what runs showed of providers since that was written down last.
    pub(crate) fn probes(&self) -> &Probes {
        &self.probes
    }

    /// A run has shown the state of a provider: it counts from now on, and is to be written down.
    pub(crate) fn observe(&mut self, provider: &str, probe: Probe) {
        self.probes.insert(provider.to_owned(), probe.clone());
        self.forget_book();
        self.observed.note(provider, probe);
    }

    /// Returns whether a provider was known to fail at the last check.
    pub(crate) fn fails(&self, provider: &str) -> bool {
        let is_bad = |probe: &Probe| probe.verdict.state != Standing::Available;
        self.probes.get(provider).is_some_and(is_bad)
            || self.book.as_ref().is_some_and(|(_, _, book)| book.failing.contains_key(provider))
    }

    /// Returns whether no provider is known to fail, and that is not old.
    pub(crate) fn is_fine(&self, now: Timestamp) -> bool {
        self.book.as_ref().is_some_and(|(then, _, book)| is_good(*then, now) && book.failing.is_empty())
    }

    /// Returns the estimate that was made from these samples.
    pub(crate) fn estimate(&mut self, samples: &Arc<Vec<Sample>>, key: &EstimateKey) -> Option<Estimate> {
        if !Arc::ptr_eq(&self.estimated_from, samples) {
            self.estimated_from = Arc::clone(samples);
            self.estimates.clear();
        }
        self.estimates.get(key).copied()
    }

    pub(crate) fn keep_estimate(&mut self, key: EstimateKey, estimate: Estimate) {
        self.estimates.insert(key, estimate);
    }

    /// Models that are set for the daemon's lifetime.
    pub(crate) fn set(&self) -> &SetModels {
        &self.set
    }

    pub(crate) fn set_mut(&mut self) -> &mut SetModels {
        &mut self.set
    }

    pub(crate) fn money(&self) -> &Money {
        &self.money
    }

    pub(crate) fn money_mut(&mut self) -> &mut Money {
        &mut self.money
    }
}

/// Returns whether something that was read then is still valid. A clock that was set back keeps nothing valid for ever.
fn is_good(then: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(then);
    !age.is_negative() && age < GOOD_FOR
}
