//! What a person asks, applied to the state. Answers leave when the turn is on disk.

use crate::engine::Engine;
use crate::error::{EngineError, unreadable};
use crate::job::Job;
use crate::settings::directory_of;
use crate::state::ChangeSet;
use crate::state::reply::{Reply, ReplySlot};
use crate::tasks::view::View;
use crate::verify::tryout;
use jiff::Timestamp;
use orch_core::audit::actor::Actor;
use orch_core::audit::history::{Fact, TaskFact};
use orch_core::base::ids::{RunId, TaskId};
use orch_core::models::agent_model::needs_of_task;
use orch_core::planning::plan::{Plan, directory, not_registered};
use orch_core::tasks::event::{Event, IntegrationProblem};
use orch_core::tasks::evidence::Check;
use orch_core::tasks::lifecycle::{Refused, step};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::question::QuestionKind;
use orch_core::tasks::retry::{Bounds, Context};
use orch_core::tasks::task::{FileState, ReviewStage, Spec, State, Status, Task};
use orch_core::text::shell::word;
use orch_sys::git::checked_out;
use std::cell::LazyCell;
use std::path::PathBuf;
use std::sync::Arc;

/// The longest title, in characters: one line of ten thousand is still a title.
pub const MAX_TITLE: usize = 10_000;

impl Engine {
    pub(crate) fn try_checks(&mut self, dir: PathBuf, reply: Reply<Vec<Check>>) {
        let run = tryout::name(self.deps.random());
        self.jobs.order(Job::TryChecks { dir, run, reply: ReplySlot::new(reply) });
    }

    pub(crate) fn view(&self, now: Timestamp) -> View {
        let mut problems: Vec<String> = self.settings.problems.clone();
        problems.extend(self.file.problems().lines().cloned());
        problems.extend(self.timetable.problems().iter().cloned());
        problems.extend(self.storage.problem().cloned());
        problems.extend(self.deps.obstacles.words());
        problems.extend(self.damage_message());
        problems.extend(self.lifetime.problem().cloned());
        View {
            now,
            tasks: Arc::new(self.state.tasks.clone()),
            settled: Arc::clone(&self.state.settled),
            live_runs: self.state.runs.values().cloned().collect(),
            projects: self.state.projects.clone(),
            plan: self.plan_with_obstacles(),
            room: Arc::clone(self.planner.capacity()),
            breakers: self.state.breakers.values().cloned().collect(),
            settings: Arc::clone(&self.settings),
            problems,
            pauses: self.state.pauses.iter().cloned().collect(),
            set_models: self.models.set().all().to_vec(),
            active_cooldowns: self.active_cooldowns(now),
            batches: self.state.batches.values().cloned().collect(),
            leaving: self.lifetime.departure().cloned(),
            last_seq: self.state.last_seq(),
        }
    }

    /// Returns the plan, with what keeps tasks from going on at this moment.
    fn plan_with_obstacles(&self) -> Arc<Plan> {
        let (plan, obstacles) = (Arc::clone(self.planner.current()), self.obstacles());
        if obstacles.is_empty() { plan } else { Arc::new(Plan::clone(&plan).with_obstacles(obstacles)) }
    }

    /// Returns the damage of a journal that was rebuilt, as long as a task asks because of it.
    fn damage_message(&self) -> Option<String> {
        let asks = |id| self.state.tasks.get(&id).is_some_and(|task| task.question().is_some());
        let damage = self.deps.damage.as_ref()?;
        damage.asked.iter().any(|asked| asks(asked.task)).then(|| damage.describe())
    }

    pub(crate) fn add(
        &mut self,
        change_set: &mut ChangeSet,
        spec: Spec,
        now: Timestamp,
    ) -> Result<Arc<Task>, EngineError> {
        self.check_spec(&spec)?;
        if let Some(dir) = spec.dir.as_deref().filter(|dir| !self.is_registered(dir)) {
            let hint = format!("cd {} && orch init", word(dir));
            return Err(EngineError::InTheWay { message: not_registered(dir), hint });
        }
        let id = self.state.next_task_id();
        self.check_cycle(id, &spec)?;
        let task = self.with_base_branch(Task::new(id, spec, FileState::Pending, now));
        self.check_model_of(&task, now)?;
        let task = change_set.put_task(&mut self.state, task);
        change_set.note(
            &mut self.state,
            now,
            Some(id),
            None,
            TaskFact::Added { title: task.spec.title.clone(), over: None },
        );
        Ok(task)
    }

