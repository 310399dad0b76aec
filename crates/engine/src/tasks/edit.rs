//! What a command wants changed of a task, and what it decides about tasks that the file lacks: both wait for a read of
//! `tasks.yml`, because a person may just have changed the task there.

use crate::engine::Engine;
use crate::engine::command::Command;
use crate::error::EngineError;
use crate::state::ChangeSet;
use crate::state::reply::Reply;
use crate::tasks::claims::Claiming;
use crate::tasks_file::missing_tasks::Verdict;
use jiff::Timestamp;
use orch_core::audit::history::{EditSource, TaskFact};
use orch_core::base::ids::TaskId;
use orch_core::tasks::lifecycle::Refused;
use orch_core::tasks::spec_merge::{Change, differing};
use orch_core::tasks::task::Task;
use std::sync::Arc;

impl Command {
    /// Changes what a person wants of a task.
    pub fn edit(task: TaskId, change: Change, reply: Reply<Arc<Task>>) -> Self {
        Self::parked(reply, false, move |engine, change_set, now| engine.edit(change_set, task, &change, now))
    }

    /// Claims a task, or releases it.
    pub fn claim(task: TaskId, claiming: Claiming, reply: Reply<Arc<Task>>) -> Self {
        Self::parked(reply, false, move |engine, change_set, now| engine.claim(change_set, task, &claiming, now))
    }

    /// Decides about the tasks that the file lacks, which are not known before its editor has finished saving.
    pub fn decide_missing(verdict: Verdict, reply: Reply<Vec<Arc<Task>>>) -> Self {
        Self::parked(reply, true, move |engine, change_set, now| Ok(engine.decide_missing(change_set, verdict, now)))
    }
}

impl Engine {
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
        let wanted = change.apply_to(&task.spec).map_err(|clashes| EngineError::Clash { task: id, clashes })?;
        let changed = differing(&task.spec, &wanted);
        if changed.is_empty() {
            return Ok(task);
        }
        self.check_spec(&wanted)?;
        self.check_cycle(id, &wanted)?;
        let changes = changed.iter().map(|field| field.change(&task.spec, &wanted)).collect();
        let mut next = Task::clone(&task);
        let (agent, model) = (task.spec.agent.clone(), task.spec.model.clone());
        next.set_desired(wanted);
        if (&agent, &model) != (&next.spec.agent, &next.spec.model) {
            self.check_model_of(&next, now)?;
        }
        let next = change_set.put_task(&mut self.state, next);
        let fact = TaskFact::Edited { source: EditSource::Command, changes };
        change_set.note(&mut self.state, now, Some(id), None, fact);
        Ok(next)
    }
}
