//! The resolved settings of reviews: how often, how long, by which agents.

use super::raw::RawReview;
use serde::Serialize;
use std::time::Duration;

/// How agents review.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Review {
    /// How many times work may be sent back before a person is asked; at least 1.
    pub max_rounds: u32,
    /// Longest duration of a review.
    #[serde(rename = "timeout_seconds", serialize_with = "super::resolved::seconds")]
    pub timeout: Duration,
    /// Agents that may review, in order of preference; `None`: all installed ones.
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
