//! A channel is tried without a daemon: whether its token is taken and its place is there. In a chat nothing is said, because
//! nobody would hear the answer; a webhook and a desktop can only be tried by saying something.

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
use orch_core::channel::{Block, ChannelKind, ChatMessage};
use orch_engine::Sources;
use std::time::Duration;
use tokio::time::timeout;

/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// The token is taken, and the place is there: whose bot, and where. Nothing was said.
    Found(String),
    /// Something was said.
    Said,
    /// Its token is not here: in a variable that only the daemon may have, or in a file that is not there. Nobody was asked.
    Untried(String),
    /// Nobody answered, or not now; in words.
    Unreached(String),
    /// It cannot be as it is set up; in words.
    Refused(String),
}

impl Setup {
    /// Tries a channel as the settings have it; `None`: it is off.
    pub async fn try_channel(&self, kind: ChannelKind, text: &str) -> Option<Trial> {
        let sources = Sources::new(self.home.clone(), self.environment.clone(), self.flags.clone());
        let channels = sources.load(&[], None).config.channels.clone();
        if !channels.is_on(kind) {
            return None;
        }
        let tried = timeout(PATIENCE, self.tried(kind, &channels, text)).await;
        Some(tried.unwrap_or_else(|_| Trial::Unreached("it does not answer in time".to_owned())))
    }

    async fn tried(&self, kind: ChannelKind, channels: &Channels, text: &str) -> Trial {
        let read = |reference: &Option<Reference>| -> Result<Option<Secret>, Trial> {
            let secret = reference.as_ref().map(|one| one.read(&self.home, &self.environment));
            secret.transpose().map_err(Trial::Untried)
        };
        let saying = ChatMessage { passages: vec![Block::plain(text)], ..ChatMessage::default() };
        let done = async {
            match kind {
                ChannelKind::Telegram => {
                    let Some(token) = read(&channels.telegram.bot_token)? else { return Ok(no_token()) };
                    let setup = telegram::Setup::of(&channels.telegram, token).map_err(refused)?;
                    let channel = Telegram::new(setup, ChannelStore::in_memory()).map_err(refused)?;
                    Ok(channel.look().await.map_or_else(of_refusal, Trial::Found))
                }
                ChannelKind::Discord => {
                    let Some(token) = read(&channels.discord.bot_token)? else { return Ok(no_token()) };
                    let setup = discord::Setup::of(&channels.discord, token).map_err(refused)?;
                    let channel = Discord::new(setup, ChannelStore::in_memory());
                    Ok(channel.look().await.map_or_else(of_refusal, Trial::Found))
                }
                ChannelKind::Webhook => {
                    let Some(url) = &channels.webhook.url else {
                        return Ok(Trial::Refused("it has no URL".to_owned()));
                    };
                    let url = url.read(&self.home, &self.environment).map_err(Trial::Untried)?;
                    let secret = read(&channels.webhook.secret)?;
                    let channel = Webhook::new(&url, secret.as_ref()).map_err(Trial::Refused)?;
                    Ok(channel.say(&saying).await.map_or_else(of_refusal, |_| Trial::Said))
                }
                ChannelKind::Desktop => {
                    let channel = Desktop::new(self.environment.clone());
                    Ok(channel.say(&saying).await.map_or_else(of_refusal, |_| Trial::Said))
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

fn of_refusal(refusal: Refusal) -> Trial {
    match refusal {
        Refusal::Later { why, .. } => Trial::Unreached(why),
        Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_) => Trial::Refused(refusal.to_string()),
    }
}
