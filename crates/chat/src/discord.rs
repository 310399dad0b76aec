//! Discord: what people on the list write, command and press is taken to the conversation, and what is said is brought to
//! the channel, in a thread for each task. A bot of the person's own, on its gateway; no open port.

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
use super::shutdown::part;
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
use orch_core::channel::{ChannelKind, ChatMessage};
use orch_core::notice::{Notice, NoticeKind};
use orch_engine::handle::EngineHandle;
use orch_sys::clock::{Clock, SystemClock};
use outbound_queue::OutboundQueue;
use std::sync::{Arc, OnceLock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, GuildMarker};

/// Keys: the channels in which people speak with the bot alone.
const DIRECT: &str = "direct/";

/// Why a setup cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Nobody said where things are to be said.
    #[error("channels.discord.channel_id is missing: orch config set channels.discord.channel_id <id>")]
    NoChannel,
    /// That is no id.
    #[error("{0:?} is no id of Discord's: it is a number that “Copy ID” shows in developer mode")]
    Number(String),
    /// The token would be seen on its way.
    #[error("{0} is neither https nor on this machine: the token would be seen on its way")]
    Unsafe(String),
}

/// What the channel needs to know.
#[derive(Debug, Clone)]
pub struct Setup {
    token: Secret,
    listed: Listed,
    /// Elsewhere than at Discord's.
    api_url: Option<String>,
    gateway_url: Option<String>,
}

