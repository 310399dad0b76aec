//! The providers of tasks' models: what runs show of them, which to avoid, and which tasks wait because of it. What
//! the loop learns of a provider counts at once; the daemon, which watches providers, writes it down.

use crate::catalog::credentials;
use crate::catalog::known_models::Observed;
use crate::catalog::model_book::{ModelBook, asked_now};
use crate::catalog::reach::reach;
use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::base::names::provider_in;
use orch_core::models::agent_model::{Misfit, Named, Reach, needs_of_task};
use orch_core::models::availability::{Probe, State as Standing, Verdict};
use orch_core::models::provider_access::ProviderAccess;
use orch_core::models::resolve::{Needs, Resolver};
use orch_core::planning::plan::{Cooldown, Plan};
use orch_core::planning::provider_cooldown::{active_cooldown, cooldown_key, cooling_providers};
use orch_core::tasks::event::Event;
use orch_core::tasks::outcome::{FailureClass, Outcome, Side};
use orch_core::tasks::retry::cooldown_until;
use orch_core::tasks::task::{Run, State, Task};
use std::collections::BTreeMap;
use std::sync::Arc;

impl EngineHandle {
    /// Returns what runs show of the providers of their models.
    pub fn observed(&self) -> Arc<Observed> {
        Arc::clone(&self.observed)
    }

    /// Reads again what providers answered last, because its file has changed.
    ///
    /// # Errors
    /// The engine is on its way out.
    pub async fn refresh_providers(&self) -> Result<(), EngineError> {
        self.change(|engine, _, _| {
            engine.forget_book();
            Ok(())
        })
        .await
    }
}

impl Engine {
    /// Returns the active cooldowns by name.
    pub(crate) fn active_cooldowns(&self, now: Timestamp) -> BTreeMap<String, Cooldown> {
        let all = self.state.cooldowns.iter().filter(|(_, cooldown)| cooldown.is_active(now));
        all.map(|(name, cooldown)| (name.clone(), cooldown.clone())).collect()
    }

    /// What providers answered last is read anew before it counts again.
    pub(crate) fn forget_book(&mut self) {
        self.models.forget_book();
    }

    /// Returns the name of the cooldown for the provider of an agent's model.
    fn cooldown_key_of(&self, agent: &str, model: Option<&str>) -> String {
        let reach = reach(&self.settings.config, agent, &self.deps.environment);
        cooldown_key(agent, reach.provider, model)
    }

    /// Returns whether a cooldown of an agent applies to that model, or to all of them.
    pub(crate) fn is_cooling_down(&self, agent: &str, model: Option<&str>, now: Timestamp) -> bool {
        active_cooldown(&self.state.cooldowns, agent, model, now).is_some()
    }

    /// Returns the end of the cooldown of an agent with that model, or of all providers that serve it.
    pub(crate) fn cooling_down_until(
        &self,
        book: Option<&ModelBook>,
        agent: &str,
        model: Option<&str>,
        needs: &Needs,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let own = active_cooldown(&self.state.cooldowns, agent, model, now).map(|(_, cooldown)| cooldown.until);
        let unserved = book.zip(model).and_then(|(book, model)| {
            let question = (agent.to_owned(), model.to_owned(), needs.clone());
            self.cooldown_of_providers(book, &question, now).map(|cooldown| cooldown.until)
        });
        own.max(unserved)
    }

    /// Returns the cooldown for which a run of an agent with that model would wait now.
    pub(crate) fn cooldown_of(
        &mut self,
        task: &Task,
        agent: &str,
        model: Option<&str>,
        now: Timestamp,
    ) -> Option<Cooldown> {
        let own = active_cooldown(&self.state.cooldowns, agent, model, now).map(|(_, cooldown)| cooldown.clone());
        let question = model.map(|model| (agent.to_owned(), model.to_owned(), needs_of_task(&task.spec)));
        own.or_else(|| {
            let book = self.book(now);
            self.cooldown_of_providers(&book, &question?, now)
        })
    }

    /// Returns the models as they were read last, where a provider was failing then. Planning looks; an event never does.
    pub(crate) fn book_of_failures(&self) -> Option<Arc<ModelBook>> {
        self.models.last_book().filter(|book| !book.failing.is_empty())
    }

    /// Lets others of their chains do what waits for an agent that is left alone, as far as there is room. Whether anything
    /// has changed.
    pub(crate) fn pass_over_resting(&mut self, change_set: &mut ChangeSet, plan: &Plan, now: Timestamp) -> bool {
        let mut moved = false;
        for (id, class) in &plan.stalled {
            let before = self.state.tasks.get(id).map(|task| task.route.clone());
            let after = self.apply(change_set, *id, &Event::ProviderRests { class: *class }, now);
            moved |= after.is_ok_and(|task| Some(&task.route) != before.as_ref());
        }
        moved
    }

