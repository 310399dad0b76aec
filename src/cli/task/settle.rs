//! Whether a task that is run in a terminal has come to rest, and with which exit code. PURE.

use crate::api::types::{RunView, TaskView};
use crate::cli::exit::Exit;
use crate::domain::outcome::RunKind;
use crate::domain::plan::{Hold, HoldReason};
use crate::domain::task::Status;
use jiff::{SignedDuration, Timestamp};

/// Longest pause between two attempts that is waited for in the terminal.
const SHORT_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// How the task ended for who waits for it; `None`: it goes on.
pub fn settled(task: &TaskView, now: Timestamp) -> Option<Exit> {
    match task.status {
        Status::Done => Some(Exit::Done),
        Status::NeedsReview => Some(Exit::PersonNeeded),
        Status::Cancelled => Some(Exit::Failed),
        Status::Blocked => Some(Exit::Parked),
        Status::New | Status::Routed | Status::InReview | Status::InProgress => {
            task.hold.as_ref().filter(|hold| parks(hold, now)).map(|_| Exit::Parked)
        }
    }
}

/// Whether a hold is worth giving the terminal back for.
fn parks(hold: &Hold, now: Timestamp) -> bool {
    match hold.reason {
        HoldReason::Slots | HoldReason::Routing | HoldReason::Stopping => false,
        HoldReason::Backoff => hold.until.is_some_and(|until| until.duration_since(now) > SHORT_PAUSE),
        HoldReason::Dependency
        | HoldReason::Children
        | HoldReason::MissingDir
        | HoldReason::NoProject
        | HoldReason::RateLimited
        | HoldReason::Overloaded
        | HoldReason::Network
        | HoldReason::Auth
        | HoldReason::Budget
        | HoldReason::Agent
        | HoldReason::InvalidEntry
        | HoldReason::BaseDirty
        | HoldReason::NoDaemon => true,
    }
}

/// The work runs whose output can be read, oldest first.
pub fn started(task: &TaskView) -> impl Iterator<Item = &RunView> {
    task.runs.iter().flatten().filter(|run| run.kind == RunKind::Work && run.started_at.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::{now, task};

    fn exit(status: Status, hold: Option<(HoldReason, Option<i64>)>) -> Option<u8> {
        let present = now().at;
        let mut task = task();
        task.status = status;
        task.hold = hold.map(|(reason, seconds)| Hold {
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
