//! The named reasons why a task does not continue. Plain data; `describe` has the texts.

use crate::tasks::hold::HoldReason;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A named reason why a task does not continue, and when it is checked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The kind of the reason.
    pub reason: HoldReason,
    /// The details for a person.
    pub detail: String,
    /// When the hold ends, where that is known.
    pub until: Option<Timestamp>,
}

impl Hold {
    pub(super) fn new(reason: HoldReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), until: None }
    }

    pub(super) fn until(reason: HoldReason, detail: impl Into<String>, until: Timestamp) -> Self {
        Self { reason, detail: detail.into(), until: Some(until) }
    }
}