    /// Whether a failure leaves one provider of several alone: that speaks against the provider, and not against the agent.
    pub(crate) fn speaks_of_provider(&self, run: &Run, outcome: &Outcome, now: Timestamp) -> bool {
        let Outcome::Failed(failure) = outcome else { return false };
        let is_cooling_down = failure.class.side() == Side::Provider && cooldown_until(failure, now).is_some();
        is_cooling_down && self.cooldown_key_of(&run.agent, run.model.as_deref()) != run.agent
    }

    /// Leaves the agent or the provider that failed alone for a while.
    pub(crate) fn cool_down(&mut self, change_set: &mut ChangeSet, run: &Run, outcome: &Outcome, now: Timestamp) {
        self.observe(run, outcome, now);
        let Outcome::Failed(failure) = outcome else { return };
        if failure.class.side() != Side::Provider {
            return;
        }
        if let Some(until) = cooldown_until(failure, now) {
            let mut detail: String = failure.detail.chars().take(300).collect();
            detail.truncate(detail.find('\n').unwrap_or(detail.len()));
            let cooldown = Cooldown { since: Some(now), until, class: failure.class, detail };
            let who = self.cooldown_key_of(&run.agent, run.model.as_deref());
            change_set.put_cooldown(&mut self.state, &who, Some(cooldown));
            self.apply_pauses(now);
        }
    }

    /// What a run shows of its provider counts at once, where it was reached as orch itself would reach it.
    fn observe(&mut self, run: &Run, outcome: &Outcome, now: Timestamp) {
        let verdict = match outcome {
            Outcome::Finished { .. } => Some(Verdict::worked()),
            Outcome::Failed(failure) if failure.class.side() == Side::Provider => Verdict::observed(failure, now),
            Outcome::Failed(_) | Outcome::Cancelled { .. } => None,
        };
        let Some(verdict) = verdict else { return };
        let (config, environment) = (&self.settings.config, &self.deps.environment);
        let reach = reach(config, &run.agent, environment);
        let named = run.model.as_deref().and_then(provider_in);
        let (Some(provider), false) = (reach.provider.or(named), reach.is_elsewhere) else { return };
        // A working provider makes a note only if it was thought to fail.
        if verdict.state == Standing::Available && !self.models.fails(provider) {
            return;
        }
        let provider = provider.to_owned();
        self.record_verdict(&run.agent, &provider, verdict, now);
    }

    /// A provider's answer to an agent counts at once, where it was reached as orch itself would reach it.
    fn record_verdict(&mut self, agent: &str, provider: &str, verdict: Verdict, now: Timestamp) {
        let book = self.book(now);
        if !self.is_served_by_key(&book, agent, provider) {
            return;
        }
        let Some(asked) = asked_now(&self.deps.environment, provider, &book.catalog, &book.providers) else { return };
        let probe = Probe { asked, at: now, verdict, took_ms: 0, listed: None };
        self.models.observe(provider, probe);
    }

    /// A person ends the time in which agents, or one provider of an agent, are left alone: all, or those of that name
    /// (`agent:claude`, `agent:opencode/google`). Returns their names.
    pub(crate) fn stop_leaving_alone(
        &mut self,
        change_set: &mut ChangeSet,
        name: Option<&str>,
        now: Timestamp,
    ) -> Vec<String> {
        let is_meant = |left: &String| {
            let agent = left.split_once('/').map_or(left.as_str(), |(agent, _)| agent);
            name.is_none_or(|name| {
                name.strip_prefix("agent:").is_some_and(|name| name == left.as_str() || name == agent)
            })
        };
        let meant: Vec<String> = self.state.cooldowns.keys().filter(|left| is_meant(left)).cloned().collect();
        for left in &meant {
            change_set.put_cooldown(&mut self.state, left, None);
            let agent = left.split_once('/').map_or(left.as_str(), |(agent, _)| agent).to_owned();
            let reach = reach(&self.settings.config, &agent, &self.deps.environment);
            let provider = left.split_once('/').map(|(_, provider)| provider).or(reach.provider).map(str::to_owned);
            if let Some(provider) = provider.filter(|provider| self.models.fails(provider)) {
                self.record_verdict(&agent, &provider, Verdict::retried_by_hand(), now);
            }
        }
        self.apply_pauses(now);
        meant.into_iter().map(|left| format!("agent:{left}")).collect()
    }

    /// The model that an agent's program is given, past every provider that fails now; where only such do, one of theirs.
    pub(crate) fn name_past_failures(
        &self,
        book: &ModelBook,
        reach: Reach<'_>,
        reference: &str,
        needs: &Needs,
        now: Timestamp,
    ) -> Result<Named, Misfit> {
        let usability = self.usable_by(book, reach.agent, now);
        let with = |usability: &ProviderAccess| reach.name(Resolver { usability, ..book.resolver() }, reference, needs);
        with(&usability).or_else(|misfit| {
            // A run that starts in spite of that was asked for by a person, or waited long enough.
            let whole = usability.without_suspensions();
            if usability.has_suspended() { with(&whole) } else { Err(misfit) }
        })
    }

