//! What the engine has read of models, of providers and of past runs, and how long that is good.

use crate::catalog::model_book::ModelBook;
use crate::deps::Deps;
use crate::settings::Settings;
use crate::state::archive::Archive;
use jiff::{SignedDuration, Timestamp};
use orch_config::Config;
use orch_core::availability::{Probe, Probes, State as Standing};
use orch_core::time::to_the_second;
use orch_core::track_record::Sample;
use orch_sys::probes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// For so long what was read is good enough: a strategy needs no news of the last second.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(60);

/// What the engine has read for strategies and for the names of models, and when.
#[derive(Debug, Default)]
pub(crate) struct Known {
    book: Option<(Timestamp, Arc<Config>, Arc<ModelBook>)>,
    samples: Option<(Timestamp, Arc<Vec<Sample>>)>,
    /// What runs showed of providers since that was written down last.
    observed: Probes,
}

impl Known {
    pub(crate) fn forget_book(&mut self) {
        self.book = None;
    }

    /// The models as they stand. No project changes them.
    pub(crate) fn book_at(&mut self, deps: &Deps, settings: &Settings, now: Timestamp) -> Arc<ModelBook> {
        if let Some((then, of, book)) = &self.book
            && Arc::ptr_eq(of, &settings.config)
            && is_good(*then, now)
        {
            return Arc::clone(book);
        }
        let book = Arc::new(book(deps, settings, &self.observed, now));
        let written = |id: &String| book.probes.get(id).map(|probe| probe.at);
        self.observed.retain(|id, probe| written(id).is_some_and(|at| at <= probe.at));
        self.book = Some((now, Arc::clone(&settings.config), Arc::clone(&book)));
        book
    }

    /// The models as they stand, with what history shows of them.
    pub(crate) fn remembering(
        &mut self,
        deps: &Deps,
        settings: &Settings,
        archive: &dyn Archive,
        now: Timestamp,
    ) -> Arc<ModelBook> {
        let book = self.book_at(deps, settings, now);
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

    /// The models as they were looked at last.
    pub(crate) fn last_book(&self) -> Option<Arc<ModelBook>> {
        self.book.as_ref().map(|(_, _, book)| Arc::clone(book))
    }

    /// A run has shown how a provider stands: that counts from now on.
    pub(crate) fn observed(&mut self, provider: &str, probe: Probe) {
        self.observed.insert(provider.to_owned(), probe);
        self.forget_book();
    }

    /// Whether a provider was known to fail when that was looked at last.
    pub(crate) fn fails(&self, provider: &str) -> bool {
        let is_bad = |probe: &Probe| probe.verdict.state != Standing::Available;
        self.observed.get(provider).is_some_and(is_bad)
            || self.book.as_ref().is_some_and(|(_, _, book)| book.failing.contains_key(provider))
    }

    /// Whether nobody is known to fail, and that is not old.
    pub(crate) fn is_fine(&self, now: Timestamp) -> bool {
        self.book.as_ref().is_some_and(|(then, _, book)| is_good(*then, now) && book.failing.is_empty())
    }
}

/// What is known of providers: of file and runs the newer word.
fn newer(mut file: Probes, observed: &Probes) -> Probes {
    for (id, probe) in observed {
        if file.get(id).is_none_or(|known| known.at < probe.at) {
            let probe = probe.clone().following(file.get(id));
            file.insert(id.clone(), probe);
        }
    }
    file
}

/// Whether something that was read then is still good. A clock that was set back makes nothing good for ever.
fn is_good(then: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(then);
    !age.is_negative() && age < GOOD_FOR
}

/// The models as they stand, by what is at hand. Reads files, asks nobody.
pub(crate) fn book(deps: &Deps, settings: &Settings, observed: &Probes, now: Timestamp) -> ModelBook {
    let probes = newer(probes::load(&deps.home.providers_file()), observed);
    let mut book = ModelBook::look(&settings.config, &deps.environment, probes, now, &|id, probe| {
        let until = probe.verdict.until.map(|until| format!(" until {}", to_the_second(until))).unwrap_or_default();
        format!("{id} {}{until}", probe.verdict.why)
    });
    book.selection.paid_ahead.clone_from(&settings.ahead);
    book
}

/// What runs showed of providers and is not written down yet.
#[derive(Debug, Default)]
pub struct Observed {
    noted: Mutex<Probes>,
    news: Notify,
}

impl Observed {
    pub(crate) fn note(&self, provider: &str, probe: Probe) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(provider.to_owned(), probe);
        self.news.notify_one();
    }

    /// What there is to write down, once.
    pub fn take(&self) -> Probes {
        std::mem::take(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is something.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

/// Without the record everybody is new: that is no reason to route nothing.
pub(crate) fn read(samples: Result<Vec<Sample>, orch_store::journal::JournalError>) -> Vec<Sample> {
    samples.unwrap_or_else(|error| {
        tracing::warn!(%error, "a strategy does without the record of the past");
        Vec::new()
    })
}
