//! Requests of a person: cancel, interrupt, message, retry, unblock, run now; and orch's own shutdown.

use super::{Refused, refused, restart};
use crate::tasks::task::{NextRun, ReviewStage, State, StopFor, Task};

pub(super) fn on_cancel(task: &mut Task, reason: &str) -> Result<(), Refused> {
    match &mut task.state {
        State::InProgress { stopping, .. } => {
            *stopping = Some(StopFor::Cancel);
            Ok(())
        }
        State::Done => Err(refused(task, "it is finished; `orch task retry` does it again")),
        State::Cancelled { .. } => Ok(()),
        State::New { .. }
        | State::Routed { .. }
        | State::InReview { .. }
        | State::Blocked(_)
        | State::NeedsReview { .. } => {
            task.clear_run_now();
            task.state = State::Cancelled { reason: reason.to_owned() };
            Ok(())
        }
    }
}

pub(super) fn on_interrupt(task: &mut Task) -> Result<(), Refused> {
    match &mut task.state {
        State::InProgress { stopping: stopping @ None, .. } => {
            *stopping = Some(StopFor::Interrupt);
            Ok(())
        }
        State::InProgress { stopping: stopping @ Some(StopFor::Interrupt | StopFor::Shutdown), .. } => {
            *stopping = Some(StopFor::Interrupt);
            Ok(())
        }
        State::InProgress { stopping: Some(StopFor::Cancel | StopFor::Retry), .. } => {
            Err(refused(task, "its run is being stopped already"))
        }
        State::New { .. }
        | State::Routed { .. }
        | State::InReview { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => Err(refused(task, "no agent works on it that could be interrupted")),
    }
}

/// A run that is already being stopped keeps its reason.
pub(super) fn on_shutdown(task: &mut Task) -> Result<(), Refused> {
    let State::InProgress { stopping, .. } = &mut task.state else {
        return Err(refused(task, "no agent works on it"));
    };
    stopping.get_or_insert(StopFor::Shutdown);
    Ok(())
}

/// Starts the next run with the message. It continues the last attempt, because the person is present.
pub(super) fn on_message(task: &mut Task) -> Result<(), Refused> {
    if !matches!(
        task.state,
        State::NeedsReview { .. } | State::InReview { review: ReviewStage::Integrating { .. }, .. }
    ) {
        return Err(refused(task, "the message goes with its next run"));
    }
    task.progress.provider_failures = 0;
    task.progress.repaired = false;
    task.state = match task.route {
        Some(_) => State::Routed { next: NextRun::Said, counts: false, not_before: None },
        None => State::NEW,
    };
    Ok(())
}

pub(super) fn on_retry(task: &mut Task) -> Result<(), Refused> {
    match &mut task.state {
        State::InProgress { stopping, .. } => {
            *stopping = Some(StopFor::Retry);
            Ok(())
        }
        State::InReview { .. } => Err(refused(task, "its result is being checked; wait, or cancel it first")),
        State::New { .. }
        | State::Routed { .. }
        | State::Done
        | State::Blocked(_)
        | State::NeedsReview { .. }
        | State::Cancelled { .. } => {
            restart(task);
            Ok(())
        }
    }
}

pub(super) fn on_unblock(task: &mut Task) -> Result<(), Refused> {
    match &task.state {
        State::NeedsReview { .. } if task.resume_at.is_some() => {
            if let Some(state) = task.resume_at.take() {
                task.state = *state;
            }
            // The repeated step uses the person's current settings.
            if let Some(place) = &mut task.place {
                place.terms = None;
            }
            Ok(())
        }
        State::Blocked(_) | State::NeedsReview { .. } => {
            let conversation = task.conversation.take();
            restart(task);
            task.conversation = conversation;
            // Subtasks that are still open are ignored: the task continues with the results there are.
            if !task.awaited().is_empty() {
                task.state = super::parts::resumed_state(task);
            }
            Ok(())
        }
        State::New { .. }
        | State::Routed { .. }
        | State::InProgress { .. }
        | State::InReview { .. }
        | State::Done
        | State::Cancelled { .. } => Err(refused(task, "only blocked and needs_review tasks are unblocked")),
    }
}

pub(super) fn on_run_asked(task: &mut Task, past_pause: bool) -> Result<(), Refused> {
    match &mut task.state {
        State::New { not_before, .. } | State::Routed { not_before, .. } => {
            *not_before = None;
            task.run_now = true;
            task.past_pause |= past_pause;
            Ok(())
        }
        State::InReview {
            review: ReviewStage::Integrating { waiting, .. } | ReviewStage::Reviewing { waiting, .. },
            ..
        } => {
            *waiting = None;
            Ok(())
        }
        State::InProgress { .. } | State::InReview { review: ReviewStage::Judging, .. } => Ok(()),
        State::Blocked(_) => Err(refused(task, "it waits on something; `orch why` tells on what")),
        State::NeedsReview { .. } => Err(refused(task, "a person must decide first; `orch task unblock` sends it on")),
        State::Done => Err(refused(task, "it is finished; `orch task retry` does it again")),
        State::Cancelled { .. } => Err(refused(task, "it was given up; `orch task retry` takes it up again")),
    }
}
