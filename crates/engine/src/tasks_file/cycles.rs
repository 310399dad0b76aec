//! Tasks that would wait for themselves by what a person wants: refused in a command, and not taken over from `tasks.yml`.
//! What the file shows alone is reported where it is read; here it is seen together with the tasks that the file lacks.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::{EditConflict, TaskFact};
use orch_core::base::ids::TaskId;
use orch_core::tasks::cycle::{cycles, not_taken_over, render};
use orch_core::tasks::task::{Spec, Task};
use std::collections::{BTreeMap, BTreeSet};

/// What decides which tasks a task waits for: what it depends on, and what it is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Relations {
    depends_on: Vec<TaskId>,
    parent: Option<TaskId>,
}

impl Relations {
    pub(crate) fn from_spec(spec: &Spec) -> Self {
        Self { depends_on: spec.depends_on.clone(), parent: spec.parent }
    }
}

/// The parts of tasks.
type Parts = BTreeMap<TaskId, Vec<TaskId>>;

impl Engine {
    /// Refuses a task that would wait for itself, over however many others. `id` may be that of a new task.
    pub(crate) fn check_cycle(&self, id: TaskId, wanted: &Spec) -> Result<(), EngineError> {
        let mut parts = self.parts();
        parts.values_mut().for_each(|parts| parts.retain(|part| *part != id));
        if let Some(parent) = wanted.parent {
            parts.entry(parent).or_default().push(id);
        }
        let waits_for = |task| {
            let of_wanted = (task == id).then_some(wanted.depends_on.as_slice());
            self.waits_for(task, of_wanted, &parts)
        };
        let around = |cycle: &Vec<TaskId>| cycle.iter().position(|task| *task == id).map(|at| render(cycle, at));
        match cycles([id], &waits_for).iter().find_map(around) {
            None => Ok(()),
            Some(cycle) => Err(EngineError::Invalid {
                message: format!("task {id} would wait for itself: {cycle}"),
                hint: Some("leave one of them out of depends_on or parent".to_owned()),
            }),
        }
    }

    /// Takes what closes a cycle out of what `tasks.yml` has just brought. `before`: what those tasks waited for that wait
    /// for something else now. Returns the message for the person.
    pub(crate) fn refuse_cycles(
        &mut self,
        change_set: &mut ChangeSet,
        mut before: BTreeMap<TaskId, Relations>,
        known: &BTreeMap<TaskId, String>,
        now: Timestamp,
    ) -> Vec<String> {
        let mut messages = Vec::new();
        while !before.is_empty() {
            let parts = self.parts();
            let found = cycles(before.keys().copied(), &|task| self.waits_for(task, None, &parts));
            let mut refused: BTreeSet<TaskId> = BTreeSet::new();
            for cycle in found.iter().filter(|cycle| !cycle.is_empty()) {
                if cycle.iter().any(|task| refused.contains(task)) {
                    continue;
                }
                let Some(at) = cycle.iter().position(|task| before.contains_key(task)) else { continue };
                let Some(was) = before.remove(&cycle[at]) else { continue };
                refused.insert(cycle[at]);
                messages.extend(self.refuse_cycle(change_set, cycle[at], was, &render(cycle, at), known, now));
            }
            if refused.is_empty() {
                break;
            }
        }
        messages
    }

    /// Restores what the task waited for, and holds it while the file says otherwise.
    fn refuse_cycle(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        was: Relations,
        cycle: &str,
        known: &BTreeMap<TaskId, String>,
        now: Timestamp,
    ) -> Option<String> {
        let task = self.state.tasks.get(&id)?;
        let mut next = Task::clone(task);
        (next.spec.depends_on, next.spec.parent) = (was.depends_on, was.parent);
        let is_written_over = next.is_unwritten();
        change_set.put_task(&mut self.state, next);
        let message = not_taken_over(cycle);
        let cycle = cycle.to_owned();
        if is_written_over {
            // A command has changed the task too: its entry is written once more, and is right then.
            change_set.note(
                &mut self.state,
                now,
                Some(id),
                None,
                TaskFact::EditConflict(EditConflict::Cycle { cycle }),
            );
            return None;
        }
        if known.get(&id) != Some(&message) {
            change_set.note(&mut self.state, now, Some(id), None, TaskFact::EditRefused { cycle });
        }
        self.state.invalid.insert(id, message.clone());
        Some(format!("tasks.yml: task {id} {message}"))
    }

    fn parts(&self) -> Parts {
        let mut parts = Parts::new();
        for task in self.state.tasks.values() {
            if let Some(parent) = task.spec.parent {
                parts.entry(parent).or_default().push(task.id);
            }
        }
        parts
    }

    /// The tasks that a task waits for, or would once it is taken up again. `wanted`: what it is to depend on.
    fn waits_for(&self, id: TaskId, wanted: Option<&[TaskId]>, parts: &Parts) -> Vec<TaskId> {
        let mut waits_for = match (wanted, self.state.tasks.get(&id)) {
            (Some(wanted), _) => wanted.to_vec(),
            (None, Some(task)) => task.spec.depends_on.clone(),
            (None, None) => self.state.given_up(id).map(|task| task.spec.depends_on).unwrap_or_default(),
        };
        waits_for.extend(parts.get(&id).into_iter().flatten());
        waits_for
    }
}
