//! Agents that are left alone for a while, and how long a wait lasts whatever the clock does.

use crate::outcome::FailureClass;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An agent that is left alone for a while because its provider failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// When that was decided; `None`: by an orch that did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Until then.
    pub until: Timestamp,
    /// What the provider's failure was.
    pub class: FailureClass,
    /// In words.
    pub detail: String,
}

impl Cooldown {
    /// Whether the agent is still to be left alone.
    pub fn holds(&self, now: Timestamp) -> bool {
        is_to_come(self.until, self.since.unwrap_or(Timestamp::MIN), now)
    }
}

/// Whether a wait that was decided at `since` goes on. Where the clock stands before that, it was set back meanwhile (by a
/// year, where it had been wrong): nobody knows how much of the wait is over, and it ends, for it must not get longer.
pub fn is_to_come(until: Timestamp, since: Timestamp, now: Timestamp) -> bool {
    since <= now && now < until
}
