//! A task and its subtasks: it waits for them, continues with their results, or asks a person when one fails.

use super::{Refused, ask_with, reviewed_run};
use crate::base::ids::{RunId, TaskId};
use crate::tasks::evidence::Evidence;
use crate::tasks::question::QuestionKind;
use crate::tasks::task::{BlockedOn, NextRun, ReviewStage, State, Task};

/// Makes the task wait for the subtasks that its run delegated and for other open ones.
pub(super) fn on_handed_on(
    task: &mut Task,
    run: &RunId,
    evidence: &Evidence,
    made: &[TaskId],
    awaited: &[TaskId],
) -> Result<(), Refused> {
    let ReviewStage::Judging = reviewed_run(task, run)? else { return Err(Refused::Stale { run: run.clone() }) };
    task.evidence = Some(Box::new(evidence.clone()));
    task.last_failure = None;
    task.clear_run_now();
    task.parts.get_or_insert_default().delegated.extend(made);
    wait(task, &BlockedOn::Children { tasks: awaited.to_vec() });
    Ok(())
}

/// Blocks the task; the next prompt reports the subtasks that it waits for.
pub(super) fn wait(task: &mut Task, on: &BlockedOn) {
    if let BlockedOn::Children { tasks } = on {
        task.parts.get_or_insert_default().wait_for(tasks);
    }
    task.state = State::Blocked(on.clone());
}

/// Returns whether a task that asks about a subtask waits for that subtask, so that it can wait again once the subtask
/// is restarted.
pub(super) fn is_awaited(task: &Task, on: &BlockedOn) -> bool {
    match on {
        BlockedOn::Children { tasks } => tasks.iter().any(|part| task.awaited().contains(part)),
        BlockedOn::Dependencies { .. } | BlockedOn::MissingDir { .. } => false,
    }
}

/// Clears the awaited subtasks after an agent that received their results has finished a turn.
pub(super) fn clear_awaited(task: &mut Task) {
    if let Some(parts) = &mut task.parts {
        parts.awaited.clear();
    }
}

/// Returns the state after the wait: the current attempt continues if there is one.
pub(super) fn resumed_state(task: &Task) -> State {
    match task.route {
        Some(_) => State::Routed { next: NextRun::Parts, counts: task.progress.attempts == 0, not_before: None },
        None => State::NEW,
    }
}

/// Asks a person how the task continues without the subtask.
pub(super) fn on_part_failed(task: &mut Task, part: TaskId, why: &str, is_given_up: bool) -> Result<(), Refused> {
    let State::Blocked(BlockedOn::Children { .. }) = &task.state else {
        return Err(super::refused(task, "it waits for no subtask"));
    };
    let id = task.id;
    let (what, second) = if is_given_up {
        ("was cancelled", format!("orch task unblock {id}"))
    } else {
        ("failed", format!("orch task cancel {part} && orch task unblock {id}"))
    };
    let choices = vec![format!("orch task retry {part}"), second, format!("orch task cancel {id}")];
    ask_with(task, QuestionKind::Failed, format!("its subtask {part} {what}: {why}"), choices);
    Ok(())
}
