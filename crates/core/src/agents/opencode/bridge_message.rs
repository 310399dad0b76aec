//! What the runner says to the process that stands between it and the server of OpenCode (the bridge), one JSON object a
//! line, and the words that the bridge adds to those of `opencode run`.

use crate::message::MessageId;
use serde::{Deserialize, Serialize};

/// The prompt has become part of the conversation: a line of the bridge.
pub(super) const BEGUN: &str = "orch.begun";
/// The model is asked with a message, which the line names.
pub(super) const HEARD: &str = "orch.heard";
/// The server did not take up a message.
pub(super) const UNSAID: &str = "orch.unsaid";
/// The server asks the model again after a failure.
pub(super) const RETRY: &str = "orch.retry";
/// The server told of an error when no turn ran.
pub(super) const TROUBLE: &str = "orch.trouble";
/// The turn is over, and no other one begins by itself.
pub(super) const REST: &str = "orch.rest";

/// The model, as the server wants it named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Model {
    #[serde(rename = "providerID")]
    pub(super) provider: String,
    #[serde(rename = "modelID")]
    pub(super) model: String,
}

/// What `opencode run` is told by its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opening {
    /// The conversation to go on with.
    pub(super) session: Option<String>,
    pub(super) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variant: Option<String>,
    /// Whether thoughts are told.
    pub(super) thinking: bool,
}

/// A line on the bridge's stdin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum BridgeMessage {
    /// The first: the conversation and its first message.
    Open {
        /// The conversation.
        opening: Opening,
        /// The prompt.
        prompt: String,
    },
    /// A message, whatever the agent is doing.
    Say {
        /// Which.
        message: MessageId,
        /// What the agent is told.
        text: String,
    },
    /// End the turn, keep the conversation.
    Interrupt,
}

impl BridgeMessage {
    /// Reads a line; what is none of ours is passed over.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// As a line.
    pub(super) fn line(&self) -> String {
        serde_json::to_string(self).expect("names, texts and numbers are JSON")
    }
}
