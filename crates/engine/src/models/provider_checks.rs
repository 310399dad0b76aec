//! Checks whether providers can be used, by the environment and the settings of the engine: requests the model lists of those
//! with a key, concurrently, unless a recent answer is known. Requests nothing of a provider whose agent is logged in without
//! a key.

use super::current_models::CurrentModels;
use crate::catalog::credentials::{LOGIN_OF_CLI, address_place, key_of, list_request};
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use futures::future::join_all;
use jiff::Timestamp;
use orch_core::base::nearest::nearest;
use orch_core::models::availability::{Probe, Probes, State, Verdict};
use orch_core::models::catalog::Provider;
use orch_core::models::provider_access::Way;
use orch_sys::probes;
use orch_sys::provider_api::{AddressError, Request};

/// What a check shows of a provider.
pub struct ProviderCheck {
    /// The name of the provider.
    pub provider: String,
    /// What makes it usable.
    pub way: Option<Way>,
    /// Its state.
    pub result: CheckResult,
}

/// How the state of a provider is known.
pub enum CheckResult {
    /// It was asked.
    Asked {
        /// Its answer.
        probe: Probe,
        /// Whether it is an earlier answer.
        is_cached: bool,
    },
    /// It was not asked.
    Unasked(Verdict),
}

impl EngineHandle {
    /// Checks a provider, or all that have a key, a login or an entry under `providers`, and records the answers. With
    /// `refresh`, recent answers are ignored. Returns the time of the checks as well.
    ///
    /// # Errors
    /// There is no such provider, the settings do not read, the journal cannot be read, or the engine shuts down.
    pub async fn check_providers(
        &self,
        provider: Option<&str>,
        refresh: bool,
    ) -> Result<(Timestamp, Vec<ProviderCheck>), EngineError> {
        let models = self.current_models().await?;
        let wanted = models.wanted(provider)?;
        let checks = join_all(wanted.into_iter().map(|provider| models.check(provider, refresh))).await;
        let answered: Probes = checks.iter().filter_map(ProviderCheck::answered).collect();
        // The answers are of a later time than the models.
        let now = answered.values().map(|probe| probe.at).fold(models.now, Timestamp::max);
        if !answered.is_empty() {
            let home = models.home.clone();
            let write = move || probes::record(&home.providers_file(), &home.providers_lock(), answered);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(write).await {
                tracing::warn!(%error, "the answers of providers cannot be recorded");
            }
            self.refresh_providers().await?;
        }
        Ok((now, checks))
    }
}

impl ProviderCheck {
    /// Returns the answer if it is new.
    fn answered(&self) -> Option<(String, Probe)> {
        match &self.result {
            CheckResult::Asked { probe, is_cached: false } => Some((self.provider.clone(), probe.clone())),
            CheckResult::Asked { is_cached: true, .. } | CheckResult::Unasked(_) => None,
        }
    }
}

impl CurrentModels {
    fn wanted(&self, name: Option<&str>) -> Result<Vec<&Provider>, EngineError> {
        let all = self.book.catalog.providers();
        let Some(name) = name else {
            let usable = all.iter().filter(|provider| self.book.usability.way(&provider.id).is_some());
            return Ok(usable.collect());
        };
        let found = self.book.catalog.provider(name).map(|provider| vec![provider]);
        found.ok_or_else(|| {
            let ids = || all.iter().map(|provider| provider.id.as_str());
            let meant = nearest(name, ids()).map(|meant| format!("did you mean {meant}? ")).unwrap_or_default();
            let hint = format!("{meant}providers are {}", ids().collect::<Vec<_>>().join(", "));
            EngineError::NotThere { message: format!("there is no provider {name:?}"), hint }
        })
    }

    async fn check(&self, provider: &Provider, refresh: bool) -> ProviderCheck {
        let known = self.book.probes.get(&provider.id);
        let result = match self.request(provider) {
            Err(verdict) => CheckResult::Unasked(verdict),
            Ok(request) => {
                let is_fresh =
                    |probe: &&Probe| probe.asked == request.asked() && probe.verdict.is_fresh(probe.at, self.now);
                match known.filter(|_| !refresh).filter(is_fresh) {
                    Some(probe) => CheckResult::Asked { probe: probe.clone(), is_cached: true },
                    None => CheckResult::Asked { probe: request.probe().await.following(known), is_cached: false },
                }
            }
        };
        ProviderCheck { provider: provider.id.clone(), way: self.book.usability.way(&provider.id).cloned(), result }
    }

    /// Returns the request for a provider's list of models, or the state of one that cannot be asked.
    fn request(&self, provider: &Provider) -> Result<Request, Verdict> {
        let (id, environment) = (provider.id.as_str(), &self.environment);
        let no_key = |lacks: String| Verdict::new(State::InvalidKey, format!("has no key: {lacks}"));
        let key = key_of(environment, provider);
        match (self.book.usability.way(id), &key) {
            (Some(Way::Declared), _) | (_, Some(_)) => {}
            (Some(Way::Key(name)), None) if name != LOGIN_OF_CLI => return Err(no_key(format!("{name} is blank"))),
            (Some(Way::Key(_) | Way::Stored(_) | Way::LoggedIn { .. }), None) => {
                return Err(Verdict::new(State::Available, "is used by its agent's own login"));
            }
            (None, None) => return Err(no_key(self.book.usability.why(id).err().unwrap_or_default())),
        }
        let request = list_request(environment, &self.book.providers, provider, key.map(|(_, key)| key));
        request.unwrap_or(Err(AddressError::NotOne)).map_err(|error| {
            let place = address_place(&self.book.providers, id);
            Verdict::new(State::Unavailable, format!("is not asked: {place}: {error}"))
        })
    }
}
