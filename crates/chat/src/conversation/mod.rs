//! The conversation with listed users in any chat: commands, messages to agents, buttons, and the answers. The same for all
//! services, which pass in messages and show answers. Everything is carried out through the API, by the same routes as the
//! commands of the terminal.

pub mod buttons;
mod carry_out;
pub mod channel_store;
pub mod live;
pub mod parse;
pub mod render;
pub mod strangers;

use crate::handled::Begun;
use buttons::redeem;
use carry_out::{Order, Verb};
use channel_store::ChannelStore;
use jiff::{SignedDuration, Timestamp};
use orch_api::client::Client;
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::{ChannelKind, ChatMessage, Document, Press};
use orch_sys::crash::point;
use parse::{Ask, Unclear, Understood, parse_message};
use serde::{Deserialize, Serialize};

/// Prefix of the keys of requested changes that are not described yet.
pub const WANTED: &str = "wanted/";
/// How long the description of a requested change is waited for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);

/// The user who sent a message or pressed a button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// Channel of the message.
    pub channel: ChannelKind,
    /// Id of the user at the service. It alone decides what they may do.
    pub user: String,
    /// Display name: shown, never used for authorization.
    pub name: String,
}

impl Speaker {
    /// Returns the name of the user in the history.
    pub fn label(&self) -> String {
        format!("{} user {}", self.channel, self.user)
    }
}

/// What a user did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// They wrote a message.
    Words {
        /// Text of the message.
        text: String,
        /// The task of the thread in which it was written.
        thread: Option<TaskId>,
        /// An attached text file.
        document: Option<Document>,
    },
    /// They pressed a button.
    Pressed {
        /// Token of the button.
        token: String,
        /// Id of the message with the button.
        message: String,
    },
}

/// The answer to a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Messages to send.
    pub messages: Vec<ChatMessage>,
    /// The task whose output is shown from now on.
    pub stream: Option<TaskId>,
    /// The streams that stop.
    pub stop_stream: Option<Stop>,
    /// A short notice for the user who pressed a button.
    pub toast: Option<String>,
    /// Whether the buttons of the message are used up and are removed.
    pub is_spent: bool,
}

impl Answer {
    /// Creates an answer of one message.
    pub fn new(message: ChatMessage) -> Self {
        Self { messages: vec![message], ..Self::default() }
    }
}

/// Which streams stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The stream of this task.
    Task(TaskId),
    /// All streams.
    All,
}

/// A requested change that waits for its description.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    commit: String,
    until: Timestamp,
    /// Key of the order that described the change.
    said_by: Option<String>,
}

/// Answers the users of one chat. The caller checks who is listed ([`strangers`]).
#[derive(Clone)]
pub struct Conversation {
    client: Client,
    store: ChannelStore,
    us: Option<String>,
}

impl Conversation {
    /// Creates a conversation over this client. `us` is the bot's name, which commands may contain.
    pub fn new(client: Client, store: ChannelStore, us: Option<String>) -> Self {
        Self { client, store, us }
    }

    /// Carries out what a user did and returns the answer. With the same key it is carried out only once, even if the daemon
    /// crashed meanwhile.
    pub async fn answer(&self, speaker: &Speaker, said: Said, begun: &Begun, now: Timestamp) -> Answer {
        let key = format!("{}-{}", speaker.channel, begun.key);
        let client = self.client.on_behalf_of(speaker.label()).once(&key);
        let order = Order { client, by: speaker.label(), key, started: begun.at };
        match said {
            Said::Words { text, thread, document } => match parse_message(&text, self.us.as_deref(), thread) {
                Understood::NotForUs => Answer::default(),
                Understood::Unclear(Unclear::Empty) if document.is_some() => {
                    Answer::new(render::sentence("A file alone is not a command: write /add TITLE under it."))
                }
                Understood::Unclear(unclear) => {
                    Answer::new(ChatMessage { task: thread, ..render::sentence(unclear.to_string()) })
                }
                Understood::Ask(ask @ Ask::Add { .. }) => order.ask(ask, document).await,
                Understood::Ask(_) | Understood::Message(..) if document.is_some() => {
                    let why = "Nothing was done: a file can only become a part of a new task (/add TITLE under it); send the \
                               rest without one.";
                    Answer::new(ChatMessage { task: thread, ..render::sentence(why) })
                }
                Understood::Ask(ask) => order.ask(ask, None).await,
                Understood::Message(task, text) => self.task_text(&order, speaker, task, text).await,
            },
            Said::Pressed { token, message } => self.pressed(&order, speaker, &token, &message, now).await,
        }
    }

