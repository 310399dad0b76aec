//! What to begin now, and why everything else waits. A pure function of a snapshot and the time.

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
pub use cooldown::{Cooldown, is_to_come};
pub use describe::{Waited, ends, told};
pub use file_overlap::OverlapRules;
pub use hold::{Hold, HoldReason};
pub use snapshot::{Scope, Snapshot, status_in, waited_in};

use super::cycle::Cycle;
use super::ids::TaskId;
use super::outcome::FailureClass;
use super::overlap::Overlap;
use super::service::ShutdownMode;
use super::task::{BlockedOn, Postponed, ReviewStage, State, Status, Task};
use batches::Batches;
use capacity::Usage;
use file_overlap::OverlapCheck;
use jiff::Timestamp;
use reasons::{blocked_hold, reason_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Something to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Choose an agent and a model.
    Route(TaskId),
    /// Begin a work run.
    Launch(TaskId),
    /// Mark as waiting on something.
    Block(TaskId, BlockedOn),
    /// What it waited for is there.
    Unblock(TaskId),
    /// It waits for itself, over these others: a person is asked.
    Ask(TaskId, Cycle),
    /// A part that it waits for came to nothing: a person is asked.
    AskAboutPart(TaskId, TaskId),
    /// Try the integration again.
    Integrate(TaskId),
    /// Begin a review.
    Review(TaskId),
}

/// What to do, and why the rest waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To begin now, in this order.
    pub actions: Vec<Action>,
    /// For every open task that does not move, in the order of ids.
    pub holds: Vec<(TaskId, Hold)>,
    /// The next time at which the answer may differ by time alone.
    pub wake_at: Option<Timestamp>,
    /// Something begins, or would as soon as there is room: how the machine stands is worth a look.
    pub needs_capacity: bool,
    /// Those that could begin if their agent were not left alone because a provider failed, as many as there is room for: the
    /// most urgent first, with what the failure was.
    pub stalled: Vec<(TaskId, FailureClass)>,
    /// Of those that begin, who meets whom in which file.
    pub overlaps: Vec<(TaskId, String)>,
}

impl Plan {
    /// The same plan, with what has come into the way of these tasks since it was made.
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

    /// Why this task waits.
    pub fn hold(&self, id: TaskId) -> Option<&Hold> {
        let at = self.holds.binary_search_by_key(&id, |(task, _)| *task).ok()?;
        Some(&self.holds[at].1)
    }
}

/// Plans over all tasks.
pub fn plan(snapshot: &Snapshot<'_>, now: Timestamp) -> Plan {
    let tally = Usage::new(snapshot.room, snapshot.projects, now);
    let ground = OverlapCheck::new(&snapshot.room.meetings, snapshot.tasks, snapshot.projects);
    let holds = Vec::with_capacity(snapshot.tasks.len());
    let (plan, runnable, parts) = (Plan { holds, ..Plan::default() }, Vec::new(), BTreeMap::new());
    let batches = Batches::new(snapshot.batches, snapshot.projects);
    let stalled = Vec::new();
    let mut planner = Planner { snapshot, now, plan, runnable, stalled, tally, ground, batches, parts };
    for task in snapshot.tasks.values() {
        if takes_slot(task) && !gives_slot_back(task, snapshot.room) {
            planner.tally.take(task);
            planner.batches.take(task);
        }
        planner.look(task);
    }
    planner.wait_for_parts();
    planner.ask_about_cycles();
    planner.fill_slots();
    planner.plan.holds.sort_unstable_by_key(|(id, _)| *id);
    planner.plan
}

/// The directory a task's work belongs to, or why there is none.
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

/// What is said of a directory in which nobody has typed `orch init`.
pub fn not_registered(dir: &Path) -> String {
    format!("{} is not registered with orch: nothing runs or merges there before `orch init`", dir.display())
}

