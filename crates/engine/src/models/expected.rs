//! What the first run of a task would be asked to have, found out without beginning anything: a model that a person has set, a
//! cheaper one where money is short, and what would keep it from beginning for want of money.

use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::settings::directory_of;
use jiff::Timestamp;
use orch_core::agent_model::{Chosen, Misfit};
use orch_core::budget::Stop;
use orch_core::plan::Cooldown;
use orch_core::route::RouteResult;
use orch_core::task::Task;

/// What a run would be asked to have.
#[derive(Debug)]
pub struct Expected {
    /// The model, as it would be asked for; `None`: the agent's own choice.
    pub asked: Option<String>,
    /// Why it is not that of the route, or stays though money is short.
    pub why: Option<String>,
    /// What the agent's program would be given for it, or why it cannot have it.
    pub named: Result<Chosen, Misfit>,
    /// What is spent, so that no run would begin now.
    pub spent: Option<String>,
    /// Why whoever serves it is left alone, so that no run would begin now, and until when.
    pub rests: Option<Cooldown>,
}

impl EngineHandle {
    /// What the first run of a task would be asked to have under a route. The task need not be there.
    ///
    /// # Errors
    /// The engine is on its way out.
    pub async fn expected(&self, task: &Task, route: &RouteResult) -> Result<Expected, EngineError> {
        let (task, route) = (task.clone(), route.clone());
        self.change(move |engine, _, now| Ok(engine.expected(&task, &route, now))).await
    }
}

impl Engine {
    fn expected(&mut self, task: &Task, route: &RouteResult, now: Timestamp) -> Expected {
        let balances = self.balances(&self.settings.config.budget.rules(), now);
        let (asked, why) = match self.model_said(task, route) {
            Some((model, why)) => (Some(model), Some(why)),
            None => match self.within_budget(&balances, task, route, now) {
                Some(found) => (Some(found.model), Some(found.fact.text())),
                None => (route.model.clone(), None),
            },
        };
        let named = self.name_model(task, &route.agent, asked.as_deref(), now);
        let dir = directory_of(task, &self.state.projects).ok();
        let stop = balances.hold(task, dir.as_deref(), Some((&route.agent, asked.as_deref())));
        let rests = self.left_alone_now(task, &route.agent, asked.as_deref(), now);
        Expected { asked, why, named, spent: stop.as_ref().map(Stop::question), rests }
    }
}
