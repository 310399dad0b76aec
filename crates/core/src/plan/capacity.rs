//! How much room there is: slots altogether, of an agent, of a project, what the machine bears, and breakers that let
//! nothing through. Counted once for a plan; a task is then a look or two into small tables.

use super::{Cooldown, Hold, HoldReason, OverlapRules, directory, takes_slot};
use crate::admission::{Pace, Shortage, Strain};
use crate::batch::Batch;
use crate::breaker::{Breaker, StateName, Target};
use crate::budget::{Balances, PlannedRun, PlannedSpend, Price};
use crate::ids::TaskId;
use crate::money::Usd;
use crate::task::{Status, Task};
use jiff::Timestamp;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

/// Tasks that are named at most where a text tells who holds the slots.
const NAMED: usize = 20;

/// What limits starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// `engine.max_parallel`.
    pub max_parallel: usize,
    /// What the machine's state makes of it.
    pub pace: Pace,
    /// A disk that is too full for anything to begin.
    pub disk: Option<Shortage>,
    /// `agents.NAME.max_parallel`, of agents that have one.
    pub agents: BTreeMap<String, usize>,
    /// `workflow.max_parallel` by directory, of projects that have one.
    pub projects: BTreeMap<PathBuf, usize>,
    /// Breakers that are not closed.
    pub breakers: Vec<Breaker>,
    /// What is done about tasks that meet in a file.
    pub meetings: OverlapRules,
    /// What budgets leave.
    pub balances: Balances,
    /// What the next run of a task will cost, where a limit depends on it; of others nobody can say.
    pub prices: BTreeMap<TaskId, Usd>,
    /// Why the settings are not known, while they are not.
    pub unread: Option<String>,
    /// The same by directory, of projects of whose own settings nothing is known.
    pub unread_projects: BTreeMap<PathBuf, String>,
    /// Projects whose own checks the person has not approved, by directory: what is to be done.
    pub unapproved_projects: BTreeMap<PathBuf, String>,
    /// Tasks whose model nobody serves now: its provider failed when it was asked, or is left alone.
    pub unserved: BTreeMap<TaskId, Cooldown>,
    /// Tasks whose present step an external call keeps from going on.
    pub obstacles: BTreeMap<TaskId, Hold>,
}

impl Capacity {
    /// So many slots, and no other limit.
    pub fn of(max_parallel: usize) -> Self {
        Self {
            max_parallel,
            pace: Pace::unmeasured(max_parallel),
            disk: None,
            agents: BTreeMap::new(),
            projects: BTreeMap::new(),
            breakers: Vec::new(),
            meetings: OverlapRules::none(),
            balances: Balances::default(),
            prices: BTreeMap::new(),
            unread: None,
            unread_projects: BTreeMap::new(),
            unapproved_projects: BTreeMap::new(),
            unserved: BTreeMap::new(),
            obstacles: BTreeMap::new(),
        }
    }

    /// The breaker in the way of a task of this agent in this directory: one that is open rather than a half-open one.
    fn breaker_of(&self, agent: Option<&str>, dir: Option<&OsStr>) -> Option<&Breaker> {
        let concerns = |breaker: &&Breaker| match (&breaker.target, breaker.target.dir()) {
            (Target::Agent { name }, _) => agent == Some(name.as_str()),
            (Target::Project { .. } | Target::Check { .. }, of) => of.map(|of| of.as_os_str()) == dir,
        };
        let half_open = |breaker: &&Breaker| breaker.state_name() == StateName::HalfOpen;
        self.breakers.iter().filter(concerns).min_by_key(half_open)
    }
}

/// One agent or one project.
#[derive(Debug, Default)]
struct Limit {
    /// At most so many, by the settings.
    most: Option<usize>,
    /// A breaker lets one at a time try.
    tries: bool,
    /// Nothing begins before then.
    shut: Option<Timestamp>,
    busy: usize,
}

/// Limits by their keys. Few: to compare with each of them takes less than to hash one.
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
            limit.shut = limit.shut.max(breaker.open_until(now));
            limit.tries |= breaker.state_name() != StateName::Closed;
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is taken, and what is left.
pub(super) struct Usage<'a> {
    room: &'a Capacity,
    projects: &'a [PathBuf],
    pub(super) busy: usize,
    agents: Limits<'a, str>,
    dirs: Limits<'a, OsStr>,
    /// Money that is set aside for what this plan begins.
    drawn: PlannedSpend,
}

