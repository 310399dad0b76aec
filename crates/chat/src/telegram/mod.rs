//! Telegram by its Bot API: what people on the list write and press is taken to the conversation, and what is said is
//! brought to the chat, as often as Telegram allows. No webhook and no open port: the server is asked.

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
use super::shutdown::part;
use super::streams::{Shown, Streams};
use super::{Channel, TwoWay};
use client::{Bot, BotError, SetupError};
use inbox::Listed;
use jiff::Timestamp;
use orch_api::client::Client;
use orch_config::resolved_channels::Telegram as Settings;
use orch_config::secret::Secret;
use orch_core::channel::{ChannelKind, ChatMessage};
use orch_core::notice::{Notice, NoticeKind};
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

/// What the channel needs to know.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The bot's token.
    pub token: Secret,
    /// The chat in which things are said.
    pub chat: i64,
    /// The numbers of those who may say something. Nobody: things are said and nothing is heard.
    pub users: BTreeSet<i64>,
    /// The server.
    pub api_url: String,
    /// What a chat allows.
    pub limits: Limits,
}

impl Setup {
    /// Of the settings, and the token that they refer to.
    ///
    /// # Errors
    /// A number is none.
    pub fn of(settings: &Settings, token: Secret) -> Result<Self, SetupError> {
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| SetupError::Number(text.to_owned()));
        let chat = number(settings.chat_id.as_deref().ok_or(SetupError::NoChat)?)?;
        let users = settings.allowed_users.iter().map(|user| number(user)).collect::<Result<_, _>>()?;
        Ok(Self { token, chat, users, api_url: settings.api_url.clone(), limits: Limits::TELEGRAM })
    }
}

/// The channel. Cheap to clone.
#[derive(Clone)]
pub struct Telegram(Arc<Parts>);

struct Parts {
    bot: Bot,
    listed: Listed,
    store: ChannelStore,
    queue: OutboundQueue,
    /// Where each of the listed may speak with the bot alone.
    private: BTreeMap<i64, OutboundQueue>,
    health: Health,
    streams: Streams<i64>,
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl Telegram {
    /// With this setup; nothing is asked of anybody yet.
    ///
    /// # Errors
    /// It cannot be right.
    pub fn new(setup: Setup, store: ChannelStore) -> Result<Self, SetupError> {
        let Setup { token, chat, users, api_url, limits } = setup;
        let bot = Bot::new(&api_url, token)?;
        let listed = Listed { chat, users: users.iter().map(i64::to_string).collect() };
        let health = Health::new(ChannelKind::Telegram);
        let queue_of =
            |chat| OutboundQueue::new(bot.clone(), chat, store.clone(), listed.users.clone(), health.clone(), limits);
        let private = users.iter().filter(|user| **user != chat).map(|user| (*user, queue_of(*user))).collect();
        let queue = queue_of(chat);
        let streams = Streams::new(store.clone());
        Ok(Self(Arc::new(Parts { bot, listed, store, queue, private, health, streams })))
    }

    /// Of the settings and the token that they refer to; what must outlive the process is kept in the journal.
    ///
    /// # Errors
    /// It cannot be right.
    pub fn open(settings: &Settings, token: Secret, engine: EngineHandle) -> Result<Self, SetupError> {
        Self::new(Setup::of(settings, token)?, ChannelStore::Journal(engine, ChannelKind::Telegram))
    }

    /// What is wrong now; `None`: nothing.
    pub fn trouble(&self) -> Option<String> {
        self.0.health.trouble()
    }

    /// How much waits to be said.
    pub fn waiting(&self) -> usize {
        self.desks().map(OutboundQueue::waiting).sum()
    }

    fn desks(&self) -> impl Iterator<Item = &OutboundQueue> {
        std::iter::once(&self.0.queue).chain(self.0.private.values())
    }

    fn desk_of(&self, chat: i64) -> &OutboundQueue {
        self.0.private.get(&chat).unwrap_or(&self.0.queue)
    }

    /// Whose bot it is, and what the chat is called: what `orch channel test` tells. One look, nothing is said.
    ///
    /// # Errors
    /// The token, the chat or the server is not there.
    pub async fn look(&self) -> Result<String, Refusal> {
        let refusal = |error: BotError| outbound_queue::refusal(meaning::of(&error));
        let me: User = self.0.bot.call("getMe", &json!({})).await.map_err(refusal)?;
        let chat = self.0.bot.call("getChat", &json!({"chat_id": self.0.listed.chat})).await;
        let chat: Chat = chat.map_err(refusal)?;
        let title = chat.title.unwrap_or_else(|| "a private chat".to_owned());
        Ok(format!("@{} in {title}", me.username.unwrap_or_default()))
    }

    /// Shows the output of a task in a chat from now on.
    async fn stream(&self, shown: Shown<i64>, (client, tracker): (&Client, &TaskTracker)) {
        let (key, stop) = self.0.streams.begin(&shown, now()).await;
        self.show((key, stop), shown, (client, tracker));
    }

    /// Goes on with the streams that were open when orch, or this channel, ended.
    async fn go_on(&self, client: &Client, tracker: &TaskTracker) {
        for (key, shown) in self.0.streams.unfinished().await {
            let chat = shown.chat;
            let is_heard = !self.0.listed.users.is_empty() && shown.home == self.0.listed.chat;
            if !is_heard || (chat != self.0.listed.chat && !self.0.private.contains_key(&chat)) {
                // Nobody there may see it any more.
                self.0.streams.over(key).await;
                continue;
            }
            if let Some(message) = shown.message().and_then(|message| message.parse().ok()) {
                self.desk_of(chat).adopt(key, message);
            }
            let stop = self.0.streams.go_on(key, &shown);
            self.show((key, stop), shown, (client, tracker));
        }
    }

    fn show(
        &self,
        (key, stop): (u64, CancellationToken),
        Shown { chat, task, .. }: Shown<i64>,
        (client, tracker): (&Client, &TaskTracker),
    ) {
        let (queue, client, telegram) = (self.desk_of(chat).clone(), client.clone(), self.clone());
        tracker.spawn(async move {
            let show = |saying, stage| queue.show(key, saying, stage);
            let answer = |saying| queue.answer(saying);
            telegram.0.streams.run((key, stop), (chat, task), &client, show, answer).await;
        });
    }
}

impl TwoWay for Telegram {
    async fn run(&self, client: Client, cancel: CancellationToken) {
        let (tracker, closing, mut queues) = (TaskTracker::new(), CancellationToken::new(), JoinSet::new());
        for queue in self.desks() {
            let (queue, closing) = (queue.clone(), closing.clone());
            queues.spawn(async move { queue.run(&closing).await });
        }
        self.go_on(&client, &tracker).await;
        let mut poller = Poller { telegram: self, client: &client, tracker: &tracker, cancel: &cancel };
        poller.run().await;
        cancel.cancelled().await;
        self.0.streams.leave();
        part(&tracker, &closing, queues).await;
        self.desks().for_each(OutboundQueue::close);
    }
}

impl Channel for Telegram {
    // What is in the way of hearing is kept by whoever listens.
    fn trouble(&self) -> Option<String> {
        self.0.health.of(Way::Out)
    }

