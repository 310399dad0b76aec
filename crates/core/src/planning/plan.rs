//! Decides what to start now, and why everything else waits. A pure function of a snapshot and the time.

mod batches;
mod capacity;
mod cooldown;
mod dependency_cycle;
mod describe;
mod file_overlap;
mod hold;
mod parts;
mod reasons;
mod snapshot;

pub use capacity::{Capacity, Occupancy};
pub use cooldown::{Cooldown, is_pending};
pub use describe::{DependencyState, describe, describe_end};
pub use file_overlap::{FileOverlap, OverlapRules};
pub use hold::Hold;
pub use snapshot::{Scope, Snapshot, dependency_state, status_in};

use super::overlap::Overlap;
use crate::base::ids::TaskId;
use crate::operations::service::ShutdownMode;
use crate::tasks::cycle::Cycle;
use crate::tasks::hold::HoldReason;
use crate::tasks::outcome::FailureClass;
use crate::tasks::task::{BlockedOn, Postponed, ReviewStage, State, Status, Task};
use batches::Batches;
use capacity::Usage;
use file_overlap::OverlapCheck;
use jiff::Timestamp;
use reasons::{blocked_hold, reason_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An action that the engine carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Choose an agent and a model.
    Route(TaskId),
    /// Start a work run.
    Launch(TaskId),
    /// Mark the task as waiting for something.
    Block(TaskId, BlockedOn),
    /// Unblock the task: what it waited for is available.
    Unblock(TaskId),
    /// Ask a person: the task waits for itself through this cycle.
    Ask(TaskId, Cycle),
    /// Ask a person: a subtask that it waits for has failed.
    AskAboutSubtask(TaskId, TaskId),
    /// Try the integration again.
    Integrate(TaskId),
    /// Start a review.
    Review(TaskId),
}

/// What to do now, and why the rest waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The actions, in this order.
    pub actions: Vec<Action>,
    /// The holds of all open tasks that do not continue, in the order of ids.
    pub holds: Vec<(TaskId, Hold)>,
    /// The next time at which the plan may change by time alone.
    pub wake_at: Option<Timestamp>,
    /// Whether something starts, or would if there were capacity: then the machine's load must be measured.
    pub needs_capacity: bool,
    /// Tasks that could start if their agent were not in a cooldown after a provider failure, up to the free slots, the
    /// most urgent first, with the class of the failure.
    pub stalled: Vec<(TaskId, FailureClass)>,
    /// Of the tasks that start, those that overlap with a running one.
    pub overlaps: Vec<(TaskId, FileOverlap)>,
}

impl Plan {
    /// Replaces the holds of these tasks by obstacles that occurred after the plan was made.
    #[must_use]
    pub fn with_obstacles(mut self, obstacles: BTreeMap<TaskId, Hold>) -> Self {
        for (id, hold) in obstacles {
            match self.holds.binary_search_by_key(&id, |(task, _)| *task) {
                Ok(at) => self.holds[at].1 = hold,
                Err(at) => self.holds.insert(at, (id, hold)),
            }
        }
        self
    }

    /// Returns why this task waits.
    pub fn hold(&self, id: TaskId) -> Option<&Hold> {
        let at = self.holds.binary_search_by_key(&id, |(task, _)| *task).ok()?;
        Some(&self.holds[at].1)
    }
}

/// Makes a plan for all tasks.
pub fn plan(snapshot: &Snapshot<'_>, now: Timestamp) -> Plan {
    let usage = Usage::new(snapshot.capacity, snapshot.projects, now);
    let overlap_check = OverlapCheck::new(&snapshot.capacity.overlap_rules, snapshot.tasks, snapshot.projects);
    let holds = Vec::with_capacity(snapshot.tasks.len());
    let (plan, runnable, parts) = (Plan { holds, ..Plan::default() }, Vec::new(), BTreeMap::new());
    let batches = Batches::new(snapshot.batches, snapshot.projects);
    let stalled = Vec::new();
    let mut planner = Planner { snapshot, now, plan, runnable, stalled, usage, overlap_check, batches, parts };
    for task in snapshot.tasks.values() {
        if takes_slot(task) && !gives_slot_back(task, snapshot.capacity) {
            planner.usage.take(task);
            planner.batches.take(task);
        }
        planner.plan_task(task);
    }
    planner.wait_for_subtasks();
    planner.ask_about_cycles();
    planner.fill_slots();
    planner.plan.holds.sort_unstable_by_key(|(id, _)| *id);
    planner.plan
}

