//! What a listed person may say in any chat, and what they are answered: commands, words for an agent, buttons. The same
//! for all services, which bring the words and show the answers. Everything is carried out through the API, by the same
//! routes as the commands of the terminal.

pub mod words;

use crate::domain::channel::{ChannelKind, Document, Saying};
use crate::domain::ids::TaskId;

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// Where.
    pub channel: ChannelKind,
    /// The id by which the service knows them. It alone decides what they may.
    pub user: String,
    /// How they are called: shown, and never believed.
    pub name: String,
}

impl Speaker {
    /// As the history names them.
    pub fn told(&self) -> String {
        format!("{} user {}", self.channel, self.user)
    }
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// They wrote something.
    Words {
        /// What.
        text: String,
        /// The task in whose thread.
        thread: Option<TaskId>,
        /// A text file that came with it.
        document: Option<Document>,
    },
    /// They pressed a button.
    Pressed {
        /// What the button bears.
        token: String,
        /// The message that it stands under, by the service's name.
        message: String,
    },
}

/// What they are answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// What is said.
    pub sayings: Vec<Saying>,
    /// The output of this task is shown from now on.
    pub stream: Option<TaskId>,
    /// Streams end.
    pub stop_stream: Option<Stop>,
    /// A word to whoever pressed a button.
    pub toast: Option<String>,
    /// The buttons under the pressed message are void: it is shown without them.
    pub is_spent: bool,
}

/// Which streams end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// That of this task.
    Task(TaskId),
    /// All.
    All,
}
