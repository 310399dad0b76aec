//! The routing policy's word on a task of this engine.

use crate::catalog::known_models::{book, read};
use crate::catalog::policies::Ground;
use crate::engine::Engine;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::models::availability::Probes;
use orch_core::tasks::advice::Advice;
use orch_core::tasks::task::{Run, Task};
use std::sync::Arc;

impl Engine {
    /// Returns what the policy says of a task that is new, or whose work has just failed. `None`: none decides.
    pub(crate) fn policy_advice(&self, task: &Task, last: Option<&Run>, now: Timestamp) -> Option<Advice> {
        self.settings.policy.as_ref()?;
        let samples = read(self.state.archive().samples());
        let known = self.models.last_book();
        let (config, environment) = (&self.settings.config, &self.deps.environment);
        let book = known.filter(|book| book.knows_records).unwrap_or_else(|| {
            let mut book = book(&self.deps, &self.settings, &Probes::new(), now);
            book.remember(config, environment, &samples, now);
            Arc::new(book)
        });
        let is_out = |agent: &str, model: Option<&str>| {
            self.is_cooling_down(agent, model, now)
                || self.state.pauses.holds_agent(agent)
                || self.broken(agent, now).is_some()
                || self.models.money().exhausted().iter().any(|spent| spent == agent)
        };
        let ground = Ground {
            settings: &self.settings,
            projects: &self.state.projects,
            book: &book,
            environment,
            samples: &samples,
            last,
            is_out: &is_out,
        };
        ground.advice(task)
    }

    /// The last run of a task's work that is stored. Without it a policy does not know what the run that just ended has cost.
    pub(crate) fn last_run(&self, task: TaskId) -> Option<Run> {
        self.state.last_work_run(task).unwrap_or_else(|error| {
            tracing::warn!(%task, %error, "a policy does without the last run");
            None
        })
    }
}
