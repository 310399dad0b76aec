//! What a person is told in a channel, and what he can press under it: words without the markup of any service. PURE.

use super::ids::TaskId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A way to the person beside the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// A chat by the Telegram Bot API.
    Telegram,
    /// A channel of a Discord server.
    Discord,
    /// Requests to a URL.
    Webhook,
    /// Notifications of the desktop this machine shows.
    Desktop,
}

impl ChannelKind {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Telegram, Self::Discord, Self::Webhook, Self::Desktop];

    /// As it is written in configuration, commands and the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::Webhook => "webhook",
            Self::Desktop => "desktop",
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// Ordinary words.
    Plain(String),
    /// What catches the eye.
    Bold(String),
    /// A command, a name, a path.
    Code(String),
}

/// A paragraph, or text of a machine. Any text in it is data: who renders it escapes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// One line.
    Line(Vec<Span>),
    /// Output, a diff, a table: as it is, in columns.
    Block(String),
}

impl Block {
    /// A line of ordinary words.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Line(vec![Span::Plain(text.into())])
    }
}

/// What a button asks for. Bound to one task as it stands and, where work is ruled on, to one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Press {
    /// The work at this commit is accepted.
    Approve {
        /// Of this task.
        task: TaskId,
        /// The commit that was shown.
        commit: String,
    },
    /// The work at this commit is sent back; the words are asked for.
    RequestChanges {
        /// Of this task.
        task: TaskId,
        /// The commit that was shown.
        commit: String,
    },
    /// The difference is shown.
    ShowDiff {
        /// Of this task.
        task: TaskId,
    },
    /// From the beginning.
    Retry {
        /// This task.
        task: TaskId,
        /// As it has stood since then, when the button was shown; when it has moved since, nothing is done.
        #[serde(default)]
        since: Option<Timestamp>,
    },
    /// It may go on.
    Unblock {
        /// This task.
        task: TaskId,
        /// As it has stood since then, when the button was shown; when it has moved since, nothing is done.
        #[serde(default)]
        since: Option<Timestamp>,
    },
    /// Given up.
    Cancel {
        /// This task.
        task: TaskId,
        /// As it has stood since then, when the button was shown; when it has moved since, nothing is done.
        #[serde(default)]
        since: Option<Timestamp>,
    },
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What stands on it.
    pub label: String,
    /// What it asks for.
    pub press: Press,
}

/// Text that is too long for a message and goes with it as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The file's name, e.g. `7.diff`.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// One thing that is said in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChatMessage {
    /// The words.
    pub passages: Vec<Block>,
    /// What can be pressed under them.
    pub buttons: Vec<Button>,
    /// What goes with them.
    pub document: Option<Document>,
    /// The task it is about: it belongs into that task's thread.
    pub task: Option<TaskId>,
    /// It makes a sound even where others do not.
    pub is_urgent: bool,
}

impl ChatMessage {
    /// The words without any markup, a line each.
    pub fn plain_text(&self) -> String {
        let mut text = String::new();
        for passage in &self.passages {
            match passage {
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
        let saying = ChatMessage { passages: vec![line, Block::Block("a\nb\n".to_owned())], ..ChatMessage::default() };
        assert_eq!(saying.plain_text(), "7 waits\na\nb\n");
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
