//! The lines between the runner and the bridge, the process in front of OpenCode's server: what the runner sends, one JSON
//! object per line, and the kinds of lines that the bridge adds to those of `opencode run`.

use crate::tasks::message::MessageId;
use serde::{Deserialize, Serialize};

/// The prompt has become part of the conversation.
pub(super) const OPENED: &str = "orch.begun";
/// The model is asked with the message that the line names.
pub(super) const READ: &str = "orch.heard";
/// The server did not take the message that the line names.
pub(super) const DROPPED: &str = "orch.unsaid";
/// The server asks the model again after a failure.
pub(super) const RETRY: &str = "orch.retry";
/// The server reported an error while no turn ran.
pub(super) const ERROR: &str = "orch.trouble";
/// The turn is over, and no other one will begin by itself.
pub(super) const IDLE: &str = "orch.rest";

/// The model, in the form of the server's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Model {
    #[serde(rename = "providerID")]
    pub(super) provider: String,
    #[serde(rename = "modelID")]
    pub(super) model: String,
}

/// The parameters that are options of `opencode run`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opening {
    /// The id of the conversation to continue.
    pub(super) session: Option<String>,
    pub(super) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variant: Option<String>,
    /// Whether to print the model's reasoning.
    pub(super) thinking: bool,
}

/// A line on the bridge's stdin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum BridgeMessage {
    /// Opens the conversation. This is the first line.
    Open {
        /// The parameters of the conversation.
        opening: Opening,
        /// The first message.
        prompt: String,
    },
    /// Sends a message, whatever the agent is doing.
    Say {
        /// The id of the message.
        message: MessageId,
        /// The text for the agent.
        text: String,
    },
    /// Ends the turn and keeps the conversation.
    Interrupt,
}

impl BridgeMessage {
    /// Parses a line; `None` for a line of another kind.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// Renders the message as a line.
    pub(super) fn line(&self) -> String {
        serde_json::to_string(self).expect("names, texts and numbers are JSON")
    }
}