    /// Gives a new task the branch that is checked out now as its base branch.
    pub(crate) fn with_base_branch(&self, task: Task) -> Task {
        let dir = directory(&task, &self.state.project_dirs).ok();
        let base_branch = dir.and_then(checked_out).map(|branch| branch.as_str().to_owned());
        Task { base_branch, ..task }
    }

    pub(crate) fn check_spec(&self, spec: &Spec) -> Result<(), EngineError> {
        let invalid =
            |message: String, hint: Option<&str>| Err(EngineError::Invalid { message, hint: hint.map(str::to_owned) });
        if spec.title.trim().is_empty() {
            return invalid("a task needs a title".to_owned(), Some("orch task add \"What is to be done\""));
        }
        if spec.title.chars().count() > MAX_TITLE {
            return invalid(
                format!("the title is longer than {MAX_TITLE} characters"),
                Some("put the details into its body"),
            );
        }
        for other in spec.depends_on.iter().chain(&spec.parent) {
            if !self.state.exists(*other).map_err(unreadable)? {
                return invalid(format!("there is no task {other} to depend on"), Some("orch task list shows the ids"));
            }
        }
        if let Some(agent) = spec.agent.as_ref().filter(|a| self.settings.config.agent(a).is_none()) {
            let known = self.settings.config.agents.names().collect::<Vec<_>>().join(", ");
            return invalid(format!("there is no agent {agent:?}"), Some(&format!("known agents: {known}")));
        }
        Ok(())
    }

    pub(crate) fn ask(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        request: Request,
        now: Timestamp,
    ) -> Result<Arc<Task>, EngineError> {
        let task = self.task(id)?;
        let event = match request {
            Request::Run { past_pause, anew: _ } => {
                self.refuse_claimed(&task, now)?;
                if !past_pause {
                    self.refuse_paused(&task)?;
                }
                Event::RunAsked { past_pause }
            }
            Request::Retry => Event::RetryAsked,
            Request::Interrupt => Event::InterruptAsked,
            Request::Cancel => Event::CancelAsked { reason: "cancelled by a person".to_owned() },
            Request::Unblock => Event::UnblockAsked,
        };
        // The answer to a cancelled routing question has no receiver: its run ends with it.
        if let State::New { routing: Some(run), .. } = &task.state
            && matches!(request, Request::Cancel | Request::Retry)
        {
            self.drop_route_run(change_set, run.clone(), now);
        }
        if matches!(request, Request::Run { anew: true, .. }) && task.status() == Status::InProgress {
            let hint = "a run is under way in its conversation; `orch task interrupt` stops it";
            return Err(EngineError::Refused { task: id, source: Refused::State { status: task.status(), hint } });
        }
        if matches!(event, Event::UnblockAsked) {
            self.require_approval(&task)?;
        }
        let mut task =
            self.apply(change_set, id, &event, now).map_err(|source| EngineError::Refused { task: id, source })?;
        if matches!(request, Request::Run { anew: true, .. }) && task.conversation.is_some() {
            change_set.note(&mut self.state, now, Some(id), None, TaskFact::ConversationLeft);
            task = change_set.put_task(&mut self.state, Task { conversation: None, ..Task::clone(&task) });
        }
        if !self.file.missing().is_empty() {
            // What the file lacks may be given up by that.
            self.file.read_anew();
            self.read_files();
        }
        if task.file.is_removed() && request == Request::Retry {
            // The file says what is to be done.
            let next = Task { file: FileState::Pending, ..Task::clone(&task) };
            return Ok(change_set.put_task(&mut self.state, next));
        }
        Ok(task)
    }

