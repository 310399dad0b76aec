//! The Telegram channel over the Bot API: passes messages and button presses of listed users to the conversation, and sends
//! messages to the chat at the rate that Telegram allows. Uses long polling: no webhook and no open port.

pub mod client;
mod inbox;
mod markup;
mod meaning;
mod outbound_queue;
mod polling;
mod threads;
mod wire;

pub use super::rate_limit::Limits;

use super::chat::Refusal;
use super::conversation::Conversation;
use super::conversation::channel_store::ChannelStore;
use super::health::{Health, Way};
use super::shutdown::shut_down;
use super::streams::{Shown, Streams};
use super::{Channel, TwoWay};
use client::{Bot, BotError, SetupError};
use inbox::Listed;
use jiff::Timestamp;
use orch_api::client::Client;
use orch_config::resolved_channels::Telegram as Settings;
use orch_config::secret::Secret;
use orch_core::notices::notice::{Notice, NoticeKind};
use orch_core::operations::channel::{ChannelKind, ChatMessage};
use orch_engine::handle::EngineHandle;
use orch_sys::clock::{Clock, SystemClock};
use outbound_queue::OutboundQueue;
use polling::Poller;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::{Chat, User};

/// Settings of the channel.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The bot's token.
    pub token: Secret,
    /// Id of the chat that receives the notifications.
    pub chat: i64,
    /// Ids of users who may send commands. If empty, the channel only sends.
    pub users: BTreeSet<i64>,
    /// URL of the Bot API server.
    pub api_url: String,
    /// Rate limits of a chat.
    pub limits: Limits,
}

impl Setup {
    /// Converts the settings, with the token that they refer to.
    ///
    /// # Errors
    /// An id is not a number, or the chat is missing.
    pub fn from_settings(settings: &Settings, token: Secret) -> Result<Self, SetupError> {
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| SetupError::Number(text.to_owned()));
        let chat = number(settings.chat_id.as_deref().ok_or(SetupError::NoChat)?)?;
        let users = settings.allowed_users.iter().map(|user| number(user)).collect::<Result<_, _>>()?;
        Ok(Self { token, chat, users, api_url: settings.api_url.clone(), limits: Limits::TELEGRAM })
    }
}

/// The channel. Cheap to clone.
#[derive(Clone)]
pub struct Telegram(Arc<Inner>);

struct Inner {
    bot: Bot,
    listed: Listed,
    store: ChannelStore,
    queue: OutboundQueue,
    /// Queues of the private chats, by listed user.
    private: BTreeMap<i64, OutboundQueue>,
    health: Health,
    streams: Streams<i64>,
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl Telegram {
    /// Creates the channel without connecting.
    ///
    /// # Errors
    /// The token or the URL is invalid.
    pub fn new(setup: Setup, store: ChannelStore) -> Result<Self, SetupError> {
        let Setup { token, chat, users, api_url, limits } = setup;
        let bot = Bot::new(&api_url, token)?;
        let listed = Listed { chat, users: users.iter().map(i64::to_string).collect() };
        let health = Health::new(ChannelKind::Telegram);
        let new_queue =
            |chat| OutboundQueue::new(bot.clone(), chat, store.clone(), listed.users.clone(), health.clone(), limits);
        let private = users.iter().filter(|user| **user != chat).map(|user| (*user, new_queue(*user))).collect();
        let queue = new_queue(chat);
        let streams = Streams::new(store.clone());
        Ok(Self(Arc::new(Inner { bot, listed, store, queue, private, health, streams })))
    }

    /// Creates the channel from the settings and their token, with the journal as its store.
    ///
    /// # Errors
    /// A setting is invalid.
    pub fn open(settings: &Settings, token: Secret, engine: EngineHandle) -> Result<Self, SetupError> {
        Self::new(Setup::from_settings(settings, token)?, ChannelStore::Journal(engine, ChannelKind::Telegram))
    }

    /// Returns the current problem; `None`: there is none.
    pub fn trouble(&self) -> Option<String> {
        self.0.health.trouble()
    }

    /// Returns the number of messages that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.queues().map(OutboundQueue::waiting).sum()
    }

    fn queues(&self) -> impl Iterator<Item = &OutboundQueue> {
        std::iter::once(&self.0.queue).chain(self.0.private.values())
    }

    fn queue_of(&self, chat: i64) -> &OutboundQueue {
        self.0.private.get(&chat).unwrap_or(&self.0.queue)
    }

    /// Returns the names of the bot and the chat for `orch channel test`, without sending a message.
    ///
    /// # Errors
    /// The token or the chat is refused, or the server cannot be reached.
    pub async fn check(&self) -> Result<String, Refusal> {
        let refusal = |error: BotError| outbound_queue::refusal(meaning::classify(&error));
        let me: User = self.0.bot.call("getMe", &json!({})).await.map_err(refusal)?;
        let chat = self.0.bot.call("getChat", &json!({"chat_id": self.0.listed.chat})).await;
        let chat: Chat = chat.map_err(refusal)?;
        let title = chat.title.unwrap_or_else(|| "a private chat".to_owned());
        Ok(format!("@{} in {title}", me.username.unwrap_or_default()))
    }

