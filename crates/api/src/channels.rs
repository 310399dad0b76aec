//! Channels and their notices, on the wire. Stable: documented in `docs/reference/json.md`.

use super::mirror::words;
use jiff::Timestamp;
use orch_core::operations::channel::ChannelKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelView {
    /// The kind of the channel.
    pub name: ChannelKind,
    /// The state of the channel.
    pub state: ChannelState,
    /// Why it does not accept messages, as text.
    pub trouble: Option<String>,
    /// The number of users and roles that may send commands; 0: the channel only sends. `null`: it takes none.
    pub allowed: Option<usize>,
    /// The number of notices that wait to be sent.
    pub pending: usize,
    /// The number of notices that were dropped because too many waited; the next message says so.
    pub dropped: u64,
    /// When a message was sent last.
    pub last_sent_at: Option<Timestamp>,
    /// What was given up, the newest last. It is tried once more when the channel is set up anew, and kept for a month.
    pub dead: Vec<DeadView>,
}

words! {
    /// How a channel fares.
    pub enum ChannelState {
        /// It is off.
        Off = "off",
        /// It is on.
        On = "on",
        /// It is on and does not accept messages.
        Trouble = "trouble",
        /// It is set up, and no daemon runs that would send anything.
        NoDaemon = "no_daemon",
    }
}

/// A notice that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadView {
    /// Its place in the history.
    pub seq: u64,
    /// The kind of the notice.
    pub kind: String,
    /// The text of the notice.
    pub text: String,
    /// Since when it is given up.
    pub at: Timestamp,
    /// Why it was given up.
    pub why: String,
}

/// Something that a person says to their channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNotice {
    /// The text to send.
    pub text: String,
    /// To these channels; none: to all that are on.
    #[serde(default)]
    pub channels: Vec<String>,
}

/// What became of it in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeView {
    /// Its place in the history.
    pub seq: u64,
    /// The channel.
    pub channel: ChannelKind,
    /// The state of the notice there.
    pub state: NoticeState,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Why it could not be said at the last try.
    pub error: Option<String>,
}

words! {
    /// How far a notice is.
    pub enum NoticeState {
        /// It is still to be sent.
        Pending = "pending",
        /// It was sent.
        Sent = "sent",
        /// It was given up.
        Dead = "dead",
    }
}