impl Setup {
    /// Of the settings, and the token that they refer to.
    ///
    /// # Errors
    /// An id is none, or the token would go where it may be seen.
    pub fn of(settings: &Settings, token: Secret) -> Result<Self, SetupError> {
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

/// Whether a token may go there: encrypted, or to this machine.
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
pub struct Discord(Arc<Parts>);

struct Parts {
    setup: Setup,
    api: Api,
    store: ChannelStore,
    queue: OutboundQueue,
    health: Health,
    streams: Streams<Id<ChannelMarker>>,
    files: Files,
    /// The server of the channel, once it is known; none: a direct message.
    guild: OnceLock<Option<Id<GuildMarker>>>,
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl Discord {
    /// With this setup; nothing is asked of anybody yet.
    pub fn new(setup: Setup, store: ChannelStore) -> Self {
        let api = Api::new(&setup.token, setup.api_url.as_deref());
        let health = Health::new(ChannelKind::Discord);
        let mut users = setup.listed.users.clone();
        if !setup.listed.roles.is_empty() {
            // Who has a role is known at the press.
            users.insert(LISTED.to_owned());
        }
        let queue = OutboundQueue::new(api.clone(), setup.listed.channel, store.clone(), users, health.clone());
        let files = Files::new(setup.api_url.as_deref());
        let streams = Streams::new(store.clone());
        Self(Arc::new(Parts { setup, api, store, queue, health, streams, files, guild: OnceLock::new() }))
    }

    /// With these settings, the token that they refer to, and the journal of this engine.
    ///
    /// # Errors
    /// The settings cannot be right.
    pub fn open(settings: &Settings, token: Secret, engine: EngineHandle) -> Result<Self, SetupError> {
        Ok(Self::new(Setup::of(settings, token)?, ChannelStore::Journal(engine, ChannelKind::Discord)))
    }

    /// What is wrong now; `None`: nothing.
    pub fn trouble(&self) -> Option<String> {
        self.0.health.trouble()
    }

    /// How much waits to be said.
    pub fn waiting(&self) -> usize {
        self.0.queue.waiting()
    }

    /// Where things are said: what `orch channel test` tells. One look, nothing is said.
    ///
    /// # Errors
    /// The token, the channel or the server is not there.
    pub async fn look(&self) -> Result<String, Refusal> {
        let at = self.0.api.whereabouts(self.0.setup.listed.channel).await?;
        Ok(if at.guild.is_some() { format!("#{}", at.channel_name) } else { "a direct message".to_owned() })
    }

    /// Shows the output of a task in a channel from now on.
    async fn stream(&self, shown: Shown<Id<ChannelMarker>>, (client, tracker): (&Client, &TaskTracker)) {
        let (key, stop) = self.0.streams.begin(&shown, now()).await;
        self.show((key, stop), shown, (client, tracker));
    }

    /// Goes on with the streams that were open when orch, or this channel, ended.
    async fn go_on(&self, client: &Client, tracker: &TaskTracker) {
        for (key, shown) in self.0.streams.unfinished().await {
            if !self.is_seen(&shown).await {
                self.0.streams.over(key).await;
                continue;
            }
            if let Some(place) = shown.message().and_then(Place::parse) {
                self.0.queue.adopt(key, place);
            }
            let stop = self.0.streams.go_on(key, &shown);
            self.show((key, stop), shown, (client, tracker));
        }
    }

    /// Whether those who wanted a stream may still see it.
    async fn is_seen(&self, shown: &Shown<Id<ChannelMarker>>) -> bool {
        let listed = &self.0.setup.listed;
        if listed.is_nobody() || shown.home != listed.channel {
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
            let show = |saying, stage| queue.show(key, chat, saying, stage);
            let answer = |saying| queue.answer(chat, saying);
            discord.0.streams.run((key, stop), (chat, task), &client, show, answer).await;
        });
    }

    /// The server of the channel; none: it is a direct message.
    async fn guild(&self) -> Result<Option<Id<GuildMarker>>, Refusal> {
        if let Some(known) = self.0.guild.get() {
            return Ok(*known);
        }
        let found = self.0.api.whereabouts(self.0.setup.listed.channel).await?.guild;
        Ok(*self.0.guild.get_or_init(|| found))
    }

    /// The channel in which somebody on the list speaks with the bot alone.
    async fn direct(&self, user: &str) -> Result<Id<ChannelMarker>, Refusal> {
        let (key, store) = (format!("{DIRECT}{user}"), &self.0.store);
        if let Some(known) = store.kept(&key).await.ok().flatten().as_deref().and_then(id) {
            return Ok(known);
        }
        let Some(user) = id(user) else { return Err(Refusal::Gone) };
        let channel = self.0.api.direct(user).await?;
        if let Err(error) = store.keep(&key, Some(channel.to_string())).await {
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
        self.go_on(&client, &tracker).await;
        if self.0.setup.listed.is_nobody() {
            tracing::info!("nobody is listed for discord: nothing is listened to");
        } else {
            Listener::new(self, &client, &tracker).run(&cancel).await;
        }
        cancel.cancelled().await;
        self.0.streams.leave();
        part(&tracker, &closing, queues).await;
        self.0.queue.close();
    }
}

impl Channel for Discord {
    // What is in the way of hearing is kept by whoever listens.
    fn trouble(&self) -> Option<String> {
        self.0.health.of(Way::Out)
    }

    async fn say(&self, saying: &ChatMessage) -> Result<Option<String>, Refusal> {
        Ok(self.0.queue.say(saying).await?.map(|place| place.to_string()))
    }

    async fn tell(&self, _key: &str, notices: &[Notice], saying: &ChatMessage) -> Result<Option<String>, Refusal> {
        let is_of_strangers = notices.iter().all(|notice| notice.kind == NoticeKind::Stranger);
        if is_of_strangers && !notices.is_empty() {
            // In the channel they would read it themselves.
            for user in &self.0.setup.listed.users {
                let said = match self.direct(user).await {
                    Ok(channel) => self.0.queue.say_in(channel, saying).await,
                    Err(refusal) => Err(refusal),
                };
                match said {
                    Ok(_) => return Ok(None),
                    Err(refusal @ Refusal::Later { .. }) => return Err(refusal),
                    // They take no messages of the bot.
                    Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => {}
                }
            }
        }
        self.say(saying).await
    }

    async fn change(&self, message: &str, saying: &ChatMessage) -> Result<(), Refusal> {
        let place = Place::parse(message).ok_or(Refusal::Gone)?;
        self.0.queue.change(place, saying).await
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
    fn what_is_no_id_is_told() {
        let settings = Settings { channel_id: Some("7".to_owned()), ..Settings::default() };
        assert!(Setup::of(&settings, Secret::new("t")).is_ok());
        let wrong = Settings { channel_id: Some("#tasks".to_owned()), ..Settings::default() };
        assert!(matches!(Setup::of(&wrong, Secret::new("t")), Err(SetupError::Number(_))));
        assert!(matches!(Setup::of(&Settings::default(), Secret::new("t")), Err(SetupError::NoChannel)));
        let seen = Settings { gateway_url: Some("ws://gateway.example".to_owned()), ..settings };
        assert!(matches!(Setup::of(&seen, Secret::new("t")), Err(SetupError::Unsafe(_))));
    }
}
