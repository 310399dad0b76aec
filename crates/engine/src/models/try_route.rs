//! Asking the router for a person who only wants to know.

use crate::engine::Engine;
use crate::engine::command::Command;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::job::Job;
use crate::state::ChangeSet;
use crate::state::reply::{Reply, ReplySlot, answer};
use jiff::Timestamp;
use orch_core::base::ids::RunId;
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::{FileState, Spec, Task};
use std::sync::Arc;

impl EngineHandle {
    /// Asks the router about a task that there is not, without changing anything.
    pub async fn try_route_of(&self, spec: Spec) -> Result<RouteResult, EngineError> {
        // As if it were added now: where the agents take turns, its number counts.
        let imagined = |engine: &mut Engine, now| {
            engine.check_spec(&spec)?;
            Ok(Arc::new(Task::new(engine.state.coming_task_id(), spec, FileState::Pending, now)))
        };
        self.route_without_taking(imagined).await
    }

    /// Has a route decided that is not taken.
    pub(crate) async fn route_without_taking(
        &self,
        task: impl FnOnce(&mut Engine, Timestamp) -> Result<Arc<Task>, EngineError> + Send + 'static,
    ) -> Result<RouteResult, EngineError> {
        let begin = |engine: &mut Engine, change_set: &mut ChangeSet, reply, now| match task(engine, now) {
            Ok(task) => engine.try_route(task, reply, now),
            Err(error) => answer(change_set, reply, Err(error)),
        };
        self.call(|reply| Command::begin(reply, begin)).await
    }
}

impl Engine {
    fn try_route(&mut self, task: Arc<Task>, reply: Reply<RouteResult>, now: Timestamp) {
        let config = self.settings.for_task(&task, &self.state.projects);
        let obstacle = self.router_obstacle(&config.router.agent, &config.router.model, now);
        let run = RunId::new(task.id, 0, self.deps.random());
        self.jobs.order(Job::TryRoute { task, run, obstacle, reply: ReplySlot::new(reply) });
    }
}