    async fn say(&self, saying: &ChatMessage) -> Result<Option<String>, Refusal> {
        self.0.queue.say(saying).await
    }

    async fn tell(&self, _key: &str, notices: &[Notice], saying: &ChatMessage) -> Result<Option<String>, Refusal> {
        let is_of_strangers = notices.iter().all(|notice| notice.kind == NoticeKind::Stranger);
        if self.0.listed.chat < 0 && is_of_strangers && !notices.is_empty() {
            // In the group they would read it themselves.
            for queue in self.0.private.values() {
                match queue.say(saying).await {
                    Ok(_) => return Ok(None),
                    Err(refusal @ Refusal::Later { .. }) => return Err(refusal),
                    // Who has never written to the bot cannot be written to.
                    Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => {}
                }
            }
        }
        self.say(saying).await
    }

    async fn change(&self, message: &str, saying: &ChatMessage) -> Result<(), Refusal> {
        let message = message.parse().map_err(|_| Refusal::Gone)?;
        self.0.queue.change(message, saying).await
    }
}

/// What the conversation is led with.
fn conversation(telegram: &Telegram, client: &Client, us: Option<String>) -> Conversation {
    Conversation::new(client.clone(), telegram.0.store.clone(), us)
}

fn trouble(telegram: &Telegram, trouble: Option<String>) {
    telegram.0.health.set(Way::In, trouble);
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::notice::Filter;

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
        let of = |chat: Option<&str>, users: &[&str]| Setup::of(&settings(chat, users), Secret::new("t"));
        let setup = of(Some("-1001"), &["42", " 43"]).expect("numbers");
        assert_eq!((setup.chat, setup.users), (-1_001, BTreeSet::from([42, 43])));
        assert_eq!(of(None, &[]).expect_err("no chat"), SetupError::NoChat);
        for (chat, users) in [("@shop", vec![]), ("", vec![]), ("5", vec!["@ada"]), ("5", vec!["4 2"])] {
            let error = of(Some(chat), &users).expect_err("no number");
            assert!(matches!(error, SetupError::Number(_)) && error.to_string().contains("no names"), "{error}");
        }
    }
}
