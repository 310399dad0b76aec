//! Determines whether a task has come to rest, and with which exit code. PURE.

use crate::cli::exit::Exit;
use jiff::Timestamp;
use orch_api::rest::{Rest, rest};
use orch_api::types::{RunView, TaskView};
use orch_core::tasks::outcome::RunKind;

/// Returns the exit code for a command that waits for the task, or `None` if the task continues.
pub fn settled(task: &TaskView, now: Timestamp) -> Option<Exit> {
    Some(match rest(task, now)? {
        Rest::Done => Exit::Done,
        Rest::PersonNeeded => Exit::PersonNeeded,
        Rest::Cancelled => Exit::Failed,
        Rest::Parked => Exit::Parked,
    })
}

/// Returns the work runs whose output is readable, oldest first.
pub fn started(task: &TaskView) -> impl Iterator<Item = &RunView> {
    task.runs.iter().flatten().filter(|run| run.kind == RunKind::Work && run.started_at.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::{now, task};
    use jiff::SignedDuration;
    use orch_api::types::HoldView;
    use orch_core::tasks::hold::HoldReason;
    use orch_core::tasks::task::Status;

    fn exit(status: Status, hold: Option<(HoldReason, Option<i64>)>) -> Option<u8> {
        let present = now().at;
        let mut task = task();
        task.status = status;
        task.hold = hold.map(|(reason, seconds)| HoldView {
            reason,
            detail: String::new(),
            until: seconds.map(|s| present + SignedDuration::from_secs(s)),
        });
        settled(&task, present).map(Exit::code)
    }

    #[test]
    fn the_fate_of_a_task_is_the_exit_code() {
        for (status, code) in [
            (Status::Done, Some(0)),
            (Status::NeedsReview, Some(5)),
            (Status::Cancelled, Some(1)),
            (Status::Blocked, Some(75)),
            (Status::New, None),
            (Status::Routed, None),
            (Status::InProgress, None),
            (Status::InReview, None),
        ] {
            assert_eq!(exit(status, None), code, "{status:?}");
        }
    }

    #[test]
    fn a_wait_for_the_provider_parks_and_a_short_pause_does_not() {
        assert_eq!(exit(Status::Routed, Some((HoldReason::RateLimited, Some(30)))), Some(75));
        assert_eq!(exit(Status::New, Some((HoldReason::NoProject, None))), Some(75));
        assert_eq!(exit(Status::InReview, Some((HoldReason::BaseDirty, Some(30)))), Some(75));
        assert_eq!(exit(Status::Routed, Some((HoldReason::Backoff, Some(30)))), None);
        assert_eq!(exit(Status::Routed, Some((HoldReason::Backoff, Some(3_600)))), Some(75));
        assert_eq!(exit(Status::New, Some((HoldReason::Routing, None))), None);
        assert_eq!(exit(Status::InProgress, Some((HoldReason::Stopping, None))), None);
    }
}
