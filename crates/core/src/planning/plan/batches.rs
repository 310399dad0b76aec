//! Applies batches to a plan: the order of a batch's tasks, and whether the batch has capacity for another one.

use super::{HoldReason, Ready, directory};
use crate::base::ids::TaskId;
use crate::planning::batch::Batch;
use crate::tasks::task::Task;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open batch while a plan is made.
struct Group<'a> {
    batch: &'a Batch,
    is_spent: bool,
    /// The number of its tasks that hold a slot.
    busy: usize,
    /// The repositories of those tasks.
    busy_dirs: BTreeSet<&'a Path>,
}

/// All open batches.
pub(super) struct Batches<'a> {
    projects: &'a [PathBuf],
    groups: Vec<Group<'a>>,
    /// The group of each task, and its position in the group.
    places: BTreeMap<TaskId, (usize, usize)>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(batches: &'a BTreeMap<u64, Arc<Batch>>, projects: &'a [PathBuf]) -> Self {
        let group =
            |batch: &'a Arc<Batch>| Group { is_spent: batch.is_spent(), batch, busy: 0, busy_dirs: BTreeSet::new() };
        let groups: Vec<Group<'a>> = batches.values().map(group).collect();
        let mut places = BTreeMap::new();
        for (at, group) in groups.iter().enumerate() {
            places.extend(group.batch.tasks().enumerate().map(|(place, task)| (task, (at, place))));
        }
        Self { projects, groups, places }
    }

    fn group(&self, task: &Task) -> Option<&Group<'a>> {
        let (at, _) = self.places.get(&task.id)?;
        self.groups.get(*at)
    }

    /// Counts a task that holds a slot.
    pub(super) fn take(&mut self, task: &'a Task) {
        let Some((at, _)) = self.places.get(&task.id) else { return };
        if let Some(group) = self.groups.get_mut(*at) {
            group.busy += 1;
            group.busy_dirs.extend(directory(task, self.projects));
        }
    }

    /// Whether the task's batch has spent its budget; a task that a person asked for starts all the same.
    pub(super) fn is_spent(&self, task: &Task) -> bool {
        !task.run_now && self.group(task).is_some_and(|group| group.is_spent)
    }

    /// Returns why the task's batch has no capacity for it.
    pub(super) fn missing_slot(&self, task: &Task) -> Option<HoldReason> {
        let is_full = |group: &Group<'_>| group.busy >= group.batch.concurrency as usize;
        (!task.run_now && self.group(task).is_some_and(is_full)).then_some(HoldReason::BatchSlots)
    }

    /// Sorts the tasks of each batch into the batch's own order. The set of positions that they hold among all tasks
    /// stays the same. Reviews and tasks that a person asked for stay where they are.
    pub(super) fn arrange(&self, runnable: &mut [Ready<'a>]) {
        for (at, group) in self.groups.iter().enumerate() {
            let is_of = |ready: &Ready<'a>| ready.0 && self.places.get(&ready.2).is_some_and(|(group, _)| *group == at);
            let places: Vec<usize> = (0..runnable.len()).filter(|place| is_of(&runnable[*place])).collect();
            let mut ready: Vec<Ready<'a>> = places.iter().map(|place| runnable[*place]).collect();
            // Tasks that were tried before come first, then the order in which they were named.
            ready.sort_unstable_by_key(|(.., id, task)| {
                (task.attempts == 0, self.places.get(id).map(|(_, place)| *place))
            });
            self.spread(group, &mut ready);
            for (place, ready) in places.into_iter().zip(ready) {
                runnable[place] = ready;
            }
        }
    }

    /// Moves one task of each repository in which the batch is idle before a second task of any repository.
    fn spread(&self, group: &Group<'a>, ready: &mut [Ready<'a>]) {
        let mut served = group.busy_dirs.clone();
        let mut is_second = BTreeMap::new();
        for (.., id, task) in ready.iter() {
            let is_first = directory(task, self.projects).is_ok_and(|dir| served.insert(dir));
            is_second.insert(*id, !is_first);
        }
        // A stable sort keeps the order within both halves.
        ready.sort_by_key(|(.., id, _)| is_second.get(id).copied());
    }
}

#[cfg(test)]
mod tests;
