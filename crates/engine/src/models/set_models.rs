//! Models that a person sets for an agent or a project while the daemon lives. Nothing of it is stored: the settings are for what
//! lasts.

use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::ModelFact;
use orch_core::models::agent_model::{Misfit, check_word};
use orch_core::models::resolve::{Needs, parse};
use orch_core::models::set_model::SetModel;
use orch_core::operations::pause::{PauseScope, PauseSelector};

/// What a person wants of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOrder {
    /// The work that the model is set for.
    pub of: PauseSelector,
    /// Which; `None`: what was set is taken back.
    pub model: Option<String>,
    /// Who sets the model.
    pub by: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelsSet {
    /// It is another one now.
    pub changed: bool,
    /// All that are set now.
    pub all: Vec<SetModel>,
}

impl EngineHandle {
    /// Sets a model for the daemon's lifetime, or takes it back.
    pub async fn set_model(&self, order: ModelOrder) -> Result<ModelsSet, EngineError> {
        self.change(|engine, change_set, now| engine.set_model(change_set, order, now)).await
    }
}

impl Engine {
    fn set_model(
        &mut self,
        change_set: &mut ChangeSet,
        order: ModelOrder,
        now: Timestamp,
    ) -> Result<ModelsSet, EngineError> {
        let scope = self.scope_of(&order.of)?;
        let before = self.models.set().clone();
        match order.model {
            Some(model) => {
                self.check_settable(&scope, &model, now).map_err(|Misfit { reason, hint, .. }| {
                    EngineError::Invalid { message: reason, hint: Some(hint) }
                })?;
                let set = SetModel { scope, model, by: order.by, since: now };
                let (of, model, by) = (set.scope.clone(), set.model.clone(), set.by.clone());
                change_set.note(&mut self.state, now, None, None, ModelFact::Set { of, model, by });
                self.models.set_mut().set(set);
            }
            None => {
                if self.models.set_mut().reset(&scope) {
                    let fact = ModelFact::Reset { of: scope, by: order.by };
                    change_set.note(&mut self.state, now, None, None, fact);
                }
            }
        }
        Ok(ModelsSet { changed: *self.models.set() != before, all: self.models.set().all().to_vec() })
    }

    /// A model for one agent must be one that it can have; of a project's it depends on who gets the work.
    fn check_settable(&mut self, scope: &PauseScope, model: &str, now: Timestamp) -> Result<(), Misfit> {
        check_word(model)?;
        match scope {
            PauseScope::Agent { name } => self.find_name(name, model, &Needs::default(), now).map(|_| ()),
            PauseScope::All | PauseScope::Project { .. } => Ok(parse(model).map(|_| ())?),
        }
    }
}