    /// The providers whose models an agent can use now: without those that it avoids, and with those that refuse only a key
    /// which is not the agent's.
    pub(crate) fn usable_by(&self, book: &ModelBook, agent: &str, now: Timestamp) -> ProviderAccess {
        let mut usability = book.usability.clone();
        for (provider, failing) in &book.failing {
            if !failing.is_active(now) || !self.is_served_by_key(book, agent, provider) {
                usability.resume(provider);
            }
        }
        for (provider, cooldown) in cooling_providers(&self.state.cooldowns, agent, now) {
            usability.suspend(provider, format!("{agent} is left alone with {provider}: {}", cooldown.detail));
        }
        usability
    }

    fn is_served_by_key(&self, book: &ModelBook, agent: &str, provider: &str) -> bool {
        let Some(known) = self.settings.config.agent(agent) else { return false };
        let provider = book.catalog.providers().iter().find(|of_book| of_book.id == provider);
        provider.is_some_and(|provider| credentials::uses_key(&self.deps.environment, known, provider))
    }

    /// Returns the tasks whose model no provider serves now, and until when. Reads nothing while all providers serve.
    pub(crate) fn unserved(&mut self, now: Timestamp) -> BTreeMap<TaskId, Cooldown> {
        let waits = |task: &&Arc<Task>| matches!(task.state, State::Routed { .. });
        let some_rest = self.state.cooldowns.keys().any(|name| name.contains('/'));
        if !some_rest && self.models.is_fine(now) {
            return BTreeMap::new();
        }
        let waiting: Vec<(TaskId, (String, String, Needs))> = self
            .state
            .tasks
            .values()
            .filter(waits)
            .filter_map(|task| Some((task.id, self.question_of(task)?)))
            .collect();
        if waiting.is_empty() {
            return BTreeMap::new();
        }
        let book = self.book(now);
        if !some_rest && book.failing.is_empty() {
            return BTreeMap::new();
        }
        let mut answers: BTreeMap<(String, String, Needs), Option<Cooldown>> = BTreeMap::new();
        let mut unserved = BTreeMap::new();
        for (id, question) in waiting {
            let answer =
                answers.entry(question).or_insert_with_key(|question| self.cooldown_of_providers(&book, question, now));
            unserved.extend(answer.clone().map(|cooldown| (id, cooldown)));
        }
        unserved
    }

    /// Agent, model and needs of a task that names a model; its program's own choice is not known.
    fn question_of(&self, task: &Task) -> Option<(String, String, Needs)> {
        let route = task.route.as_deref()?;
        Some((route.agent.clone(), self.model_path(task, route).into_chosen().0?, needs_of_task(&task.spec)))
    }

    /// Returns the cooldown that leaves no provider for the model.
    fn cooldown_of_providers(
        &self,
        book: &ModelBook,
        (agent, asked, needs): &(String, String, Needs),
        now: Timestamp,
    ) -> Option<Cooldown> {
        let reach = reach(&self.settings.config, agent, &self.deps.environment);
        if reach.is_elsewhere {
            return None;
        }
        let usability = self.usable_by(book, agent, now);
        match reach.name(Resolver { usability: &usability, ..book.resolver() }, asked, needs) {
            Ok(named) => {
                let model = named.model.map(|model| model.provider);
                let provider = reach.provider.map(str::to_owned).or(model);
                let provider = provider.or_else(|| provider_in(&named.name).map(str::to_owned))?;
                self.failure_of(book, agent, &provider, now)
            }
            Err(_) if usability.has_suspended() => {
                let whole = usability.without_suspensions();
                reach.name(Resolver { usability: &whole, ..book.resolver() }, asked, needs).ok()?;
                let failing = usability.reachable().filter(|provider| !usability.allows(provider));
                let of_reach = failing.filter(|provider| reach.provider.is_none_or(|only| only == *provider));
                of_reach.filter_map(|provider| self.failure_of(book, agent, provider, now)).min_by_key(|one| one.until)
            }
            // What is wrong with it has nothing to do with who answers: a person is asked.
            Err(_) => None,
        }
    }

    /// Returns the failure that keeps that agent from the models of a provider now.
    fn failure_of(&self, book: &ModelBook, agent: &str, provider: &str, now: Timestamp) -> Option<Cooldown> {
        let name = format!("{agent}/{provider}");
        let own = self.state.cooldowns.get(&name).map(|own| Cooldown {
            detail: format!("{name}: {}; orch breaker reset agent:{name} lets it try at once", own.detail),
            ..own.clone()
        });
        // A provider that orch cannot reach may answer the agent, which a run shows. A refusal holds for both.
        let said_no = book.failing.get(provider).filter(|failing| failing.class != FailureClass::Network);
        let failing = said_no.filter(|_| self.is_served_by_key(book, agent, provider));
        let failing = failing.map(|failing| Cooldown {
            detail: format!("{}; orch models check {provider} asks again", failing.detail),
            ..failing.clone()
        });
        // Of two that last as long the agent's own, which says more.
        [failing, own].into_iter().flatten().filter(|one| one.is_active(now)).max_by_key(|one| one.until)
    }
}
