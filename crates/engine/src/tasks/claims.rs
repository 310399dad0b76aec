//! Claims: a person or agent takes a task, and no one else gets it without force. All of them come through the
//! one loop, so that of two who want the same one wins.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::TaskFact;
use orch_core::base::ids::TaskId;
use orch_core::tasks::claim::{Claim, MAX_NAME};
use orch_core::tasks::lifecycle::Refused;
use orch_core::tasks::task::Task;
use std::sync::Arc;

/// A request to claim a task or to release it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claiming {
    /// Who; `None`: the user who runs the engine.
    pub by: Option<String>,
    /// Whether the claim is released.
    pub lets_go: bool,
    /// Whether another owner's claim is overridden.
    pub force: bool,
}

impl Engine {
    pub(crate) fn claim(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        claiming: &Claiming,
        now: Timestamp,
    ) -> Result<Arc<Task>, EngineError> {
        let by = claiming.by.as_deref().unwrap_or(&self.settings.identity).trim().to_owned();
        let is_odd = by.is_empty() || by.chars().count() > MAX_NAME || by.chars().any(char::is_control);
        if is_odd {
            let hint = Some("orch task claim ID --as NAME, one line".to_owned());
            return Err(EngineError::Invalid { message: format!("{by:?} is no name for a claim"), hint });
        }
        let task = self.task(id)?;
        if !claiming.lets_go && task.status().is_final() {
            let hint = "there is nothing left to claim; `orch task retry` does it again";
            return Err(EngineError::Refused { task: id, source: Refused::State { status: task.status(), hint } });
        }
        if let Some(other) = task.claimed_by_other(&by).filter(|_| !claiming.force) {
            return Err(claimed(&task, other, now));
        }
        let before = task.claimed_by().map(str::to_owned);
        let mut next = Task::clone(&task);
        let mut wanted = next.spec.clone();
        wanted.assignee = (!claiming.lets_go).then(|| by.clone());
        next.set_desired(wanted);
        next.claim = (!claiming.lets_go).then(|| Box::new(Claim { by: by.clone(), since: now }));
        if next == *task {
            return Ok(task);
        }
        let next = change_set.put_task(&mut self.state, next);
        let before = before.filter(|other| *other != by);
        let fact = match claiming.lets_go {
            true => TaskFact::Unclaimed { by, before },
            false => TaskFact::Claimed { by, before },
        };
        change_set.note(&mut self.state, now, Some(id), None, fact);
        Ok(next)
    }

    /// A task without a claim is claimed for the user whose engine starts it.
    pub(crate) fn claim_at_dispatch(&mut self, change_set: &mut ChangeSet, task: &Task, now: Timestamp) {
        if task.claimed_by().is_none() {
            let claim = Claim { by: self.settings.identity.clone(), since: now };
            change_set.put_task(&mut self.state, Task { claim: Some(Box::new(claim)), ..task.clone() });
        }
    }

    /// Refuses to run a task that another owner has claimed.
    pub(crate) fn refuse_claimed(&self, task: &Task, now: Timestamp) -> Result<(), EngineError> {
        match task.assigned_to_other(&self.settings.identity) {
            Some(other) if !task.status().is_final() => Err(claimed(task, other, now)),
            Some(_) | None => Ok(()),
        }
    }
}

fn claimed(task: &Task, by: &str, now: Timestamp) -> EngineError {
    EngineError::Claimed {
        task: task.id,
        by: by.to_owned(),
        since: task.claimed_since().unwrap_or(now),
        is_stale: task.is_claim_stale(now),
    }
}