/// Returns the directory of a task's repository, or why there is none.
pub fn directory<'a>(task: &'a Task, projects: &'a [PathBuf]) -> Result<&'a Path, String> {
    match (&task.spec.dir, projects) {
        (Some(dir), _) => Ok(dir),
        (None, [only]) => Ok(only),
        (None, []) => {
            Err("the task names no dir and no project is registered; run `orch init` in the repository".into())
        }
        (None, several) => {
            Err(format!("the task names no dir and there are {} projects; give it a dir: in tasks.yml", several.len()))
        }
    }
}

/// Describes the problem with a directory in which `orch init` was never run.
pub fn not_registered(dir: &Path) -> String {
    format!("{} is not registered with orch: nothing runs or merges there before `orch init`", dir.display())
}

/// Whether the task counts against `engine.max_parallel`.
fn takes_slot(task: &Task) -> bool {
    let State::InReview { review, .. } = &task.state else { return matches!(task.state, State::InProgress { .. }) };
    match review {
        ReviewStage::Judging => true,
        ReviewStage::Reviewing { review, .. } => review.is_some(),
        ReviewStage::Integrating { waiting, .. } => waiting.is_none(),
    }
}

/// Whether the task frees its slot because an obstacle holds a step after the agent's work. A step that starts an agent
/// keeps its slot, so that the agents of many tasks do not start at once when the obstacle disappears.
fn gives_slot_back(task: &Task, capacity: &Capacity) -> bool {
    let starts_no_agent =
        matches!(&task.state, State::InReview { review: ReviewStage::Judging | ReviewStage::Integrating { .. }, .. });
    starts_no_agent && capacity.obstacles.contains_key(&task.id)
}

/// A task that needs only a slot: whether no person asked for it, negated priority, id, task.
type Ready<'a> = (bool, i64, TaskId, &'a Task);

struct Planner<'a> {
    snapshot: &'a Snapshot<'a>,
    now: Timestamp,
    plan: Plan,
    /// Tasks that need only a slot.
    runnable: Vec<Ready<'a>>,
    /// Tasks whose agent is in a cooldown: negated priority, id, class of the failure.
    stalled: Vec<(i64, TaskId, FailureClass)>,
    usage: Usage<'a>,
    overlap_check: OverlapCheck<'a>,
    batches: Batches<'a>,
    /// The open subtasks by parent.
    parts: BTreeMap<TaskId, Vec<TaskId>>,
}

impl<'a> Planner<'a> {
    fn plan_task(&mut self, task: &'a Task) {
        if let Some(parent) = task.spec.parent.filter(|_| !task.status().is_final()) {
            self.parts.entry(parent).or_default().push(task.id);
        }
        match &task.state {
            State::Done | State::Cancelled { .. } => {}
            State::NeedsReview { .. } => self.plan_asking(task),
            State::New { routing: Some(_), .. } => {
                self.hold(task.id, Hold::new(HoldReason::Routing, "the router is being asked"));
            }
            State::New { routing: None, not_before } => self.plan_new(task, *not_before),
            State::Routed { not_before, .. } => self.plan_routed(task, *not_before),
            State::InProgress { stopping, .. } => match stopping {
                Some(why) => self.hold(task.id, Hold::new(HoldReason::Stopping, why.describe())),
                None => self.hold_by_obstacle(task.id),
            },
            State::InReview { review, .. } => self.plan_in_review(task, review),
            State::Blocked(on) => self.plan_blocked(task, on),
        }
    }

    fn hold(&mut self, id: TaskId, hold: Hold) {
        if let Some(until) = hold.until.filter(|at| *at > self.now) {
            self.plan.wake_at = Some(self.plan.wake_at.map_or(until, |at| at.min(until)));
        }
        self.plan.holds.push((id, hold));
    }

