//! Checks the settings of channels: references instead of tokens, numeric ids, addresses, hours. Messages must not
//! repeat values that may be secrets.

use super::Check;
use crate::origin::Origins;
use crate::problem::{ConfigProblem, did_you_mean};
use crate::raw::RawConfig;
use crate::resolved_channels::{Address, Reference};
use orch_core::notices::notice::NoticeKind;
use orch_core::operations::quiet::{QuietHours, TimeOfDay};

/// Prefixes of URLs that use TLS or stay on this machine.
const SECURE: [&str; 4] = ["https://", "http://127.0.0.1", "http://localhost", "http://[::1]"];
/// The same for WebSockets.
const SECURE_SOCKET: [&str; 4] = ["wss://", "ws://127.0.0.1", "ws://localhost", "ws://[::1]"];

fn is_secure(url: &str, beginnings: [&str; 4]) -> bool {
    let [tls, local @ ..] = beginnings;
    let has_host = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    let ends = |rest: &str| rest.is_empty() || rest.starts_with([':', '/', '?']);
    let is_plain = !url.chars().any(|c| c.is_whitespace() || c.is_control());
    is_plain
        && (url.strip_prefix(tls).is_some_and(has_host)
            || local.iter().any(|begin| url.strip_prefix(begin).is_some_and(ends)))
}

/// Checks that every reference, time and kind of notification can be parsed.
pub(super) fn check_syntax(raw: &RawConfig, origins: &Origins) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let mut wrong = |key: &str, message: String, hint: Option<&str>| {
        let mut problem = ConfigProblem::new(origins.near(key).clone(), format!("{key}: {message}"));
        problem.hint = hint.map(str::to_owned);
        problems.push(problem);
    };
    let channels = raw.channels.as_ref();
    let (telegram, discord) = (channels.and_then(|c| c.telegram.as_ref()), channels.and_then(|c| c.discord.as_ref()));
    let (webhook, desktop) = (channels.and_then(|c| c.webhook.as_ref()), channels.and_then(|c| c.desktop.as_ref()));
    let references = [
        ("channels.telegram.bot_token", telegram.and_then(|c| c.bot_token.as_deref())),
        ("channels.discord.bot_token", discord.and_then(|c| c.bot_token.as_deref())),
        ("channels.webhook.secret", webhook.and_then(|c| c.secret.as_deref())),
    ];
    for (key, text) in references {
        if text.is_some_and(|text| text.parse::<Reference>().is_err()) {
            let hint = "the secret itself does not belong here: `orch channel add` stores it in a separate file";
            wrong(key, "must say where the secret is: env:NAME or file:PATH".to_owned(), Some(hint));
        }
    }
    let events = [
        ("telegram", telegram.and_then(|c| c.events.as_ref())),
        ("discord", discord.and_then(|c| c.events.as_ref())),
        ("webhook", webhook.and_then(|c| c.events.as_ref())),
        ("desktop", desktop.and_then(|c| c.events.as_ref())),
    ];
    for (channel, word) in
        events.into_iter().flat_map(|(name, words)| words.into_iter().flatten().map(move |w| (name, w)))
    {
        let names = || NoticeKind::ALL.into_iter().map(NoticeKind::as_str);
        if !names().any(|name| name == word) {
            let known = names().collect::<Vec<_>>().join(", ");
            let message = format!("there is no kind of notice {word:?}{}", did_you_mean(word, names()));
            wrong(&format!("channels.{channel}.events"), message, Some(&format!("known here: {known}")));
        }
    }
    let notifications = raw.notifications.as_ref();
    if let Some(Err(message)) = notifications.and_then(|n| n.quiet_hours.as_deref()).map(str::parse::<QuietHours>) {
        wrong("notifications.quiet_hours", message, None);
    }
    if let Some(Err(message)) = notifications.and_then(|n| n.daily_summary.as_deref()).map(str::parse::<TimeOfDay>) {
        wrong("notifications.daily_summary", message, None);
    }
    problems
}

