//! Carries out what the plan says: each action becomes an event, and a run where one is begun. Still nothing is
//! touched outside: the job that does it follows from the stored state.

use super::main_loop::Engine;
use super::world::Turn;
use crate::domain::event::Event;
use crate::domain::ids::{RunId, TaskId};
use crate::domain::outcome::RunKind;
use crate::domain::plan::{Action, Plan};
use crate::domain::router::Decision;
use crate::domain::task::{NextRun, Run, State, Task};
use jiff::Timestamp;
use std::sync::Arc;

impl Engine {
    /// Begins everything in `plan`. Returns whether anything changed.
    pub(super) fn begin(&mut self, turn: &mut Turn, plan: &Plan, now: Timestamp) -> bool {
        for action in &plan.actions {
            match action {
                Action::Route(id) => self.begin_routing(turn, *id, now),
                Action::Launch(id) => {
                    let meets = plan.overlaps.iter().filter(|(meeting, _)| meeting == id);
                    for (_, words) in meets {
                        turn.note(&mut self.world, now, Some(*id), None, "overlap", words.clone());
                    }
                    self.begin_run(turn, *id, now);
                }
                Action::Block(id, on) => self.expect(turn, *id, &Event::Blocked(on.clone()), now),
                Action::Unblock(id) => self.expect(turn, *id, &Event::Unblocked, now),
                Action::Ask(id, circle) => self.expect(turn, *id, &Event::WaitsForItself(circle.clone()), now),
                Action::Review(id) => self.begin_review(turn, *id, now),
                Action::AskAboutPart(id, part) => self.ask_about_part(turn, *id, *part, now),
                Action::Integrate(id) => self.expect(turn, *id, &Event::IntegrationDue, now),
            }
        }
        !plan.actions.is_empty()
    }

    /// An event that the plan has just found fitting.
    pub(super) fn expect(&mut self, turn: &mut Turn, id: TaskId, event: &Event, now: Timestamp) {
        if let Err(error) = self.apply(turn, id, event, now) {
            tracing::warn!(task = %id, %error, "an event did not fit the task's state");
        }
    }

    fn begin_routing(&mut self, turn: &mut Turn, id: TaskId, now: Timestamp) {
        let Some(task) = self.world.tasks.get(&id).cloned() else { return };
        let decision = self.routing(&task).decide(task.route_failures);
        let event = match decision {
            Decision::Resolved(route) => Event::RouteChosen { route, failed: false },
            Decision::Impossible(problem) => {
                Event::RouteImpossible { reason: format!("{}; {}", problem.reason, problem.hint) }
            }
            Decision::AskLlm => return self.ask_router(turn, &task, now),
        };
        self.expect(turn, id, &event, now);
    }

    /// Begins a routing question, unless the router cannot answer now: then its failure is taken as given.
    fn ask_router(&mut self, turn: &mut Turn, task: &Arc<Task>, now: Timestamp) {
        let config = self.settings.for_task(task, &self.world.projects);
        let agent = config.router.agent.clone();
        if let Some(obstacle) = self.router_obstacle(&agent, now) {
            return self.route_failed(turn, task.id, &obstacle, now);
        }
        let run = self.new_run(task, RunKind::Route, agent, Some(config.router.model.clone()), now);
        self.expect(turn, task.id, &Event::RouteAsked { run: run.id.clone() }, now);
        turn.put_run(&mut self.world, run);
    }

    /// Why the router's agent cannot answer now.
    pub(super) fn router_obstacle(&self, agent: &str, now: Timestamp) -> Option<String> {
        if self.world.pauses.holds_agent(agent) {
            return Some(format!("router.agent {agent} is paused"));
        }
        if !self.settings.installed.iter().any(|installed| installed == agent) {
            return Some(format!("router.agent {agent} is not installed"));
        }
        let cooling = self.world.cooldowns.get(agent).filter(|c| c.holds(now));
        let cooling = cooling.map(|c| format!("{agent} is left alone until {}: {}", c.until, c.detail));
        cooling.or_else(|| self.broken(agent, now))
    }

    /// A routing question came to nothing: the fallback takes the task.
    pub(super) fn route_failed(&mut self, turn: &mut Turn, id: TaskId, error: &str, now: Timestamp) {
        let Some(task) = self.world.tasks.get(&id).cloned() else { return };
        let routing = self.routing(&task);
        let event = match routing.after_failure(task.route_failures + 1, error) {
            Ok(route) => Event::RouteChosen { route, failed: true },
            Err(problem) => Event::RouteImpossible { reason: format!("{}; {}", problem.reason, problem.hint) },
        };
        self.expect(turn, id, &event, now);
    }

    pub(super) fn new_run(
        &self,
        task: &Task,
        kind: RunKind,
        agent: String,
        model: Option<String>,
        now: Timestamp,
    ) -> Run {
        let id = RunId::new(task.id, task.runs + 1, self.doors.random());
        Run { attempt: task.attempts.max(1), model, ..Run::new(id, task.id, kind, agent, now) }
    }

    fn begin_run(&mut self, turn: &mut Turn, id: TaskId, now: Timestamp) {
        let Some(task) = self.world.tasks.get(&id).cloned() else { return };
        let (Some(route), State::Routed { next, .. }) = (&task.route, &task.state) else { return };
        let model = self.model_within_budget(turn, &task, route, now);
        let mut run = self.new_run(&task, RunKind::Work, route.agent.clone(), model, now);
        run.session_id = match (next, &task.conversation) {
            (NextRun::Again { resume: true, .. }, Some(talk)) if talk.agent == route.agent => {
                Some(talk.session_id.clone())
            }
            (NextRun::Said | NextRun::Parts | NextRun::Resumed { .. }, Some(talk)) if talk.agent == route.agent => {
                Some(talk.session_id.clone())
            }
            (NextRun::Again { .. } | NextRun::Said | NextRun::Parts | NextRun::Resumed { .. } | NextRun::Fresh, _) => {
                None
            }
        };
        match self.apply(turn, id, &Event::Launched { run: run.id.clone() }, now) {
            Ok(task) => {
                run.attempt = task.attempts;
                self.claim_at_dispatch(turn, &task, now);
                self.put_into_prompt(turn, id, &run.id);
                turn.put_run(&mut self.world, run);
            }
            Err(error) => tracing::warn!(task = %id, %error, "a planned run could not be begun"),
        }
    }
}
