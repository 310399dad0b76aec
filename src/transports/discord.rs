//! Discord: what people on the list write, command and press is taken to the conversation, and what is said is brought to
//! the channel, in a thread for each task. A bot of the person's own, on its gateway; no open port.

mod api;
mod desk;
mod files;
mod gateway;
mod inbox;
mod listener;
mod render;
mod threads;

use super::chat::Refusal;
use super::conversation::buttons::LISTED;
use super::conversation::live::{Stage, follow};
use super::conversation::shelf::Shelf;
use super::conversation::told;
use super::health::{Health, Way};
use super::streams::Streams;
use super::{Channel, TwoWay};
use crate::adapters::clock::{Clock, SystemClock};
use crate::api::client::Client;
use crate::config::resolved_channels::{DISCORD_API, Discord as Settings};
use crate::config::secret::Secret;
use crate::domain::channel::{ChannelKind, Saying};
use crate::domain::ids::TaskId;
use crate::engine::handle::EngineHandle;
use api::{Api, Place, id};
use desk::Desk;
use files::Files;
use inbox::Listed;
use jiff::Timestamp;
use listener::Listener;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use twilight_model::id::Id;
use twilight_model::id::marker::ChannelMarker;

/// How long what was begun is waited for when the channel ends.
const FAREWELL: Duration = Duration::from_secs(2);

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
    shelf: Shelf,
    desk: Desk,
    health: Health,
    streams: Streams<Id<ChannelMarker>>,
    files: Files,
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl Discord {
    /// With this setup; nothing is asked of anybody yet.
    pub fn new(setup: Setup, shelf: Shelf) -> Self {
        let api = Api::new(&setup.token, setup.api_url.as_deref());
        let health = Health::new(ChannelKind::Discord);
        let mut users = setup.listed.users.clone();
        if !setup.listed.roles.is_empty() {
            // Who has a role is known at the press.
            users.insert(LISTED.to_owned());
        }
        let desk = Desk::new(api.clone(), setup.listed.channel, shelf.clone(), users, health.clone());
        let files = Files::new(setup.api_url.as_deref());
        Self(Arc::new(Parts { setup, api, shelf, desk, health, streams: Streams::default(), files }))
    }

    /// With these settings, the token that they refer to, and the journal of this engine.
    ///
    /// # Errors
    /// The settings cannot be right.
    pub fn open(settings: &Settings, token: Secret, engine: EngineHandle) -> Result<Self, SetupError> {
        Ok(Self::new(Setup::of(settings, token)?, Shelf::Journal(engine, ChannelKind::Discord)))
    }

    /// What is wrong now; `None`: nothing.
    pub fn trouble(&self) -> Option<String> {
        self.0.health.trouble()
    }

    /// How much waits to be said.
    pub fn waiting(&self) -> usize {
        self.0.desk.waiting()
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
    fn stream(&self, channel: Id<ChannelMarker>, task: TaskId, client: &Client, tracker: &TaskTracker) {
        let (desk, client, discord) = (self.0.desk.clone(), client.clone(), self.clone());
        let (key, stop) = self.0.streams.begin(channel, task);
        tracker.spawn(async move {
            let done = follow(&client, task, &stop, now, |saying, stage| {
                if !desk.show(key, channel, saying, stage) && stage == Stage::Grows {
                    stop.cancel();
                    desk.answer(channel, told::about(task, "Too many streams are open: /stop ends them."));
                }
            });
            if let Err(error) = done.await {
                desk.answer(channel, told::refused(&error, None));
            }
            discord.0.streams.ended(channel, task, key);
        });
    }
}

impl TwoWay for Discord {
    async fn run(&self, client: Client, cancel: CancellationToken) {
        let tracker = TaskTracker::new();
        let (desk, stop) = (self.0.desk.clone(), cancel.clone());
        tracker.spawn(async move {
            tokio::select! {
                () = desk.run() => {}
                () = stop.cancelled() => {}
            }
        });
        if self.0.setup.listed.is_nobody() {
            tracing::info!("nobody is listed for discord: nothing is listened to");
        } else {
            let listener = Listener::new(self, &client, &tracker);
            tokio::select! {
                () = listener.run() => {}
                () = cancel.cancelled() => {}
            }
        }
        cancel.cancelled().await;
        self.0.streams.stop(None);
        tracker.close();
        // A request that hangs is not waited for.
        tokio::time::timeout(FAREWELL, tracker.wait()).await.ok();
    }
}

impl Channel for Discord {
    // What is in the way of hearing is kept by whoever listens.
    fn trouble(&self) -> Option<String> {
        self.0.health.of(Way::Out)
    }

    async fn say(&self, saying: &Saying) -> Result<Option<String>, Refusal> {
        Ok(self.0.desk.say(saying).await?.map(|place| place.to_string()))
    }

    async fn change(&self, message: &str, saying: &Saying) -> Result<(), Refusal> {
        let place = Place::parse(message).ok_or(Refusal::Gone)?;
        self.0.desk.change(place, saying).await
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
