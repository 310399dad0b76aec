//! Models that tasks ask for and that mean nothing, or nothing that their agent can have: told when `tasks.yml` is read, and not
//! when a run is to begin. The file is as good as before.

use super::main_loop::Engine;
use super::model_book::ModelBook;
use super::strategies::reach;
use crate::config::Config;
use crate::config::validate::odd::says;
use crate::domain::agent_model::needs_of_task;
use crate::domain::odd_model::odd_model;
use crate::domain::task::{Spec, Task};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many are told at once.
const TOLD: usize = 20;

/// What is odd about the model that somebody asks for.
pub fn odd_model_of(
    config: &Config,
    book: &ModelBook,
    environment: &BTreeMap<String, String>,
    spec: &Spec,
) -> Option<String> {
    let model = spec.model.as_deref()?;
    let label = spec.labels.iter().find_map(|label| label.trim().strip_prefix("agent:"));
    let agent = label.map(str::trim).or(spec.agent.as_deref()).filter(|agent| config.agent(agent).is_some());
    let reach = agent.map(|agent| reach(config, agent, environment));
    let odd = odd_model(book.resolver(), reach, model, &needs_of_task(spec), &|name| says(config, name))?;
    Some(format!("model {model:?}: {odd}"))
}

impl Engine {
    /// Of the open tasks in `tasks.yml`, those whose model means nothing.
    pub(super) fn odd_models(&mut self, now: Timestamp) -> Vec<String> {
        let asks = |task: &&Arc<Task>| task.file.is_written() && !task.status().is_final() && task.spec.model.is_some();
        let asking: Vec<Arc<Task>> = self.world.tasks.values().filter(asks).cloned().collect();
        if asking.is_empty() {
            return Vec::new();
        }
        let book = self.book(now);
        let odd = asking.iter().filter_map(|task| {
            let config = self.settings.for_task(task, &self.world.projects);
            let told = odd_model_of(&config, &book, &self.doors.environment, &task.spec)?;
            Some(format!("tasks.yml: task {}: {told}", task.id))
        });
        odd.take(TOLD).collect()
    }
}