/// Counts against `engine.max_parallel`.
fn takes_slot(task: &Task) -> bool {
    match &task.state {
        State::InProgress { .. } => true,
        State::InReview { review, .. } => match review {
            ReviewStage::Judging => true,
            ReviewStage::Reviewing { review, .. } => review.is_some(),
            ReviewStage::Integrating { waiting, .. } => waiting.is_none(),
        },
        State::New { .. }
        | State::Routed { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => false,
    }
}

/// A step after the agent's work that cannot go on now keeps nobody else from working. One that starts an agent keeps its
/// slot: the agents of many tasks must not begin at the same moment when the obstacle goes.
fn gives_slot_back(task: &Task, room: &Capacity) -> bool {
    let starts_no_agent = match &task.state {
        State::InReview { review: ReviewStage::Judging | ReviewStage::Integrating { .. }, .. } => true,
        State::InReview { review: ReviewStage::Reviewing { .. }, .. }
        | State::New { .. }
        | State::Routed { .. }
        | State::InProgress { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => false,
    };
    starts_no_agent && room.obstacles.contains_key(&task.id)
}

/// Ready but for a slot: not asked for, minus priority, id.
type Ready<'a> = (bool, i64, TaskId, &'a Task);

struct Planner<'a> {
    snapshot: &'a Snapshot<'a>,
    now: Timestamp,
    plan: Plan,
    /// Ready but for a slot.
    runnable: Vec<Ready<'a>>,
    /// Ready but for their agent, which is left alone: minus priority, id, why.
    stalled: Vec<(i64, TaskId, FailureClass)>,
    tally: Usage<'a>,
    ground: OverlapCheck<'a>,
    batches: Batches<'a>,
    /// The open parts of tasks that have any.
    parts: BTreeMap<TaskId, Vec<TaskId>>,
}

impl<'a> Planner<'a> {
    fn look(&mut self, task: &'a Task) {
        if let Some(parent) = task.spec.parent.filter(|_| !task.status().is_final()) {
            self.parts.entry(parent).or_default().push(task.id);
        }
        match &task.state {
            State::Done | State::Cancelled { .. } => {}
            State::NeedsReview { .. } => self.look_asking(task),
            State::New { routing: Some(_), .. } => {
                self.hold(task.id, Hold::new(HoldReason::Routing, "the router is being asked"));
            }
            State::New { routing: None, not_before } => self.look_new(task, *not_before),
            State::Routed { not_before, .. } => self.look_routed(task, *not_before),
            State::InProgress { stopping, .. } => match stopping {
                Some(why) => self.hold(task.id, Hold::new(HoldReason::Stopping, why.told())),
                None => self.hold_by_obstacle(task.id),
            },
            State::InReview { review, .. } => self.look_reviewed(task, review),
            State::Blocked(on) => self.look_blocked(task, on),
        }
    }

    fn hold(&mut self, id: TaskId, hold: Hold) {
        if let Some(until) = hold.until.filter(|at| *at > self.now) {
            self.plan.wake_at = Some(self.plan.wake_at.map_or(until, |at| at.min(until)));
        }
        self.plan.holds.push((id, hold));
    }

    /// Its step is under way, and an external call keeps it from going on.
    fn hold_by_obstacle(&mut self, id: TaskId) {
        if let Some(hold) = self.snapshot.room.obstacles.get(&id).cloned() {
            self.hold(id, hold);
        }
    }

