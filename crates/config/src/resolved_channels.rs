//! The resolved settings of channels and notifications. A token is a reference here; [`Reference::read`] turns it into
//! a [`Secret`].

use super::home::Home;
pub use super::raw_channels::Level;
use super::raw_channels::{RawChannels, RawDesktop, RawDiscord, RawNotifications, RawTelegram, RawWebhook};
use super::secret::Secret;
use orch_core::notices::notice::{Filter, NoticeKind};
use orch_core::operations::channel::ChannelKind;
use orch_core::operations::quiet::{QuietHours, TimeOfDay};
use orch_sys::fs;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Largest file that a token is read from, in bytes.
const LARGEST_TOKEN: usize = 8192;
/// Telegram's own server.
pub const TELEGRAM_API: &str = "https://api.telegram.org";
/// Discord's own server.
pub const DISCORD_API: &str = "https://discord.com/api/v10";

/// Where a secret is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A variable of the daemon's environment.
    Env(String),
    /// A file; a relative path is resolved from the home.
    File(PathBuf),
}

impl FromStr for Reference {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(name) = text.strip_prefix("env:") {
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return is_name.then(|| Self::Env(name.to_owned())).ok_or(());
        }
        let path = text.strip_prefix("file:").ok_or(())?;
        (!path.is_empty() && !path.contains('\0')).then(|| Self::File(PathBuf::from(path))).ok_or(())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Reference {
    /// Reads the secret, without surrounding whitespace.
    ///
    /// # Errors
    /// The secret is missing, empty, or contains whitespace; the message contains nothing of it.
    pub fn read(&self, home: &Home, daemon: &BTreeMap<String, String>) -> Result<Secret, String> {
        let text = match self {
            Self::Env(name) => daemon.get(name).cloned().ok_or_else(|| format!("the variable {name} is not set"))?,
            Self::File(path) => {
                fs::read_text(&home.root().join(path), LARGEST_TOKEN).map_err(|error| error.to_string())?
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{self} is empty"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("{self} holds more than one word"));
        }
        Ok(Secret::new(text))
    }
}

/// Address of requests: public, or itself a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Address {
    /// The address as it was typed.
    Plain(String),
    /// A reference to the address.
    Hidden(Reference),
}

impl Address {
    /// Reads the address.
    ///
    /// # Errors
    /// The reference cannot be read, with the reason.
    pub fn read(&self, home: &Home, daemon: &BTreeMap<String, String>) -> Result<Secret, String> {
        match self {
            Self::Plain(url) => Ok(Secret::new(url.clone())),
            Self::Hidden(reference) => reference.read(home, daemon),
        }
    }
}

/// A Telegram chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Telegram {
    /// Reference to the bot's token; `None`: the channel is off.
    pub bot_token: Option<Reference>,
    /// Id of the chat that receives the notifications.
    pub chat_id: Option<String>,
    /// Ids of users who may send commands.
    pub allowed_users: BTreeSet<String>,
    /// URL of the Bot API, without a trailing slash.
    pub api_url: String,
    /// Which notifications the channel sends.
    #[serde(flatten)]
    pub filter: Filter,
}

/// A channel of a Discord server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Discord {
    /// Reference to the bot's token; `None`: the channel is off.
    pub bot_token: Option<Reference>,
    /// Id of the channel that receives the notifications.
    pub channel_id: Option<String>,
    /// Ids of users who may send commands.
    pub allowed_users: BTreeSet<String>,
    /// Ids of roles whose members may send commands.
    pub allowed_roles: BTreeSet<String>,
    /// URL of the REST API, without a trailing slash.
    pub api_url: String,
    /// URL of the gateway; `None`: the one that the API returns.
    pub gateway_url: Option<String>,
    /// Which notifications the channel sends.
    #[serde(flatten)]
    pub filter: Filter,
}

/// HTTP requests to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Webhook {
    /// URL of the requests; `None`: the channel is off.
    pub url: Option<Address>,
    /// Reference to the secret that signs requests; `None`: they are not signed.
    pub secret: Option<Reference>,
    /// Which notifications the channel sends.
    #[serde(flatten)]
    pub filter: Filter,
}

/// Desktop notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Desktop {
    /// Whether the channel is on.
    pub enabled: bool,
    /// Which notifications the channel sends.
    #[serde(flatten)]
    pub filter: Filter,
}

/// Settings of all channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Channels {
    /// The Telegram chat.
    pub telegram: Telegram,
    /// The Discord channel.
    pub discord: Discord,
    /// The webhook.
    pub webhook: Webhook,
    /// Desktop notifications.
    pub desktop: Desktop,
}

/// Which notifications are sent, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Notifications {
    /// Minimum importance.
    pub level: Level,
    /// Hours in which only critical notifications are sent.
    pub quiet_hours: Option<QuietHours>,
    /// Time of the daily summary; `None`: no summary.
    pub daily_summary: Option<TimeOfDay>,
}