impl Check<'_> {
    pub(super) fn channels(&mut self) {
        let channels = &self.config.channels;
        let ids = [
            ("telegram.allowed_users", &channels.telegram.allowed_users),
            ("discord.allowed_users", &channels.discord.allowed_users),
            ("discord.allowed_roles", &channels.discord.allowed_roles),
        ];
        for (key, ids) in ids {
            for id in ids.iter().filter(|id| !is_number(id)) {
                self.wrong(
                    &format!("channels.{key}"),
                    format_args!("{id:?} is not a numeric id: names can be taken by anybody, ids cannot"),
                );
            }
        }
        let is_chat = |id: &str| is_number(id.strip_prefix('-').unwrap_or(id));
        if channels.telegram.chat_id.as_deref().is_some_and(|id| !is_chat(id)) {
            self.wrong(
                "channels.telegram.chat_id",
                "must be the numeric id of the chat, as 123456789 or -1001234567890",
            );
        }
        if channels.discord.channel_id.as_deref().is_some_and(|id| !is_number(id)) {
            self.wrong("channels.discord.channel_id", "must be the numeric id of the channel");
        }
        for (key, url) in
            [("telegram.api_url", &channels.telegram.api_url), ("discord.api_url", &channels.discord.api_url)]
        {
            if !is_secure(url, SECURE) {
                self.wrong(&format!("channels.{key}"), "must begin with https://, or be an http:// of this machine");
            }
        }
        if channels.discord.gateway_url.as_deref().is_some_and(|url| !is_secure(url, SECURE_SOCKET)) {
            self.wrong("channels.discord.gateway_url", "must begin with wss://, or be a ws:// of this machine");
        }
        if let Some(Address::Plain(url)) = &channels.webhook.url
            && !is_secure(url, SECURE)
        {
            let message =
                "must begin with https://, be an http:// of this machine, or say where it is: env:NAME or file:PATH";
            self.wrong("channels.webhook.url", message);
        }
    }
}

fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use crate::layers::{Layer, load};
    use orch_core::operations::channel::ChannelKind;

    fn config(text: &str) -> Result<Config, String> {
        let loaded = load(&[Layer::Global { path: "c".into(), text: text.to_owned() }]);
        loaded.map(|loaded| loaded.config).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) -> String {
        let error = config(text).expect_err(text);
        assert!(error.contains(expected), "{error}");
        error
    }

    #[test]
    fn what_is_documented_is_understood() {
        let text = "channels:\n  telegram: {bot_token: 'env:TG', chat_id: -1001234567890, allowed_users: [42, '43']}\n  \
                    webhook: {url: 'http://127.0.0.1:9/hook', secret: 'file:.orch/channels/webhook.secret', events: [failed]}\n\
                    notifications: {level: errors_only, quiet_hours: 22:00-07:00, daily_summary: 08:00}\n";
        let config = config(text).expect("valid");
        let on: Vec<ChannelKind> = ChannelKind::ALL.into_iter().filter(|kind| config.channels.is_on(*kind)).collect();
        assert_eq!(on, [ChannelKind::Telegram, ChannelKind::Webhook]);
        assert_eq!(config.channels.telegram.chat_id.as_deref(), Some("-1001234567890"));
        assert_eq!(config.channels.telegram.allowed_users.len(), 2);
        let shown = serde_json::to_value(&config.notifications).expect("JSON");
        let expected =
            serde_json::json!({"level": "errors_only", "quiet_hours": "22:00-07:00", "daily_summary": "08:00"});
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_token_in_the_file_is_refused_and_not_repeated() {
        let token = "123456:AAE-abcdefghijklmnop";
        let error = refused(&format!("channels: {{telegram: {{bot_token: '{token}'}}}}\n"), "env:NAME or file:PATH");
        assert!(!error.contains("AAE"), "{error}");
        let error =
            refused("channels: {webhook: {url: 'https://x.test/h', secret: s3cr3t}}\n", "env:NAME or file:PATH");
        assert!(!error.contains("s3cr3t"), "{error}");
        let error = refused("channels: {webhook: {url: 'http://x.test/h?key=s3cr3t'}}\n", "must begin with https://");
        assert!(!error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn an_invalid_setting_is_reported_with_its_place() {
        refused("channels: {telegram: {allowed_users: ['@ada']}}\n", "not a numeric id");
        refused("channels: {telegram: {chat_id: '@orch'}}\n", "numeric id of the chat");
        refused("channels: {discord: {allowed_roles: [admin]}}\n", "not a numeric id");
        refused("channels: {telegram: {api_url: 'http://example.com'}}\n", "must begin with https://");
        refused("channels: {telegram: {api_url: 'http://127.0.0.1.example.com'}}\n", "must begin with https://");
        refused("channels: {discord: {gateway_url: 'http://127.0.0.1'}}\n", "wss://");
        refused("channels: {desktop: {events: [finnished]}}\n", "did you mean \"finished\"?");
        refused("notifications: {quiet_hours: late}\n", "22:00-07:00");
        refused("notifications: {daily_summary: '25:00'}\n", "is not a time of day");
        refused("notifications: {level: some}\n", "expected one of all, errors_only, none");
    }
}
