//! Models that tasks ask for and that mean nothing, or nothing that their agent can have: reported when `tasks.yml` is read, and not
//! when a run is to begin. The file is as good as before.

use crate::catalog::credentials::may_be_diverted;
use crate::catalog::model_book::ModelBook;
use crate::catalog::reach::reach;
use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_config::Config;
use orch_config::validate::odd::uses_model;
use orch_core::base::ids::TaskId;
use orch_core::models::agent_model::{Misfit, needs_of_task};
use orch_core::models::agents::DialectKind;
use orch_core::models::model_warning::model_warning;
use orch_core::models::resolve::{Needs, ResolveError};
use orch_core::tasks::task::{Spec, Task};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most warnings that are reported at once.
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
    fn from_spec(config: &Config, spec: &Spec) -> Option<Self> {
        let model = spec.model.clone()?;
        let label = spec.labels.iter().find_map(|label| label.trim().strip_prefix("agent:"));
        let agent = label.map(str::trim).or(spec.agent.as_deref()).filter(|agent| config.agent(agent).is_some());
        Some(Self { agent: agent.map(str::to_owned), model, needs: needs_of_task(spec) })
    }

    fn odd(&self, config: &Config, book: &ModelBook, environment: &BTreeMap<String, String>) -> Option<String> {
        let Self { agent, model, needs } = self;
        let reach = agent.as_deref().map(|agent| reach(config, agent, environment));
        let odd = model_warning(book.resolver(), reach, model, needs, &|name| uses_model(config, name))?;
        Some(format!("model {model:?}: {odd}"))
    }
}

impl EngineHandle {
    /// Returns what is unusual about the model that a task asks for, by the engine's own environment.
    ///
    /// # Errors
    /// The engine is on its way out.
    pub async fn model_warning(&self, spec: Spec) -> Result<Option<String>, EngineError> {
        let warn = move |engine: &mut Engine, _: &mut ChangeSet, now| {
            let config = Arc::clone(&engine.settings.config);
            let Some(asked) = Asked::from_spec(&config, &spec) else { return Ok(None) };
            Ok(asked.odd(&config, &engine.book(now), &engine.deps.environment))
        };
        self.change(warn).await
    }
}

/// Why the model that a task asks for means nothing: it is in no list that orch has, the person's settings do not have it,
/// and no agent that may get the task can have other models.
fn nothing_of(
    config: &Config,
    book: &ModelBook,
    environment: &BTreeMap<String, String>,
    installed: &[String],
    spec: &Spec,
) -> Option<Misfit> {
    let Asked { agent, model, .. } = Asked::from_spec(config, spec)?;
    let error = book.resolver().resolve(&model, &Needs::default()).err().filter(ResolveError::names_nothing)?;
    let may_have_others = |name: &str| {
        let Some(agent) = config.agent(name) else { return false };
        match agent.kind {
            DialectKind::Command | DialectKind::Api => true,
            // Its models are written like that, and its own settings may have some.
            DialectKind::Opencode => model.contains('/'),
            DialectKind::Claude | DialectKind::Codex => {
                reach(config, name, environment).is_elsewhere || may_be_diverted(environment, agent)
            }
        }
    };
    let candidates: Vec<&String> = match &agent {
        Some(agent) => vec![agent],
        None => config.router.agents.iter().filter(|name| installed.contains(name)).collect(),
    };
    if uses_model(config, &model) || candidates.into_iter().any(|name| may_have_others(name)) {
        return None;
    }
    let meant = error.suggestions().into_iter().next().filter(|_| !error.has_meant());
    let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
    Some(Misfit { leaves_choice: false, reason: format!("{error}{meant}"), hint: error.hint() })
}

impl Engine {
    /// Refuses a model that means nothing, before a run of it fails.
    pub(crate) fn check_means_something(&mut self, config: &Config, spec: &Spec, now: Timestamp) -> Result<(), Misfit> {
        if spec.model.is_none() {
            return Ok(());
        }
        let book = self.book(now);
        nothing_of(config, &book, &self.deps.environment, &self.settings.installed, spec).map_or(Ok(()), Err)
    }

    /// The same for a task that is about to be added or changed.
    pub(crate) fn check_model_of(&mut self, task: &Task, now: Timestamp) -> Result<(), EngineError> {
        let config = self.settings.for_task(task, &self.state.projects);
        let checked = self.check_means_something(&config, &task.spec, now);
        checked.map_err(|Misfit { reason, hint, .. }| EngineError::Invalid { message: reason, hint: Some(hint) })
    }

    /// Of the open tasks in `tasks.yml`, those whose model means nothing, with what is odd about it. `suspects`: only they are
    /// looked at.
    pub(crate) fn model_warnings(
        &mut self,
        suspects: Option<BTreeSet<TaskId>>,
        now: Timestamp,
    ) -> BTreeMap<TaskId, String> {
        let asks = |task: &&Arc<Task>| task.file.is_written() && !task.status().is_final() && task.spec.model.is_some();
        let asking: Vec<Arc<Task>> = match suspects {
            Some(ids) => ids.iter().filter_map(|id| self.state.tasks.get(id)).filter(asks).cloned().collect(),
            None => self.state.tasks.values().filter(asks).cloned().collect(),
        };
        if asking.is_empty() {
            return BTreeMap::new();
        }
        let book = self.book(now);
        // Many tasks ask for the same.
        let mut judged: BTreeMap<_, Option<String>> = BTreeMap::new();
        let odd = asking.iter().filter_map(|task| {
            let config = self.settings.for_task(task, &self.state.projects);
            let asked = Asked::from_spec(&config, &task.spec)?;
            // One `Config` for each project, which lives as long as the settings.
            let warning = match judged.entry((Arc::as_ptr(&config), asked)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => {
                    let odd = free.key().1.odd(&config, &book, &self.deps.environment);
                    free.insert(odd)
                }
            };
            Some((task.id, format!("tasks.yml: task {}: {}", task.id, warning.as_ref()?)))
        });
        odd.take(TOLD).collect()
    }
}
