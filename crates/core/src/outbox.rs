//! What is to be told in one channel, and how far that is: a row of the outbox for each notice and channel. PURE.

use super::channel::ChannelKind;
use super::notice::Notice;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The key of the place in the history up to which everything is in the outbox.
pub const PLACE: &str = "notices.place";
/// The key of the count of what was dropped and is still to be told.
pub const DROPPED: &str = "notices.dropped";
/// The key of how the channel fares: nothing, or why it does not take what it is told.
pub const TROUBLE: &str = "trouble";
/// The key of what is in the way of hearing what people say there.
pub const LISTENING: &str = "trouble.listening";

/// A change of what a channel keeps for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValue {
    /// Insert, replace or (without a value) remove.
    Value {
        /// Whose.
        channel: ChannelKind,
        /// Under which name.
        key: String,
        /// What.
        value: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// Remove what has names that begin so.
    Forget {
        /// Whose.
        channel: ChannelKind,
        /// How the names begin.
        prefix: String,
        /// Only what was written before.
        before: Option<Timestamp>,
    },
}

/// How far a notice is in its channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Stage {
    /// It is to be said.
    Pending,
    /// It was said.
    Sent {
        /// When.
        at: Timestamp,
        /// The name of the message, where it tells of this alone and can be changed.
        message: Option<String>,
    },
    /// It is said with another.
    Merged {
        /// Which.
        into: u64,
    },
    /// It will not be said.
    Dead {
        /// Since when.
        at: Timestamp,
        /// Why.
        why: String,
    },
}

impl Stage {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent { .. } => "sent",
            Self::Merged { .. } => "merged",
            Self::Dead { .. } => "dead",
        }
    }
}

/// A notice on its way to one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxItem {
    /// Its number: the same for the same entry of the history and channel, however often it is made.
    pub id: u64,
    /// Where to.
    pub channel: ChannelKind,
    /// What is told.
    pub notice: Notice,
    /// How far it is.
    #[serde(flatten)]
    pub state: Stage,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// It is not said before.
    pub not_before: Timestamp,
    /// How many of the same cause were said one after the other before it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub streak: u32,
    /// The name by which a receiver knows it again: random, and the same at each try. `None`: not given yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why it could not be said at the last try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
