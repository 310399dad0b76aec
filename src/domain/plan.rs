//! What to begin now, and why everything else waits. A pure function of a snapshot and the time.

use super::ids::TaskId;
use super::outcome::FailureClass;
use super::task::{BlockedOn, ReviewStage, State, Status, Task};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An agent that is left alone for a while because its provider failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// Until then.
    pub until: Timestamp,
    /// What the provider's failure was.
    pub class: FailureClass,
    /// In words.
    pub detail: String,
}

/// Which tasks may be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every task: the daemon.
    All,
    /// One task: `orch task run` without a daemon.
    Only(TaskId),
    /// None: a command that only looks or edits.
    Nothing,
}

/// The state of the world that decisions are made from.
pub struct Snapshot<'a> {
    /// All tasks but settled ones, of which it does not matter whether they are here.
    pub tasks: &'a BTreeMap<TaskId, Arc<Task>>,
    /// How those settled tasks ended that a task of `tasks` waits for; others may be here too.
    pub settled: &'a BTreeMap<TaskId, Status>,
    /// Directories of the registered projects.
    pub projects: &'a [PathBuf],
    /// `engine.max_parallel`.
    pub max_parallel: usize,
    /// Agents to leave alone.
    pub cooldowns: &'a BTreeMap<String, Cooldown>,
    /// Entries of `tasks.yml` that cannot be carried out, with the reason.
    pub invalid: &'a BTreeMap<TaskId, String>,
    /// Which tasks may be begun.
    pub scope: Scope,
    /// Tells whether a directory that a blocked task waits for is there again.
    pub dir_exists: &'a dyn Fn(&Path) -> bool,
}

impl Snapshot<'_> {
    fn status(&self, id: TaskId) -> Option<Status> {
        status_in(self.tasks, self.settled, id)
    }
}

/// The status of a task that is either at hand or settled.
pub fn status_in(
    tasks: &BTreeMap<TaskId, Arc<Task>>,
    settled: &BTreeMap<TaskId, Status>,
    id: TaskId,
) -> Option<Status> {
    tasks.get(&id).map(|task| task.status()).or_else(|| settled.get(&id).copied())
}

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
    /// Try the integration again.
    Integrate(TaskId),
}

/// Why a task does not move now. The names are part of the JSON contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// All of `engine.max_parallel` are busy.
    Slots,
    /// Another task must be done first.
    Dependency,
    /// Its parts must be done first.
    Children,
    /// The directory of its repository is not there.
    MissingDir,
    /// It names no directory, and there is no project or more than one.
    NoProject,
    /// The routing question is being answered.
    Routing,
    /// It waits before it tries again.
    Backoff,
    /// The provider limits the rate.
    RateLimited,
    /// The provider is overloaded.
    Overloaded,
    /// The provider is not reached.
    Network,
    /// The provider refuses the credentials.
    Auth,
    /// No credit.
    Budget,
    /// Another failure of the agent's side.
    Agent,
    /// Its entry in `tasks.yml` has a mistake.
    InvalidEntry,
    /// Uncommitted changes in the checkout of the base branch.
    BaseDirty,
    /// Nobody runs tasks now: no daemon.
    NoDaemon,
    /// It is being stopped.
    Stopping,
}

/// A named reason why a task does not move, and when it will be looked at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// The kind.
    pub reason: HoldReason,
    /// For a person.
    pub detail: String,
    /// When it ends, where that is known.
    pub until: Option<Timestamp>,
}

impl Hold {
    fn new(reason: HoldReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), until: None }
    }

    fn until(reason: HoldReason, detail: impl Into<String>, until: Timestamp) -> Self {
        Self { reason, detail: detail.into(), until: Some(until) }
    }
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
}

impl Plan {
    /// Why this task waits.
    pub fn hold(&self, id: TaskId) -> Option<&Hold> {
        let at = self.holds.binary_search_by_key(&id, |(task, _)| *task).ok()?;
        Some(&self.holds[at].1)
    }
}