    /// Holds a task whose current step is blocked by an external call.
    fn hold_by_obstacle(&mut self, id: TaskId) {
        if let Some(hold) = self.snapshot.capacity.obstacles.get(&id).cloned() {
            self.hold(id, hold);
        }
    }

    /// Returns what keeps a waiting task from being routed or started, besides slots.
    fn obstacle(&self, task: &Task, not_before: Option<Timestamp>) -> Option<Hold> {
        let outside = match self.snapshot.scope {
            Scope::All => false,
            Scope::Only(id) => id != task.id,
            Scope::Nothing => true,
        };
        if let Some(problem) = &self.snapshot.capacity.config_error {
            return Some(Hold::new(HoldReason::Config, problem.clone()));
        }
        if let Some(reason) = self.snapshot.invalid.get(&task.id) {
            return Some(Hold::new(HoldReason::InvalidEntry, reason.clone()));
        }
        match directory(task, self.snapshot.projects) {
            Err(reason) => return Some(Hold::new(HoldReason::NoProject, reason)),
            Ok(dir) => {
                // A missing directory has a hold of its own.
                let unread = self.snapshot.capacity.project_config_errors.get(dir);
                if let Some(problem) = unread.filter(|_| (self.snapshot.dir_exists)(dir)) {
                    return Some(Hold::new(HoldReason::Config, problem.clone()));
                }
                if !(self.snapshot.is_registered)(dir) {
                    return Some(Hold::new(HoldReason::NoProject, not_registered(dir)));
                }
                if let Some(problem) = self.snapshot.capacity.unapproved_projects.get(dir) {
                    return Some(Hold::new(HoldReason::NotApproved, problem.clone()));
                }
            }
        }
        if let Some(by) = task.assigned_to_other(self.snapshot.identity) {
            let since = task.claimed_since().map(|since| format!(" since {since}")).unwrap_or_default();
            let stale = if task.is_claim_stale(self.now) { ", which is stale" } else { "" };
            let detail = format!("claimed by {by}{since}{stale}; this orch is {}", self.snapshot.identity);
            return Some(Hold::new(HoldReason::Claimed, detail));
        }
        if let Some(hold) = self.paused_or_shutting_down(task) {
            return Some(hold);
        }
        if self.batches.is_spent(task) {
            return Some(Hold::new(HoldReason::BatchBudget, String::new()));
        }
        if let Some(until) = not_before.filter(|at| is_pending(*at, task.updated_at, self.now)) {
            let cause = task.last_failure.as_ref().map_or("a pause was set", |f| f.detail.as_str());
            let reason = task.last_failure.as_ref().map_or(HoldReason::Backoff, |f| reason_of(f.class));
            return Some(Hold::until(reason, cause, until));
        }
        outside.then(|| {
            Hold::new(
                HoldReason::NoDaemon,
                "ready, but no daemon is running: start `orch serve`, or `orch task run` this one",
            )
        })
    }

    /// Returns the hold for a shutdown or a pause.
    fn paused_or_shutting_down(&self, task: &Task) -> Option<Hold> {
        if let Some(leave) = self.snapshot.shutdown {
            return Some(Hold::new(HoldReason::ShuttingDown, leave.describe()));
        }
        let dir = directory(task, self.snapshot.projects).ok();
        let agent = task.route.as_ref().map(|route| route.agent.as_str());
        // Before routing, the route is that of the last run; the next one may have another agent.
        let agent = agent.filter(|_| matches!(task.state, State::Routed { .. }));
        let detail = self.snapshot.pauses.description(dir, agent).filter(|_| !task.past_pause)?;
        Some(Hold::new(HoldReason::Paused, detail))
    }

    /// Returns the unmet dependencies. They come before everything else, because they decide the status.
    fn unmet(&self, task: &Task) -> Option<BlockedOn> {
        let tasks: Vec<TaskId> = self.awaited(task).collect();
        (!tasks.is_empty()).then_some(BlockedOn::Dependencies { tasks })
    }