    /// # Errors
    /// The task has changed since a person saw it.
    pub(crate) fn require_unchanged(&mut self, id: TaskId, since: Option<Timestamp>) -> Result<(), EngineError> {
        let Some(since) = since else { return Ok(()) };
        // Those who saw it may know its time in milliseconds only.
        if self.task(id)?.updated_at.as_millisecond() == since.as_millisecond() {
            return Ok(());
        }
        let message = format!("task {id} has changed since {since}");
        Err(EngineError::InTheWay { message, hint: format!("look at it again: orch task show {id}") })
    }

    /// What a person has fixed in the project's file holds once they have approved it: sent on before that, the task
    /// would come back with the same question.
    fn require_approval(&self, task: &Task) -> Result<(), EngineError> {
        let is_about_setup = matches!(task.state, State::NeedsReview { kind: QuestionKind::Setup, .. });
        let dir = directory_of(task, &self.state.projects);
        let unapproved = self.settings.unapproved_projects();
        match dir.ok().and_then(|dir| unapproved.get(&dir)).filter(|_| is_about_setup) {
            Some(problem) => Err(EngineError::InTheWay {
                message: format!("task {}: {problem}", task.id),
                hint: format!("then: orch task unblock {}", task.id),
            }),
            None => Ok(()),
        }
    }

    pub(crate) fn unblock_all(&mut self, change_set: &mut ChangeSet, now: Timestamp) -> Vec<TaskId> {
        let waiting: Vec<TaskId> = self
            .state
            .tasks
            .values()
            .filter(|t| matches!(t.state, State::Blocked(_) | State::NeedsReview { .. }))
            .map(|t| t.id)
            .collect();
        waiting.into_iter().filter(|id| self.apply(change_set, *id, &Event::UnblockAsked, now).is_ok()).collect()
    }

    pub(crate) fn task(&mut self, id: TaskId) -> Result<Arc<Task>, EngineError> {
        self.state.task(id).map_err(unreadable)?.ok_or(EngineError::NoTask(id))
    }

    /// Applies an event to a task: the only way in which a status changes.
    pub(crate) fn apply(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        event: &Event,
        now: Timestamp,
    ) -> Result<Arc<Task>, Refused> {
        let Some(task) = self.look_up(id) else {
            // A task is never removed, so only a caller with a made-up id comes here.
            return Err(Refused::State { status: Status::Cancelled, hint: "there is no such task" });
        };
        let config = self.settings.for_task(&task, &self.state.projects);
        let book = self.book_of_failures();
        let bounds = config.bounds(&task.spec);
        let candidates = self.candidates(&task, &bounds, now);
        let is_cooling_down = |agent: &String| self.state.cooldowns.get(agent).is_some_and(|c| c.is_active(now));
        let alternatives: Vec<String> = candidates.iter().filter(|agent| !is_cooling_down(agent)).cloned().collect();
        let model_for = |complexity, agent: &str| config.model_for(complexity, agent).map(str::to_owned);
        // Asked for only where work has failed: the last run is then this turn's, or stored.
        let policy = |task: &Task| {
            self.settings.policy.as_ref()?;
            let last = change_set.ended_runs().find(|run| run.task == id && run.kind == RunKind::Work).cloned();
            self.policy_advice(task, last.or_else(|| self.last_run(id)).as_ref(), now)
        };
        // Its whole text is compared for that: only where a caller asks.
        let needs = LazyCell::new(|| needs_of_task(&task.spec));
        let cooling_down_until =
            |agent: &str, model: Option<&str>| self.cooling_down_until(book.as_deref(), agent, model, &needs, now);
        let is_cooling_down = |agent: &str, model: Option<&str>| cooling_down_until(agent, model).is_some();
        let is_paid_ahead = |agent: &str, model: Option<&str>| self.settings.is_paid_ahead(agent, model);
        let context = Context {
            now,
            bounds: &bounds,
            alternatives: &alternatives,
            candidates: &candidates,
            routed: &self.settings.config.router.agents,
            model_for: &model_for,
            is_cooling: &is_cooling_down,
            is_prepaid: &is_paid_ahead,
            cooling_until: &cooling_down_until,
            policy: &policy,
        };
        let next = step(&task, event, &context)?;
        if next == *task {
            return Ok(task);
        }
        self.call_off_integration(&task, &next)?;
        let fact = crate::tasks::history::fact_of(&task, event, &next);
        let run = crate::tasks::history::run_of(event);
        let next = change_set.put_task(&mut self.state, next);
        if self.is_news(id, event, &fact) {
            let actor = acting(&task, event).unwrap_or_else(|| change_set.actor().clone());
            change_set.by(actor, |change_set| change_set.note(&mut self.state, now, Some(id), run, fact));
        }
        Ok(next)
    }

