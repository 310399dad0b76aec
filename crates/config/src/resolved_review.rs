//! The second look at finished work: how often, how long, by whom.

use super::raw::RawReview;
use serde::Serialize;
use std::time::Duration;

/// How agents review.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Review {
    /// Times that work may be sent back before a person is asked; at least 1.
    pub max_rounds: u32,
    /// Longest time that a review may take.
    #[serde(rename = "timeout_seconds", serialize_with = "super::resolved::seconds")]
    pub timeout: Duration,
    /// Who may review, the best first; `None`: all that are installed.
    pub agents: Option<Vec<String>>,
}

impl Default for Review {
    fn default() -> Self {
        Self { max_rounds: 2, timeout: Duration::from_secs(600), agents: None }
    }
}

impl Review {
    pub(super) fn with(self, raw: RawReview) -> Self {
        Self {
            max_rounds: raw.max_rounds.unwrap_or(self.max_rounds),
            timeout: raw.timeout_seconds.map_or(self.timeout, Duration::from_secs),
            agents: raw.agents.or(self.agents),
        }
    }
}
