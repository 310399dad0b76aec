//! The Discord channel: passes messages, commands and button presses of listed users to the conversation, and sends
//! messages to the channel, in one thread per task. Uses the person's own bot over the gateway; no open port.

mod api;
mod files;
mod gate;
mod gateway;
mod inbox;
mod listener;
mod render;
mod rest;
mod service;
mod threads;

pub use service::DiscordService;

use super::chat::Refusal;
use super::conversation::buttons::LISTED;
use super::conversation::channel_store::ChannelStore;
use super::service::ServiceChannel;
use api::id;
use inbox::Listed;
use orch_config::resolved_channels::{DISCORD_API, Discord as Settings};
use orch_config::secret::Secret;
use orch_core::operations::channel::ChannelKind;
use orch_engine::handle::EngineHandle;
use orch_sys::outgoing;
use reqwest::Url;
use twilight_model::id::marker::ChannelMarker;

/// Prefix of the keys that store direct-message channels by user.
const DIRECT: &str = "direct/";

/// Why settings are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// No channel is configured.
    #[error("channels.discord.channel_id is missing: orch config set channels.discord.channel_id <id>")]
    NoChannel,
    /// The text is not an id.
    #[error("{0:?} is not a Discord id: it is a number that “Copy ID” shows in developer mode")]
    Number(String),
    /// The token would be sent unencrypted.
    #[error("{0} is neither https nor on this machine: the token would be sent unencrypted")]
    Unsafe(String),
}

/// Settings of the channel.
#[derive(Debug, Clone)]
pub struct Setup {
    token: Secret,
    listed: Listed,
    /// URL of the API, if it is not Discord's.
    api_url: Option<String>,
    gateway_url: Option<String>,
}

impl Setup {
    /// Converts the settings, with the token that they refer to.
    ///
    /// # Errors
    /// An id is invalid or missing, or the token would be sent unencrypted.
    pub fn from_settings(settings: &Settings, token: Secret) -> Result<Self, SetupError> {
        let number = |text: &str| id::<ChannelMarker>(text.trim()).ok_or_else(|| SetupError::Number(text.to_owned()));
        let channel = number(settings.channel_id.as_deref().ok_or(SetupError::NoChannel)?)?;
        let all = |ids: &std::collections::BTreeSet<String>| {
            ids.iter().map(|text| number(text).map(|id| id.to_string())).collect::<Result<_, _>>()
        };
        let listed = Listed { channel, users: all(&settings.allowed_users)?, roles: all(&settings.allowed_roles)? };
        let api_url = (settings.api_url != DISCORD_API).then(|| settings.api_url.clone());
        let gateway_url = settings.gateway_url.clone();
        for url in api_url.iter().chain(&gateway_url) {
            if !is_safe(url) {
                return Err(SetupError::Unsafe(url.clone()));
            }
        }
        Ok(Self { token, listed, api_url, gateway_url })
    }
}

/// Returns whether a token may be sent there: encrypted, or to this machine.
fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().filter(|_| url.username().is_empty() && url.password().is_none());
    host.is_some_and(|host| match url.scheme() {
        "https" | "wss" => !host.is_empty(),
        "http" | "ws" => outgoing::is_here(host),
        _ => false,
    })
}

/// The channel.
pub type Discord = ServiceChannel<DiscordService>;

impl Discord {
    /// Creates the channel without connecting.
    pub fn new(setup: Setup, store: ChannelStore) -> Self {
        let (channel, mut users) = (setup.listed.channel, setup.listed.users.clone());
        if !setup.listed.roles.is_empty() {
            // Roles are checked at the press.
            users.insert(LISTED.to_owned());
        }
        Self::over(DiscordService::new(setup, store.clone()), store, (channel, []), &users)
    }

    /// Creates the channel from the settings and their token, with the journal as its store.
    ///
    /// # Errors
    /// A setting is invalid.
    pub fn open(settings: &Settings, token: Secret, engine: EngineHandle) -> Result<Self, SetupError> {
        Ok(Self::new(Setup::from_settings(settings, token)?, ChannelStore::Journal(engine, ChannelKind::Discord)))
    }

    /// Returns the name of the channel for `orch channel test`, without sending a message.
    ///
    /// # Errors
    /// The token or the channel is refused, or the server cannot be reached.
    pub async fn check(&self) -> Result<String, Refusal> {
        let at = self.0.service.api.whereabouts(self.0.home).await?;
        Ok(if at.guild.is_some() { format!("#{}", at.channel_name) } else { "a direct message".to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_nowhere_where_it_may_be_seen() {
        for url in ["https://discord.example", "wss://gateway.example/?v=10", "http://127.0.0.1:80", "ws://[::1]:9"] {
            assert!(is_safe(url), "{url}");
        }
        for url in
            ["http://discord.example", "ws://10.0.0.1", "discord.com", "http://127.0.0.1.example", "https://a@b", ""]
        {
            assert!(!is_safe(url), "{url}");
        }
    }

    #[test]
    fn an_invalid_id_is_reported() {
        let settings = Settings { channel_id: Some("7".to_owned()), ..Settings::default() };
        assert!(Setup::from_settings(&settings, Secret::new("t")).is_ok());
        let wrong = Settings { channel_id: Some("#tasks".to_owned()), ..Settings::default() };
        assert!(matches!(Setup::from_settings(&wrong, Secret::new("t")), Err(SetupError::Number(_))));
        assert!(matches!(Setup::from_settings(&Settings::default(), Secret::new("t")), Err(SetupError::NoChannel)));
        let seen = Settings { gateway_url: Some("ws://gateway.example".to_owned()), ..settings };
        assert!(matches!(Setup::from_settings(&seen, Secret::new("t")), Err(SetupError::Unsafe(_))));
    }
}
