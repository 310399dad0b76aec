//! The shapes of messages to agents on the wire. Stable: documented in `docs/reference/json.md`.

use jiff::Timestamp;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::message::{Author, Message, MessageId, MessageState, Via};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewMessage {
    /// The text of the message.
    pub text: String,
    /// How long to wait for the agent's receipt before the answer says its state; at most
    /// [`NewMessage::LONGEST_WAIT`].
    pub wait_seconds: u64,
    /// The model that the next run of the task is to have, and only that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl NewMessage {
    /// The longest wait, in seconds.
    pub const LONGEST_WAIT: u64 = 10;
}

/// A message and what became of it: the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageView {
    /// The number of the message.
    pub id: MessageId,
    /// The task whose agent gets it.
    pub task_id: TaskId,
    /// Who says it: `person`, or `orch` itself.
    #[serde(default)]
    pub from: Author,
    /// The text of the message.
    pub text: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The state: `queued`, `delivered` or `refused`.
    pub state: MessageState,
    /// Delivered how: `live`, while the agent worked, or `prompt`, at the beginning of a run.
    pub via: Option<Via>,
    /// The run that received it.
    pub run_id: Option<RunId>,
    /// For a person: what it waits for, or why it was refused.
    pub detail: String,
    /// When it was delivered or refused.
    pub settled_at: Option<Timestamp>,
}

impl MessageView {
    /// Creates the view of a message; `waits_for` describes what a queued one waits for.
    pub fn new(message: Message, waits_for: &str) -> Self {
        let Message { id, task, from, run, via, text, sent_at, state, detail, settled_at } = message;
        let detail = match state {
            MessageState::Queued => waits_for.to_owned(),
            MessageState::Delivered | MessageState::Refused => detail,
        };
        let delivered = state == MessageState::Delivered;
        let (via, run_id) = (via.filter(|_| delivered), run.filter(|_| delivered));
        Self { id, task_id: task, from, text, sent_at, state, via, run_id, detail, settled_at }
    }
}