impl<'a> Usage<'a> {
    pub(super) fn new(room: &'a Capacity, projects: &'a [PathBuf], now: Timestamp) -> Self {
        let capped = |most: &usize| Limit { most: Some(*most), ..Limit::default() };
        let mut agents = Limits(room.agents.iter().map(|(name, most)| (name.as_str(), capped(most))).collect());
        let mut dirs = Limits(room.projects.iter().map(|(dir, most)| (dir.as_os_str(), capped(most))).collect());
        for breaker in &room.breakers {
            match &breaker.target {
                Target::Agent { name } => agents.add(name.as_str(), breaker, now),
                Target::Project { dir } | Target::Check { dir, .. } => dirs.add(dir.as_os_str(), breaker, now),
            }
        }
        Self { room, projects, busy: 0, agents, dirs, drawn: PlannedSpend::default() }
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

    /// Agent and directory, where anything depends on them.
    fn keys(&self, task: &'a Task) -> Option<(Option<&'a str>, Option<&'a OsStr>)> {
        if self.agents.is_empty() && self.dirs.is_empty() {
            return None;
        }
        let dir = if self.dirs.is_empty() { None } else { directory(task, self.projects).ok() };
        Some((agent_of(task), dir.map(|dir| dir.as_os_str())))
    }

    /// What holds everything.
    pub(super) fn full_disk(&self) -> Option<Hold> {
        self.room.disk.as_ref().map(|_| Hold::new(HoldReason::Disk, String::new()))
    }

    /// What is spent, and by it whom nothing more is begun for. `agent`: whoever is to work on the task, where that is known.
    pub(super) fn spent(&self, task: &Task, agent: Option<(&str, Option<&str>)>) -> Option<Hold> {
        let balances = &self.room.balances;
        if task.run_now || balances.stops.is_empty() {
            return None;
        }
        let stop = balances.hold(task, directory(task, self.projects).ok(), agent)?;
        Some(Hold { until: stop.until, ..Hold::new(HoldReason::Spent, stop.question()) })
    }

    /// The run that a task would begin now, as limits of money count it.
    fn wanted(&self, task: &'a Task) -> PlannedRun<'a> {
        let is_review = task.status() == Status::InReview;
        let route = task.route.as_ref().filter(|_| !is_review);
        let price = match self.room.prices.get(&task.id) {
            Some(cost) if !is_review => Price::Known(*cost),
            // What is nearly finished waits for no price.
            Some(_) | None if is_review => Price::Typical,
            Some(_) | None => Price::Unknown,
        };
        PlannedRun {
            dir: directory(task, self.projects).ok(),
            agent: route.map(|route| (route.agent.as_str(), route.model.as_deref())),
            price,
        }
    }

    /// The limit that has no room for one more run beside those under way and those that this plan begins.
    pub(super) fn short(&mut self, task: &'a Task) -> Option<Hold> {
        if task.run_now || self.room.balances.is_unlimited() {
            return None;
        }
        let wanted = self.wanted(task);
        let stop = self.room.balances.stop_for(&wanted, &mut self.drawn)?;
        Some(Hold { until: stop.until, ..Hold::new(HoldReason::Spent, stop.question()) })
    }

    /// Sets money aside for a run that begins now.
    pub(super) fn set_aside(&mut self, task: &'a Task) {
        if !self.room.balances.is_unlimited() {
            let wanted = self.wanted(task);
            self.room.balances.draw(&wanted, &mut self.drawn);
        }
    }

    /// The breaker that lets nothing of its kind begin now.
    pub(super) fn shut(&self, task: &'a Task) -> Option<Hold> {
        if self.room.breakers.is_empty() || task.run_now {
            return None;
        }
        let (agent, dir) = self.keys(task)?;
        let limits = [self.agents.get(agent), self.dirs.get(dir)];
        let until = limits.into_iter().flatten().filter_map(|limit| limit.shut).max()?;
        Some(Hold::until(HoldReason::Breaker, String::new(), until))
    }

    /// Why there is no room for this task; who was asked for by a person always has some.
    pub(super) fn lacking(&self, task: &'a Task) -> Option<HoldReason> {
        if task.run_now {
            return None;
        }
        self.lacking_of_its_own(task).or_else(|| self.lacking_for_all())
    }

    /// Slots that nobody holds.
    pub(super) fn free(&self) -> usize {
        self.room.pace.slots.saturating_sub(self.busy)
    }

    fn lacking_for_all(&self) -> Option<HoldReason> {
        if self.busy < self.room.pace.slots {
            return None;
        }
        Some(match self.room.pace.strain.filter(|_| self.busy < self.room.max_parallel) {
            Some(Strain::Memory) => HoldReason::Memory,
            Some(Strain::Load) => HoldReason::Load,
            None => HoldReason::Slots,
        })
    }

    /// What its agent or project lacks. It is told before what all lack: a slot alone would not help.
    fn lacking_of_its_own(&self, task: &'a Task) -> Option<HoldReason> {
        let (agent, dir) = self.keys(task)?;
        let (agent, dir) = (self.agents.get(agent), self.dirs.get(dir));
        if [agent, dir].into_iter().flatten().any(|limit| limit.tries && limit.busy > 0) {
            return Some(HoldReason::Breaker);
        }
        let is_full = |limit: Option<&Limit>| limit.is_some_and(|l| l.most.is_some_and(|most| l.busy >= most));
        if is_full(agent) { Some(HoldReason::AgentSlots) } else { is_full(dir).then_some(HoldReason::ProjectSlots) }
    }
}

fn agent_of(task: &Task) -> Option<&str> {
    task.route.as_ref().map(|route| route.agent.as_str())
}

/// The tasks that hold slots, for the words of holds: made when somebody reads them, and not at every turn.
pub struct Occupancy<'a> {
    room: &'a Capacity,
    projects: Vec<PathBuf>,
    busy: Vec<&'a Task>,
    batches: &'a [Arc<Batch>],
}

impl<'a> Occupancy<'a> {
    /// As it is now. `batches` are those that are open.
    pub fn of(
        tasks: &'a BTreeMap<TaskId, Arc<Task>>,
        projects: Vec<PathBuf>,
        room: &'a Capacity,
        batches: &'a [Arc<Batch>],
    ) -> Self {
        let busy = tasks.values().map(AsRef::as_ref).filter(|task| takes_slot(task)).collect();
        Self { room, projects, busy, batches }
    }

