//! What a strategy knows of a task: which agents could do it, for what price, with which record. What it does is
//! decided in `core::economics::strategy`.

use crate::catalog::credentials::{Environment, endpoint};
use crate::catalog::model_book::ModelBook;
use crate::catalog::policies::Ground;
use crate::catalog::reach::{reach, workers};
use crate::deps::task_context::TaskContext;
use crate::settings::routing::OwnedRouting;
use jiff::Timestamp;
use orch_config::Config;
use orch_core::economics::budget::is_critical;
use orch_core::economics::strategy::{Candidate, Case, Strategy, parse_share};
use orch_core::economics::track_record::{Sample, Weights, record};
use orch_core::models::agent_model::needs_of_task;
use orch_core::models::agents::api;
use orch_core::models::availability::Probes;
use orch_core::models::resolve::{Needs, Record};
use orch_core::tasks::task::Task;
use orch_core::tasks::task_type::TaskType;
use orch_sys::clock::{Clock, SystemClock};

/// Returns the routing question of a task for who only wants to know. Blocking.
pub(crate) fn routing_of(cx: &TaskContext, book: &ModelBook, samples: &[Sample]) -> OwnedRouting {
    let TaskContext { deps, settings, projects, task } = cx;
    let (routing, config) = (settings.routing(task, projects), cx.config());
    let environment = &deps.environment;
    let ground = Ground { settings, projects, book, environment, samples, last: None, is_out: &|_, _| false };
    if settings.policy.is_some() {
        return OwnedRouting { word: ground.advice(task), ..routing };
    }
    if config.router.strategy == Strategy::Quality {
        return routing;
    }
    let case = ground.case(&config, &routing, task, deps.clock.now());
    OwnedRouting { case: Some(case), ..routing }
}

/// A model as an agent's program is given it, or as it was asked for where it cannot be named. `None`: the program's own
/// default, because what was asked for is a choice that no program can make.
pub(crate) fn given(
    config: &Config,
    book: &ModelBook,
    agent: &str,
    asked: String,
    environment: &Environment,
) -> Option<String> {
    match reach(config, agent, environment).name(book.resolver(), &asked, &Needs::default()) {
        Ok(named) => Some(named.name),
        Err(misfit) => {
            tracing::warn!(agent, model = asked, reason = misfit.reason, "a model is left to the agent's program");
            (!book.chooses(&asked)).then_some(asked)
        }
    }
}

/// Returns the model that `asked` means where orch asks a provider itself, once it is known that it can.
///
/// # Errors
/// It cannot, and why.
pub fn direct_model(config: &Config, environment: &Environment, asked: &str) -> Result<String, String> {
    let book = ModelBook::load(config, environment, Probes::new(), SystemClock.now(), &|_, _| String::new());
    let named = reach(config, api::NAME, environment).name(book.resolver(), asked, &Needs::default());
    let named = named.map_err(|misfit| format!("{}; {}", misfit.reason, misfit.hint))?;
    let found = endpoint(environment, &config.providers, &book.catalog, &named.name);
    found.map(|_| named.name).map_err(|failure| failure.detail)
}

impl Ground<'_> {
    /// Collects the candidates for a task, for the strategy of its settings.
    pub(crate) fn case(&self, config: &Config, routing: &OwnedRouting, task: &Task, now: Timestamp) -> Case {
        let task_type = TaskType::from_spec(&task.spec);
        let cheaper_for = config.router.cheaper_for.as_ref();
        let agent_label = |label: &String| label.trim().to_lowercase().starts_with("agent:");
        let mut case = Case {
            strategy: config.router.strategy,
            // What does not read was refused when the settings were read.
            explore: parse_share(&config.router.explore).unwrap_or_default(),
            cheaper_for: cheaper_for.map(|words| words.iter().map(|word| TaskType::parse(word)).collect()),
            task: task.id,
            attempt: task.progress.attempts + 1,
            is_critical: is_critical(task),
            is_escalation: task.progress.attempts > 0 || task.progress.steps_up > 0 || task.progress.tier_failures > 0,
            names_agent: task.spec.agent.is_some() || task.spec.labels.iter().any(agent_label),
            names_model: task.spec.model.is_some(),
            candidates: Vec::new(),
            task_type,
        };
        let (needs, weights) = (needs_of_task(&task.spec), Weights::from_samples(self.samples, now));
        for (agent, model) in workers(config, &routing.rules().candidates().unwrap_or_default()) {
            let named = reach(config, &agent, self.environment).name(self.book.resolver(), &model, &needs);
            // Runs are recorded under the name that the program was given.
            let given = named.as_ref().map_or(model.as_str(), |named| named.name.as_str());
            let record = of_worker(self.samples, &weights, &case.task_type, &agent, given);
            let found = named.as_ref().ok().and_then(|named| self.book.catalog.model(named.model.as_ref()?));
            let failing = found.and_then(|found| {
                let provider = &found.id.provider;
                self.book.usability.way(provider).and_then(|_| self.book.usability.why(provider).err())
            });
            case.candidates.push(Candidate {
                tier: found.and_then(|found| found.facts().tier),
                price: found.and_then(orch_core::models::catalog::Model::average_price),
                is_paid_ahead: {
                    let full = found.map(|found| found.id.to_string());
                    self.settings.is_paid_ahead(&agent, full.as_deref().or(Some(given)))
                },
                unfit: named.as_ref().err().map(|misfit| misfit.reason.clone()).or(failing),
                record,
                agent,
                model,
            });
        }
        case
    }
}

/// How an agent with a model, by the name that its program was given, has done in tasks of a type.
fn of_worker(samples: &[Sample], weights: &Weights<'_>, task_type: &TaskType, agent: &str, model: &str) -> Record {
    let is_of = |sample: &&Sample| {
        sample.task_type == *task_type && sample.agent == agent && sample.model.as_deref() == Some(model)
    };
    record(samples.iter().filter(is_of), weights)
}
