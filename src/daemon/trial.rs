//! Tests a channel without a daemon: whether its token is accepted and its chat exists. In a chat nothing is sent, because
//! an answer would not be received; a webhook and a desktop can only be tested by a message.

use super::Setup;
use orch_chat::Channel;
use orch_chat::chat::Refusal;
use orch_chat::conversation::channel_store::ChannelStore;
use orch_chat::desktop::Desktop;
use orch_chat::discord::{self, Discord};
use orch_chat::telegram::{self, Telegram};
use orch_chat::webhook::Webhook;
use orch_config::resolved_channels::{Channels, Reference};
use orch_config::secret::Secret;
use orch_core::operations::channel::{Block, ChannelKind, ChatMessage};
use orch_engine::Sources;
use std::time::Duration;
use tokio::time::timeout;

/// The longest time for a trial.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The result of testing a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// The token is accepted and the chat exists: a description of bot and chat. Nothing was sent.
    Found(String),
    /// A test message was sent.
    Sent,
    /// Its token is unavailable: in a variable that only the daemon may have, or in a missing file. No request was made.
    NoSecret(String),
    /// There was no answer, or only a temporary refusal; the reason.
    Unreachable(String),
    /// The configuration is wrong; the reason.
    Refused(String),
}

impl Setup {
    /// Tests a channel as it is configured; `None` when it is disabled.
    pub async fn try_channel(&self, kind: ChannelKind, text: &str) -> Option<Trial> {
        let sources = Sources::new(self.home.clone(), self.environment.clone(), self.flags.clone());
        let channels = sources.load(&[], None).config.channels.clone();
        if !channels.is_on(kind) {
            return None;
        }
        let tried = timeout(TIMEOUT, self.tried(kind, &channels, text)).await;
        Some(tried.unwrap_or_else(|_| Trial::Unreachable("it does not answer in time".to_owned())))
    }

    async fn tried(&self, kind: ChannelKind, channels: &Channels, text: &str) -> Trial {
        let read = |reference: &Option<Reference>| -> Result<Option<Secret>, Trial> {
            let secret = reference.as_ref().map(|one| one.read(&self.home, &self.environment));
            secret.transpose().map_err(Trial::NoSecret)
        };
        let message = ChatMessage { blocks: vec![Block::plain(text)], ..ChatMessage::default() };
        let done = async {
            match kind {
                ChannelKind::Telegram => {
                    let Some(token) = read(&channels.telegram.bot_token)? else { return Ok(no_token()) };
                    let setup = telegram::Setup::from_settings(&channels.telegram, token).map_err(refused)?;
                    let channel = Telegram::new(setup, ChannelStore::in_memory()).map_err(refused)?;
                    Ok(channel.check().await.map_or_else(from_refusal, Trial::Found))
                }
                ChannelKind::Discord => {
                    let Some(token) = read(&channels.discord.bot_token)? else { return Ok(no_token()) };
                    let setup = discord::Setup::from_settings(&channels.discord, token).map_err(refused)?;
                    let channel = Discord::new(setup, ChannelStore::in_memory());
                    Ok(channel.check().await.map_or_else(from_refusal, Trial::Found))
                }
                ChannelKind::Webhook => {
                    let Some(url) = &channels.webhook.url else {
                        return Ok(Trial::Refused("it has no URL".to_owned()));
                    };
                    let url = url.read(&self.home, &self.environment).map_err(Trial::NoSecret)?;
                    let secret = read(&channels.webhook.secret)?;
                    let channel = Webhook::new(&url, secret.as_ref()).map_err(Trial::Refused)?;
                    Ok(channel.send(&message).await.map_or_else(from_refusal, |_| Trial::Sent))
                }
                ChannelKind::Desktop => {
                    let channel = Desktop::new(self.environment.clone());
                    Ok(channel.send(&message).await.map_or_else(from_refusal, |_| Trial::Sent))
                }
            }
        };
        let done: Result<Trial, Trial> = done.await;
        done.unwrap_or_else(|trial| trial)
    }
}

fn no_token() -> Trial {
    Trial::Refused("it has no token".to_owned())
}

fn refused(error: impl ToString) -> Trial {
    Trial::Refused(error.to_string())
}

fn from_refusal(refusal: Refusal) -> Trial {
    match refusal {
        Refusal::Later { why, .. } => Trial::Unreachable(why),
        Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_) => Trial::Refused(refusal.to_string()),
    }
}
