//! Carries out what the plan says: each action becomes an event, and a run where one starts. Still nothing is
//! touched outside: the job that does it follows from the stored state.

use crate::engine::Engine;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::{ModelFact, TaskFact};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::models::agent_model::{Chosen, Misfit};
use orch_core::models::agents::api;
use orch_core::planning::plan::{Action, FileOverlap, Plan};
use orch_core::planning::provider_cooldown::active_cooldown;
use orch_core::prompts::router::Decision;
use orch_core::tasks::event::Event;
use orch_core::tasks::model_policy;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::{Conversation, NextRun, Run, State, Task};
use std::sync::Arc;

impl Engine {
    /// Begins everything in `plan`. Returns whether anything changed.
    pub(crate) fn begin(&mut self, change_set: &mut ChangeSet, plan: &Plan, now: Timestamp) -> bool {
        for action in &plan.actions {
            match action {
                Action::Route(id) => self.begin_routing(change_set, *id, now),
                Action::Launch(id) => {
                    let meets = plan.overlaps.iter().filter(|(meeting, _)| meeting == id);
                    for (_, FileOverlap { other, file }) in meets {
                        let fact = TaskFact::Overlap { other: *other, file: file.clone() };
                        change_set.note(&mut self.state, now, Some(*id), None, fact);
                    }
                    self.begin_run(change_set, *id, now);
                }
                Action::Block(id, on) => self.expect(change_set, *id, &Event::Blocked(on.clone()), now),
                Action::Unblock(id) => self.expect(change_set, *id, &Event::Unblocked, now),
                Action::Ask(id, cycle) => self.expect(change_set, *id, &Event::WaitsForItself(cycle.clone()), now),
                Action::Review(id) => self.begin_review(change_set, *id, now),
                Action::AskAboutSubtask(id, part) => self.ask_about_part(change_set, *id, *part, now),
                Action::Integrate(id) => self.expect(change_set, *id, &Event::IntegrationDue, now),
            }
        }
        !plan.actions.is_empty()
    }

    /// Applies an event that the plan has just found fitting.
    pub(crate) fn expect(&mut self, change_set: &mut ChangeSet, id: TaskId, event: &Event, now: Timestamp) {
        if let Err(error) = self.apply(change_set, id, event, now) {
            tracing::warn!(task = %id, %error, "an event did not fit the task's state");
        }
    }

    fn begin_routing(&mut self, change_set: &mut ChangeSet, id: TaskId, now: Timestamp) {
        let Some(task) = self.state.tasks.get(&id).cloned() else { return };
        let decision = self.routing(&task).decide(task.progress.route_failures);
        let event = match decision {
            Decision::Resolved(route) => Event::RouteChosen { route, failed: false },
            Decision::Impossible(problem) => {
                Event::RouteImpossible { reason: format!("{}; {}", problem.reason, problem.hint) }
            }
            Decision::AskLlm => return self.ask_router(change_set, &task, now),
        };
        self.expect(change_set, id, &event, now);
    }

    /// Begins a routing question, unless the router cannot answer now: then its failure is taken as given.
    fn ask_router(&mut self, change_set: &mut ChangeSet, task: &Arc<Task>, now: Timestamp) {
        let config = self.settings.for_task(task, &self.state.projects);
        let agent = config.router.agent.clone();
        if let Some(obstacle) = self.router_obstacle(&agent, &config.router.model, now) {
            return self.route_failed(change_set, task.id, &obstacle, now);
        }
        let model = self.name_or_leave(task, &agent, Some(config.router.model.clone()), now);
        let mut run = self.new_run(task, RunKind::Route, agent, model, now);
        run.reserved = self.reservation(task, &run, now);
        self.expect(change_set, task.id, &Event::RouteAsked { run: run.id.clone() }, now);
        change_set.put_run(&mut self.state, run);
    }

    /// Returns why the router's agent cannot answer now.
    pub(crate) fn router_obstacle(&self, agent: &str, model: &str, now: Timestamp) -> Option<String> {
        if self.state.pauses.holds_agent(agent) {
            return Some(format!("router.agent {agent} is paused"));
        }
        if agent != api::NAME && !self.settings.installed.iter().any(|installed| installed == agent) {
            return Some(format!("router.agent {agent} is not installed"));
        }
        let cooling = active_cooldown(&self.state.cooldowns, agent, Some(model), now);
        let cooling = cooling.map(|(who, c)| format!("{who} is left alone until {}: {}", c.until, c.detail));
        cooling.or_else(|| self.broken(agent, now))
    }

