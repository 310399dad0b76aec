//! Models that tasks ask for and that mean nothing, or nothing that their agent can have: told when `tasks.yml` is read, and not
//! when a run is to begin. The file is as good as before.

use super::main_loop::Engine;
use super::model_book::ModelBook;
use super::strategies::reach;
use crate::config::Config;
use crate::config::validate::odd::says;
use crate::domain::agent_model::needs_of_task;
use crate::domain::ids::TaskId;
use crate::domain::odd_model::odd_model;
use crate::domain::resolve::Needs;
use crate::domain::task::{Spec, Task};
use jiff::Timestamp;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many are told at once.
const TOLD: usize = 20;

/// What a task asks for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    /// The agent that it names, if there is such a one.
    agent: Option<String>,
    model: String,
    needs: Needs,
}

impl Asked {
    /// `None`: no model.
    fn of(config: &Config, spec: &Spec) -> Option<Self> {
        let model = spec.model.clone()?;
        let label = spec.labels.iter().find_map(|label| label.trim().strip_prefix("agent:"));
        let agent = label.map(str::trim).or(spec.agent.as_deref()).filter(|agent| config.agent(agent).is_some());
        Some(Self { agent: agent.map(str::to_owned), model, needs: needs_of_task(spec) })
    }

    fn odd(&self, config: &Config, book: &ModelBook, environment: &BTreeMap<String, String>) -> Option<String> {
        let Self { agent, model, needs } = self;
        let reach = agent.as_deref().map(|agent| reach(config, agent, environment));
        let odd = odd_model(book.resolver(), reach, model, needs, &|name| says(config, name))?;
        Some(format!("model {model:?}: {odd}"))
    }
}

/// What is odd about the model that somebody asks for.
pub fn odd_model_of(
    config: &Config,
    book: &ModelBook,
    environment: &BTreeMap<String, String>,
    spec: &Spec,
) -> Option<String> {
    Asked::of(config, spec)?.odd(config, book, environment)
}

impl Engine {
    /// Of the open tasks in `tasks.yml`, those whose model means nothing, with what is odd about it. `suspects`: only they are
    /// looked at.
    pub(super) fn odd_models(
        &mut self,
        suspects: Option<BTreeSet<TaskId>>,
        now: Timestamp,
    ) -> BTreeMap<TaskId, String> {
        let asks = |task: &&Arc<Task>| task.file.is_written() && !task.status().is_final() && task.spec.model.is_some();
        let asking: Vec<Arc<Task>> = match suspects {
            Some(ids) => ids.iter().filter_map(|id| self.world.tasks.get(id)).filter(asks).cloned().collect(),
            None => self.world.tasks.values().filter(asks).cloned().collect(),
        };
        if asking.is_empty() {
            return BTreeMap::new();
        }
        let book = self.book(now);
        // Many tasks ask for the same.
        let mut judged: BTreeMap<_, Option<String>> = BTreeMap::new();
        let odd = asking.iter().filter_map(|task| {
            let config = self.settings.for_task(task, &self.world.projects);
            let asked = Asked::of(&config, &task.spec)?;
            // One `Config` for each project, which lives as long as the settings.
            let told = match judged.entry((Arc::as_ptr(&config), asked)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => {
                    let odd = free.key().1.odd(&config, &book, &self.doors.environment);
                    free.insert(odd)
                }
            };
            Some((task.id, format!("tasks.yml: task {}: {}", task.id, told.as_ref()?)))
        });
        odd.take(TOLD).collect()
    }
}