    fn awaited<'t>(&self, task: &'t Task) -> impl Iterator<Item = TaskId> + use<'_, 't> {
        task.spec.depends_on.iter().copied().filter(|id| self.snapshot.status(*id) != Some(Status::Done))
    }

    fn plan_new(&mut self, task: &Task, not_before: Option<Timestamp>) {
        if let Some(on) = self.unmet(task) {
            self.hold(task.id, blocked_hold(&on));
            self.plan.actions.push(Action::Block(task.id, on));
        } else if let Some(hold) = self.obstacle(task, not_before) {
            self.hold(task.id, hold);
        } else {
            self.plan.needs_capacity = true;
            match self.usage.full_disk().or_else(|| self.usage.spent(task, None)) {
                Some(hold) => self.hold(task.id, hold),
                None => self.plan.actions.push(Action::Route(task.id)),
            }
        }
    }

    fn plan_routed(&mut self, task: &'a Task, not_before: Option<Timestamp>) {
        if let Some(on) = self.unmet(task) {
            self.hold(task.id, blocked_hold(&on));
            self.plan.actions.push(Action::Block(task.id, on));
        } else if let Some(hold) = self.obstacle(task, not_before) {
            self.hold(task.id, hold);
        } else if let Some((hold, class)) = self.cooldown_hold(task) {
            self.hold(task.id, hold);
            self.stalled.push((task.spec.priority.saturating_neg(), task.id, class));
        } else {
            self.plan.needs_capacity = true;
            let agent = task.route.as_ref().map(|route| (route.agent.as_str(), route.model.as_deref()));
            let spent = || self.usage.spent(task, agent);
            match self.usage.full_disk().or_else(spent).or_else(|| self.usage.open_breaker(task)) {
                Some(hold) => self.hold(task.id, hold),
                None => self.runnable.push((!task.run_now, task.spec.priority.saturating_neg(), task.id, task)),
            }
        }
    }

    fn cooldown_hold(&self, task: &Task) -> Option<(Hold, FailureClass)> {
        if task.run_now {
            return None;
        }
        let agent = &task.route.as_ref()?.agent;
        let of_agent =
            self.snapshot.cooldowns.get(agent).map(|cooldown| (format!("{agent}: {}", cooldown.detail), cooldown));
        let of_model =
            self.snapshot.capacity.model_cooldowns.get(&task.id).map(|cooldown| (cooldown.detail.clone(), cooldown));
        let held = [of_agent, of_model].into_iter().flatten().filter(|(_, cooldown)| cooldown.is_active(self.now));
        let (detail, cooldown) = held.max_by_key(|(_, cooldown)| cooldown.until)?;
        Some((Hold::until(reason_of(cooldown.class), detail, cooldown.until), cooldown.class))
    }

    fn plan_in_review(&mut self, task: &'a Task, review: &'a ReviewStage) {
        let wait = match review {
            ReviewStage::Judging | ReviewStage::Integrating { waiting: None, .. } => {
                return self.hold_by_obstacle(task.id);
            }
            ReviewStage::Reviewing { review, waiting, .. } => {
                return self.plan_review(task, review.is_some(), waiting.as_ref());
            }
            ReviewStage::Integrating { waiting: Some(wait), .. } => wait,
        };
        if let Some(leave) = self.snapshot.shutdown.filter(|leave| *leave != ShutdownMode::Drain) {
            // Its time may come during the shutdown: that must not wake the loop.
            return self.hold(task.id, Hold::new(HoldReason::ShuttingDown, leave.describe()));
        }
        if !is_pending(wait.until, task.updated_at, self.now) && self.snapshot.scope != Scope::Nothing {
            self.plan.actions.push(Action::Integrate(task.id));
        }
        self.hold(task.id, Hold::until(wait.reason, wait.detail.clone(), wait.until));
    }

    /// Holds a task whose review runs, or queues a review like any other run.
    fn plan_review(&mut self, task: &'a Task, is_begun: bool, waiting: Option<&'a Postponed>) {
        if is_begun {
            return match self.snapshot.capacity.obstacles.get(&task.id).cloned() {
                Some(hold) => self.hold(task.id, hold),
                None => self.hold(task.id, Hold::new(HoldReason::Review, "its work is being reviewed")),
            };
        }
        if let Some(hold) = self.obstacle(task, None) {
            return self.hold(task.id, hold);
        }
        if let Some(wait) = waiting.filter(|wait| wait.until == Timestamp::MAX) {
            // It waits until the other reviewers may be asked again.
            return self.hold(task.id, Hold::new(HoldReason::Review, wait.detail.clone()));
        }
        if let Some(wait) = waiting.filter(|wait| is_pending(wait.until, task.updated_at, self.now)) {
            return self.hold(task.id, Hold::until(HoldReason::Review, wait.detail.clone(), wait.until));
        }
        self.plan.needs_capacity = true;
        let spent = || self.usage.spent(task, None);
        match self.usage.full_disk().or_else(spent).or_else(|| self.usage.open_breaker(task)) {
            Some(hold) => self.hold(task.id, hold),
            // Nearly finished work comes before work that has not started.
            None => self.runnable.push((false, i64::MIN, task.id, task)),
        }
    }

    fn plan_blocked(&mut self, task: &Task, on: &BlockedOn) {
        let now_on = match on {
            // Unchanged, the usual case.
            BlockedOn::Dependencies { tasks } if !tasks.is_empty() && self.awaited(task).eq(tasks.iter().copied()) => {
                return self.hold(task.id, blocked_hold(on));
            }
            BlockedOn::Dependencies { .. } => self.unmet(task),
            BlockedOn::Children { tasks } => {
                if let Some(part) = self.failed(task, tasks) {
                    return self.plan.actions.push(Action::AskAboutSubtask(task.id, part));
                }
                let tasks: Vec<TaskId> = tasks.iter().filter(|id| self.is_open(**id)).copied().collect();
                (!tasks.is_empty()).then_some(BlockedOn::Children { tasks })
            }
            // A task that names no directory may belong to another project by now.
            BlockedOn::MissingDir { dir } if directory(task, self.snapshot.projects) != Ok(dir) => None,
            BlockedOn::MissingDir { dir } => (!(self.snapshot.dir_exists)(dir)).then(|| on.clone()),
        };
        match now_on {
            None => self.plan.actions.push(Action::Unblock(task.id)),
            Some(now_on) => {
                self.hold(task.id, blocked_hold(&now_on));
                if now_on != *on {
                    self.plan.actions.push(Action::Block(task.id, now_on));
                }
            }
        }
    }

    fn fill_slots(&mut self) {
        let mut runnable = std::mem::take(&mut self.runnable);
        runnable.sort_unstable_by_key(|(not_asked, urgency, id, _)| (*not_asked, *urgency, *id));
        self.batches.arrange(&mut runnable);
        for (.., id, task) in runnable {
            // Money comes first: a slot alone would not help.
            let unaffordable = self.usage.unaffordable(task);
            let missing_slot = || self.usage.missing_slot(task).or_else(|| self.batches.missing_slot(task));
            match unaffordable.or_else(|| missing_slot().map(|reason| Hold::new(reason, String::new()))) {
                None => self.launch(id, task),
                // It does not hold back the tasks behind it: another agent or project may have capacity.
                Some(hold) => self.hold(id, hold),
            }
        }
        self.stalled.sort_unstable_by_key(|(urgency, id, _)| (*urgency, *id));
        let stalled = self.stalled.iter().take(self.usage.free()).map(|(_, id, class)| (*id, *class));
        self.plan.stalled = stalled.collect();
    }

    /// Starts a task for which there is capacity, unless it overlaps with a running one.
    fn launch(&mut self, id: TaskId, task: &'a Task) {
        match self.overlap_check.check(task) {
            Some((Overlap::Hold, found)) if !task.run_now => {
                return self.plan.holds.push((id, Hold::new(HoldReason::Overlap, found.to_string())));
            }
            Some((_, found)) => self.plan.overlaps.push((id, found)),
            None => {}
        }
        self.usage.take(task);
        self.usage.reserve(task);
        self.batches.take(task);
        self.overlap_check.add(task);
        self.plan.actions.push(if let Status::InReview = task.status() {
            Action::Review(id)
        } else {
            Action::Launch(id)
        });
    }
}

#[cfg(test)]
mod tests;
