//! Whether a task has come to rest for who waits for it. PURE.

use super::types::{HoldView, TaskView};
use jiff::{SignedDuration, Timestamp};
use orch_core::tasks::hold::HoldReason;
use orch_core::tasks::task::Status;

/// Longest pause between two attempts that is waited for.
const SHORT_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// How a task rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// The task is done.
    Done,
    /// A person is needed.
    PersonNeeded,
    /// The task is cancelled.
    Cancelled,
    /// It waits, for longer than is worth waiting for.
    Parked,
}

/// How the task rests; `None`: it goes on by itself, soon.
pub fn rest(task: &TaskView, now: Timestamp) -> Option<Rest> {
    match task.status {
        Status::Done => Some(Rest::Done),
        Status::NeedsReview => Some(Rest::PersonNeeded),
        Status::Cancelled => Some(Rest::Cancelled),
        Status::Blocked => Some(Rest::Parked),
        Status::New | Status::Routed | Status::InReview | Status::InProgress => {
            task.hold.as_ref().filter(|hold| parks(hold, now)).map(|_| Rest::Parked)
        }
    }
}

/// Whether a hold is worth giving the terminal back for.
fn parks(hold: &HoldView, now: Timestamp) -> bool {
    match hold.reason {
        // Of an engine that leaves, the next one is soon there.
        HoldReason::Slots
        | HoldReason::Routing
        | HoldReason::Stopping
        | HoldReason::ShuttingDown
        | HoldReason::Review => false,
        HoldReason::AgentSlots | HoldReason::ProjectSlots | HoldReason::Load | HoldReason::Memory => false,
        HoldReason::Overlap | HoldReason::BatchSlots => false,
        HoldReason::Locked | HoldReason::System => false,
        HoldReason::Disk
        | HoldReason::Breaker
        | HoldReason::BatchBudget
        | HoldReason::Spent
        | HoldReason::Config
        | HoldReason::NotApproved
        | HoldReason::Setup => true,
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
        | HoldReason::NoDaemon
        | HoldReason::Claimed
        | HoldReason::Paused => true,
    }
}
