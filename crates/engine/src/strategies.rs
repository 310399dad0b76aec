//! What a strategy is told of a task: who could do it, for what price, with which record. What it does is
//! `domain::strategy`'s to say.

use super::credentials::{ELSEWHERE, Environment, endpoint};
use super::deps::Deps;
use super::error::EngineError;
use super::main_loop::Engine;
use super::model_book::ModelBook;
use super::policies::Ground;
use super::settings::{OwnedRouting, Settings};
use jiff::{SignedDuration, Timestamp};
use orch_config::Config;
use orch_core::agent_model::{Chosen, Misfit, Named, Reach, check_word, needs_of_task};
use orch_core::agents::{DialectKind, api, first_of_tier, own_model_names, provider_of};
use orch_core::availability::{Probe, Probes, State as Standing};
use orch_core::budget::is_critical;
use orch_core::escalation::Rung;
use orch_core::resolve::{Needs, Record, parse};
use orch_core::route::Complexity;
use orch_core::strategy::{Candidate, Case, Strategy, parse_share};
use orch_core::task::Task;
use orch_core::task_type::TaskType;
use orch_core::time::to_the_second;
use orch_core::track_record::{Sample, Weights, record};
use orch_store::journal::Project;
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::probes;
use std::sync::Arc;

/// For so long what was read is good enough: a strategy needs no news of the last second.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(60);

/// What the engine has read for strategies and for the names of models, and when.
#[derive(Debug, Default)]
pub(super) struct Known {
    book: Option<(Timestamp, Arc<Config>, Arc<ModelBook>)>,
    samples: Option<(Timestamp, Arc<Vec<Sample>>)>,
    /// What runs showed of providers since that was written down last.
    observed: Probes,
}

impl Known {
    pub(super) fn forget_book(&mut self) {
        self.book = None;
    }

    /// The models as they were looked at last.
    pub(super) fn book(&self) -> Option<Arc<ModelBook>> {
        self.book.as_ref().map(|(_, _, book)| Arc::clone(book))
    }

    /// A run has shown how a provider stands: that counts from now on.
    pub(super) fn observed(&mut self, provider: &str, probe: Probe) {
        self.observed.insert(provider.to_owned(), probe);
        self.forget_book();
    }

    /// Whether a provider was known to fail when that was looked at last.
    pub(super) fn fails(&self, provider: &str) -> bool {
        let is_bad = |probe: &Probe| probe.verdict.state != Standing::Available;
        self.observed.get(provider).is_some_and(is_bad)
            || self.book.as_ref().is_some_and(|(_, _, book)| book.failing.contains_key(provider))
    }

    /// Whether nobody is known to fail, and that is not old.
    pub(super) fn is_fine(&self, now: Timestamp) -> bool {
        self.book.as_ref().is_some_and(|(then, _, book)| is_good(*then, now) && book.failing.is_empty())
    }
}

/// What is known of providers: of file and runs the newer word.
fn newer(mut file: Probes, observed: &Probes) -> Probes {
    for (id, probe) in observed {
        if file.get(id).is_none_or(|known| known.at < probe.at) {
            let probe = probe.clone().following(file.get(id));
            file.insert(id.clone(), probe);
        }
    }
    file
}

/// Whether something that was read then is still good. A clock that was set back makes nothing good for ever.
fn is_good(then: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(then);
    !age.is_negative() && age < GOOD_FOR
}

/// The models as they stand, by what is at hand. Reads files, asks nobody.
pub(super) fn book(deps: &Deps, settings: &Settings, observed: &Probes, now: Timestamp) -> ModelBook {
    let probes = newer(probes::load(&deps.home.providers_file()), observed);
    let mut book = ModelBook::look(&settings.config, &deps.environment, probes, now, &|id, probe| {
        let until = probe.verdict.until.map(|until| format!(" until {}", to_the_second(until))).unwrap_or_default();
        format!("{id} {}{until}", probe.verdict.why)
    });
    book.selection.paid_ahead.clone_from(&settings.ahead);
    book
}

impl Engine {
    /// The routing question of a task.
    pub(super) fn routing(&mut self, task: &Task) -> OwnedRouting {
        let routing = self.settings.routing(task, &self.state.projects);
        let config = self.settings.for_task(task, &self.state.projects);
        let now = self.deps.clock.now();
        if self.settings.policy.is_some() {
            return OwnedRouting { word: self.policy_word(task, None, now), ..routing };
        }
        if config.router.strategy == Strategy::Quality {
            return routing;
        }
        let (book, samples) = (self.remembering(now), self.samples(now));
        let case = case(&self.settings, (&config, &routing), (task, now), &book, &samples, &self.deps.environment);
        OwnedRouting { case: Some(case), ..routing }
    }

