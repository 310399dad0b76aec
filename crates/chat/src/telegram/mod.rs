//! The Telegram channel over the Bot API: passes messages and button presses of listed users to the conversation, and sends
//! messages to the chat at the rate that Telegram allows. Uses long polling: no webhook and no open port.

pub mod client;
mod inbox;
mod markup;
mod meaning;
mod polling;
mod service;
mod threads;
mod wire;

pub use super::rate_limit::Limits;
pub use service::TelegramService;

use super::chat::Refusal;
use super::conversation::channel_store::ChannelStore;
use super::service::ServiceChannel;
use client::{Bot, BotError, SetupError};
use inbox::Listed;
use orch_config::resolved_channels::Telegram as Settings;
use orch_config::secret::Secret;
use orch_core::operations::channel::ChannelKind;
use orch_engine::handle::EngineHandle;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use threads::Threads;
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

/// The channel.
pub type Telegram = ServiceChannel<TelegramService>;

impl Telegram {
    /// Creates the channel without connecting.
    ///
    /// # Errors
    /// The token or the URL is invalid.
    pub fn new(setup: Setup, store: ChannelStore) -> Result<Self, SetupError> {
        let Setup { token, chat, users, api_url, limits } = setup;
        let bot = Bot::new(&api_url, token)?;
        let listed = Listed { chat, users: users.iter().map(i64::to_string).collect() };
        let threads = |chat| Threads::new(chat, store.clone());
        let private: BTreeMap<_, _> =
            users.into_iter().filter(|user| *user != chat).map(|user| (user, threads(user))).collect();
        let (users, chats) = (listed.users.clone(), private.keys().copied().collect::<Vec<_>>());
        let service = TelegramService { bot, listed, limits, threads: threads(chat), private };
        Ok(Self::over(service, store, (chat, chats), &users))
    }

    /// Creates the channel from the settings and their token, with the journal as its store.
    ///
    /// # Errors
    /// A setting is invalid.
    pub fn open(settings: &Settings, token: Secret, engine: EngineHandle) -> Result<Self, SetupError> {
        Self::new(Setup::from_settings(settings, token)?, ChannelStore::Journal(engine, ChannelKind::Telegram))
    }

    /// Returns the names of the bot and the chat for `orch channel test`, without sending a message.
    ///
    /// # Errors
    /// The token or the chat is refused, or the server cannot be reached.
    pub async fn check(&self) -> Result<String, Refusal> {
        let refusal = |error: BotError| service::refusal(meaning::classify(&error));
        let bot = &self.0.service.bot;
        let me: User = bot.call("getMe", &json!({})).await.map_err(refusal)?;
        let chat: Chat = bot.call("getChat", &json!({"chat_id": self.0.home})).await.map_err(refusal)?;
        let title = chat.title.unwrap_or_else(|| "a private chat".to_owned());
        Ok(format!("@{} in {title}", me.username.unwrap_or_default()))
    }
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
