//! What a person switches: pauses, and the way out. Nothing is stopped here: runs are asked to stop by the state that
//! their tasks are in, and starts are held by the plan.

use crate::engine::Engine;
use crate::engine::command::Command;
use crate::error::EngineError;
use crate::state::ChangeSet;
use crate::state::reply::{Reply, answer};
use jiff::Timestamp;
use orch_core::audit::history::ServiceFact;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::operations::pause::{Pause, PauseScope, PauseSelector};
use orch_core::operations::service::{Departure, ShutdownMode};
use orch_core::planning::plan::directory;
use orch_core::tasks::event::Event;
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{State, Status, Task};
use std::sync::Arc;

impl Command {
    /// Has the engine leave, or only reports what that would mean.
    pub fn shut_down(departure: Departure, is_rehearsal: bool, reply: Reply<Vec<UnderWay>>) -> Self {
        Self::new(move |engine, change_set, now| match change_set {
            Ok(change_set) => {
                let work = engine.shut_down(change_set, departure, is_rehearsal, now);
                answer(change_set, reply, Ok(work));
            }
            // To leave is always possible; only how cannot be chosen while nothing can be stored.
            Err(_) if departure.how == ShutdownMode::Stop && !is_rehearsal => {
                engine.lifetime.stop(departure);
                drop(reply.send(Ok(Vec::new())));
            }
            Err(error) => drop(reply.send(Err(EngineError::Journal(Arc::clone(error))))),
        })
    }
}

impl Engine {
    /// Pauses something, or lets it go on.
    pub(crate) fn switch(
        &mut self,
        change_set: &mut ChangeSet,
        wanted: &PauseSelector,
        pauses: bool,
        by: String,
        now: Timestamp,
    ) -> Result<Switched, EngineError> {
        let scopes = if !pauses && matches!(wanted, PauseSelector::Each) {
            self.state.pauses.iter().map(|pause| pause.scope.clone()).collect()
        } else {
            vec![self.scope_of(wanted)?]
        };
        let is_other = |scope: &PauseScope| self.state.pauses.get(scope).is_some() != pauses;
        let scopes: Vec<PauseScope> = scopes.into_iter().filter(is_other).collect();
        let changed = !scopes.is_empty();
        for scope in scopes {
            self.switch_one(change_set, scope, pauses, &by, now);
        }
        self.apply_pauses(now);
        Ok(Switched { changed, pauses: self.state.pauses.iter().cloned().collect() })
    }

    fn switch_one(&mut self, change_set: &mut ChangeSet, scope: PauseScope, pauses: bool, by: &str, now: Timestamp) {
        if pauses {
            let pause = Pause { scope, since: now, by: by.to_owned() };
            change_set.note(&mut self.state, now, None, None, ServiceFact::Paused(pause.clone()));
            change_set.put_pause(&mut self.state, pause);
        } else {
            let fact = ServiceFact::Resumed { of: scope.clone(), by: by.to_owned() };
            change_set.note(&mut self.state, now, None, None, fact);
            change_set.end_pause(&mut self.state, &scope);
            self.reviewers_are_back(change_set, now);
        }
    }

    /// Returns what a person means by a name. What is paused is found by its name also when it is gone.
    pub(crate) fn scope_of(&self, wanted: &PauseSelector) -> Result<PauseScope, EngineError> {
        match wanted {
            PauseSelector::All | PauseSelector::Each => Ok(PauseScope::All),
            PauseSelector::Agent(name) => {
                let scope = PauseScope::Agent { name: name.clone() };
                if self.settings.config.agents.answerer(name).is_some() || self.state.pauses.get(&scope).is_some() {
                    return Ok(scope);
                }
                let known = self.settings.config.agents.names().collect::<Vec<_>>().join(", ");
                Err(not_there(format!("there is no agent {name:?}"), format!("known agents: {known}")))
            }
            PauseSelector::Project(name) => self.project_of(name),
        }
    }

    fn project_of(&self, name: &str) -> Result<PauseScope, EngineError> {
        let is_it = |dir: &std::path::Path, called: &str| called == name || dir == std::path::Path::new(name);
        let known = self.state.projects.iter().map(|p| (&p.dir, &p.name));
        let paused = self.state.pauses.iter().filter_map(|pause| match &pause.scope {
            PauseScope::Project { dir, name } => Some((dir, name)),
            PauseScope::All | PauseScope::Agent { .. } => None,
        });
        let mut found: Vec<_> = known.chain(paused).filter(|(dir, called)| is_it(dir, called)).collect();
        found.sort_unstable();
        found.dedup_by_key(|(dir, _)| *dir);
        match found.as_slice() {
            [(dir, name)] => Ok(PauseScope::Project { dir: (*dir).clone(), name: (*name).clone() }),
            [] => Err(not_there(format!("there is no project {name:?}"), "`orch project list` shows all".to_owned())),
            [(first, _), ..] => Err(EngineError::Invalid {
                message: format!("{} projects are called {name:?}", found.len()),
                hint: Some(format!("name one by its directory: {}", first.display())),
            }),
        }
    }