    /// Returns whether the history records an event. What holds accepted work up is checked every half minute, and reported
    /// once.
    fn is_news(&mut self, id: TaskId, event: &Event, fact: &Fact) -> bool {
        if matches!(event, Event::IntegrationDue) {
            return false;
        }
        if let Event::NotIntegrated { problem: IntegrationProblem::Wait(_), .. } = event {
            return self.watch.is_other_hold(id, fact);
        }
        self.watch.forget_hold(id);
        true
    }

    /// Cancels the integration in progress when the task leaves that state.
    ///
    /// # Errors
    /// The base branch is being moved, or has just been moved.
    fn call_off_integration(&self, task: &Task, next: &Task) -> Result<(), Refused> {
        let Some(run) = integrating(task).filter(|run| integrating(next) != Some(run)) else { return Ok(()) };
        if self.deps.ledger.call_off(run) {
            return Ok(());
        }
        let hint = "its branch moves at this moment; `orch task revert` takes back what was merged";
        Err(Refused::State { status: task.status(), hint })
    }

    /// Other installed agents that are not paused or broken and may spend something, in the configured order: those of
    /// `router.agents`, and those that the task's chain or the ladder names.
    fn candidates(&self, task: &Task, bounds: &Bounds, now: Timestamp) -> Vec<String> {
        let current = task.route.as_ref().map(|r| r.agent.as_str());
        let chain = task.route.as_ref().map_or(&[][..], |route| bounds.fallback.chain(route.complexity));
        let named = |agent: &String| chain.iter().chain(&bounds.escalation.ladder).any(|rung| rung.agent == *agent);
        let may_work = |agent: &&String| {
            Some(agent.as_str()) != current
                && (self.settings.config.router.agents.contains(agent) || named(agent))
                && self.broken(agent, now).is_none()
                && !self.models.money().exhausted().contains(agent)
                && !self.state.pauses.holds_agent(agent)
        };
        self.settings.installed.iter().filter(may_work).cloned().collect()
    }
}

/// Returns the run whose result is being integrated, if any.
fn integrating(task: &Task) -> Option<&RunId> {
    if let State::InReview { run, review: ReviewStage::Integrating { .. } } = &task.state { Some(run) } else { None }
}

/// Returns the actor that an event names; `None`: the actor of the command that causes the event.
fn acting(before: &Task, event: &Event) -> Option<Actor> {
    // What a shutdown needs of the agents is asked by orch, not by the person who asked for the shutdown.
    if matches!(event, Event::ShutdownAsked) {
        return Some(Actor::Orch);
    }
    let acts = |run: &RunId| Some(Actor::Run(run.to_string()));
    if let Event::RunEnded { run, .. } | Event::HandedOn { run, .. } = event {
        return acts(run);
    }
    if let Event::Reviewed { run, .. } = event { acts(before.state.reviewed_by().unwrap_or(run)) } else { None }
}

/// What a person asks of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Run it now.
    Run {
        /// Also where that is paused.
        past_pause: bool,
        /// Whether it goes on in a new conversation.
        anew: bool,
    },
    /// Start it anew, from the beginning.
    Retry,
    /// Stop its agent, and keep the conversation.
    Interrupt,
    /// Cancel it.
    Cancel,
    /// Unblock it.
    Unblock,
}
