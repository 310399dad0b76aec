//! Which hold a state or a failure amounts to.

use super::{Hold, HoldReason};
use crate::outcome::FailureClass;
use crate::task::BlockedOn;

/// Without words: they are made by [`told`] when somebody reads them, and not for thousands at every turn.
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
