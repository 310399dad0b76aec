//! The Discord channel: passes messages, commands and button presses of listed users to the conversation, and sends
//! messages to the channel, in one thread per task. Uses the person's own bot over the gateway; no open port.

mod api;
mod files;
mod gate;
mod gateway;
mod inbox;
mod listener;
mod outbound_queue;
mod render;
mod rest;
mod threads;

use super::chat::Refusal;
use super::conversation::buttons::LISTED;
use super::conversation::channel_store::ChannelStore;
use super::health::{Health, Way};
use super::shutdown::shut_down;
use super::streams::{Shown, Streams};
use super::{Channel, TwoWay};
use api::{Api, Place, id};
use files::Files;
use inbox::Listed;
use jiff::Timestamp;
use listener::Listener;
use orch_api::client::Client;
use orch_config::resolved_channels::{DISCORD_API, Discord as Settings};
use orch_config::secret::Secret;
use orch_core::notices::notice::{Notice, NoticeKind};
use orch_core::operations::channel::{ChannelKind, ChatMessage};
use orch_engine::handle::EngineHandle;
use orch_sys::clock::{Clock, SystemClock};
use outbound_queue::OutboundQueue;
use std::sync::{Arc, OnceLock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, GuildMarker};

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
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" | "wss" => !host.is_empty() && !authority.contains('@'),
        "http" | "ws" => is_here,
        _ => false,
    }
}

/// The channel. Cheap to clone.
#[derive(Clone)]
pub struct Discord(Arc<Inner>);

struct Inner {
    setup: Setup,
    api: Api,
    store: ChannelStore,
    queue: OutboundQueue,
    health: Health,
    streams: Streams<Id<ChannelMarker>>,
    files: Files,
    /// Server of the channel, once it is known; `None`: a direct-message channel.
    guild: OnceLock<Option<Id<GuildMarker>>>,
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl Discord {
    /// Creates the channel without connecting.
    pub fn new(setup: Setup, store: ChannelStore) -> Self {
        let api = Api::new(&setup.token, setup.api_url.as_deref());
        let health = Health::new(ChannelKind::Discord);
        let mut users = setup.listed.users.clone();
        if !setup.listed.roles.is_empty() {
            // Roles are checked at the press.
            users.insert(LISTED.to_owned());
        }
        let queue = OutboundQueue::new(api.clone(), setup.listed.channel, store.clone(), users, health.clone());
        let files = Files::new(setup.api_url.as_deref());
        let streams = Streams::new(store.clone());
        Self(Arc::new(Inner { setup, api, store, queue, health, streams, files, guild: OnceLock::new() }))
    }

    /// Creates the channel from the settings and their token, with the journal as its store.
    ///
    /// # Errors
    /// A setting is invalid.
    pub fn open(settings: &Settings, token: Secret, engine: EngineHandle) -> Result<Self, SetupError> {
        Ok(Self::new(Setup::from_settings(settings, token)?, ChannelStore::Journal(engine, ChannelKind::Discord)))
    }

    /// Returns the current problem; `None`: there is none.
    pub fn trouble(&self) -> Option<String> {
        self.0.health.trouble()
    }

    /// Returns the number of messages that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.0.queue.waiting()
    }

    /// Returns the name of the channel for `orch channel test`, without sending a message.
    ///
    /// # Errors
    /// The token or the channel is refused, or the server cannot be reached.
    pub async fn check(&self) -> Result<String, Refusal> {
        let at = self.0.api.whereabouts(self.0.setup.listed.channel).await?;
        Ok(if at.guild.is_some() { format!("#{}", at.channel_name) } else { "a direct message".to_owned() })
    }

    /// Starts to show the output of a task in a channel.
    async fn stream(&self, shown: Shown<Id<ChannelMarker>>, client: &Client, tracker: &TaskTracker) {
        let (key, stop) = self.0.streams.begin(&shown, now()).await;
        self.show((key, stop), shown, (client, tracker));
    }

    /// Resumes the streams that were open when the daemon or this channel stopped.
    async fn resume_streams(&self, client: &Client, tracker: &TaskTracker) {
        for (key, shown) in self.0.streams.unfinished().await {
            if !self.is_seen(&shown).await {
                self.0.streams.remove(key).await;
                continue;
            }
            if let Some(place) = shown.message().and_then(Place::parse) {
                self.0.queue.adopt(key, place);
            }
            let stop = self.0.streams.resume(key, &shown);
            self.show((key, stop), shown, (client, tracker));
        }
    }

