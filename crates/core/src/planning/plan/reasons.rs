//! Maps blocks and failures to holds.

use super::{Hold, HoldReason};
use crate::tasks::outcome::FailureClass;
use crate::tasks::task::BlockedOn;

/// Returns the hold of a blocked task. Its description is left to [`describe`], which is called only on demand.
pub(super) fn blocked_hold(on: &BlockedOn) -> Hold {
    let reason = match on {
        BlockedOn::Dependencies { .. } => HoldReason::Dependency,
        BlockedOn::Children { .. } => HoldReason::Children,
        BlockedOn::MissingDir { .. } => HoldReason::MissingDir,
    };
    Hold::new(reason, String::new())
}

pub(super) fn reason_of(class: FailureClass) -> HoldReason {
    match class {
        FailureClass::Auth => HoldReason::Auth,
        FailureClass::RateLimited => HoldReason::RateLimited,
        FailureClass::Overloaded => HoldReason::Overloaded,
        FailureClass::Network => HoldReason::Network,
        FailureClass::Budget => HoldReason::Budget,
        FailureClass::ModelNotFound | FailureClass::AgentMissing => HoldReason::Agent,
        FailureClass::NoChange
        | FailureClass::ChecksFailed
        | FailureClass::ReviewRejected
        | FailureClass::Unacceptable
        | FailureClass::Malformed
        | FailureClass::Incomplete
        | FailureClass::ContextTooLong
        | FailureClass::Conflict
        | FailureClass::SandboxViolation
        | FailureClass::Timeout
        | FailureClass::Stalled
        | FailureClass::Killed
        | FailureClass::Crashed
        | FailureClass::Memory
        | FailureClass::SessionLost => HoldReason::Backoff,
    }
}
