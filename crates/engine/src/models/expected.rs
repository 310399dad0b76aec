//! What the first run of a task would be asked to have, found out without beginning anything: a model that a person has set, a
//! cheaper one where money is short, and what would keep it from beginning for want of money.

use super::budgets::Within;
use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::settings::directory_of;
use jiff::Timestamp;
use orch_core::audit::history::Fact;
use orch_core::economics::budget::{Balances, Stop};
use orch_core::models::agent_model::{Chosen, Misfit};
use orch_core::models::model_path::ModelPath;
use orch_core::planning::plan::Cooldown;
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::Task;

/// What a run would be asked to have.
#[derive(Debug)]
pub struct Expected {
    /// Where its model comes from.
    pub path: ModelPath,
    /// What the agent's program would be given for it, or why it cannot have it.
    pub named: Result<Chosen, Misfit>,
    /// What is spent, so that no run would begin now.
    pub spent: Option<String>,
    /// Why its provider or agent is left alone, so that no run would begin now, and until when.
    pub cooldown: Option<Cooldown>,
}

impl EngineHandle {
    /// Returns what the first run of a task would be asked to have under a route. The task need not be there.
    ///
    /// # Errors
    /// The engine is on its way out.
    pub async fn expected(&self, task: &Task, route: &RouteResult) -> Result<Expected, EngineError> {
        let (task, route) = (task.clone(), route.clone());
        self.change(move |engine, _, now| Ok(engine.expected(&task, &route, now))).await
    }
}

impl Engine {
    /// Returns the path to the model of the next run, unless a budget is low.
    pub(crate) fn model_path(&self, task: &Task, route: &RouteResult) -> ModelPath {
        let dir = directory_of(task, &self.state.projects).ok();
        ModelPath::new(task, route, self.models.set().for_agent(dir.as_deref(), &route.agent))
    }

    /// Returns the path to the model of the next run, and the fact to record where a low budget decides.
    pub(crate) fn model_path_within_budget(
        &mut self,
        balances: &Balances,
        task: &Task,
        route: &RouteResult,
        now: Timestamp,
    ) -> (ModelPath, Option<Fact>) {
        let mut path = self.model_path(task, route);
        if !path.is_of_route() {
            return (path, None);
        }
        let fact = self.within_budget(balances, task, route, now).map(|Within { model, fact }| {
            path.within_budget(model, fact.text());
            fact
        });
        (path, fact)
    }

    fn expected(&mut self, task: &Task, route: &RouteResult, now: Timestamp) -> Expected {
        let balances = self.balances(&self.settings.config.budget.rules(), now);
        let (path, _) = self.model_path_within_budget(&balances, task, route, now);
        let asked = path.chosen().reference.as_deref();
        let named = self.name_model(task, &route.agent, asked, now);
        let dir = directory_of(task, &self.state.projects).ok();
        let stop = balances.hold(task, dir.as_deref(), Some((&route.agent, asked)));
        let cooldown = self.cooldown_of(task, &route.agent, asked, now);
        Expected { named, spent: stop.as_ref().map(Stop::question), cooldown, path }
    }
}
