//! What a person ordered for a task's branch, while it is being carried out. Plain data.

use super::{ReviewStage, State, Status, Task};
use crate::tasks::evidence::IntegrationState;
use jiff::Timestamp;

/// What to do with the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// Accept it as it is, then do what the settings say.
    Approve,
    /// Merge it now, whatever the settings say.
    Merge,
    /// Revert the merge of it.
    Revert,
}

/// An order of a person. It applies to one commit only: the person has not seen later ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What to do.
    pub kind: OrderKind,
    /// The tip of the branch that the person saw; for [`OrderKind::Revert`] the merge to revert.
    pub commit: String,
    /// When the order was given; it tells this order from an earlier one.
    pub at: Timestamp,
}

impl Task {
    /// Whether its work is merged into its base.
    pub fn is_merged(&self) -> bool {
        self.integration.as_ref().is_some_and(|integration| integration.state == IntegrationState::Merged)
    }

    /// Whether its merge was reverted and a person decides what follows.
    pub fn is_reverted(&self) -> bool {
        let is_reverted =
            self.integration.as_ref().is_some_and(|integration| integration.state == IntegrationState::Reverted);
        is_reverted && self.status() == Status::NeedsReview
    }

    /// Returns what a person ordered for its branch, while it is being carried out.
    pub fn order(&self) -> Option<&Order> {
        let State::InReview { review: ReviewStage::Integrating { order, .. }, .. } = &self.state else { return None };
        order.as_deref()
    }
}
