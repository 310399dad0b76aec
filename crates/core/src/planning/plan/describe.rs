//! Describes a hold: why it exists, and what ends it. Texts are made on demand. Every reason has both.

use super::{Hold, HoldReason, Occupancy};
use crate::base::ids::TaskId;
use crate::tasks::task::{BlockedOn, State, Status, Task};

/// The state of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyState {
    /// Its status.
    Status(Status),
    /// Its merge was reverted, and a person decides what follows.
    Reverted,
}

/// Completes a hold with the description that planning leaves out. `status` returns the state of other tasks.
pub fn describe(
    hold: &Hold,
    task: &Task,
    status: &dyn Fn(TaskId) -> Option<DependencyState>,
    occupancy: &Occupancy<'_>,
) -> Hold {
    if !hold.detail.is_empty() {
        return hold.clone();
    }
    let detail = match hold.reason {
        HoldReason::Slots => occupancy.slots(),
        HoldReason::Load | HoldReason::Memory => occupancy.strained_slots(),
        HoldReason::AgentSlots => occupancy.agent_slots(task),
        HoldReason::ProjectSlots => occupancy.project_slots(task),
        HoldReason::Disk => occupancy.disk(),
        HoldReason::Breaker => occupancy.breaker(task),
        HoldReason::Dependency | HoldReason::Children | HoldReason::MissingDir => waits_on(task, status),
        HoldReason::NoProject => "it names no directory, and there is no single project".to_owned(),
        HoldReason::Routing => "the router is being asked".to_owned(),
        HoldReason::Backoff => "it pauses before the next attempt".to_owned(),
        HoldReason::RateLimited => "the provider limits the rate".to_owned(),
        HoldReason::Overloaded => "the provider is overloaded".to_owned(),
        HoldReason::Network => "the provider cannot be reached".to_owned(),
        HoldReason::Auth => "the provider refuses the credentials".to_owned(),
        HoldReason::Budget => "the provider has no credit left".to_owned(),
        HoldReason::Agent => "the agent is not available".to_owned(),
        HoldReason::InvalidEntry => "its entry in tasks.yml has a mistake".to_owned(),
        HoldReason::BaseDirty => "the checkout of its base branch has uncommitted changes".to_owned(),
        HoldReason::NoDaemon => "no daemon is running".to_owned(),
        HoldReason::Stopping => "its run is being stopped".to_owned(),
        HoldReason::Paused => "it is paused".to_owned(),
        HoldReason::Overlap => "a running task works on the same files".to_owned(),
        HoldReason::ShuttingDown => "orch is shutting down".to_owned(),
        HoldReason::Review => "its work is being reviewed".to_owned(),
        HoldReason::Claimed => "another person or orch has claimed it".to_owned(),
        HoldReason::BatchSlots => occupancy.batch_slots(task),
        HoldReason::BatchBudget => occupancy.batch_budget(task),
        HoldReason::Config => "the settings cannot be read".to_owned(),
        HoldReason::Setup => "the setup of its workspace fails".to_owned(),
        HoldReason::NotApproved => "the checks of its project are not approved".to_owned(),
        HoldReason::Spent => "the spending limit is reached".to_owned(),
        HoldReason::Locked => "another process holds a lock".to_owned(),
        HoldReason::System => "a program or a file that orch needs does not answer".to_owned(),
    };
    Hold { detail, ..hold.clone() }
}

fn waits_on(task: &Task, status: &dyn Fn(TaskId) -> Option<DependencyState>) -> String {
    let state = |id: &TaskId| match status(*id) {
        Some(DependencyState::Reverted) => {
            format!("#{id} (its merge was taken back; `orch task show {id}` tells the choices)")
        }
        // It is never done by itself: the text says what ends that.
        Some(DependencyState::Status(Status::Cancelled)) => {
            format!(
                "#{id} (cancelled: `orch task retry {id}` takes it up again, `orch task edit {}` waits for others)",
                task.id
            )
        }
        Some(DependencyState::Status(status)) => format!("#{id} ({})", status.as_str()),
        None => format!("#{id} (there is no such task: `orch task edit {}` takes it out)", task.id),
    };
    let list = |tasks: &[TaskId]| tasks.iter().map(state).collect::<Vec<_>>().join(", ");
    if let State::Blocked(BlockedOn::Children { tasks }) = &task.state {
        return format!("waits for its parts {}", list(tasks));
    }
    if let State::Blocked(BlockedOn::MissingDir { dir }) = &task.state {
        return format!("{} is not there", dir.display());
    }
    let open = |id: &&TaskId| status(**id) != Some(DependencyState::Status(Status::Done));
    let unmet: Vec<TaskId> = task.spec.depends_on.iter().filter(open).copied().collect();
    format!("waits for {}", list(&unmet))
}

