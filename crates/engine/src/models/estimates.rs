//! What a run will cost, before it begins: what is set aside for it in the budgets. By what comparable runs have cost, else by
//! the task's own limit, else by the catalog's prices and the tokens of a long run. `None`: none of these is known.

use crate::engine::Engine;
use crate::engine::models::{Estimate, EstimateKey};
use crate::settings::directory_of;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::money::Usd;
use orch_core::economics::budget::Rules;
use orch_core::economics::forecast::{Kind, outlook};
use orch_core::economics::track_record::Worker;
use orch_core::models::agent_model::{Chosen, Named};
use orch_core::models::price::pessimistic;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::{Run, State, Task};
use orch_core::tasks::task_type::TaskType;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Engine {
    /// Returns what the next runs of the tasks that wait will cost, where something is limited.
    pub(crate) fn prices_of_waiting(&mut self, rules: &Rules, now: Timestamp) -> BTreeMap<TaskId, Usd> {
        if rules.is_empty() {
            return BTreeMap::new();
        }
        let waits = |task: &&Arc<Task>| matches!(task.state, State::Routed { .. });
        let waiting: Vec<Arc<Task>> = self.state.tasks.values().filter(waits).cloned().collect();
        let cost = |task: &Arc<Task>| {
            let route = task.route.as_ref()?;
            let (model, _) = self.model_path(task, route).into_chosen();
            Some((task.id, self.estimate(task, &route.agent, model.as_deref(), now)?))
        };
        waiting.iter().filter_map(cost).collect()
    }

    /// What is set aside for a run that begins now: nothing where nothing is limited, and for a review nothing of its own, for
    /// others have ended before it.
    pub(crate) fn reservation(&mut self, task: &Task, run: &Run, now: Timestamp) -> Option<Usd> {
        if self.settings.config.budget.rules().is_empty() {
            return None;
        }
        let model = run.model.as_deref();
        match run.kind {
            RunKind::Work => self.estimate(task, &run.agent, model, now),
            RunKind::Route => self.prices(&run.agent, [model, None], now)?.cost(pessimistic(run.kind)),
            RunKind::Review => None,
        }
    }

    /// Returns what a work run of a task will cost with this agent and model.
    fn estimate(&mut self, task: &Task, agent: &str, asked: Option<&str>, now: Timestamp) -> Option<Usd> {
        let Estimate { forecast, catalog } = self.estimate_of_kind(task, agent, asked, now);
        let own_limit = || {
            let most = self.settings.for_task(task, &self.state.projects).bounds(&task.spec).max_cost?;
            let left = most.micros().saturating_sub(task.cost.unwrap_or_default().micros());
            Some(Usd::from_micros(left.max(0)))
        };
        forecast.or_else(own_limit).or(catalog)
    }

    fn estimate_of_kind(&mut self, task: &Task, agent: &str, asked: Option<&str>, now: Timestamp) -> Estimate {
        let samples = self.samples(now);
        let project = directory_of(task, &self.state.projects).ok();
        let complexity = task.route.as_ref().map_or(Complexity::Medium, |route| route.complexity);
        let task_type = TaskType::from_spec(&task.spec);
        let key = EstimateKey {
            agent: agent.to_owned(),
            model: asked.map(str::to_owned),
            project,
            task_type: task_type.to_string(),
            complexity,
        };
        if let Some(known) = self.models.estimate(&samples, &key) {
            return known;
        }
        let named = self.name_model(task, agent, asked, now).ok().and_then(Chosen::named);
        let (name, full) = named.map(|Named { name, model, .. }| (name, model)).unzip();
        let full = full.flatten().map(|model| model.to_string());
        let model = name.or_else(|| asked.map(str::to_owned));
        let worker = Worker { agent: agent.to_owned(), model: model.clone() };
        let kind = Kind { project: key.project.clone(), task_type, complexity, worker };
        let prices = self.prices(agent, [full.as_deref(), model.as_deref()], now);
        let estimate = Estimate {
            forecast: outlook(&kind, &samples).forecast.map(|forecast| forecast.high),
            catalog: prices.and_then(|prices| prices.cost(pessimistic(RunKind::Work))),
        };
        self.models.keep_estimate(key, estimate);
        estimate
    }
}
