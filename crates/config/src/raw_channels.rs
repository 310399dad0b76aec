//! The keys under `channels` and `notifications` as they are typed. As in `raw`, every key is optional and carries its
//! documentation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys under `channels`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawChannels {
    /// A Telegram chat, through your own bot; off without a token.
    pub telegram: Option<RawTelegram>,
    /// A channel of a Discord server, through your own bot; off without a token.
    pub discord: Option<RawDiscord>,
    /// HTTP requests to your own server; off without a URL.
    pub webhook: Option<RawWebhook>,
    /// Desktop notifications on the machine that runs the daemon.
    pub desktop: Option<RawDesktop>,
}

/// Keys under `channels.telegram`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTelegram {
    /// Reference to the bot's token: env:NAME or file:PATH (relative to ORCH_HOME); never the token itself.
    pub bot_token: Option<String>,
    /// Id of the chat that receives the notifications.
    pub chat_id: Option<String>,
    /// Numeric ids of users who may send commands; empty = nobody, the channel only sends.
    pub allowed_users: Option<Vec<String>>,
    /// URL of the Bot API; change it if you run your own server.
    pub api_url: Option<String>,
    /// Kinds of notifications to send (docs/how-to/channels.md); an empty list = all.
    pub events: Option<Vec<String>>,
    /// Names of projects to notify about; an empty list = all.
    pub projects: Option<Vec<String>>,
    /// Notify only about tasks with one of these labels; an empty list = all.
    pub labels: Option<Vec<String>>,
}

/// Keys under `channels.discord`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDiscord {
    /// Reference to the bot's token: env:NAME or file:PATH (relative to ORCH_HOME); never the token itself.
    pub bot_token: Option<String>,
    /// Id of the channel that receives the notifications.
    pub channel_id: Option<String>,
    /// Ids of users who may send commands; empty, without allowed_roles = nobody, the channel only sends.
    pub allowed_users: Option<Vec<String>>,
    /// Ids of roles whose members may send commands.
    pub allowed_roles: Option<Vec<String>>,
    /// URL of the REST API; change it for tests.
    pub api_url: Option<String>,
    /// URL of the gateway; null = the one that the API returns.
    pub gateway_url: Option<String>,
    /// Kinds of notifications to send (docs/how-to/channels.md); an empty list = all.
    pub events: Option<Vec<String>>,
    /// Names of projects to notify about; an empty list = all.
    pub projects: Option<Vec<String>>,
    /// Notify only about tasks with one of these labels; an empty list = all.
    pub labels: Option<Vec<String>>,
}

/// Keys under `channels.webhook`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWebhook {
    /// URL of the requests: https, or http on this machine; env:NAME or file:PATH if the URL is itself a secret.
    pub url: Option<String>,
    /// Reference to the secret that signs requests: env:NAME or file:PATH; null = requests are not signed.
    pub secret: Option<String>,
    /// Kinds of notifications to send (docs/how-to/channels.md); an empty list = all.
    pub events: Option<Vec<String>>,
    /// Names of projects to notify about; an empty list = all.
    pub projects: Option<Vec<String>>,
    /// Notify only about tasks with one of these labels; an empty list = all.
    pub labels: Option<Vec<String>>,
}

/// Keys under `channels.desktop`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDesktop {
    /// Whether notifications are shown.
    pub enabled: Option<bool>,
    /// Kinds of notifications to send (docs/how-to/channels.md); an empty list = all.
    pub events: Option<Vec<String>>,
    /// Names of projects to notify about; an empty list = all.
    pub projects: Option<Vec<String>>,
    /// Notify only about tasks with one of these labels; an empty list = all.
    pub labels: Option<Vec<String>>,
}

/// Which notifications are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Everything that is worth a person's attention.
    #[default]
    All,
    /// Those that need the person or report an error.
    ErrorsOnly,
    /// Only what a person sends with `orch notify`.
    None,
}

/// Keys under `notifications`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawNotifications {
    /// Which notifications are sent: all, errors_only (those that need you or report an error) or none.
    pub level: Option<Level>,
    /// Hours (local time) with only critical notifications, such as 22:00-07:00; the rest follows in one message.
    pub quiet_hours: Option<String>,
    /// Time of a daily summary, such as 08:00; null = none.
    pub daily_summary: Option<String>,
}
