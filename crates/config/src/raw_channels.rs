//! The settings of channels and notifications as a person types them. As in `raw`: every key optional, its documentation
//! beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys under `channels`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawChannels {
    /// A chat by a bot of yours; without a token it is off.
    pub telegram: Option<RawTelegram>,
    /// A channel of a Discord server by a bot of yours; without a token it is off.
    pub discord: Option<RawDiscord>,
    /// Signed requests to a server of yours; without a URL it is off.
    pub webhook: Option<RawWebhook>,
    /// Notifications on the desktop of the machine that the daemon runs on.
    pub desktop: Option<RawDesktop>,
}

/// Keys under `channels.telegram`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTelegram {
    /// Where the bot's token is: env:NAME or file:PATH (from ORCH_HOME on); never the token itself.
    pub bot_token: Option<String>,
    /// Id of the chat that is told.
    pub chat_id: Option<String>,
    /// Numeric ids of those who may give orders; none = nobody, the channel only tells.
    pub allowed_users: Option<Vec<String>>,
    /// The Bot API; another one for a server of your own.
    pub api_url: Option<String>,
    /// Kinds of notices (docs/channels.md); an empty list = all.
    pub events: Option<Vec<String>>,
    /// Names of the projects that are told of; an empty list = all.
    pub projects: Option<Vec<String>>,
    /// Tasks with one of these labels are told of; an empty list = all.
    pub labels: Option<Vec<String>>,
}

/// Keys under `channels.discord`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDiscord {
    /// Where the bot's token is: env:NAME or file:PATH (from ORCH_HOME on); never the token itself.
    pub bot_token: Option<String>,
    /// Id of the channel that is told.
    pub channel_id: Option<String>,
    /// Ids of those who may give orders; none = nobody, the channel only tells.
    pub allowed_users: Option<Vec<String>>,
    /// Ids of roles whose members may give orders.
    pub allowed_roles: Option<Vec<String>>,
    /// The REST API; another one for tests.
    pub api_url: Option<String>,
    /// The gateway; null = what the API names.
    pub gateway_url: Option<String>,
    /// Kinds of notices (docs/channels.md); an empty list = all.
    pub events: Option<Vec<String>>,
    /// Names of the projects that are told of; an empty list = all.
    pub projects: Option<Vec<String>>,
    /// Tasks with one of these labels are told of; an empty list = all.
    pub labels: Option<Vec<String>>,
}

/// Keys under `channels.webhook`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWebhook {
    /// Where requests go: https, or http on this machine; env:NAME or file:PATH where the URL itself is a secret.
    pub url: Option<String>,
    /// Where the secret is that requests are signed with: env:NAME or file:PATH; null = they are not signed.
    pub secret: Option<String>,
    /// Kinds of notices (docs/channels.md); an empty list = all.
    pub events: Option<Vec<String>>,
    /// Names of the projects that are told of; an empty list = all.
    pub projects: Option<Vec<String>>,
    /// Tasks with one of these labels are told of; an empty list = all.
    pub labels: Option<Vec<String>>,
}

/// Keys under `channels.desktop`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDesktop {
    /// Show them.
    pub enabled: Option<bool>,
    /// Kinds of notices (docs/channels.md); an empty list = all.
    pub events: Option<Vec<String>>,
    /// Names of the projects that are told of; an empty list = all.
    pub projects: Option<Vec<String>>,
    /// Tasks with one of these labels are told of; an empty list = all.
    pub labels: Option<Vec<String>>,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Everything that is worth a person's attention.
    #[default]
    All,
    /// What waits for the person or went wrong.
    ErrorsOnly,
    /// Nothing but what a person says (`orch notify`).
    None,
}

/// Keys under `notifications`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawNotifications {
    /// all, errors_only (what waits for you or went wrong) or none.
    pub level: Option<Level>,
    /// Hours of your clock in which only what is critical is told, as 22:00-07:00; the rest comes as one message at their end.
    pub quiet_hours: Option<String>,
    /// Time of day of a summary of the last day, as 08:00; null = none.
    pub daily_summary: Option<String>,
}
