//! The outbox: one item per notice and channel, with its delivery state. Pure.

use super::notice::Notice;
use crate::operations::channel::ChannelKind;
use jiff::Timestamp;
use strum::IntoStaticStr;

/// The key of the position in the history up to which everything is in the outbox.
pub const PLACE: &str = "notices.place";
/// The key of the number of dropped notices that the channel has not reported.
pub const DROPPED: &str = "notices.dropped";
/// The key of the channel's delivery error, if there is one.
pub const TROUBLE: &str = "trouble";
/// The key of the channel's receive error, if there is one.
pub const LISTENING: &str = "trouble.listening";

/// A change of a channel's stored values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValue {
    /// Insert, replace or (without a value) remove.
    Value {
        /// The channel that owns the value.
        channel: ChannelKind,
        /// The key of the value.
        key: String,
        /// The new value.
        value: Option<String>,
        /// When it was written.
        at: Timestamp,
    },
    /// Remove all keys with a prefix.
    Forget {
        /// The channel that owns the values.
        channel: ChannelKind,
        /// The prefix of the keys.
        prefix: String,
        /// Remove only values written before this time.
        before: Option<Timestamp>,
    },
}

/// The delivery state of a notice in its channel.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// It waits for delivery.
    Pending,
    /// It was delivered.
    Sent {
        /// When it was delivered.
        at: Timestamp,
        /// The id of the message, where it contains this notice alone and can be edited.
        message: Option<String>,
    },
    /// It is delivered together with another item.
    Merged {
        /// The id of that item.
        into: u64,
    },
    /// It will not be delivered.
    Dead {
        /// When that was decided.
        at: Timestamp,
        /// Why it was not delivered.
        why: String,
    },
}

impl Stage {
    /// Returns the stable name.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

/// A notice on its way to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    /// The item's id: always the same for the same history entry and channel.
    pub id: u64,
    /// The channel that receives it.
    pub channel: ChannelKind,
    /// The notice to deliver.
    pub notice: Notice,
    /// The delivery state.
    pub state: Stage,
    /// The number of failed deliveries.
    pub attempts: u32,
    /// The earliest time for the delivery.
    pub not_before: Timestamp,
    /// The number of consecutive notices of the same cause before it.
    pub streak: u32,
    /// A random id by which a receiver detects duplicates, the same at each try. `None`: not assigned yet.
    pub key: Option<String>,
    /// The error of the last delivery.
    pub error: Option<String>,
}