    /// What keeps a waiting task from being routed or started, beside slots.
    fn obstacle(&self, task: &Task, not_before: Option<Timestamp>) -> Option<Hold> {
        let outside = match self.snapshot.scope {
            Scope::All => false,
            Scope::Only(id) => id != task.id,
            Scope::Nothing => true,
        };
        if let Some(problem) = &self.snapshot.room.unread {
            return Some(Hold::new(HoldReason::Config, problem.clone()));
        }
        if let Some(reason) = self.snapshot.invalid.get(&task.id) {
            return Some(Hold::new(HoldReason::InvalidEntry, reason.clone()));
        }
        match directory(task, self.snapshot.projects) {
            Err(reason) => return Some(Hold::new(HoldReason::NoProject, reason)),
            Ok(dir) => {
                // One that is not there is waited for as such.
                let unread = self.snapshot.room.unread_projects.get(dir);
                if let Some(problem) = unread.filter(|_| (self.snapshot.dir_exists)(dir)) {
                    return Some(Hold::new(HoldReason::Config, problem.clone()));
                }
                if !(self.snapshot.is_registered)(dir) {
                    return Some(Hold::new(HoldReason::NoProject, not_registered(dir)));
                }
                if let Some(problem) = self.snapshot.room.unapproved_projects.get(dir) {
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
        if let Some(hold) = self.switched_off(task) {
            return Some(hold);
        }
        if self.batches.is_spent(task) {
            return Some(Hold::new(HoldReason::BatchBudget, String::new()));
        }
        if let Some(until) = not_before.filter(|at| is_to_come(*at, task.updated_at, self.now)) {
            let cause = task.last_failure.as_ref().map_or("a pause was set", |f| f.detail.as_str());
            let reason = task.last_failure.as_ref().map_or(HoldReason::Backoff, |f| reason_of(f.class));
            return Some(Hold::until(reason, cause, until));
        }
        outside.then(|| {
            Hold::new(
                HoldReason::NoDaemon,
                "ready; nobody runs tasks now: start `orch serve`, or `orch task run` this one",
            )
        })
    }

    /// What a person has switched off, which may be all of orch.
    fn switched_off(&self, task: &Task) -> Option<Hold> {
        if let Some(leave) = self.snapshot.leaving {
            return Some(Hold::new(HoldReason::ShuttingDown, leave.told()));
        }
        let dir = directory(task, self.snapshot.projects).ok();
        let agent = task.route.as_ref().map(|route| route.agent.as_str());
        // A task that is not routed yet has what its last route was; the next may be another.
        let agent = agent.filter(|_| matches!(task.state, State::Routed { .. }));
        let words = self.snapshot.pauses.words(dir, agent).filter(|_| !task.past_pause)?;
        Some(Hold::new(HoldReason::Paused, words))
    }

    /// Dependencies come before everything else: they decide the status.
    fn unmet(&self, task: &Task) -> Option<BlockedOn> {
        let tasks: Vec<TaskId> = self.awaited(task).collect();
        (!tasks.is_empty()).then_some(BlockedOn::Dependencies { tasks })
    }

    fn awaited<'t>(&self, task: &'t Task) -> impl Iterator<Item = TaskId> + use<'_, 't> {
        task.spec.depends_on.iter().copied().filter(|id| self.snapshot.status(*id) != Some(Status::Done))
    }

    fn look_new(&mut self, task: &Task, not_before: Option<Timestamp>) {
        if let Some(on) = self.unmet(task) {
            self.hold(task.id, blocked_hold(&on));
            self.plan.actions.push(Action::Block(task.id, on));
        } else if let Some(hold) = self.obstacle(task, not_before) {
            self.hold(task.id, hold);
        } else {
            self.plan.needs_capacity = true;
            match self.tally.full_disk().or_else(|| self.tally.spent(task, None)) {
                Some(hold) => self.hold(task.id, hold),
                None => self.plan.actions.push(Action::Route(task.id)),
            }
        }
    }

    fn look_routed(&mut self, task: &'a Task, not_before: Option<Timestamp>) {
        if let Some(on) = self.unmet(task) {
            self.hold(task.id, blocked_hold(&on));
            self.plan.actions.push(Action::Block(task.id, on));
        } else if let Some(hold) = self.obstacle(task, not_before) {
            self.hold(task.id, hold);
        } else if let Some((hold, class)) = self.cooling(task) {
            self.hold(task.id, hold);
            self.stalled.push((task.spec.priority.saturating_neg(), task.id, class));
        } else {
            self.plan.needs_capacity = true;
            let agent = task.route.as_ref().map(|route| (route.agent.as_str(), route.model.as_deref()));
            let spent = || self.tally.spent(task, agent);
            match self.tally.full_disk().or_else(spent).or_else(|| self.tally.shut(task)) {
                Some(hold) => self.hold(task.id, hold),
                None => self.runnable.push((!task.run_now, task.spec.priority.saturating_neg(), task.id, task)),
            }
        }
    }

    fn cooling(&self, task: &Task) -> Option<(Hold, FailureClass)> {
        if task.run_now {
            return None;
        }
        let agent = &task.route.as_ref()?.agent;
        let of_agent =
            self.snapshot.cooldowns.get(agent).map(|cooldown| (format!("{agent}: {}", cooldown.detail), cooldown));
        let of_model = self.snapshot.room.unserved.get(&task.id).map(|cooldown| (cooldown.detail.clone(), cooldown));
        let held = [of_agent, of_model].into_iter().flatten().filter(|(_, cooldown)| cooldown.holds(self.now));
        let (detail, cooldown) = held.max_by_key(|(_, cooldown)| cooldown.until)?;
        Some((Hold::until(reason_of(cooldown.class), detail, cooldown.until), cooldown.class))
    }

    fn look_reviewed(&mut self, task: &'a Task, review: &'a ReviewStage) {
        let wait = match review {
            ReviewStage::Judging | ReviewStage::Integrating { waiting: None, .. } => {
                return self.hold_by_obstacle(task.id);
            }
            ReviewStage::Reviewing { review, waiting, .. } => {
                return self.look_for_review(task, review.is_some(), waiting.as_ref());
            }
            ReviewStage::Integrating { waiting: Some(wait), .. } => wait,
        };
        if let Some(leave) = self.snapshot.leaving.filter(|leave| *leave != ShutdownMode::Drain) {
            // Its time may come meanwhile: nobody is to wake for that.
            return self.hold(task.id, Hold::new(HoldReason::ShuttingDown, leave.told()));
        }
        if !is_to_come(wait.until, task.updated_at, self.now) && self.snapshot.scope != Scope::Nothing {
            self.plan.actions.push(Action::Integrate(task.id));
        }
        self.hold(task.id, Hold::until(wait.reason, wait.detail.clone(), wait.until));
    }

    /// A review runs, or is begun like any run.
    fn look_for_review(&mut self, task: &'a Task, is_begun: bool, waiting: Option<&'a Postponed>) {
        if is_begun {
            return match self.snapshot.room.obstacles.get(&task.id).cloned() {
                Some(hold) => self.hold(task.id, hold),
                None => self.hold(task.id, Hold::new(HoldReason::Review, "its work is being reviewed")),
            };
        }
        if let Some(hold) = self.obstacle(task, None) {
            return self.hold(task.id, hold);
        }
        if let Some(wait) = waiting.filter(|wait| wait.until == Timestamp::MAX) {
            // Whoever lets the reviewers go on lets this go on.
            return self.hold(task.id, Hold::new(HoldReason::Review, wait.detail.clone()));
        }
        if let Some(wait) = waiting.filter(|wait| is_to_come(wait.until, task.updated_at, self.now)) {
            return self.hold(task.id, Hold::until(HoldReason::Review, wait.detail.clone(), wait.until));
        }
        self.plan.needs_capacity = true;
        let spent = || self.tally.spent(task, None);
        match self.tally.full_disk().or_else(spent).or_else(|| self.tally.shut(task)) {
            Some(hold) => self.hold(task.id, hold),
            // What is nearly finished comes before what is not begun.
            None => self.runnable.push((false, i64::MIN, task.id, task)),
        }
    }

    fn look_blocked(&mut self, task: &Task, on: &BlockedOn) {
        let now_on = match on {
            // As it was, like thousands of others.
            BlockedOn::Dependencies { tasks } if !tasks.is_empty() && self.awaited(task).eq(tasks.iter().copied()) => {
                return self.hold(task.id, blocked_hold(on));
            }
            BlockedOn::Dependencies { .. } => self.unmet(task),
            BlockedOn::Children { tasks } => {
                if let Some(part) = self.failed(task, tasks) {
                    return self.plan.actions.push(Action::AskAboutPart(task.id, part));
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
            let short = self.tally.short(task);
            let lacking = || self.tally.lacking(task).or_else(|| self.batches.lacking(task));
            match short.or_else(|| lacking().map(|reason| Hold::new(reason, String::new()))) {
                None => self.launch(id, task),
                // It holds up nobody behind it: another agent or project may have room.
                Some(hold) => self.hold(id, hold),
            }
        }
        self.stalled.sort_unstable_by_key(|(urgency, id, _)| (*urgency, *id));
        let stalled = self.stalled.iter().take(self.tally.free()).map(|(_, id, class)| (*id, *class));
        self.plan.stalled = stalled.collect();
    }

    /// There is room for it; it may still meet somebody there.
    fn launch(&mut self, id: TaskId, task: &'a Task) {
        match self.ground.met(task) {
            Some((Overlap::Hold, words)) if !task.run_now => {
                return self.plan.holds.push((id, Hold::new(HoldReason::Overlap, words)));
            }
            Some((_, words)) => self.plan.overlaps.push((id, words)),
            None => {}
        }
        self.tally.take(task);
        self.tally.set_aside(task);
        self.batches.take(task);
        self.ground.joins(task);
        self.plan.actions.push(match task.status() {
            Status::InReview => Action::Review(id),
            Status::New
            | Status::Routed
            | Status::InProgress
            | Status::Done
            | Status::Blocked
            | Status::NeedsReview
            | Status::Cancelled => Action::Launch(id),
        });
    }
}

#[cfg(test)]
mod tests;
