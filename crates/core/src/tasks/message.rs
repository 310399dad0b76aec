//! A person's message to the agent that works on a task, and its delivery state. Pure.

use crate::base::ids::{RunId, TaskId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use strum::IntoStaticStr;

/// The longest message, in characters. Longer text belongs into a file of the repository.
pub const MAX_MESSAGE: usize = 32_000;

/// The number of a message; unique within one `ORCH_HOME`, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MessageId(pub u64);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The delivery state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MessageState {
    /// It waits for the agent.
    Queued,
    /// The agent has received it.
    Delivered,
    /// No agent will receive it.
    Refused,
}

impl MessageState {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Delivered, Self::Refused].into_iter().find(|state| state.as_str() == text)
    }
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Author {
    /// The person.
    #[default]
    Person,
    /// orch itself: it asks the agent of one run about its progress.
    Orch,
}

impl Author {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Person, Self::Orch].into_iter().find(|author| author.as_str() == text)
    }
}

/// The way in which a message reaches an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Via {
    /// While the agent worked.
    Live,
    /// With the prompt of a run.
    Prompt,
}

impl Via {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Prompt].into_iter().find(|via| via.as_str() == text)
    }
}

/// A message to the agent of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The number of the message.
    pub id: MessageId,
    /// The task whose agent receives it.
    pub task: TaskId,
    /// The author.
    pub from: Author,
    /// The run that received it, or that starts with it; for a message of orch, the only run it is meant for.
    pub run: Option<RunId>,
    /// The way of delivery; `None` until one is chosen.
    pub via: Option<Via>,
    /// The text of the message.
    pub text: String,
    /// When the message was sent.
    pub sent_at: Timestamp,
    /// The delivery state.
    pub state: MessageState,
    /// Details of the state, where there are any.
    pub detail: String,
    /// When the final state was reached.
    pub settled_at: Option<Timestamp>,
}

impl Message {
    /// Creates a message that waits for delivery.
    pub fn new(id: MessageId, task: TaskId, text: String, now: Timestamp) -> Self {
        Self {
            id,
            task,
            from: Author::Person,
            run: None,
            via: None,
            text,
            sent_at: now,
            state: MessageState::Queued,
            detail: String::new(),
            settled_at: None,
        }
    }

    /// Creates a message of orch to the agent of a run.
    pub fn of_orch(id: MessageId, task: TaskId, run: RunId, text: String, now: Timestamp) -> Self {
        Self { from: Author::Orch, run: Some(run), ..Self::new(id, task, text, now) }
    }

    /// Whether it is in the prompt of a run whose agent has not reported anything yet.
    pub fn is_in_a_prompt(&self) -> bool {
        self.state == MessageState::Queued && self.via == Some(Via::Prompt)
    }

    /// Marks the message as received by an agent.
    pub fn delivered(self, run: RunId, via: Via, now: Timestamp) -> Self {
        Self { run: Some(run), via: Some(via), state: MessageState::Delivered, settled_at: Some(now), ..self }
    }

    /// Marks the message as one that no agent will receive.
    pub fn refused(self, why: &str, now: Timestamp) -> Self {
        let detail = format!("not delivered: {why}");
        Self { run: None, via: None, state: MessageState::Refused, detail, settled_at: Some(now), ..self }
    }
}

/// Why a text is not accepted as a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// The text is empty.
    #[error("the message is empty")]
    Empty,
    /// The text is too long.
    #[error("the message has {length} characters, and the longest possible has {MAX_MESSAGE}")]
    TooLong {
        /// The length in characters.
        length: usize,
    },
}

/// Checks whether a text can be a message.
///
/// # Errors
/// Returns why it cannot.
pub fn check(text: &str) -> Result<(), BadMessage> {
    if text.trim().is_empty() {
        return Err(BadMessage::Empty);
    }
    match text.chars().count() {
        length if length > MAX_MESSAGE => Err(BadMessage::TooLong { length }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_endless_messages_are_refused() {
        assert_eq!(check(" \n\t"), Err(BadMessage::Empty));
        assert_eq!(check(&"ü".repeat(MAX_MESSAGE)), Ok(()));
        let length = MAX_MESSAGE + 1;
        assert_eq!(check(&"x".repeat(length)), Err(BadMessage::TooLong { length }));
    }

    #[test]
    fn the_names_read_back() {
        for state in [MessageState::Queued, MessageState::Delivered, MessageState::Refused] {
            assert_eq!(MessageState::parse(state.as_str()), Some(state));
        }
        for via in [Via::Live, Via::Prompt] {
            assert_eq!(Via::parse(via.as_str()), Some(via));
        }
        for author in [Author::Person, Author::Orch] {
            assert_eq!(Author::parse(author.as_str()), Some(author));
        }
        assert_eq!((MessageState::parse("lost"), Via::parse("post")), (None, None));
    }
}
