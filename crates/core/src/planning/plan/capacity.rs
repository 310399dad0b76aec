//! The capacity for starts: slots in total, per agent, and per project, the machine's load, and breakers. Counted once
//! for a plan; checking a task then takes a few lookups in small tables.

use super::{Cooldown, Hold, HoldReason, OverlapRules, directory, takes_slot};
use crate::base::ids::TaskId;
use crate::base::money::Usd;
use crate::economics::budget::{Balances, PlannedRun, PlannedSpend, Price};
use crate::planning::admission::{Pace, Shortage, Strain};
use crate::planning::batch::Batch;
use crate::planning::breaker::{Breaker, StateName, Target};
use crate::tasks::task::{Status, Task};
use jiff::Timestamp;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

/// The most tasks that a text names as holders of the slots.
const MAX_NAMED: usize = 20;

/// What limits starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// `engine.max_parallel`.
    pub max_parallel: usize,
    /// The slots that the machine's load allows.
    pub pace: Pace,
    /// The disk that is too full for any start, if there is one.
    pub disk: Option<Shortage>,
    /// `agents.NAME.max_parallel`, for agents that have one.
    pub agents: BTreeMap<String, usize>,
    /// `workflow.max_parallel` by directory, for projects that have one.
    pub projects: BTreeMap<PathBuf, usize>,
    /// The breakers that are not closed.
    pub breakers: Vec<Breaker>,
    /// What happens with tasks that overlap in a file.
    pub overlap_rules: OverlapRules,
    /// What the budgets leave.
    pub balances: Balances,
    /// The expected cost of a task's next run, where a limit depends on it; `None`: unknown.
    pub prices: BTreeMap<TaskId, Usd>,
    /// Why the settings cannot be read, while they cannot.
    pub config_error: Option<String>,
    /// The same by directory, for projects whose own settings were never read.
    pub project_config_errors: BTreeMap<PathBuf, String>,
    /// Projects whose own checks the person has not approved, by directory, with what to do.
    pub unapproved_projects: BTreeMap<PathBuf, String>,
    /// Tasks whose model is not available now: its provider failed when it was asked, or is in a cooldown.
    pub model_cooldowns: BTreeMap<TaskId, Cooldown>,
    /// Tasks whose current step is blocked by an external call.
    pub obstacles: BTreeMap<TaskId, Hold>,
}

impl Capacity {
    /// Creates a capacity of this many slots without any other limit.
    pub fn with_slots(max_parallel: usize) -> Self {
        Self {
            max_parallel,
            pace: Pace::unmeasured(max_parallel),
            disk: None,
            agents: BTreeMap::new(),
            projects: BTreeMap::new(),
            breakers: Vec::new(),
            overlap_rules: OverlapRules::off(),
            balances: Balances::default(),
            prices: BTreeMap::new(),
            config_error: None,
            project_config_errors: BTreeMap::new(),
            unapproved_projects: BTreeMap::new(),
            model_cooldowns: BTreeMap::new(),
            obstacles: BTreeMap::new(),
        }
    }

    /// Returns the breaker that stops a task of this agent in this directory: an open one rather than a half-open one.
    fn breaker_of(&self, agent: Option<&str>, dir: Option<&OsStr>) -> Option<&Breaker> {
        let concerns = |breaker: &&Breaker| match (&breaker.target, breaker.target.dir()) {
            (Target::Agent { name }, _) => agent == Some(name.as_str()),
            (Target::Project { .. } | Target::Check { .. }, of) => of.map(|of| of.as_os_str()) == dir,
        };
        let half_open = |breaker: &&Breaker| breaker.state_name() == StateName::HalfOpen;
        self.breakers.iter().filter(concerns).min_by_key(half_open)
    }
}

/// The limits and usage of one agent or project.
#[derive(Debug, Default)]
struct Limit {
    /// The most runs that the settings allow.
    most: Option<usize>,
    /// Whether a breaker allows only one run at a time.
    half_open: bool,
    /// The time before which a breaker allows no start.
    closed_until: Option<Timestamp>,
    busy: usize,
}

/// Limits by key. There are few, so that a linear search is faster than hashing.
struct Limits<'a, K: Eq + ?Sized>(Vec<(&'a K, Limit)>);

impl<'a, K: Eq + ?Sized> Limits<'a, K> {
    fn get(&self, key: Option<&K>) -> Option<&Limit> {
        let key = key?;
        self.0.iter().find(|(known, _)| *known == key).map(|(_, limit)| limit)
    }

