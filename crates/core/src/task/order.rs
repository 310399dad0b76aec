//! What a person has ordered about a task's branch, while that is carried out. Plain data.

use super::{ReviewStage, State, Status, Task};
use crate::evidence::IntegrationState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is to be done with the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// It is accepted as it is; then what the settings say.
    Approve,
    /// It is merged now, whatever the settings say.
    Merge,
    /// What was merged of it is taken back.
    Revert,
}

/// An order of a person's. It holds for one commit: what came to the branch afterwards nobody has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What.
    pub kind: OrderKind,
    /// The tip of the branch that the person saw; of [`OrderKind::Revert`] the merge that is taken back.
    pub commit: String,
    /// When they said so: it tells this order from an earlier one.
    pub at: Timestamp,
}

impl Task {
    /// Its work is in its base.
    pub fn is_merged(&self) -> bool {
        self.integration.as_ref().is_some_and(|integration| integration.state == IntegrationState::Merged)
    }

    /// It was merged and taken back, and a person decides what follows.
    pub fn is_taken_back(&self) -> bool {
        let is_reverted =
            self.integration.as_ref().is_some_and(|integration| integration.state == IntegrationState::Reverted);
        is_reverted && self.status() == Status::NeedsReview
    }

    /// What a person has ordered about its branch, while that is carried out.
    pub fn order(&self) -> Option<&Order> {
        match &self.state {
            State::InReview { review: ReviewStage::Integrating { order, .. }, .. } => order.as_deref(),
            State::InReview { review: ReviewStage::Judging | ReviewStage::Reviewing { .. }, .. }
            | State::New { .. }
            | State::Routed { .. }
            | State::InProgress { .. }
            | State::Done
            | State::Blocked(_)
            | State::NeedsReview { .. }
            | State::Cancelled { .. } => None,
        }
    }
}
