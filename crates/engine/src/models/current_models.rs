//! The present models, by the environment and the settings of the engine, for questions about models themselves.

use crate::catalog::known_models::{book_describing, failing};
use crate::catalog::model_book::ModelBook;
use crate::catalog::reach::reach;
use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::{SignedDuration, Timestamp};
use orch_config::Config;
use orch_config::home::Home;
use orch_core::economics::track_record::Sample;
use orch_core::models::catalog::ModelRef;
use orch_core::models::resolve::Needs;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The models, and what is known of their past runs.
pub struct CurrentModels {
    /// The models, with what history shows of them.
    pub book: ModelBook,
    /// How runs were judged.
    pub samples: Vec<Sample>,
    /// The time of the look.
    pub now: Timestamp,
    pub(super) home: Home,
    config: Arc<Config>,
    pub(super) environment: BTreeMap<String, String>,
}

impl CurrentModels {
    /// Returns the model that the program of an agent gets for a reference.
    pub fn model_of(&self, agent: &str, reference: &str) -> Option<ModelRef> {
        let reach = reach(&self.config, agent, &self.environment);
        reach.name(self.book.resolver(), reference, &Needs::default()).ok()?.model
    }
}

impl EngineHandle {
    /// Returns the present models. Nothing of it is older than this call.
    ///
    /// # Errors
    /// The settings do not read, the journal cannot be read, or the engine is on its way out.
    pub async fn current_models(&self) -> Result<CurrentModels, EngineError> {
        let look = |engine: &mut Engine, _: &mut ChangeSet, now| {
            let mut settings = Arc::clone(&engine.settings);
            if settings.unread.is_some() {
                let hint = "`orch config schema` lists every key; config.example.yml has the defaults";
                return Err(EngineError::Invalid {
                    message: settings.problems.join("\n"),
                    hint: Some(hint.to_owned()),
                });
            }
            let ahead = engine.balances(&settings.config.budget.rules(), now).ahead;
            Arc::make_mut(&mut settings).ahead = ahead;
            Ok((Arc::clone(&engine.deps), settings, engine.models.probes().clone(), now))
        };
        let (deps, settings, probes, now) = self.change(look).await?;
        let samples = self.samples().await?;
        // Programs of agents are asked for their models: the loop of the engine does not wait for them.
        let built = tokio::task::spawn_blocking(move || {
            let mut book = book_describing(&deps, &settings, &probes, now, &|id, probe| {
                let age = SignedDuration::from_secs(now.duration_since(probe.at).as_secs().max(0));
                format!("{}, asked {age:#} ago", failing(id, probe))
            });
            book.remember(&settings.config, &deps.environment, &samples, now);
            let (home, environment) = (deps.home.clone(), deps.environment.clone());
            CurrentModels { book, samples, now, home, config: Arc::clone(&settings.config), environment }
        });
        built.await.map_err(|_| EngineError::Stopping)
    }
}