impl Default for Telegram {
    fn default() -> Self {
        Self {
            bot_token: None,
            chat_id: None,
            allowed_users: BTreeSet::new(),
            api_url: TELEGRAM_API.to_owned(),
            filter: Filter::default(),
        }
    }
}

impl Default for Discord {
    fn default() -> Self {
        Self {
            bot_token: None,
            channel_id: None,
            allowed_users: BTreeSet::new(),
            allowed_roles: BTreeSet::new(),
            api_url: DISCORD_API.to_owned(),
            gateway_url: None,
            filter: Filter::default(),
        }
    }
}

/// Parses a reference. Invalid ones were refused when the file was validated.
fn reference(text: Option<String>) -> Option<Reference> {
    text.and_then(|text| text.parse().ok())
}

fn filter(events: Option<Vec<String>>, projects: Option<Vec<String>>, labels: Option<Vec<String>>) -> Filter {
    let kind = |word: String| NoticeKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    let set = |list: Option<Vec<String>>| list.unwrap_or_default().into_iter().collect();
    Filter {
        events: events.unwrap_or_default().into_iter().filter_map(kind).collect(),
        projects: set(projects),
        labels: set(labels),
    }
}

fn url(text: Option<String>, default: String) -> String {
    text.map_or(default, |text| text.trim_end_matches('/').to_owned())
}

impl Telegram {
    fn with(self, raw: RawTelegram) -> Self {
        Self {
            bot_token: reference(raw.bot_token),
            chat_id: raw.chat_id,
            allowed_users: raw.allowed_users.unwrap_or_default().into_iter().collect(),
            api_url: url(raw.api_url, self.api_url),
            filter: filter(raw.events, raw.projects, raw.labels),
        }
    }
}

impl Discord {
    fn with(self, raw: RawDiscord) -> Self {
        Self {
            bot_token: reference(raw.bot_token),
            channel_id: raw.channel_id,
            allowed_users: raw.allowed_users.unwrap_or_default().into_iter().collect(),
            allowed_roles: raw.allowed_roles.unwrap_or_default().into_iter().collect(),
            api_url: url(raw.api_url, self.api_url),
            gateway_url: raw.gateway_url,
            filter: filter(raw.events, raw.projects, raw.labels),
        }
    }
}

impl Webhook {
    fn with(raw: RawWebhook) -> Self {
        let address = |text: String| text.parse().map_or_else(|()| Address::Plain(text.clone()), Address::Hidden);
        Self {
            url: raw.url.map(address),
            secret: reference(raw.secret),
            filter: filter(raw.events, raw.projects, raw.labels),
        }
    }
}

impl Desktop {
    fn with(raw: RawDesktop) -> Self {
        Self { enabled: raw.enabled.unwrap_or(false), filter: filter(raw.events, raw.projects, raw.labels) }
    }
}

impl Channels {
    pub(super) fn with(self, raw: RawChannels) -> Self {
        Self {
            telegram: self.telegram.with(raw.telegram.unwrap_or_default()),
            discord: self.discord.with(raw.discord.unwrap_or_default()),
            webhook: Webhook::with(raw.webhook.unwrap_or_default()),
            desktop: Desktop::with(raw.desktop.unwrap_or_default()),
        }
    }

    /// Returns how many users and roles may send commands there; `None`: the channel only sends.
    pub fn allowed_count(&self, kind: ChannelKind) -> Option<usize> {
        match kind {
            ChannelKind::Telegram => Some(self.telegram.allowed_users.len()),
            ChannelKind::Discord => Some(self.discord.allowed_users.len() + self.discord.allowed_roles.len()),
            ChannelKind::Webhook | ChannelKind::Desktop => None,
        }
    }

    /// Returns whether a channel is on.
    pub fn is_on(&self, channel: ChannelKind) -> bool {
        match channel {
            ChannelKind::Telegram => self.telegram.bot_token.is_some(),
            ChannelKind::Discord => self.discord.bot_token.is_some(),
            ChannelKind::Webhook => self.webhook.url.is_some(),
            ChannelKind::Desktop => self.desktop.enabled,
        }
    }

    /// Returns which notifications a channel sends.
    pub fn filter(&self, channel: ChannelKind) -> &Filter {
        match channel {
            ChannelKind::Telegram => &self.telegram.filter,
            ChannelKind::Discord => &self.discord.filter,
            ChannelKind::Webhook => &self.webhook.filter,
            ChannelKind::Desktop => &self.desktop.filter,
        }
    }
}

impl Notifications {
    pub(super) fn with(self, raw: RawNotifications) -> Self {
        Self {
            level: raw.level.unwrap_or(self.level),
            quiet_hours: raw.quiet_hours.and_then(|text| text.parse().ok()),
            daily_summary: raw.daily_summary.and_then(|text| text.parse().ok()),
        }
    }
}