    /// Handles text in a task's thread: the description of a requested change if one is pending, else a message to the agent.
    async fn task_text(&self, order: &Order, speaker: &Speaker, task: TaskId, text: String) -> Answer {
        let key = format!("{WANTED}{task}/{}", speaker.user);
        let kept = match self.store.get(&key).await {
            Ok(kept) => kept,
            Err(error) => return broken(&error.to_string()),
        };
        let wanted = kept.and_then(|text| serde_json::from_str::<Wanted>(&text).ok());
        let is_meant = |wanted: &Wanted| {
            order.started <= wanted.until && wanted.said_by.as_ref().is_none_or(|said_by| *said_by == order.key)
        };
        let Some(wanted) = wanted.filter(is_meant) else { return Answer::new(order.send(task, text).await) };
        let commit = Some(wanted.commit.clone());
        let said = Wanted { said_by: Some(order.key.clone()), ..wanted };
        // Recorded first, so that after a crash this text is not also sent to the agent.
        match self.store.set(&key, serde_json::to_string(&said).ok()).await {
            Ok(()) => Answer::new(
                order.reject(task, text, commit).await.unwrap_or_else(|error| render::refused(&error, Some(task))),
            ),
            Err(error) => broken(&error.to_string()),
        }
    }

    async fn pressed(&self, order: &Order, speaker: &Speaker, token: &str, message: &str, now: Timestamp) -> Answer {
        let press = match redeem(&self.store, token, &speaker.user, message, &order.key, order.started).await {
            Ok(Ok(press)) => press,
            Ok(Err(void)) => return Answer { toast: Some(void.to_string()), ..Answer::default() },
            Err(error) => return Answer { toast: Some(error.to_string()), ..Answer::default() },
        };
        point!("press.taken");
        let (content, toast, is_spent) = match press {
            Press::Approve { task, commit } => {
                (order.ask(Ask::Approve(task, Some(commit)), None).await, "approving; the answer follows", true)
            }
            Press::RequestChanges { task, commit } => {
                (self.want_changes(speaker, task, commit, now).await, "describe the changes", true)
            }
            Press::ShowDiff { task } => (order.ask(Ask::Diff(task), None).await, "the diff follows", false),
            Press::Retry { task, since } => {
                (order.press(task, Verb::Retry, since).await, "retrying; the answer follows", true)
            }
            Press::Unblock { task, since } => {
                (order.press(task, Verb::Unblock, since).await, "unblocking; the answer follows", true)
            }
            Press::Cancel { task, since } => {
                (order.press(task, Verb::Cancel, since).await, "cancelling; the answer follows", true)
            }
        };
        point!("press.done");
        Answer { toast: Some(toast.to_owned()), is_spent, ..content }
    }

    async fn want_changes(&self, speaker: &Speaker, task: TaskId, commit: String, now: Timestamp) -> Answer {
        let until = now.saturating_add(PATIENCE).unwrap_or(Timestamp::MAX);
        let wanted = serde_json::to_string(&Wanted { commit, until, said_by: None }).ok();
        match self.store.set(&format!("{WANTED}{task}/{}", speaker.user), wanted).await {
            Ok(()) => Answer::new(render::about(
                task,
                format!(
                    "What should change in #{task}? Reply to this message within half an hour; the agent reads it."
                ),
            )),
            Err(error) => broken(&error.to_string()),
        }
    }
}

fn broken(error: &str) -> Answer {
    Answer::new(render::sentence(format!("That could not be done: {error}")))
}
