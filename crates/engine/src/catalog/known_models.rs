//! What files and past runs say of models and providers now. Decides nothing.

use crate::catalog::model_book::ModelBook;
use crate::deps::Deps;
use crate::settings::Settings;
use jiff::Timestamp;
use orch_core::base::time::to_the_second;
use orch_core::economics::track_record::Sample;
use orch_core::models::availability::{Probe, Probes};
use orch_sys::probes;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Returns what is known of providers: of file and runs the newer word.
fn newer(mut file: Probes, observed: &Probes) -> Probes {
    for (id, probe) in observed {
        if file.get(id).is_none_or(|known| known.at < probe.at) {
            let probe = probe.clone().following(file.get(id));
            file.insert(id.clone(), probe);
        }
    }
    file
}

/// Describes why a provider is passed over.
pub(crate) fn failing(id: &str, probe: &Probe) -> String {
    let until = probe.verdict.until.map(|until| format!(" until {}", to_the_second(until))).unwrap_or_default();
    format!("{id} {}{until}", probe.verdict.why)
}

/// Returns the models that are known now. Reads files, and asks no provider.
pub(crate) fn book(deps: &Deps, settings: &Settings, observed: &Probes, now: Timestamp) -> ModelBook {
    book_describing(deps, settings, observed, now, &failing)
}

/// Like [`book`]; `describe` renders why a provider is not used.
pub(crate) fn book_describing(
    deps: &Deps,
    settings: &Settings,
    observed: &Probes,
    now: Timestamp,
    describe: &dyn Fn(&str, &Probe) -> String,
) -> ModelBook {
    let probes = newer(probes::load(&deps.home.providers_file()), observed);
    let mut book = ModelBook::load(&settings.config, &deps.environment, probes, now, describe);
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

    /// Returns what there is to write down, once.
    pub fn take(&self) -> Probes {
        std::mem::take(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is something.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

/// Without the record every agent counts as new: routing goes on.
pub(crate) fn read(samples: Result<Vec<Sample>, orch_store::journal::JournalError>) -> Vec<Sample> {
    samples.unwrap_or_else(|error| {
        tracing::warn!(%error, "a strategy does without the record of the past");
        Vec::new()
    })
}
