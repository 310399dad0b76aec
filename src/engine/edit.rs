//! What a command wants changed of a task, and what it decides about tasks that the file lacks: both wait for a look at
//! `tasks.yml`, because somebody may just have said something else there.

use super::claims::Claiming;
use super::handle::{EngineError, Reply};
use super::main_loop::Engine;
use super::missing_tasks::Verdict;
use super::state::ChangeSet;
use crate::domain::ids::TaskId;
use crate::domain::lifecycle::Refused;
use crate::domain::spec_merge::{Change, differing};
use crate::domain::task::Task;
use jiff::Timestamp;
use std::sync::Arc;

/// A command that waits for the look.
pub(super) enum Parked {
    /// Change a task.
    Edit { task: TaskId, change: Box<Change>, reply: Reply<Arc<Task>> },
    /// Claim a task, or let go of it.
    Claim { task: TaskId, claiming: Claiming, reply: Reply<Arc<Task>> },
    /// Decide about what the file lacks.
    Missing { verdict: Verdict, reply: Reply<Vec<Arc<Task>>> },
}

impl Engine {
    /// Puts a command off until the file was looked at.
    pub(super) fn park(&mut self, parked: Parked) {
        self.parked.push(parked);
        self.read_files();
    }

    /// The file was looked at.
    pub(super) fn unpark(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        for parked in std::mem::take(&mut self.parked) {
            match parked {
                Parked::Edit { task, change, reply } => {
                    let edited = self.edit(change_set, task, &change, now);
                    super::commands::answer(change_set, reply, edited);
                }
                Parked::Claim { task, claiming, reply } => {
                    let claimed = self.claim(change_set, task, &claiming, now);
                    super::commands::answer(change_set, reply, claimed);
                }
                // What it lacks is not known before whoever saves it is done: decided now, it would be about nothing.
                missing @ Parked::Missing { .. } if self.file.is_being_saved() => self.parked.push(missing),
                Parked::Missing { verdict, reply } => {
                    let tasks = self.decide_missing(change_set, verdict, now);
                    super::commands::answer(change_set, reply, Ok(tasks));
                }
            }
        }
    }

    fn edit(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        change: &Change,
        now: Timestamp,
    ) -> Result<Arc<Task>, EngineError> {
        let task = self.task(id)?;
        if task.file.is_removed() {
            let hint = "it was taken out of tasks.yml; `orch task retry` takes it up again";
            return Err(EngineError::Refused { task: id, source: Refused::State { status: task.status(), hint } });
        }
        let wanted = change.made_to(&task.spec).map_err(|clashes| EngineError::Clash { task: id, clashes })?;
        let changed = differing(&task.spec, &wanted);
        if changed.is_empty() {
            return Ok(task);
        }
        self.check_spec(&wanted)?;
        self.check_cycle(id, &wanted)?;
        let told: Vec<String> = changed
            .iter()
            .map(|field| format!("{}: {} → {}", field.key(), field.told(&task.spec), field.told(&wanted)))
            .collect();
        let mut next = Task::clone(&task);
        let (agent, model) = (task.spec.agent.clone(), task.spec.model.clone());
        next.want(wanted);
        if (&agent, &model) != (&next.spec.agent, &next.spec.model) {
            self.check_model_of(&next, now)?;
        }
        let next = change_set.put_task(&mut self.state, next);
        change_set.note(
            &mut self.state,
            now,
            Some(id),
            None,
            "task_edited",
            format!("by a command: {}", told.join("; ")),
        );
        Ok(next)
    }
}