    fn get_mut(&mut self, key: Option<&K>) -> Option<&mut Limit> {
        let key = key?;
        self.0.iter_mut().find(|(known, _)| *known == key).map(|(_, limit)| limit)
    }

    fn add(&mut self, key: &'a K, breaker: &Breaker, now: Timestamp) {
        if self.get(Some(key)).is_none() {
            self.0.push((key, Limit::default()));
        }
        if let Some(limit) = self.get_mut(Some(key)) {
            limit.closed_until = limit.closed_until.max(breaker.open_until(now));
            limit.half_open |= breaker.state_name() != StateName::Closed;
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The slots and money in use, and what is left.
pub(super) struct Usage<'a> {
    capacity: &'a Capacity,
    projects: &'a [PathBuf],
    pub(super) busy: usize,
    agents: Limits<'a, str>,
    dirs: Limits<'a, OsStr>,
    /// Money reserved for what this plan starts.
    reserved: PlannedSpend,
}

impl<'a> Usage<'a> {
    pub(super) fn new(capacity: &'a Capacity, projects: &'a [PathBuf], now: Timestamp) -> Self {
        let capped = |most: &usize| Limit { most: Some(*most), ..Limit::default() };
        let mut agents = Limits(capacity.agents.iter().map(|(name, most)| (name.as_str(), capped(most))).collect());
        let mut dirs = Limits(capacity.projects.iter().map(|(dir, most)| (dir.as_os_str(), capped(most))).collect());
        for breaker in &capacity.breakers {
            match &breaker.target {
                Target::Agent { name } => agents.add(name.as_str(), breaker, now),
                Target::Project { dir } | Target::Check { dir, .. } => dirs.add(dir.as_os_str(), breaker, now),
            }
        }
        Self { capacity, projects, busy: 0, agents, dirs, reserved: PlannedSpend::default() }
    }

    /// Counts a task that holds a slot.
    pub(super) fn take(&mut self, task: &'a Task) {
        self.busy += 1;
        let Some((agent, dir)) = self.keys(task) else { return };
        if let Some(limit) = self.agents.get_mut(agent) {
            limit.busy += 1;
        }
        if let Some(limit) = self.dirs.get_mut(dir) {
            limit.busy += 1;
        }
    }

    /// Returns agent and directory, where any limit depends on them.
    fn keys(&self, task: &'a Task) -> Option<(Option<&'a str>, Option<&'a OsStr>)> {
        if self.agents.is_empty() && self.dirs.is_empty() {
            return None;
        }
        let dir = if self.dirs.is_empty() { None } else { directory(task, self.projects).ok() };
        Some((agent_of(task), dir.map(|dir| dir.as_os_str())))
    }

    /// Returns the hold of all tasks while a disk is full.
    pub(super) fn full_disk(&self) -> Option<Hold> {
        self.capacity.disk.as_ref().map(|_| Hold::new(HoldReason::Disk, String::new()))
    }

    /// Returns the hold by a spent budget. `agent`: the agent and model that are to work on the task, where they are
    /// known.
    pub(super) fn spent(&self, task: &Task, agent: Option<(&str, Option<&str>)>) -> Option<Hold> {
        let balances = &self.capacity.balances;
        if task.run_now || balances.stops.is_empty() {
            return None;
        }
        let stop = balances.hold(task, directory(task, self.projects).ok(), agent)?;
        Some(Hold { until: stop.until, ..Hold::new(HoldReason::Spent, stop.question()) })
    }

    /// Returns the run that a task would start now, as budgets count it.
    fn wanted(&self, task: &'a Task) -> PlannedRun<'a> {
        let is_review = task.status() == Status::InReview;
        let route = task.route.as_ref().filter(|_| !is_review);
        let price = match self.capacity.prices.get(&task.id) {
            Some(cost) if !is_review => Price::Known(*cost),
            // Nearly finished work does not wait for a price.
            Some(_) | None if is_review => Price::Typical,
            Some(_) | None => Price::Unknown,
        };
        PlannedRun {
            dir: directory(task, self.projects).ok(),
            agent: route.map(|route| (route.agent.as_str(), route.model.as_deref())),
            price,
        }
    }

    /// Returns the hold by a limit that does not cover one more run besides those under way and those that this plan
    /// starts.
    pub(super) fn unaffordable(&mut self, task: &'a Task) -> Option<Hold> {
        if task.run_now || self.capacity.balances.is_unlimited() {
            return None;
        }
        let wanted = self.wanted(task);
        let stop = self.capacity.balances.stop_for(&wanted, &mut self.reserved)?;
        Some(Hold { until: stop.until, ..Hold::new(HoldReason::Spent, stop.question()) })
    }

    /// Reserves money for a run that starts now.
    pub(super) fn reserve(&mut self, task: &'a Task) {
        if !self.capacity.balances.is_unlimited() {
            let wanted = self.wanted(task);
            self.capacity.balances.draw(&wanted, &mut self.reserved);
        }
    }

    /// Returns the hold by a breaker that allows no start.
    pub(super) fn open_breaker(&self, task: &'a Task) -> Option<Hold> {
        if self.capacity.breakers.is_empty() || task.run_now {
            return None;
        }
        let (agent, dir) = self.keys(task)?;
        let limits = [self.agents.get(agent), self.dirs.get(dir)];
        let until = limits.into_iter().flatten().filter_map(|limit| limit.closed_until).max()?;
        Some(Hold::until(HoldReason::Breaker, String::new(), until))
    }

    /// Returns why there is no slot for this task; a task that a person asked for always has one.
    pub(super) fn missing_slot(&self, task: &'a Task) -> Option<HoldReason> {
        if task.run_now {
            return None;
        }
        self.missing_own_slot(task).or_else(|| self.missing_common_slot())
    }

    /// Returns the number of free slots.
    pub(super) fn free(&self) -> usize {
        self.capacity.pace.slots.saturating_sub(self.busy)
    }

    fn missing_common_slot(&self) -> Option<HoldReason> {
        if self.busy < self.capacity.pace.slots {
            return None;
        }
        Some(match self.capacity.pace.strain.filter(|_| self.busy < self.capacity.max_parallel) {
            Some(Strain::Memory) => HoldReason::Memory,
            Some(Strain::Load) => HoldReason::Load,
            None => HoldReason::Slots,
        })
    }

    /// Returns the missing slot of its agent or project, which comes before those of all: a free slot alone would not
    /// help.
    fn missing_own_slot(&self, task: &'a Task) -> Option<HoldReason> {
        let (agent, dir) = self.keys(task)?;
        let (agent, dir) = (self.agents.get(agent), self.dirs.get(dir));
        if [agent, dir].into_iter().flatten().any(|limit| limit.half_open && limit.busy > 0) {
            return Some(HoldReason::Breaker);
        }
        let is_full = |limit: Option<&Limit>| limit.is_some_and(|l| l.most.is_some_and(|most| l.busy >= most));
        if is_full(agent) { Some(HoldReason::AgentSlots) } else { is_full(dir).then_some(HoldReason::ProjectSlots) }
    }
}

fn agent_of(task: &Task) -> Option<&str> {
    task.route.as_ref().map(|route| route.agent.as_str())
}

/// The tasks that hold slots, for the descriptions of holds: computed on demand, not at every turn.
pub struct Occupancy<'a> {
    capacity: &'a Capacity,
    projects: Vec<PathBuf>,
    busy: Vec<&'a Task>,
    batches: &'a [Arc<Batch>],
}

impl<'a> Occupancy<'a> {
    /// Collects the tasks that hold slots now. `batches` are the open ones.
    pub fn new(
        tasks: &'a BTreeMap<TaskId, Arc<Task>>,
        projects: Vec<PathBuf>,
        capacity: &'a Capacity,
        batches: &'a [Arc<Batch>],
    ) -> Self {
        let busy = tasks.values().map(AsRef::as_ref).filter(|task| takes_slot(task)).collect();
        Self { capacity, projects, busy, batches }
    }

    /// Returns the tasks of this batch that hold a slot.
    pub fn busy_of(&self, batch: &Batch) -> Vec<TaskId> {
        self.busy_where(|busy| batch.contains(busy.id))
    }

    /// Describes the slots of the task's batch.
    pub(super) fn batch_slots(&self, task: &Task) -> String {
        let Some(batch) = self.batches.iter().find(|batch| batch.contains(task.id)) else {
            return "as many tasks of its batch are busy as are allowed".to_owned();
        };
        render_slots(&self.busy_of(batch), batch.concurrency as usize, &format!(" of batch {}", batch.name))
    }

    /// Describes what the task's batch has spent.
    pub(super) fn batch_budget(&self, task: &Task) -> String {
        let Some(batch) = self.batches.iter().find(|batch| batch.contains(task.id)) else {
            return "its batch has spent its budget".to_owned();
        };
        let (name, money) = (&batch.name, batch.describe_spending());
        let raise = batch.raise_command().map(|command| format!("; `{command}` lets more begin")).unwrap_or_default();
        format!("batch {name} has spent {money}: nothing more of it begins{raise}")
    }

    /// Returns how many agents work, how many may, and why the latter differs from `engine.max_parallel`.
    pub fn usage(&self) -> (usize, usize, Option<String>) {
        let Capacity { max_parallel, pace, .. } = self.capacity;
        let because = match pace.slots.cmp(max_parallel) {
            Ordering::Equal => None,
            Ordering::Less => Some(pace.describe()),
            Ordering::Greater => Some("the machine has capacity to spare".to_owned()),
        };
        (self.busy.len(), pace.slots, because)
    }

    /// Describes all slots.
    pub(super) fn slots(&self) -> String {
        render_slots(&self.busy.iter().map(|task| task.id).collect::<Vec<_>>(), self.capacity.pace.slots, "")
    }

    /// Describes the slots that the machine's load leaves, and why.
    pub(super) fn strained_slots(&self) -> String {
        let Capacity { max_parallel, pace, .. } = self.capacity;
        format!("{}; {} of {max_parallel} are used, because {}", self.slots(), pace.slots, pace.describe())
    }

    /// Describes the slots of the task's agent.
    pub(super) fn agent_slots(&self, task: &Task) -> String {
        let agent = agent_of(task).unwrap_or_default();
        let most = self.capacity.agents.get(agent).copied().unwrap_or_default();
        render_slots(&self.busy_where(|busy| agent_of(busy) == Some(agent)), most, &format!(" of agent {agent}"))
    }

    /// Describes the slots of the task's project.
    pub(super) fn project_slots(&self, task: &Task) -> String {
        let Ok(dir) = directory(task, &self.projects) else { return String::new() };
        let most = self.capacity.projects.get(dir).copied().unwrap_or_default();
        let ids = self.busy_where(|busy| directory(busy, &self.projects) == Ok(dir));
        render_slots(&ids, most, &format!(" of project {}", dir.display()))
    }

    /// Describes the full disk.
    pub(super) fn disk(&self) -> String {
        let Some(disk) = &self.capacity.disk else { return "a disk is too full".to_owned() };
        let (dir, free, floor) = (disk.dir.display(), disk.free_mb, disk.floor_mb);
        format!("{dir} has {free} MB free, less than engine.min_free_disk_mb ({floor} MB)")
    }

    /// Describes the breaker that holds the task.
    pub(super) fn breaker(&self, task: &Task) -> String {
        let dir = directory(task, &self.projects).ok().map(|dir| dir.as_os_str());
        let Some(breaker) = self.capacity.breaker_of(agent_of(task), dir) else {
            return "a breaker is open".to_owned();
        };
        let (name, detail) = (&breaker.target, &breaker.detail);
        match breaker.state_name() {
            StateName::Open | StateName::Closed => {
                let count = breaker.failures.len();
                format!("breaker {name} is open after {count} in a row failed; the last: {detail}")
            }
            StateName::HalfOpen => {
                let of = breaker.target.dir();
                let ids = self.busy_where(|busy| match of {
                    Some(of) => directory(busy, &self.projects) == Ok(of),
                    None => agent_of(busy) == agent_of(task),
                });
                format!("breaker {name} is half-open: one task at a time tries, now {}", render_tasks(&ids))
            }
        }
    }

    fn busy_where(&self, holds: impl Fn(&Task) -> bool) -> Vec<TaskId> {
        self.busy.iter().filter(|task| holds(task)).map(|task| task.id).collect()
    }
}

fn render_slots(ids: &[TaskId], most: usize, whose: &str) -> String {
    let are = if most == 1 { "slot" } else { "slots" };
    match ids {
        [] => format!("none of {most} {are}{whose} is free"),
        _ => {
            let verb = if most == 1 { "is" } else { "are" };
            format!("{} of {most} {are}{whose} {verb} busy ({})", ids.len(), render_tasks(ids))
        }
    }
}

fn render_tasks(ids: &[TaskId]) -> String {
    let named: Vec<String> = ids.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    let word = if ids.len() == 1 { "task" } else { "tasks" };
    let more = ids.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{word} {}{more}", named.join(" "))
}

#[cfg(test)]
pub(super) mod tests;
