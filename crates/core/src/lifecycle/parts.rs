//! A task and its parts: it waits for them, goes on with what became of them, or asks where one came to nothing.

use super::{Refused, ask_with, reviewed_run};
use crate::evidence::Evidence;
use crate::ids::{RunId, TaskId};
use crate::question::QuestionKind;
use crate::task::{BlockedOn, NextRun, ReviewStage, State, Task};

/// Waits for the parts that its run has handed on, and for others that are open.
pub(super) fn on_handed_on(
    task: &mut Task,
    run: &RunId,
    evidence: &Evidence,
    (made, awaited): (&[TaskId], &[TaskId]),
) -> Result<(), Refused> {
    let ReviewStage::Judging = reviewed_run(task, run)? else { return Err(Refused::Stale { run: run.clone() }) };
    task.evidence = Some(Box::new(evidence.clone()));
    task.last_failure = None;
    task.put_back_in_line();
    task.parts.get_or_insert_default().handed_on.extend(made);
    wait(task, &BlockedOn::Children { tasks: awaited.to_vec() });
    Ok(())
}

/// The next prompt tells of the parts that it waits for now.
pub(super) fn wait(task: &mut Task, on: &BlockedOn) {
    if let BlockedOn::Children { tasks } = on {
        task.parts.get_or_insert_default().wait_for(tasks);
    }
    task.state = State::Blocked(on.clone());
}

/// A task that asks about a part waits for it again when somebody has taken the part up.
pub(super) fn awaits(task: &Task, on: &BlockedOn) -> bool {
    match on {
        BlockedOn::Children { tasks } => tasks.iter().any(|part| task.awaited().contains(part)),
        BlockedOn::Dependencies { .. } | BlockedOn::MissingDir { .. } => false,
    }
}

/// An agent has finished a turn: what became of the parts was told.
pub(super) fn heard(task: &mut Task) {
    if let Some(parts) = &mut task.parts {
        parts.awaited.clear();
    }
}

/// What it waited for is there. It goes on with its attempt, where it has begun one.
pub(super) fn goes_on(task: &Task) -> State {
    match task.route {
        Some(_) => State::Routed { next: NextRun::Parts, counts: task.attempts == 0, not_before: None },
        None => State::NEW,
    }
}

/// A person decides what becomes of it without the part.
pub(super) fn on_part_failed(task: &mut Task, part: TaskId, why: &str, is_given_up: bool) -> Result<(), Refused> {
    let State::Blocked(BlockedOn::Children { .. }) = &task.state else {
        return Err(super::refused(task, "it waits for no part"));
    };
    let id = task.id;
    let (what, second) = if is_given_up {
        ("was given up", format!("orch task unblock {id}"))
    } else {
        ("came to nothing", format!("orch task cancel {part} && orch task unblock {id}"))
    };
    let choices = vec![format!("orch task retry {part}"), second, format!("orch task cancel {id}")];
    ask_with(task, QuestionKind::Failed, format!("its part {part} {what}: {why}"), choices);
    Ok(())
}
