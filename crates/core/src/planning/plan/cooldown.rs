//! Cooldowns of agents, and the end of a wait when the clock changes.

use crate::tasks::outcome::FailureClass;
use jiff::Timestamp;

/// A cooldown of an agent after a failure of its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooldown {
    /// When the cooldown was set; `None`: in records of older versions.
    pub since: Option<Timestamp>,
    /// When the cooldown ends.
    pub until: Timestamp,
    /// The class of the provider's failure.
    pub class: FailureClass,
    /// The details in words.
    pub detail: String,
}

impl Cooldown {
    /// Whether the cooldown has not ended yet.
    pub fn is_active(&self, now: Timestamp) -> bool {
        is_pending(self.until, self.since.unwrap_or(Timestamp::MIN), now)
    }
}

/// Whether a wait that was set at `since` goes on. A clock that is now before `since` was set back: how much of the
/// wait is over is unknown, and the wait ends, because it must not get longer.
pub fn is_pending(until: Timestamp, since: Timestamp, now: Timestamp) -> bool {
    since <= now && now < until
}