    /// The choice of an agent knows which ones are paused, may spend nothing, or are left alone.
    pub(crate) fn apply_pauses(&mut self, now: Timestamp) {
        let agents = |pause: &Pause| match &pause.scope {
            PauseScope::Agent { name } => Some(name.clone()),
            PauseScope::All | PauseScope::Project { .. } => None,
        };
        let mut avoided: Vec<String> = self.state.pauses.iter().filter_map(agents).collect();
        avoided.extend_from_slice(self.models.money().exhausted());
        let resting = self.state.cooldowns.iter().filter(|(_, cooldown)| cooldown.is_active(now));
        // One provider of several leaves the agent others.
        avoided.extend(resting.map(|(name, _)| name.clone()).filter(|name| !name.contains('/')));
        if self.settings.avoided != avoided || self.settings.advice != *self.models.money().advice() {
            let advice = self.models.money().advice().clone();
            let settings = Arc::make_mut(&mut self.settings);
            (settings.avoided, settings.advice) = (avoided, advice);
        }
        if self.settings.ahead != *self.models.money().paid_ahead() {
            let ahead = self.models.money().paid_ahead().clone();
            Arc::make_mut(&mut self.settings).ahead = ahead;
            // An account that is paid in advance goes before others of the book.
            self.forget_book();
        }
    }

    /// A task that a person wants to run now, although it is paused.
    pub(crate) fn refuse_paused(&self, task: &Task) -> Result<(), EngineError> {
        let is_routed = task.status() == Status::Routed;
        if !is_routed && task.status() != Status::New {
            return Ok(());
        }
        let agent = task.route.as_ref().filter(|_| is_routed).map(|route| route.agent.as_str());
        let dir = directory(task, &self.state.project_dirs).ok();
        match self.state.pauses.description(dir, agent) {
            Some(why) => Err(EngineError::Paused { task: task.id, why: why.to_owned() }),
            None => Ok(()),
        }
    }

    /// Begins to leave, or reports what that would mean.
    fn shut_down(
        &mut self,
        change_set: &mut ChangeSet,
        departure: Departure,
        is_rehearsal: bool,
        now: Timestamp,
    ) -> Vec<UnderWay> {
        let work = self.work_at(departure.how);
        if is_rehearsal {
            return work;
        }
        let fact = ServiceFact::ShutsDown { mode: departure.how, why: departure.why.clone() };
        change_set.note(&mut self.state, now, None, None, fact);
        for one in work.iter().filter(|one| one.fate == Fate::Interrupted) {
            self.interrupt(change_set, one, now);
        }
        self.lifetime.leave_by(departure, self.deps.clock.instant());
        work
    }

    /// Everything that is under way, and what becomes of it.
    fn work_at(&self, how: ShutdownMode) -> Vec<UnderWay> {
        let of_runs = match how {
            ShutdownMode::Stop | ShutdownMode::Respawn => Fate::GoesOn,
            ShutdownMode::Drain => Fate::Finished,
            ShutdownMode::Now => Fate::Interrupted,
        };
        let of_results = match how {
            ShutdownMode::Stop | ShutdownMode::Respawn | ShutdownMode::Now => Fate::Later,
            ShutdownMode::Drain => Fate::Finished,
        };
        let runs = self.state.runs.values().map(|run| UnderWay {
            task: run.task,
            run: run.id.clone(),
            agent: run.agent.clone(),
            fate: of_runs,
        });
        let results = self.state.tasks.values().filter_map(|task| {
            let State::InReview { run, .. } = task.state.clone() else { return None };
            let agent = task.route.as_ref().map(|route| route.agent.clone()).unwrap_or_default();
            task.state.is_checked().then_some(UnderWay { task: task.id, run, agent, fate: of_results })
        });
        let mut work: Vec<UnderWay> = runs.chain(results).collect();
        work.sort_by(|a, b| (a.task, &a.run).cmp(&(b.task, &b.run)));
        work
    }

    fn interrupt(&mut self, change_set: &mut ChangeSet, one: &UnderWay, now: Timestamp) {
        let Some(kind) = self.state.runs.get(&one.run).map(|run| run.kind) else { return };
        match kind {
            RunKind::Work => self.expect(change_set, one.task, &Event::ShutdownAsked, now),
            RunKind::Review => self.postpone_review(change_set, one.task, "orch was shut down", now, now),
            RunKind::Route => {
                self.drop_route_run(change_set, one.run.clone(), now);
                self.postpone_routing(change_set, one.task, now);
            }
        }
    }

    /// Asks the question again when the agents may work again.
    fn postpone_routing(&mut self, change_set: &mut ChangeSet, task: TaskId, now: Timestamp) {
        let asks = self.state.tasks.get(&task).is_some_and(|t| matches!(t.state, State::New { routing: Some(_), .. }));
        if asks {
            self.expect(change_set, task, &Event::RoutePostponed { until: now }, now);
        }
    }

    /// Returns whether a result is being judged or integrated now.
    pub(crate) fn checks_results(&self) -> bool {
        self.state.tasks.values().any(|task| task.state.is_checked())
    }
}

fn not_there(message: String, hint: String) -> EngineError {
    EngineError::NotThere { message, hint }
}

/// What is paused now, and whether that is new.
#[derive(Debug, Clone)]
pub struct Switched {
    /// It was otherwise before.
    pub changed: bool,
    /// Everything that is paused.
    pub pauses: Vec<Pause>,
}

/// What becomes of something that is under way when the engine leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The agent goes on; the next engine takes it over.
    GoesOn,
    /// It is waited for.
    Finished,
    /// The agent is interrupted, and resumed by the next engine.
    Interrupted,
    /// The result is judged or integrated by the next engine.
    Later,
}

/// Something that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// The task of the run.
    pub task: TaskId,
    /// The run that is under way.
    pub run: RunId,
    /// The agent of the run.
    pub agent: String,
    /// What becomes of it.
    pub fate: Fate,
}
