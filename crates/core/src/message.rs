//! A message of the person to the agent that works on a task, and what became of it. PURE.

use super::ids::{RunId, TaskId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest message, in characters: a page of wishes. More belongs into a file of the repository.
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

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It waits for the agent.
    Queued,
    /// The agent has taken it up.
    Delivered,
    /// No agent will read it.
    Refused,
}

impl MessageState {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
        }
    }

    /// Reads a stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Delivered, Self::Refused].into_iter().find(|state| state.as_str() == text)
    }
}

/// Who says something to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The person.
    #[default]
    Person,
    /// orch itself: it asks one agent what it does, and nobody else.
    Orch,
}

impl Author {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Orch => "orch",
        }
    }

    /// Reads a stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Person, Self::Orch].into_iter().find(|author| author.as_str() == text)
    }
}

/// By which way a message reaches an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// While it worked.
    Live,
    /// With the prompt of a run.
    Prompt,
}

impl Via {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Prompt => "prompt",
        }
    }

    /// Reads a stable name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Prompt].into_iter().find(|via| via.as_str() == text)
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// To whoever works on this task.
    pub task: TaskId,
    /// Who says it.
    pub from: Author,
    /// The run that took it, or that begins with it; of orch's own: the only one that it is for.
    pub run: Option<RunId>,
    /// By which way; `None` as long as none is chosen.
    pub via: Option<Via>,
    /// What the person says.
    pub text: String,
    /// When.
    pub sent_at: Timestamp,
    /// What became of it.
    pub state: MessageState,
    /// Why, in words, where there is more to say.
    pub detail: String,
    /// Since when nothing changes any more.
    pub settled_at: Option<Timestamp>,
}

impl Message {
    /// One that waits.
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

    /// One of orch's own, to the agent of a run.
    pub fn of_orch(id: MessageId, task: TaskId, run: RunId, text: String, now: Timestamp) -> Self {
        Self { from: Author::Orch, run: Some(run), ..Self::new(id, task, text, now) }
    }

    /// Whether it stands in the prompt of a run that has not shown a sign of life yet.
    pub fn is_in_a_prompt(&self) -> bool {
        self.state == MessageState::Queued && self.via == Some(Via::Prompt)
    }

    /// An agent has taken it up.
    pub fn delivered(self, run: RunId, via: Via, now: Timestamp) -> Self {
        Self { run: Some(run), via: Some(via), state: MessageState::Delivered, settled_at: Some(now), ..self }
    }

    /// No agent will read it.
    pub fn refused(self, why: &str, now: Timestamp) -> Self {
        let detail = format!("not delivered: {why}");
        Self { run: None, via: None, state: MessageState::Refused, detail, settled_at: Some(now), ..self }
    }
}

/// A text that is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Nothing is said.
    #[error("the message is empty")]
    Empty,
    /// Too much is said.
    #[error("the message has {length} characters, and the longest possible has {MAX_MESSAGE}")]
    TooLong {
        /// Its length.
        length: usize,
    },
}

/// Whether a text can be a message.
///
/// # Errors
/// Why it cannot.
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
