//! What a listed person may say in any chat, and what they are answered: commands, words for an agent, buttons. The same
//! for all services, which bring the words and show the answers. Everything is carried out through the API, by the same
//! routes as the commands of the terminal.

pub mod buttons;
mod carry_out;
pub mod channel_store;
pub mod live;
pub mod parse;
pub mod render;
pub mod strangers;

use crate::handled::Begun;
use buttons::redeem;
use carry_out::Order;
use channel_store::ChannelStore;
use jiff::{SignedDuration, Timestamp};
use orch_api::client::Client;
use orch_core::channel::{ChannelKind, ChatMessage, Document, Press};
use orch_core::ids::TaskId;
use orch_sys::crash::point;
use parse::{Ask, Unclear, Understood, understand};
use serde::{Deserialize, Serialize};

/// Keys of work that somebody wants to be different, and has not said how.
pub const WANTED: &str = "wanted/";
/// How long the words for that are waited for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);

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
    pub sayings: Vec<ChatMessage>,
    /// The output of this task is shown from now on.
    pub stream: Option<TaskId>,
    /// Streams end.
    pub stop_stream: Option<Stop>,
    /// A word to whoever pressed a button.
    pub toast: Option<String>,
    /// The buttons under the pressed message are void: it is shown without them.
    pub is_spent: bool,
}

impl Answer {
    /// One thing is said.
    pub fn of(saying: ChatMessage) -> Self {
        Self { sayings: vec![saying], ..Self::default() }
    }
}

/// Which streams end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// That of this task.
    Task(TaskId),
    /// All.
    All,
}

/// Work that somebody wants to be different.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    commit: String,
    until: Timestamp,
    /// The order that said how.
    #[serde(default)]
    said_by: Option<String>,
}

/// Answers the people of one chat. Who may speak is looked at before ([`strangers`]).
#[derive(Clone)]
pub struct Conversation {
    client: Client,
    store: ChannelStore,
    us: Option<String>,
}

impl Conversation {
    /// Over this client; `us`: how the bot is called, where commands may name it.
    pub fn new(client: Client, store: ChannelStore, us: Option<String>) -> Self {
        Self { client, store, us }
    }

    /// Carries out what somebody said, and answers it. It is carried out once, however often it is asked for with the same
    /// mark, also where orch died over it.
    pub async fn answer(&self, speaker: &Speaker, said: Said, begun: &Begun, now: Timestamp) -> Answer {
        let key = format!("{}-{}", speaker.channel, begun.key);
        let client = self.client.on_behalf_of(speaker.told()).once(&key);
        let order = Order { client, by: speaker.told(), key, begun: begun.at };
        match said {
            Said::Words { text, thread, document } => match understand(&text, self.us.as_deref(), thread) {
                Understood::NotForUs => Answer::default(),
                Understood::Unclear(Unclear::Empty) if document.is_some() => {
                    Answer::of(render::sentence("A file alone says nothing: write /add TITLE under it."))
                }
                Understood::Unclear(unclear) => {
                    Answer::of(ChatMessage { task: thread, ..render::sentence(unclear.to_string()) })
                }
                Understood::Ask(ask @ Ask::Add { .. }) => order.ask(ask, document).await,
                Understood::Ask(_) | Understood::Tell(..) if document.is_some() => {
                    let why = "Nothing was done: a file becomes a part of a new task only (/add TITLE under it); say the \
                               rest without one.";
                    Answer::of(ChatMessage { task: thread, ..render::sentence(why) })
                }
                Understood::Ask(ask) => order.ask(ask, None).await,
                Understood::Tell(task, words) => self.tell(&order, speaker, (task, words)).await,
            },
            Said::Pressed { token, message } => self.pressed(&order, speaker, (&token, &message), now).await,
        }
    }

    /// Words in a task's thread: what somebody wants to be different who was asked for it, or else a message to the agent.
    async fn tell(&self, order: &Order, speaker: &Speaker, (task, words): (TaskId, String)) -> Answer {
        let key = format!("{WANTED}{task}/{}", speaker.user);
        let kept = match self.store.kept(&key).await {
            Ok(kept) => kept,
            Err(error) => return broken(&error.to_string()),
        };
        let wanted = kept.and_then(|text| serde_json::from_str::<Wanted>(&text).ok());
        let is_meant = |wanted: &Wanted| {
            order.begun <= wanted.until && wanted.said_by.as_ref().is_none_or(|said_by| *said_by == order.key)
        };
        let Some(wanted) = wanted.filter(is_meant) else { return Answer::of(order.tell(task, words).await) };
        let commit = Some(wanted.commit.clone());
        let said = Wanted { said_by: Some(order.key.clone()), ..wanted };
        // The next words are a message to the agent, and these are none, wherever orch dies.
        match self.store.keep(&key, serde_json::to_string(&said).ok()).await {
            Ok(()) => Answer::of(
                order.reject(task, words, commit).await.unwrap_or_else(|error| render::refused(&error, Some(task))),
            ),
            Err(error) => broken(&error.to_string()),
        }
    }

    async fn pressed(
        &self,
        order: &Order,
        speaker: &Speaker,
        (token, message): (&str, &str),
        now: Timestamp,
    ) -> Answer {
        let press = match redeem(&self.store, token, (&speaker.user, message), (&order.key, order.begun)).await {
            Ok(Ok(press)) => press,
            Ok(Err(void)) => return Answer { toast: Some(void.to_string()), ..Answer::default() },
            Err(error) => return Answer { toast: Some(error.to_string()), ..Answer::default() },
        };
        point!("press.taken");
        let (saying, toast, is_spent) = match press {
            Press::Approve { task, commit } => {
                (order.ask(Ask::Approve(task, Some(commit)), None).await, "to be approved; the answer follows", true)
            }
            Press::RequestChanges { task, commit } => {
                (self.want_changes(speaker, task, commit, now).await, "say what is to be different", true)
            }
            Press::ShowDiff { task } => (order.ask(Ask::Diff(task), None).await, "the difference follows", false),
            Press::Retry { task, since } => {
                (order.press(task, "retry", since).await, "again from the beginning; the answer follows", true)
            }
            Press::Unblock { task, since } => {
                (order.press(task, "unblock", since).await, "to go on; the answer follows", true)
            }
            Press::Cancel { task, since } => {
                (order.press(task, "cancel", since).await, "to be given up; the answer follows", true)
            }
        };
        point!("press.done");
        Answer { toast: Some(toast.to_owned()), is_spent, ..saying }
    }

    async fn want_changes(&self, speaker: &Speaker, task: TaskId, commit: String, now: Timestamp) -> Answer {
        let until = now.saturating_add(PATIENCE).unwrap_or(Timestamp::MAX);
        let wanted = serde_json::to_string(&Wanted { commit, until, said_by: None }).ok();
        match self.store.keep(&format!("{WANTED}{task}/{}", speaker.user), wanted).await {
            Ok(()) => Answer::of(render::about(
                task,
                format!(
                    "What is to be different about #{task}? Answer this message within half an hour; its author reads it."
                ),
            )),
            Err(error) => broken(&error.to_string()),
        }
    }
}

fn broken(error: &str) -> Answer {
    Answer::of(render::sentence(format!("That could not be done: {error}")))
}