    /// Routes a task by the fallback, because its routing question failed.
    pub(crate) fn route_failed(&mut self, change_set: &mut ChangeSet, id: TaskId, error: &str, now: Timestamp) {
        let Some(task) = self.state.tasks.get(&id).cloned() else { return };
        let routing = self.routing(&task);
        let event = match routing.after_failure(task.progress.route_failures + 1, error) {
            Ok(route) => Event::RouteChosen { route, failed: true },
            Err(problem) => Event::RouteImpossible { reason: format!("{}; {}", problem.reason, problem.hint) },
        };
        self.expect(change_set, id, &event, now);
    }

    pub(crate) fn new_run(
        &self,
        task: &Task,
        kind: RunKind,
        agent: String,
        model: Option<String>,
        now: Timestamp,
    ) -> Run {
        let id = RunId::new(task.id, task.runs + 1, self.deps.random());
        Run { attempt: task.progress.attempts.max(1), model, ..Run::new(id, task.id, kind, agent, now) }
    }

    /// Returns the reference to the next run's model, and the reason where it is not the route's own.
    fn model_asked(
        &mut self,
        change_set: &mut ChangeSet,
        task: &Task,
        route: &RouteResult,
        now: Timestamp,
    ) -> (Option<String>, Option<String>) {
        let capacity = Arc::clone(self.planner.capacity());
        let (path, fact) = self.model_path_within_budget(&capacity.balances, task, route, now);
        if let Some(fact) = fact {
            change_set.note(&mut self.state, now, Some(task.id), None, fact);
        }
        path.into_chosen()
    }

    fn begin_run(&mut self, change_set: &mut ChangeSet, id: TaskId, now: Timestamp) {
        let Some(task) = self.state.tasks.get(&id).cloned() else { return };
        let (Some(route), State::Routed { next, .. }) = (&task.route, &task.state) else { return };
        let (asked, why) = self.model_asked(change_set, &task, route, now);
        let model = match self.name_model(&task, &route.agent, asked.as_deref(), now) {
            Ok(named) => named,
            Err(Misfit { reason, hint, .. }) => {
                let reason = format!("{}: {reason}; {hint}", asked.as_deref().unwrap_or(&route.agent));
                self.refuse_waiting(change_set, id, &format!("no run begins: {reason}"), now);
                return self.expect(change_set, id, &Event::ModelRefused { reason }, now);
            }
        };
        let resolved = match &model {
            Chosen::Named(named) => named.reason.clone(),
            Chosen::OwnDefault(why) => why.clone(),
        };
        let model = model.named().map(|named| named.name);
        if let (Some(asked), Some(why)) = (&asked, &resolved) {
            let (asked, model, reason) = (asked.clone(), model.clone(), why.clone());
            change_set.note(&mut self.state, now, Some(id), None, ModelFact::Resolved { asked, model, reason });
        }
        let can_go_on = |talk: &Conversation| model_policy::can_go_on(&task, talk, &route.agent, model.as_deref());
        let talk = task.conversation.as_ref().filter(|talk| can_go_on(talk));
        let talk = talk.map(|talk| talk.session_id.clone());
        let mut run = self.new_run(&task, RunKind::Work, route.agent.clone(), model, now);
        run.reserved = self.reservation(&task, &run, now);
        run.model_reason = why.or(resolved);
        run.complexity = Some(route.complexity);
        run.session_id = if let NextRun::Again { resume: false, .. } | NextRun::Fresh = next { None } else { talk };
        match self.apply(change_set, id, &Event::Launched { run: run.id.clone() }, now) {
            Ok(task) => {
                run.attempt = task.progress.attempts;
                self.claim_at_dispatch(change_set, &task, now);
                self.put_into_prompt(change_set, id, &run.id);
                change_set.put_run(&mut self.state, run);
            }
            Err(error) => tracing::warn!(task = %id, %error, "a planned run could not be begun"),
        }
    }
}
