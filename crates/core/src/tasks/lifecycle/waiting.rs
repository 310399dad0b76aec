//! Waiting for what orch can observe: tasks, subtasks, a directory; and dependency cycles.

use super::{Refused, ask, parts, refused};
use crate::base::ids::TaskId;
use crate::tasks::cycle;
use crate::tasks::question::QuestionKind;
use crate::tasks::task::{BlockedOn, State, Task};

pub(super) fn on_blocked(task: &mut Task, on: &BlockedOn) -> Result<(), Refused> {
    match &task.state {
        State::New { routing: None, .. } | State::Routed { .. } | State::Blocked(_) => {
            // An attempt that was to continue starts anew after the wait, and is counted then.
            if let State::Routed { counts: false, .. } = task.state {
                task.attempts = task.attempts.saturating_sub(1);
            }
            parts::wait(task, on);
            Ok(())
        }
        State::NeedsReview { .. } if parts::is_awaited(task, on) => {
            parts::wait(task, on);
            Ok(())
        }
        State::New { routing: Some(_), .. }
        | State::InProgress { .. }
        | State::InReview { .. }
        | State::Done
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => Err(refused(task, "only a waiting task can be blocked")),
    }
}

pub(super) fn on_cycle(task: &mut Task, cycle: &[TaskId]) -> Result<(), Refused> {
    // The task must be in a state that can be blocked.
    on_blocked(task, &BlockedOn::Dependencies { tasks: task.spec.depends_on.clone() })?;
    let (id, at) = (task.id, cycle.iter().position(|member| *member == task.id).unwrap_or(0));
    let cycle = cycle::render(cycle, at);
    let question = format!(
        "waits for itself: {cycle}; take one of them out of a depends_on (`orch task edit ID --depends-on …`, or in \
         tasks.yml), then `orch task unblock {id}`"
    );
    ask(task, QuestionKind::Setup, question);
    Ok(())
}

pub(super) fn on_unblocked(task: &mut Task) -> Result<(), Refused> {
    let State::Blocked(on) = &task.state else { return Err(refused(task, "only a blocked task is unblocked")) };
    task.state = match on {
        BlockedOn::Children { .. } => parts::resumed_state(task),
        BlockedOn::Dependencies { .. } | BlockedOn::MissingDir { .. } => State::NEW,
    };
    Ok(())
}
