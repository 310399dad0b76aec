//! The models of tasks by name: what a reference means for an agent now, and the routing question of a task.

use crate::catalog::model_book::ModelBook;
use crate::catalog::policies::Ground;
use crate::catalog::reach::reach;
use crate::catalog::strategies::given;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::settings::routing::OwnedRouting;
use jiff::Timestamp;
use orch_core::economics::strategy::Strategy;
use orch_core::economics::track_record::Sample;
use orch_core::models::agent_model::{Chosen, Misfit, Named, check_word, needs_of_task};
use orch_core::models::resolve::{Needs, parse};
use orch_core::tasks::task::Task;
use std::sync::Arc;

impl Engine {
    /// Returns the routing question of a task.
    pub(crate) fn routing(&mut self, task: &Task) -> OwnedRouting {
        let routing = self.settings.routing(task, &self.state.projects);
        let config = self.settings.for_task(task, &self.state.projects);
        let now = self.deps.clock.now();
        if self.settings.policy.is_some() {
            return OwnedRouting { word: self.policy_advice(task, None, now), ..routing };
        }
        if config.router.strategy == Strategy::Quality {
            return routing;
        }
        let (book, samples) = (self.remembering(now), self.samples(now));
        let ground = Ground {
            settings: &self.settings,
            projects: &self.state.projects,
            book: &book,
            environment: &self.deps.environment,
            samples: &samples,
            last: None,
            is_out: &|_, _| false,
        };
        OwnedRouting { case: Some(ground.case(&config, &routing, task, now)), ..routing }
    }

    /// Returns the present models, with what history shows of them.
    fn remembering(&mut self, now: Timestamp) -> Arc<ModelBook> {
        self.models.book_with_records(&self.deps, &self.settings, self.state.archive(), now)
    }

    /// Returns the present models, for a reference: the history is read only where the reference leaves a choice.
    pub(crate) fn book_for(&mut self, reference: &str, now: Timestamp) -> Arc<ModelBook> {
        let book = self.book(now);
        if book.chooses(reference) { self.remembering(now) } else { book }
    }

    /// Returns the present models. No project changes them.
    pub(crate) fn book(&mut self, now: Timestamp) -> Arc<ModelBook> {
        self.models.book(&self.deps, &self.settings, now)
    }

    /// The model that was asked for, as the program of the agent is given it: with everything that the task needs, or not at
    /// all. A model that only `model_map` asks for, and of which the program knows none, is left to the program.
    ///
    /// # Errors
    /// It means nothing that this agent can have, and what to do.
    pub(crate) fn name_model(
        &mut self,
        task: &Task,
        agent: &str,
        asked: Option<&str>,
        now: Timestamp,
    ) -> Result<Chosen, Misfit> {
        let config = self.settings.for_task(task, &self.state.projects);
        let reach = reach(&config, agent, &self.deps.environment);
        let needs = needs_of_task(&task.spec);
        let own_default = |why| reach.own_choice(&needs).map(|()| Chosen::OwnDefault(why));
        let Some(asked) = asked else { return own_default(None) };
        if task.spec.model.as_deref() == Some(asked) {
            self.check_means_something(&config, &task.spec, now)?;
        }
        let is_of_map = || config.mapped_models(agent).any(|model| model == asked);
        match self.find_name(agent, asked, &needs, now) {
            Ok(named) => Ok(Chosen::Named(named)),
            Err(Misfit { leaves_choice: true, reason, .. }) if task.spec.model.is_none() && is_of_map() => {
                own_default(Some(reason))
            }
            Err(misfit) => Err(misfit),
        }
    }

    /// Returns what an agent's program is given for a reference, with the person's own settings.
    pub(crate) fn find_name(
        &mut self,
        agent: &str,
        reference: &str,
        needs: &Needs,
        now: Timestamp,
    ) -> Result<Named, Misfit> {
        let book = self.book_for(reference, now);
        let reach = reach(&self.settings.config, agent, &self.deps.environment);
        self.name_past_failures(&book, reach, reference, needs, now)
    }

    /// Whether a model that a person asks for can be had, as far as the agent is known.
    pub(crate) fn check_model(&mut self, task: &Task, model: &str, now: Timestamp) -> Result<(), EngineError> {
        let found = match task.route.as_deref() {
            Some(route) => self.name_model(task, &route.agent, Some(model), now).map(|_| ()),
            None => check_word(model).and_then(|()| parse(model).map(|_| ()).map_err(Misfit::from)),
        };
        found.map_err(|Misfit { reason, hint, .. }| EngineError::Invalid { message: reason, hint: Some(hint) })
    }

    /// The same of a question that has no needs of its own: what cannot be named is left to the program.
    pub(crate) fn name_or_leave(
        &mut self,
        task: &Task,
        agent: &str,
        asked: Option<String>,
        now: Timestamp,
    ) -> Option<String> {
        let asked = asked?;
        let config = self.settings.for_task(task, &self.state.projects);
        let book = self.book_for(&asked, now);
        given(&config, &book, agent, asked, &self.deps.environment)
    }

    pub(crate) fn samples(&mut self, now: Timestamp) -> Arc<Vec<Sample>> {
        self.models.samples(self.state.archive(), now)
    }
}