    /// Those of these tasks that hold a slot.
    pub fn busy_of(&self, batch: &Batch) -> Vec<TaskId> {
        self.busy_where(|busy| batch.contains(busy.id))
    }

    /// The slots of the task's batch.
    pub(super) fn of_batch(&self, task: &Task) -> String {
        let Some(batch) = self.batches.iter().find(|batch| batch.contains(task.id)) else {
            return "as many of its batch are busy as may be".to_owned();
        };
        of_slots(&self.busy_of(batch), batch.concurrency as usize, &format!(" of batch {}", batch.name))
    }

    /// What its batch has spent.
    pub(super) fn batch_budget(&self, task: &Task) -> String {
        let Some(batch) = self.batches.iter().find(|batch| batch.contains(task.id)) else {
            return "its batch has spent its budget".to_owned();
        };
        let (name, money) = (&batch.name, batch.describe_spending());
        let raise = batch.raise_command().map(|command| format!("; `{command}` lets more begin")).unwrap_or_default();
        format!("batch {name} has spent {money}: nothing more of it begins{raise}")
    }

    /// How many agents work, how many may now, and why these are fewer or more than `engine.max_parallel`.
    pub fn now(&self) -> (usize, usize, Option<String>) {
        let Capacity { max_parallel, pace, .. } = self.room;
        let because = match pace.slots.cmp(max_parallel) {
            Ordering::Equal => None,
            Ordering::Less => Some(pace.describe()),
            Ordering::Greater => Some("the machine has little to do".to_owned()),
        };
        (self.busy.len(), pace.slots, because)
    }

    /// All slots.
    pub(super) fn slots(&self) -> String {
        of_slots(&self.busy.iter().map(|task| task.id).collect::<Vec<_>>(), self.room.pace.slots, "")
    }

    /// What the machine's state leaves of them, and why.
    pub(super) fn strained(&self) -> String {
        let Capacity { max_parallel, pace, .. } = self.room;
        format!("{}; {} of {max_parallel} are used, because {}", self.slots(), pace.slots, pace.describe())
    }

    /// The slots of the task's agent.
    pub(super) fn of_agent(&self, task: &Task) -> String {
        let agent = agent_of(task).unwrap_or_default();
        let most = self.room.agents.get(agent).copied().unwrap_or_default();
        of_slots(&self.busy_where(|busy| agent_of(busy) == Some(agent)), most, &format!(" of agent {agent}"))
    }

    /// The slots of its project.
    pub(super) fn of_project(&self, task: &Task) -> String {
        let Ok(dir) = directory(task, &self.projects) else { return String::new() };
        let most = self.room.projects.get(dir).copied().unwrap_or_default();
        let ids = self.busy_where(|busy| directory(busy, &self.projects) == Ok(dir));
        of_slots(&ids, most, &format!(" of project {}", dir.display()))
    }

    /// The full disk.
    pub(super) fn disk(&self) -> String {
        let Some(disk) = &self.room.disk else { return "a disk is too full".to_owned() };
        let (dir, free, floor) = (disk.dir.display(), disk.free_mb, disk.floor_mb);
        format!("{dir} has {free} MB free, less than engine.min_free_disk_mb ({floor} MB)")
    }

    /// The breaker in its way.
    pub(super) fn breaker(&self, task: &Task) -> String {
        let dir = directory(task, &self.projects).ok().map(|dir| dir.as_os_str());
        let Some(breaker) = self.room.breaker_of(agent_of(task), dir) else {
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
                format!("breaker {name} is half-open: one task at a time tries, now {}", listed(&ids))
            }
        }
    }

    fn busy_where(&self, holds: impl Fn(&Task) -> bool) -> Vec<TaskId> {
        self.busy.iter().filter(|task| holds(task)).map(|task| task.id).collect()
    }
}

fn of_slots(ids: &[TaskId], most: usize, whose: &str) -> String {
    let are = if most == 1 { "slot" } else { "slots" };
    match ids {
        [] => format!("none of {most} {are}{whose} is free"),
        _ => {
            let verb = if most == 1 { "is" } else { "are" };
            format!("{} of {most} {are}{whose} {verb} busy ({})", ids.len(), listed(ids))
        }
    }
}

fn listed(ids: &[TaskId]) -> String {
    let named: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
    let word = if ids.len() == 1 { "task" } else { "tasks" };
    let more = ids.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{word} {}{more}", named.join(" "))
}

#[cfg(test)]
pub(super) mod tests;
