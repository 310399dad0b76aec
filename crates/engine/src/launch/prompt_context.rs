//! What a prompt says beside the task: what a person said before, what became of the task's parts, and who tried
//! before.

use crate::deps::Deps;
use crate::launch::run_start::{ask, failed};
use orch_core::base::ids::TaskId;
use orch_core::prompts::prompt::{PartResult, Tried};
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::message::{Author, Message, MessageState};
use orch_core::tasks::outcome::RunKind;
use orch_core::tasks::task::{Run, Task};
use orch_store::journal::JournalError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Returns what was said to agents whose conversation this run does not go on with.
pub async fn said_before(deps: &Arc<Deps>, task: &Task, run: &Run) -> Result<Vec<Message>, LaunchProblem> {
    if run.session_id.is_some() || task.runs <= 1 {
        return Ok(Vec::new());
    }
    let (deps, id) = (Arc::clone(deps), task.id);
    let read = tokio::task::spawn_blocking(move || deps.journal.messages_of(id)).await;
    let mut messages = read.map_err(|e| ask(&e, None))?.map_err(|e| failed(e, None))?;
    messages.retain(|message| message.state == MessageState::Delivered && message.from == Author::Person);
    Ok(messages)
}

/// Returns what became of the parts that the task waited for since its agent spoke last; for one that begins anew, of all.
pub async fn parts_of(deps: &Arc<Deps>, task: &Task, run: &Run) -> Result<Vec<PartResult>, LaunchProblem> {
    let earlier = task.delegated().iter().filter(|_| run.session_id.is_none());
    let ids: BTreeSet<TaskId> = earlier.chain(task.awaited()).copied().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let deps = Arc::clone(deps);
    let read = move || ids.into_iter().map(|id| deps.journal.task(id)).collect::<Result<Vec<_>, _>>();
    let tasks = tokio::task::spawn_blocking(read).await.map_err(|e| ask(&e, None))?.map_err(|e| failed(e, None))?;
    Ok(tasks.iter().flatten().map(PartResult::from_task).collect())
}

/// The number of lines of the history that are read at once.
const PAGE: u32 = 2_000;

/// Returns the earlier work runs of a task, for an agent that has not made them in the conversation that it goes on with.
pub async fn tried_before(deps: &Arc<Deps>, task: &Task, run: &Run) -> Result<Vec<Tried>, LaunchProblem> {
    if run.session_id.is_some() || task.runs <= 1 {
        return Ok(Vec::new());
    }
    let (deps, id, own) = (Arc::clone(deps), task.id, run.id.clone());
    let read = move || {
        let (runs, mut lines, mut after) = (deps.journal.runs_of(id)?, Vec::new(), 0);
        loop {
            let page = deps.journal.entries(after, Some(id), PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            lines.extend(page.into_iter().filter(|line| line.fact.is_of_an_attempt()));
        }
        let earlier = runs.into_iter().filter(|run| run.kind == RunKind::Work && run.id != own);
        let tried = earlier.map(|run| {
            let of_run = lines.iter().filter(|line| line.run_id.as_ref() == Some(&run.id));
            let model = run.model.as_ref().map(|model| format!("/{model}")).unwrap_or_default();
            Tried { by: format!("{}{model}", run.agent), outcomes: of_run.map(|line| line.fact.text()).collect() }
        });
        // One that never began has nothing to report.
        Ok::<_, JournalError>(tried.filter(|run| !run.outcomes.is_empty()).collect())
    };
    tokio::task::spawn_blocking(read).await.map_err(|e| ask(&e, None))?.map_err(|e| failed(e, None))
}