    /// Starts to show the output of a task in a chat.
    async fn stream(&self, shown: Shown<i64>, client: &Client, tracker: &TaskTracker) {
        let (key, stop) = self.0.streams.begin(&shown, now()).await;
        self.show((key, stop), shown, (client, tracker));
    }

    /// Resumes the streams that were open when the daemon or this channel stopped.
    async fn resume_streams(&self, client: &Client, tracker: &TaskTracker) {
        for (key, shown) in self.0.streams.unfinished().await {
            let chat = shown.chat;
            let is_heard = !self.0.listed.users.is_empty() && shown.home == self.0.listed.chat;
            if !is_heard || (chat != self.0.listed.chat && !self.0.private.contains_key(&chat)) {
                // The chat may no longer see it.
                self.0.streams.remove(key).await;
                continue;
            }
            if let Some(message) = shown.message().and_then(|message| message.parse().ok()) {
                self.queue_of(chat).adopt(key, message);
            }
            let stop = self.0.streams.resume(key, &shown);
            self.show((key, stop), shown, (client, tracker));
        }
    }

    fn show(
        &self,
        (key, stop): (u64, CancellationToken),
        Shown { chat, task, .. }: Shown<i64>,
        (client, tracker): (&Client, &TaskTracker),
    ) {
        let (queue, client, telegram) = (self.queue_of(chat).clone(), client.clone(), self.clone());
        tracker.spawn(async move {
            let show = |content, stage| queue.show(key, content, stage);
            let answer = |content| queue.answer(content);
            telegram.0.streams.run((key, stop), (chat, task), &client, show, answer).await;
        });
    }
}

impl TwoWay for Telegram {
    async fn run(&self, client: Client, cancel: CancellationToken) {
        let (tracker, closing, mut queues) = (TaskTracker::new(), CancellationToken::new(), JoinSet::new());
        for queue in self.queues() {
            let (queue, closing) = (queue.clone(), closing.clone());
            queues.spawn(async move { queue.run(&closing).await });
        }
        self.resume_streams(&client, &tracker).await;
        let mut poller = Poller { telegram: self, client: &client, tracker: &tracker, cancel: &cancel };
        poller.run().await;
        cancel.cancelled().await;
        self.0.streams.suspend();
        shut_down(&tracker, &closing, queues).await;
        self.queues().for_each(OutboundQueue::close);
    }
}

impl Channel for Telegram {
    // The poller stores problems of receiving.
    fn trouble(&self) -> Option<String> {
        self.0.health.get(Way::Out)
    }

    async fn send(&self, message: &ChatMessage) -> Result<Option<String>, Refusal> {
        self.0.queue.send(message).await
    }

    async fn send_notices(
        &self,
        _key: &str,
        notices: &[Notice],
        message: &ChatMessage,
    ) -> Result<Option<String>, Refusal> {
        let is_of_strangers = notices.iter().all(|notice| notice.kind == NoticeKind::Stranger);
        if self.0.listed.chat < 0 && is_of_strangers && !notices.is_empty() {
            // In the group, the stranger would read it.
            for queue in self.0.private.values() {
                match queue.send(message).await {
                    Ok(_) => return Ok(None),
                    Err(refusal @ Refusal::Later { .. }) => return Err(refusal),
                    // A bot cannot write to users who never wrote to it.
                    Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => {}
                }
            }
        }
        self.send(message).await
    }

    async fn edit(&self, id: &str, message: &ChatMessage) -> Result<(), Refusal> {
        let id = id.parse().map_err(|_| Refusal::Gone)?;
        self.0.queue.edit(id, message).await
    }
}

/// Creates the conversation of the channel.
fn conversation(telegram: &Telegram, client: &Client, us: Option<String>) -> Conversation {
    Conversation::new(client.clone(), telegram.0.store.clone(), us)
}

fn set_trouble(telegram: &Telegram, trouble: Option<String>) {
    telegram.0.health.set(Way::In, trouble);
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::notices::notice::Filter;

    fn settings(chat: Option<&str>, users: &[&str]) -> Settings {
        Settings {
            bot_token: None,
            chat_id: chat.map(str::to_owned),
            allowed_users: users.iter().map(|user| (*user).to_owned()).collect(),
            api_url: "https://api.telegram.org".to_owned(),
            filter: Filter::default(),
        }
    }

    #[test]
    fn people_and_chats_are_numbers() {
        let of = |chat: Option<&str>, users: &[&str]| Setup::from_settings(&settings(chat, users), Secret::new("t"));
        let setup = of(Some("-1001"), &["42", " 43"]).expect("numbers");
        assert_eq!((setup.chat, setup.users), (-1_001, BTreeSet::from([42, 43])));
        assert_eq!(of(None, &[]).expect_err("no chat"), SetupError::NoChat);
        for (chat, users) in [("@shop", vec![]), ("", vec![]), ("5", vec!["@ada"]), ("5", vec!["4 2"])] {
            let error = of(Some(chat), &users).expect_err("no number");
            assert!(matches!(error, SetupError::Number(_)) && error.to_string().contains("no names"), "{error}");
        }
    }
}