    /// The models as they stand, with what history shows of them.
    fn remembering(&mut self, now: Timestamp) -> Arc<ModelBook> {
        let book = self.book(now);
        if book.knows_records {
            return book;
        }
        let samples = self.samples(now);
        let mut book = ModelBook::clone(&book);
        book.remember(&self.settings.config, &self.deps.environment, &samples, now);
        let book = Arc::new(book);
        if let Some((_, _, known)) = &mut self.known.book {
            *known = Arc::clone(&book);
        }
        book
    }

    /// The models as they stand, for a reference: where it leaves a choice, history has a say. It is read for nothing else.
    pub(super) fn book_for(&mut self, reference: &str, now: Timestamp) -> Arc<ModelBook> {
        let book = self.book(now);
        if book.chooses(reference) { self.remembering(now) } else { book }
    }

    /// The models as they stand. No project changes them.
    pub(super) fn book(&mut self, now: Timestamp) -> Arc<ModelBook> {
        let config = &self.settings.config;
        if let Some((then, of, book)) = &self.known.book
            && Arc::ptr_eq(of, config)
            && is_good(*then, now)
        {
            return Arc::clone(book);
        }
        let book = Arc::new(book(&self.deps, &self.settings, &self.known.observed, now));
        let written = |id: &String| book.probes.get(id).map(|probe| probe.at);
        self.known.observed.retain(|id, probe| written(id).is_some_and(|at| at <= probe.at));
        self.known.book = Some((now, Arc::clone(config), Arc::clone(&book)));
        book
    }