/// Plans over all tasks.
pub fn plan(snapshot: &Snapshot<'_>, now: Timestamp) -> Plan {
    let mut planner = Planner { snapshot, now, plan: Plan::default(), runnable: Vec::new() };
    let mut busy = 0;
    for task in snapshot.tasks.values() {
        busy += usize::from(takes_slot(task));
        planner.look(task);
    }
    planner.fill_slots(busy);
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

/// Counts against `engine.max_parallel`.
fn takes_slot(task: &Task) -> bool {
    match &task.state {
        State::InProgress { .. } => true,
        State::InReview { review, .. } => match review {
            ReviewStage::Judging => true,
            ReviewStage::Integrating { waiting } => waiting.is_none(),
        },
        State::New { .. }
        | State::Routed { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => false,
    }
}

struct Planner<'a> {
    snapshot: &'a Snapshot<'a>,
    now: Timestamp,
    plan: Plan,
    /// Ready but for a slot: not asked for, minus priority, id.
    runnable: Vec<(bool, i64, TaskId)>,
}

impl Planner<'_> {
    fn look(&mut self, task: &Task) {
        match &task.state {
            State::Done | State::Cancelled { .. } | State::NeedsReview { .. } => {}
            State::New { routing: Some(_), .. } => {
                self.hold(task.id, Hold::new(HoldReason::Routing, "the router is being asked"));
            }
            State::New { routing: None, not_before } => self.look_new(task, *not_before),
            State::Routed { not_before, .. } => self.look_routed(task, *not_before),
            State::InProgress { stopping, .. } => {
                if stopping.is_some() {
                    self.hold(task.id, Hold::new(HoldReason::Stopping, "its run is being stopped"));
                }
            }
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

    /// What keeps a waiting task from being routed or started, beside slots.
    fn obstacle(&self, task: &Task, not_before: Option<Timestamp>) -> Option<Hold> {
        let outside = match self.snapshot.scope {
            Scope::All => false,
            Scope::Only(id) => id != task.id,
            Scope::Nothing => true,
        };
        if let Some(reason) = self.snapshot.invalid.get(&task.id) {
            return Some(Hold::new(HoldReason::InvalidEntry, reason.clone()));
        }
        if let Err(reason) = directory(task, self.snapshot.projects) {
            return Some(Hold::new(HoldReason::NoProject, reason));
        }
        if let Some(until) = not_before.filter(|at| *at > self.now) {
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

    /// Dependencies come before everything else: they decide the status.
    fn unmet(&self, task: &Task) -> Option<BlockedOn> {
        let open = |id: &&TaskId| self.snapshot.status(**id) != Some(Status::Done);
        let tasks: Vec<TaskId> = task.spec.depends_on.iter().filter(open).copied().collect();
        (!tasks.is_empty()).then_some(BlockedOn::Dependencies { tasks })
    }

    fn look_new(&mut self, task: &Task, not_before: Option<Timestamp>) {
        if let Some(on) = self.unmet(task) {
            self.hold(task.id, blocked_hold(&on));
            self.plan.actions.push(Action::Block(task.id, on));
        } else if let Some(hold) = self.obstacle(task, not_before) {
            self.hold(task.id, hold);
        } else {
            self.plan.actions.push(Action::Route(task.id));
        }
    }

    fn look_routed(&mut self, task: &Task, not_before: Option<Timestamp>) {
        if let Some(on) = self.unmet(task) {
            self.hold(task.id, blocked_hold(&on));
            self.plan.actions.push(Action::Block(task.id, on));
        } else if let Some(hold) = self.obstacle(task, not_before).or_else(|| self.cooling(task)) {
            self.hold(task.id, hold);
        } else {
            self.runnable.push((!task.run_now, task.spec.priority.saturating_neg(), task.id));
        }
    }

    fn cooling(&self, task: &Task) -> Option<Hold> {
        let agent = &task.route.as_ref()?.agent;
        let cooldown = self.snapshot.cooldowns.get(agent).filter(|c| c.until > self.now && !task.run_now)?;
        let detail = format!("{agent}: {}", cooldown.detail);
        Some(Hold::until(reason_of(cooldown.class), detail, cooldown.until))
    }

    fn look_reviewed(&mut self, task: &Task, review: &ReviewStage) {
        let ReviewStage::Integrating { waiting: Some(wait) } = review else { return };
        if wait.until <= self.now && self.snapshot.scope != Scope::Nothing {
            self.plan.actions.push(Action::Integrate(task.id));
        }
        self.hold(task.id, Hold::until(HoldReason::BaseDirty, wait.detail.clone(), wait.until));
    }

    fn look_blocked(&mut self, task: &Task, on: &BlockedOn) {
        let now_on = match on {
            BlockedOn::Dependencies { .. } => self.unmet(task),
            BlockedOn::Children { tasks } => {
                let open = |id: &&TaskId| self.snapshot.status(**id).is_some_and(|status| !status.is_final());
                let tasks: Vec<TaskId> = tasks.iter().filter(open).copied().collect();
                (!tasks.is_empty()).then_some(BlockedOn::Children { tasks })
            }
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

    fn fill_slots(&mut self, mut busy: usize) {
        let mut runnable = std::mem::take(&mut self.runnable);
        runnable.sort_unstable();
        for (not_asked, _, id) in runnable {
            if busy < self.snapshot.max_parallel || !not_asked {
                busy += 1;
                self.plan.actions.push(Action::Launch(id));
            } else {
                self.plan.holds.push((id, Hold::new(HoldReason::Slots, String::new())));
            }
        }
    }
}

/// Without words: they are made by [`told`] when somebody reads them, and not for thousands at every turn.
fn blocked_hold(on: &BlockedOn) -> Hold {
    let reason = match on {
        BlockedOn::Dependencies { .. } => HoldReason::Dependency,
        BlockedOn::Children { .. } => HoldReason::Children,
        BlockedOn::MissingDir { .. } => HoldReason::MissingDir,
    };
    Hold::new(reason, String::new())
}

/// A hold with the words that planning leaves out because nobody may ever read them. `status` knows the other tasks.
pub fn told(hold: &Hold, task: &Task, status: &dyn Fn(TaskId) -> Option<Status>, slots: &str) -> Hold {
    if !hold.detail.is_empty() {
        return hold.clone();
    }
    let state = |id: &TaskId| match status(*id) {
        Some(status) => format!("#{id} ({})", status.as_str()),
        None => format!("#{id} (there is no such task)"),
    };
    let list = |tasks: &[TaskId]| tasks.iter().map(state).collect::<Vec<_>>().join(", ");
    let open = |id: &&TaskId| status(**id) != Some(Status::Done);
    let detail = match (&task.state, hold.reason) {
        (State::Blocked(BlockedOn::Children { tasks }), _) => format!("waits for its parts {}", list(tasks)),
        (State::Blocked(BlockedOn::MissingDir { dir }), _) => format!("{} is not there", dir.display()),
        (_, HoldReason::Dependency) => {
            let unmet: Vec<TaskId> = task.spec.depends_on.iter().filter(open).copied().collect();
            format!("waits for {}", list(&unmet))
        }
        (_, HoldReason::Slots) => slots.to_owned(),
        (_, other) => format!("{other:?}").to_lowercase(),
    };
    Hold { detail, ..hold.clone() }
}

/// The tasks that hold the slots, for the text of [`HoldReason::Slots`].
pub fn slot_holders(tasks: &BTreeMap<TaskId, Arc<Task>>) -> Vec<TaskId> {
    tasks.values().filter(|t| takes_slot(t)).map(|t| t.id).collect()
}

fn reason_of(class: FailureClass) -> HoldReason {
    match class {
        FailureClass::Auth => HoldReason::Auth,
        FailureClass::RateLimited => HoldReason::RateLimited,
        FailureClass::Overloaded => HoldReason::Overloaded,
        FailureClass::Network => HoldReason::Network,
        FailureClass::Budget => HoldReason::Budget,
        FailureClass::ModelNotFound | FailureClass::AgentMissing => HoldReason::Agent,
        FailureClass::NoChange
        | FailureClass::ChecksFailed
        | FailureClass::ReviewRejected
        | FailureClass::Malformed
        | FailureClass::Incomplete
        | FailureClass::ContextTooLong
        | FailureClass::Conflict
        | FailureClass::SandboxViolation
        | FailureClass::Timeout
        | FailureClass::Stalled
        | FailureClass::Killed
        | FailureClass::Crashed
        | FailureClass::Memory
        | FailureClass::SessionLost => HoldReason::Backoff,
    }
}

#[cfg(test)]
mod tests;
