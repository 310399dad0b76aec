//! Messages to a person in a channel and the buttons below them, without the markup of any service. PURE.

use crate::base::ids::TaskId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use strum::IntoStaticStr;

/// A kind of channel to the person, beside the terminal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case")]
pub enum ChannelKind {
    /// A chat through the Telegram Bot API.
    Telegram,
    /// A channel of a Discord server.
    Discord,
    /// HTTP requests to a URL.
    Webhook,
    /// Desktop notifications of this machine.
    Desktop,
}

impl ChannelKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Telegram, Self::Discord, Self::Webhook, Self::Desktop];

    /// Returns the name used in configuration, commands and the journal.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Plain text.
    Plain(String),
    /// Emphasized text.
    Bold(String),
    /// A command, a name, a path.
    Code(String),
}

/// A paragraph or preformatted text. Its text is data: the renderer must escape it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// One line.
    Line(Vec<Span>),
    /// Output, a diff, a table: preformatted.
    Block(String),
}

impl Block {
    /// Creates a line of plain text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Line(vec![Span::Plain(text.into())])
    }
}

/// The action of a button. Bound to one task in its present state and, for decisions on work, to one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Press {
    /// Approves the work at this commit.
    Approve {
        /// The task.
        task: TaskId,
        /// The commit that was shown.
        commit: String,
    },
    /// Sends the work at this commit back; the person is asked for the reason.
    RequestChanges {
        /// The task.
        task: TaskId,
        /// The commit that was shown.
        commit: String,
    },
    /// Shows the difference.
    ShowDiff {
        /// The task.
        task: TaskId,
    },
    /// Restarts the task from the beginning.
    Retry {
        /// The task.
        task: TaskId,
        /// When the task's state shown with the button began; the button does nothing if the state has changed since.
        #[serde(default)]
        since: Option<Timestamp>,
    },
    /// Lets the task go on.
    Unblock {
        /// The task.
        task: TaskId,
        /// When the task's state shown with the button began; the button does nothing if the state has changed since.
        #[serde(default)]
        since: Option<Timestamp>,
    },
    /// Cancels the task.
    Cancel {
        /// The task.
        task: TaskId,
        /// When the task's state shown with the button began; the button does nothing if the state has changed since.
        #[serde(default)]
        since: Option<Timestamp>,
    },
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// The label.
    pub label: String,
    /// The action.
    pub press: Press,
}

/// Text that is too long for a message and is attached as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The file's name, e.g. `7.diff`.
    pub name: String,
    /// The file's contents.
    pub text: String,
}

/// One message in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatMessage {
    /// The text.
    pub blocks: Vec<Block>,
    /// The buttons below the text.
    pub buttons: Vec<Button>,
    /// The attached file.
    pub document: Option<Document>,
    /// The task that it is about; the message goes to that task's thread.
    pub task: Option<TaskId>,
    /// Whether it makes a sound even if other messages do not.
    pub is_urgent: bool,
}

impl ChatMessage {
    /// Returns the text without markup, one line per block.
    pub fn plain_text(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            match block {
                Block::Line(spans) => {
                    for span in spans {
                        match span {
                            Span::Plain(words) | Span::Bold(words) | Span::Code(words) => text.push_str(words),
                        }
                    }
                }
                Block::Block(block) => text.push_str(block.trim_end_matches('\n')),
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_without_markup() {
        let line = Block::Line(vec![Span::Bold("7".to_owned()), Span::Plain(" waits".to_owned())]);
        let content = ChatMessage { blocks: vec![line, Block::Block("a\nb\n".to_owned())], ..ChatMessage::default() };
        assert_eq!(content.plain_text(), "7 waits\na\nb\n");
    }

    #[test]
    fn what_is_stored_of_a_button_reads_back() {
        for kind in ChannelKind::ALL {
            assert_eq!(serde_json::to_string(&kind).expect("JSON"), format!("\"{kind}\""));
        }
        let press = Press::Approve { task: TaskId(7), commit: "abc".to_owned() };
        let json = serde_json::to_string(&press).expect("JSON");
        assert_eq!(serde_json::from_str::<Press>(&json).expect("a press"), press);
    }
}