    /// Returns whether the user who requested a stream may still see it.
    async fn is_seen(&self, shown: &Shown<Id<ChannelMarker>>) -> bool {
        let listed = &self.0.setup.listed;
        if listed.is_empty() || shown.home != listed.channel {
            return false;
        }
        let is_there = shown.chat == listed.channel || listed.users.contains(&shown.by);
        is_there || self.0.queue.threads().task_of(shown.chat, None).await.is_some()
    }

    fn show(
        &self,
        (key, stop): (u64, CancellationToken),
        Shown { chat, task, .. }: Shown<Id<ChannelMarker>>,
        (client, tracker): (&Client, &TaskTracker),
    ) {
        let (queue, client, discord) = (self.0.queue.clone(), client.clone(), self.clone());
        tracker.spawn(async move {
            let show = |content, stage| queue.show(key, chat, content, stage);
            let answer = |content| queue.answer(chat, content);
            discord.0.streams.run((key, stop), (chat, task), &client, show, answer).await;
        });
    }

    /// Returns the server of the channel; `None`: it is a direct-message channel.
    async fn guild(&self) -> Result<Option<Id<GuildMarker>>, Refusal> {
        if let Some(known) = self.0.guild.get() {
            return Ok(*known);
        }
        let found = self.0.api.whereabouts(self.0.setup.listed.channel).await?.guild;
        Ok(*self.0.guild.get_or_init(|| found))
    }

    /// Returns the direct-message channel of a listed user.
    async fn direct(&self, user: &str) -> Result<Id<ChannelMarker>, Refusal> {
        let (key, store) = (format!("{DIRECT}{user}"), &self.0.store);
        if let Some(known) = store.get(&key).await.ok().flatten().as_deref().and_then(id) {
            return Ok(known);
        }
        let Some(user) = id(user) else { return Err(Refusal::Gone) };
        let channel = self.0.api.direct(user).await?;
        if let Err(error) = store.set(&key, Some(channel.to_string())).await {
            tracing::debug!(%error, "a channel is looked up again");
        }
        Ok(channel)
    }
}

impl TwoWay for Discord {
    async fn run(&self, client: Client, cancel: CancellationToken) {
        let (tracker, closing, mut queues) = (TaskTracker::new(), CancellationToken::new(), JoinSet::new());
        let (queue, closes) = (self.0.queue.clone(), closing.clone());
        queues.spawn(async move { queue.run(&closes).await });
        self.resume_streams(&client, &tracker).await;
        if self.0.setup.listed.is_empty() {
            tracing::info!("nobody is listed for discord: nothing is listened to");
        } else {
            Listener::new(self, &client, &tracker).run(&cancel).await;
        }
        cancel.cancelled().await;
        self.0.streams.suspend();
        shut_down(&tracker, &closing, queues).await;
        self.0.queue.close();
    }
}

impl Channel for Discord {
    // The listener stores problems of receiving.
    fn trouble(&self) -> Option<String> {
        self.0.health.get(Way::Out)
    }

    async fn send(&self, message: &ChatMessage) -> Result<Option<String>, Refusal> {
        Ok(self.0.queue.send(message).await?.map(|place| place.to_string()))
    }

    async fn send_notices(
        &self,
        _key: &str,
        notices: &[Notice],
        message: &ChatMessage,
    ) -> Result<Option<String>, Refusal> {
        let is_of_strangers = notices.iter().all(|notice| notice.kind == NoticeKind::Stranger);
        if is_of_strangers && !notices.is_empty() {
            // In the channel, the stranger would read it.
            for user in &self.0.setup.listed.users {
                let sent = match self.direct(user).await {
                    Ok(channel) => self.0.queue.send_to(channel, message).await,
                    Err(refusal) => Err(refusal),
                };
                match sent {
                    Ok(_) => return Ok(None),
                    Err(refusal @ Refusal::Later { .. }) => return Err(refusal),
                    // The user does not accept messages from the bot.
                    Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => {}
                }
            }
        }
        self.send(message).await
    }

    async fn edit(&self, id: &str, message: &ChatMessage) -> Result<(), Refusal> {
        let place = Place::parse(id).ok_or(Refusal::Gone)?;
        self.0.queue.edit(place, message).await
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