/// Describes what ends a hold of task `id` in `batch`, and what a person can do sooner.
pub fn describe_end(hold: &Hold, id: TaskId, batch: Option<&str>) -> String {
    let batch = batch.unwrap_or("NAME");
    let now = format!("`orch task run {id}` does not wait");
    let timed = |what: &str| match hold.until {
        Some(until) => format!("orch looks again at {until}; {now}"),
        None => format!("{what}; {now}"),
    };
    let for_all = |what: &str| {
        let sooner = format!(
            "{what}, and `orch models check --refresh` asks its provider again; after failed runs \
             `orch breaker reset agent:NAME` lets all that wait for it go on"
        );
        match hold.until {
            Some(until) => format!("orch looks again at {until}; sooner: {sooner}; {now}"),
            None => format!("{sooner}; {now}"),
        }
    };
    match hold.reason {
        HoldReason::Slots | HoldReason::AgentSlots | HoldReason::ProjectSlots => {
            format!("it starts when one of them ends; {now}")
        }
        HoldReason::Load | HoldReason::Memory => {
            format!("it starts when one of them ends, or when the machine has room again; {now}")
        }
        HoldReason::BatchSlots => {
            format!("it starts when one of them ends; `orch batch set {batch} --concurrency N` lets more begin, {now}")
        }
        HoldReason::BatchBudget => format!("`orch batch set {batch} --budget USD` raises it; {now}"),
        HoldReason::Config => "mend that file (`orch config validate`): it goes on within seconds".to_owned(),
        HoldReason::Setup => timed("mend workspace.setup in .orch.yml, and `orch init` again"),
        HoldReason::NotApproved => {
            "`orch init` in its repository approves the file as it is: it goes on at once".to_owned()
        }
        HoldReason::Spent => match hold.until {
            Some(until) => format!("it goes on at {until}, and sooner where more may be spent; {now}"),
            None => format!("raise the limit: `orch budget status` tells which, and how it stands; {now}"),
        },
        HoldReason::Locked | HoldReason::System => match hold.until {
            Some(until) => format!("orch tries again at {until}, and asks a person after 10 minutes"),
            None => "orch ends that command and tries again, and asks a person after 10 minutes".to_owned(),
        },
        HoldReason::Disk => "make room (orch looks again at every tick), or lower engine.min_free_disk_mb".to_owned(),
        HoldReason::Breaker => match hold.until {
            Some(until) => format!("one task tries at {until}; `orch breaker reset` lets all go on, {now}"),
            None => format!("the end of that try decides; `orch breaker reset` lets all go on, {now}"),
        },
        HoldReason::Dependency | HoldReason::Children => "it goes on when they are done".to_owned(),
        HoldReason::MissingDir => "it goes on when the directory is back".to_owned(),
        HoldReason::NoProject => "`orch init` in its repository, or a `dir:` in tasks.yml".to_owned(),
        HoldReason::Routing => "it goes on with the answer, or without one after router.timeout_seconds".to_owned(),
        HoldReason::InvalidEntry => "mend the entry in tasks.yml".to_owned(),
        HoldReason::NoDaemon => format!("`orch serve`, or `orch task run {id}`"),
        HoldReason::Stopping => "that comes when the agent has ended".to_owned(),
        HoldReason::Overlap => format!("it starts when that task ends; {now}"),
        HoldReason::Paused => format!("that; `orch task run {id} --anyway` starts it all the same"),
        HoldReason::ShuttingDown => "the next `orch serve` goes on with it".to_owned(),
        HoldReason::Review => timed("it goes on with the reviewer's answer"),
        HoldReason::Claimed => {
            format!(
                "when it is let go of: `orch task unclaim {id}`; `orch task claim {id} --force` takes it all the same"
            )
        }
        HoldReason::BaseDirty => timed("commit or stash the changes"),
        HoldReason::Backoff => timed("it goes on after the pause"),
        HoldReason::RateLimited | HoldReason::Overloaded | HoldReason::Network => timed("it goes on when that is over"),
        HoldReason::Auth => for_all("log in, or mend the key"),
        HoldReason::Budget => for_all("add credit"),
        HoldReason::Agent => for_all("install the agent, or name another one"),
    }
}

#[cfg(test)]
mod tests;