    /// The model that was asked for, as the program of the agent is given it: with everything that the task needs, or not at
    /// all. A model that only `model_map` asks for, and of which the program knows none, is left to the program.
    ///
    /// # Errors
    /// It means nothing that this agent can have, and what to do.
    pub(super) fn name_model(
        &mut self,
        task: &Task,
        (agent, asked): (&str, Option<&str>),
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

    /// What an agent's program is given for a reference, with the person's own settings.
    pub(super) fn find_name(
        &mut self,
        agent: &str,
        reference: &str,
        needs: &Needs,
        now: Timestamp,
    ) -> Result<Named, Misfit> {
        let book = self.book_for(reference, now);
        let reach = reach(&self.settings.config, agent, &self.deps.environment);
        self.name_past_failures(&book, reach, (reference, needs), now)
    }

    /// Whether a model that a person asks for can be had, as far as the agent is known.
    pub(super) fn check_model(&mut self, task: &Task, model: &str, now: Timestamp) -> Result<(), EngineError> {
        let found = match task.route.as_deref() {
            Some(route) => self.name_model(task, (&route.agent, Some(model)), now).map(|_| ()),
            None => check_word(model).and_then(|()| parse(model).map(|_| ()).map_err(Misfit::from)),
        };
        found.map_err(|Misfit { reason, hint, .. }| EngineError::Invalid { message: reason, hint: Some(hint) })
    }

    /// The same of a question that has no needs of its own: what cannot be named is left to the program.
    pub(super) fn name_or_leave(
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

    pub(super) fn samples(&mut self, now: Timestamp) -> Arc<Vec<Sample>> {
        if let Some((then, samples)) = &self.known.samples
            && is_good(*then, now)
        {
            return Arc::clone(samples);
        }
        let samples = Arc::new(read(self.state.archive().samples()));
        self.known.samples = Some((now, Arc::clone(&samples)));
        samples
    }
}

/// Without the record everybody is new: that is no reason to route nothing.
pub(super) fn read(samples: Result<Vec<Sample>, orch_store::journal::JournalError>) -> Vec<Sample> {
    samples.unwrap_or_else(|error| {
        tracing::warn!(%error, "a strategy does without the record of the past");
        Vec::new()
    })
}

/// The routing question of a task for who only wants to know. Blocking.
pub(super) fn routing_of(
    deps: &Deps,
    settings: &Settings,
    projects: &[Project],
    task: &Task,
    (book, samples): (&ModelBook, &[Sample]),
) -> OwnedRouting {
    let routing = settings.routing(task, projects);
    let config = settings.for_task(task, projects);
    if settings.policy.is_some() {
        let environment = &deps.environment;
        let ground = Ground { settings, projects, book, environment, samples, last: None, is_out: &|_, _| false };
        return OwnedRouting { word: ground.word(task), ..routing };
    }
    if config.router.strategy == Strategy::Quality {
        return routing;
    }
    let case = case(settings, (&config, &routing), (task, deps.clock.now()), book, samples, &deps.environment);
    OwnedRouting { case: Some(case), ..routing }
}

/// A model as an agent's program is given it, or as it was asked for where it cannot be named. `None`: the program's own
/// default, because what was asked for is a choice that no program can make.
pub(super) fn given(
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

/// The model that `asked` means where orch asks a provider itself, once it is known that it can.
///
/// # Errors
/// It cannot, and why.
pub fn direct_model(config: &Config, environment: &Environment, asked: &str) -> Result<String, String> {
    let book = ModelBook::look(config, environment, Probes::new(), SystemClock.now(), &|_, _| String::new());
    let named = reach(config, api::NAME, environment).name(book.resolver(), asked, &Needs::default());
    let named = named.map_err(|misfit| format!("{}; {}", misfit.reason, misfit.hint))?;
    let found = endpoint(environment, &config.providers, &book.catalog, &named.name);
    found.map(|_| named.name).map_err(|failure| failure.detail)
}

/// What an agent's program can have.
pub fn reach<'a>(config: &Config, agent: &'a str, environment: &Environment) -> Reach<'a> {
    let known = config.agents.answerer(agent);
    let kind = known.map_or(DialectKind::Command, |known| known.kind);
    let is_set = |name: &str| known.is_some_and(|known| known.env.contains_key(name)) || environment.contains_key(name);
    Reach {
        agent,
        provider: provider_of(kind, agent),
        own_names: own_model_names(kind),
        first_of_tier: first_of_tier(kind),
        full_names: matches!(kind, DialectKind::Opencode | DialectKind::Api),
        by_key: kind == DialectKind::Api,
        is_elsewhere: match kind {
            DialectKind::Claude => is_set(ELSEWHERE),
            DialectKind::Codex => is_set("OPENAI_BASE_URL"),
            DialectKind::Opencode | DialectKind::Command | DialectKind::Api => false,
        },
    }
}

fn case(
    settings: &Settings,
    (config, routing): (&Config, &OwnedRouting),
    (task, now): (&Task, Timestamp),
    book: &ModelBook,
    samples: &[Sample],
    environment: &Environment,
) -> Case {
    let task_type = TaskType::of(&task.spec);
    let cheaper_for = config.router.cheaper_for.as_ref();
    let agent_label = |label: &String| label.trim().to_lowercase().starts_with("agent:");
    let mut case = Case {
        strategy: config.router.strategy,
        // What does not read was refused when the settings were read.
        explore: parse_share(&config.router.explore).unwrap_or_default(),
        cheaper_for: cheaper_for.map(|words| words.iter().map(|word| TaskType::parse(word)).collect()),
        task: task.id,
        attempt: task.attempts + 1,
        is_critical: is_critical(task),
        is_escalation: task.attempts > 0 || task.steps_up > 0 || task.tier_failures > 0,
        names_agent: task.spec.agent.is_some() || task.spec.labels.iter().any(agent_label),
        names_model: task.spec.model.is_some(),
        candidates: Vec::new(),
        task_type,
    };
    let (needs, weights) = (needs_of_task(&task.spec), Weights::of(samples, now));
    for (agent, model) in workers(config, &routing.rules().candidates().unwrap_or_default()) {
        let named = reach(config, &agent, environment).name(book.resolver(), &model, &needs);
        // Runs are recorded under the name that the program was given.
        let given = named.as_ref().map_or(model.as_str(), |named| named.name.as_str());
        let record = of_worker(samples, &weights, (&case.task_type, &agent, given));
        let found = named.as_ref().ok().and_then(|named| book.catalog.model(named.model.as_ref()?));
        let failing = found.and_then(|found| {
            let provider = &found.id.provider;
            book.usability.way(provider).and_then(|_| book.usability.why(provider).err())
        });
        case.candidates.push(Candidate {
            tier: found.and_then(|found| found.facts().tier),
            price: found.and_then(orch_core::catalog::Model::average_price),
            is_paid_ahead: {
                let full = found.map(|found| found.id.to_string());
                settings.is_paid_ahead(&agent, full.as_deref().or(Some(given)))
            },
            unfit: named.as_ref().err().map(|misfit| misfit.reason.clone()).or(failing),
            record,
            agent,
            model,
        });
    }
    case
}

/// Everybody whom the settings name with a model: `model_map`, the ladder and the chains; each once.
pub(super) fn workers(config: &Config, agents: &[String]) -> Vec<(String, String)> {
    let mapped =
        agents.iter().flat_map(|agent| config.mapped_models(agent).map(|model| (agent.clone(), model.to_owned())));
    let chains = Complexity::ALL.into_iter().flat_map(|complexity| config.fallback.chain(complexity));
    let rungs = config.escalation.ladder.iter().chain(chains);
    let is_free = |rung: &&Rung| agents.contains(&rung.agent);
    let rungs = rungs.filter(is_free).filter_map(|rung| Some((rung.agent.clone(), rung.model.clone()?)));
    let mut all: Vec<(String, String)> = Vec::new();
    for worker in mapped.chain(rungs) {
        if !all.contains(&worker) {
            all.push(worker);
        }
    }
    all
}

/// How an agent with a model, by the name that its program was given, has done in tasks of a type.
fn of_worker(samples: &[Sample], weights: &Weights<'_>, (task_type, agent, model): (&TaskType, &str, &str)) -> Record {
    let is_of = |sample: &&Sample| {
        sample.task_type == *task_type && sample.agent == agent && sample.model.as_deref() == Some(model)
    };
    record(samples.iter().filter(is_of), weights)
}
