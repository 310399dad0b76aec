//! `orch channel add`: asks for the settings, stores a token in a separate file, and tests the channel.

use super::alone::Tried;
use super::{LOOK, forget_secret, has_no_daemon, how_to_allow, off, secret_file, tried};
use crate::cli::config::set::{LOCK, write_all};
use crate::cli::context::{Context, Link};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{stdin_is_terminal, text};
use clap::Subcommand;
use orch_api::channels::{ChannelState, NoticeState, NoticeView};
use orch_api::endpoint;
use orch_config::FileKind;
use orch_config::resolved_channels::{Channels, Reference};
use orch_core::operations::channel::ChannelKind;
use orch_engine::Sources;
use orch_sys::fs;
use orch_sys::hidden_input::read_hidden_line;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use tokio::time::sleep;

/// How many polls wait for the daemon to read the settings.
const LOOKS: u32 = 100;
/// The largest file with a token, in bytes.
const LARGEST: usize = 8192;

/// A channel, with its settings.
#[derive(Debug, Subcommand)]
pub enum Which {
    /// A Telegram chat, by your own bot
    Telegram {
        #[command(flatten)]
        token: Token,
        /// Numeric id of the chat that gets messages; your own id for a chat with you
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        chat_id: Option<String>,
        /// Numeric id of a person who may give orders; may be given several times; default: unchanged
        #[arg(long = "allow", value_name = "ID")]
        allow: Vec<String>,
        /// Your own Bot API server
        #[arg(long, value_name = "URL")]
        api_url: Option<String>,
    },
    /// A channel of a Discord server, by your own bot
    Discord {
        #[command(flatten)]
        token: Token,
        /// Id of the channel that gets messages
        #[arg(long, value_name = "ID")]
        channel_id: Option<String>,
        /// Id of a person who may give orders; may be given several times; default: unchanged
        #[arg(long = "allow", value_name = "ID")]
        allow: Vec<String>,
        /// Id of a role whose members may give orders; may be given several times
        #[arg(long = "allow-role", value_name = "ID")]
        allow_role: Vec<String>,
    },
    /// Signed requests to your server; without a secret, the previous one stays or one is generated
    Webhook {
        /// The URL: https://…, http:// on this machine, or env:NAME or file:PATH
        #[arg(long)]
        url: String,
        #[command(flatten)]
        token: Token,
    },
    /// Desktop notifications on the daemon's machine
    Desktop,
}

/// Where a token comes from; never the command line, which everybody on the machine can read.
#[derive(Debug, clap::Args)]
pub struct Token {
    /// Copy the token from this file (- is stdin)
    #[arg(long, value_name = "FILE", group = "source")]
    token_file: Option<PathBuf>,
    /// The name of a variable in the daemon's environment with the token
    #[arg(long, value_name = "NAME", group = "source")]
    token_env: Option<String>,
}

/// Sets the channel up.
pub async fn run(which: Which, context: &Context) -> Result<Exit, CliError> {
    let mut changes: Vec<(String, String)> = Vec::new();
    let mut set = |key: &str, value: String| changes.push((format!("channels.{key}"), value));
    let known = known(context)?;
    let (kind, secret) = match which {
        Which::Telegram { token, chat_id, allow, api_url } => {
            print_lines(context, &TELEGRAM);
            let secret = token.get(context, ChannelKind::Telegram, known.telegram.bot_token.is_some())?;
            let chat_id = needed(context, chat_id.or(known.telegram.chat_id), "chat id", "--chat-id ID")?;
            let there = !known.telegram.allowed_users.is_empty();
            if let Some(users) = people(context, allow, there)? {
                set("telegram.allowed_users", list(&users));
            }
            set("telegram.chat_id", chat_id);
            if let Some(url) = api_url {
                set("telegram.api_url", url);
            }
            (ChannelKind::Telegram, secret)
        }
        Which::Discord { token, channel_id, allow, allow_role } => {
            print_lines(context, &DISCORD);
            let secret = token.get(context, ChannelKind::Discord, known.discord.bot_token.is_some())?;
            let channel_id = needed(context, channel_id.or(known.discord.channel_id), "channel id", "--channel-id ID")?;
            let (users, roles) = (&known.discord.allowed_users, &known.discord.allowed_roles);
            let there = !users.is_empty() || !roles.is_empty() || !allow_role.is_empty();
            if let Some(users) = people(context, allow, there)? {
                set("discord.allowed_users", list(&users));
            }
            if !allow_role.is_empty() {
                set("discord.allowed_roles", list(&allow_role));
            }
            set("discord.channel_id", channel_id);
            (ChannelKind::Discord, secret)
        }
        Which::Webhook { url, token } => {
            let secret = match token.given(context, ChannelKind::Webhook)? {
                Some(secret) => secret,
                None if known.webhook.secret.is_some() => Source::Kept,
                // Stdin may be meant for something else: it is read only on request.
                None => Source::Made(format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())),
            };
            set("webhook.url", url);
            (ChannelKind::Webhook, secret)
        }
        Which::Desktop => {
            set("desktop.enabled", "true".to_owned());
            (ChannelKind::Desktop, Source::None)
        }
    };
    store(kind, &secret, changes, context)?;
    finish(kind, &secret, context).await
}

/// Returns the present settings: what is not given stays unchanged.
fn known(context: &Context) -> Result<Channels, CliError> {
    let setup = context.setup()?;
    let sources = Sources::new(setup.home, setup.environment, Vec::new());
    Ok(sources.load(&[], None).config.channels.clone())
}

/// Returns who may give orders: as given, or asked for if the list is empty. `None` leaves it unchanged.
fn people(context: &Context, given: Vec<String>, there: bool) -> Result<Option<Vec<String>>, CliError> {
    if !given.is_empty() {
        return Ok(Some(given));
    }
    if there || !stdin_is_terminal() {
        return Ok(None);
    }
    context.ui.note("numeric ids of the people who may give orders, separated by spaces (Enter: none; send-only):");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(CliError::system("cannot read the ids"))?;
    let ids = line.split(|c: char| c.is_whitespace() || c == ',').filter(|id| !id.is_empty());
    let ids: Vec<String> = ids.map(str::to_owned).collect();
    Ok((!ids.is_empty()).then_some(ids))
}

/// Returns whether the channel is two-way, but its list of people who may give orders is empty.
fn speaks_only(kind: ChannelKind, context: &Context) -> Result<bool, CliError> {
    Ok(known(context)?.allowed_count(kind) == Some(0))
}

/// Stores the secret and changes config.yml. If that is refused, no secret is left behind, and no unused secret
/// remains.
fn store(
    kind: ChannelKind,
    secret: &Source,
    mut changes: Vec<(String, String)>,
    context: &Context,
) -> Result<(), CliError> {
    let home = context.setup()?.home;
    fs::create_dir_private(home.root())?;
    fs::create_dir_private(&home.state())?;
    let file = secret_file(&home, kind);
    let key =
        if kind == ChannelKind::Webhook { "channels.webhook.secret" } else { &format!("channels.{kind}.bot_token") };
    let before = fs::read_text(&file, LARGEST).ok();
    match secret {
        Source::None | Source::Kept => {}
        Source::Variable(name) => changes.push((key.to_owned(), format!("env:{name}"))),
        Source::Text(text) | Source::Made(text) => {
            file.parent().map(fs::create_dir_private).transpose()?;
            fs::write_private(&file, text.as_bytes(), fs::Durability::Synced)?;
            let path = file.strip_prefix(home.root()).unwrap_or(&file);
            changes.push((key.to_owned(), format!("file:{}", path.display())));
        }
    }
    let changes: Vec<(&str, &str)> = changes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let written = write_all(&home.config_file(), FileKind::Global, &home.state().join(LOCK), &changes);
    match secret {
        Source::Text(_) | Source::Made(_) if written.is_err() => match before {
            Some(before) => fs::write_private(&file, before.as_bytes(), fs::Durability::Synced)?,
            None => drop(std::fs::remove_file(&file)),
        },
        // Only now: until then the settings referred to the file.
        Source::Variable(_) if written.is_ok() => forget_secret(&file)?,
        Source::None | Source::Kept | Source::Text(_) | Source::Made(_) | Source::Variable(_) => {}
    }
    written.map(drop)
}

/// The result of the test: what the daemon reported, or what was found without one. Part of the JSON contract.
#[derive(Serialize)]
#[serde(untagged)]
enum Test {
    Daemon(NoticeView),
    Alone(Tried),
}

impl Test {
    fn without_daemon(tried: Option<Tried>, kind: ChannelKind) -> Result<Self, CliError> {
        tried.map(Self::Alone).ok_or_else(|| off(kind))
    }

    /// Returns whether no problem is known.
    fn is_well(&self) -> bool {
        match self {
            Self::Daemon(view) => view.state == NoticeState::Sent,
            Self::Alone(tried) => tried.is_right() || tried.is_open(),
        }
    }
}

/// Tests the channel, by the daemon or without one.
async fn finish(kind: ChannelKind, secret: &Source, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let file = secret.is_in_file().then(|| secret_file(&home, kind));
    if matches!(secret, Source::Made(_)) {
        let text = "no secret was given, so one was made (one of your own: --token-file FILE, - is stdin); your server \
                    checks requests with it";
        context.ui.note(text);
    }
    if matches!(secret, Source::Kept) {
        context.ui.note("no secret was given, so the one of before stays");
    }
    let mut link = context.link().await?;
    if !link.is_own() {
        taken_up(kind, &mut link).await?;
    }
    let test = if has_no_daemon(&mut link).await? {
        link.close().await?;
        Test::without_daemon(Tried::now(kind, context).await?, kind)?
    } else {
        let view = tried(kind, &mut link).await?;
        link.close().await?;
        Test::Daemon(view)
    };
    let end = if test.is_well() { Exit::Done } else { Exit::Failed };
    if context.ui.is_json() {
        let allowed = known(context)?.allowed_count(kind);
        context.ui.json(&json!({ "channel": kind, "secret_file": file, "allowed": allowed, "test": test }))?;
        return Ok(end);
    }
    context.ui.data(&format!("channel {kind} is set up in {}\n", text::line(&home.config_file().to_string_lossy())))?;
    if speaks_only(kind, context)? {
        let text = format!(
            "no one is allowed to give orders there: the channel is send-only, without buttons; {}",
            how_to_allow(kind)
        );
        context.ui.warning(&text);
    }
    if let Some(file) = &file {
        context.ui.note(&format!("its secret is in {}, which only you can read", text::line(&file.to_string_lossy())));
    }
    if let Source::Variable(name) = secret {
        context.ui.note(&format!("its secret is in the variable {name} of the daemon's environment"));
    }
    print_test(kind, &test, context);
    Ok(end)
}

fn print_test(kind: ChannelKind, test: &Test, context: &Context) {
    let ui = context.ui;
    let again = format!("correct it and add it again, or see: orch channel list; orch channel test {kind}");
    match test {
        Test::Daemon(view) if view.state == NoticeState::Sent => ui.note("a test message was sent there"),
        Test::Daemon(view) => {
            let why = view.error.as_deref().map_or("no answer yet".into(), text::line);
            ui.warning(&format!("the test message was not sent: {why}"));
            ui.note(&again);
        }
        Test::Alone(tried) if test.is_well() => {
            ui.note(&tried.describe());
            ui.note(&format!("next: orch serve (or orch service start), then orch channel test {kind}"));
        }
        Test::Alone(tried) => {
            ui.warning(&tried.describe());
            ui.note(&again);
        }
    }
}

/// Waits until the daemon has read the changed settings.
async fn taken_up(kind: ChannelKind, link: &mut Link) -> Result<(), CliError> {
    for _ in 0..LOOKS {
        let views = link.call(&endpoint::ChannelList).await?;
        if views.iter().any(|view| view.name == kind && view.state != ChannelState::Off) {
            return Ok(());
        }
        sleep(LOOK).await;
    }
    Ok(())
}

const TELEGRAM: [&str; 4] = [
    "1. In Telegram, write /newbot to @BotFather: it answers with the bot's token.",
    "2. Write something to your new bot, so that it may write to you.",
    "3. Write to @userinfobot: it answers with your numeric id. That is the chat id of a chat with you, and what --allow takes.",
    "   For a group: add the bot to it, open the group at web.telegram.org/a; the number at the end of the address, with its -, is its id.",
];
const DISCORD: [&str; 3] = [
    "1. On discord.com/developers/applications make an application; under Bot, reset and copy the token, and switch on Message Content Intent.",
    "2. Under OAuth2 choose bot and applications.commands, allow it to send messages and to make threads, open the URL.",
    "3. In Discord's settings switch on Advanced > Developer Mode; then a right click on a channel or person copies the id.",
];

/// Prints how to find the requested values; only at a terminal.
fn print_lines(context: &Context, lines: &[&str]) {
    if stdin_is_terminal() {
        lines.iter().for_each(|line| context.ui.note(line));
    }
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| format!("'{}'", item.replace('\'', "''"))).collect::<Vec<_>>().join(", "))
}

/// Returns the given value, or asks for it.
fn needed(context: &Context, given: Option<String>, what: &str, option: &str) -> Result<String, CliError> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !stdin_is_terminal() {
        return Err(CliError::usage(format!("the {what} is missing"), &format!("give it with {option}")));
    }
    context.ui.note(&format!("{what}:"));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(CliError::system(format!("cannot read the {what}")))?;
    match line.trim() {
        "" => Err(CliError::usage(format!("the {what} is missing"), &format!("give it with {option}"))),
        line => Ok(line.to_owned()),
    }
}

/// A secret, or its location.
enum Source {
    None,
    /// The previous one.
    Kept,
    Text(String),
    /// A generated one.
    Made(String),
    Variable(String),
}

impl Source {
    /// Returns whether it is stored in the channel's own file.
    fn is_in_file(&self) -> bool {
        match self {
            Self::Text(_) | Self::Made(_) => true,
            Self::None | Self::Kept | Self::Variable(_) => false,
        }
    }
}

impl Token {
    /// Returns the given secret, or asks for one; an empty answer keeps an existing one.
    fn get(&self, context: &Context, kind: ChannelKind, is_there: bool) -> Result<Source, CliError> {
        if let Some(source) = self.given(context, kind)? {
            return Ok(source);
        }
        if stdin_is_terminal() {
            let keeps = if is_there { "; Enter keeps the one of before" } else { "" };
            context.ui.note(&format!("token (it is not shown{keeps}):"));
        }
        let line = read_hidden_line().map_err(CliError::system("cannot read the token"))?;
        if is_there && line.trim().is_empty() {
            return Ok(Source::Kept);
        }
        checked(kind, &line).map(Source::Text)
    }

    fn given(&self, context: &Context, kind: ChannelKind) -> Result<Option<Source>, CliError> {
        match (&self.token_file, &self.token_env) {
            (Some(file), _) if file.as_os_str() == "-" => {
                let line = read_hidden_line().map_err(CliError::system("cannot read the token"))?;
                checked(kind, &line).map(|text| Some(Source::Text(text)))
            }
            (Some(file), _) => {
                let text = fs::read_text(&context.cwd.join(file), LARGEST)?;
                checked(kind, &text).map(|text| Some(Source::Text(text)))
            }
            (None, Some(name)) if format!("env:{name}").parse::<Reference>().is_err() => {
                // It may be the token itself, so it is not repeated.
                Err(CliError::usage("--token-env takes the name of a variable", "--token-env ORCH_TELEGRAM_TOKEN"))
            }
            (None, Some(name)) => {
                if !context.environment.contains_key(name) {
                    let output = format!("{name} is not set here; the daemon needs it in its environment");
                    context.ui.warning(&output);
                }
                Ok(Some(Source::Variable(name.clone())))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Checks whether a token has the form of that service's. Never repeats it.
fn checked(kind: ChannelKind, text: &str) -> Result<String, CliError> {
    let text = text.trim();
    let wrong = |message: &str, hint: &str| Err(CliError::usage(message, hint));
    if text.is_empty() {
        return wrong("the token is empty", "type it, or give --token-file FILE or --token-env NAME");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        return wrong("the token holds blanks or other characters that no token has", "copy it once more, as a whole");
    }
    let is_telegram = text
        .split_once(':')
        .is_some_and(|(id, key)| id.len() >= 5 && id.bytes().all(|b| b.is_ascii_digit()) && key.len() >= 20);
    let is_discord = text.split('.').count() == 3 && text.split('.').all(|part| !part.is_empty());
    match kind {
        ChannelKind::Telegram if is_discord && !is_telegram => {
            wrong("this looks like a token of Discord", "orch channel add discord")
        }
        ChannelKind::Telegram if !is_telegram => {
            wrong("this is no token of a Telegram bot", "it looks like 123456789:AbC…; @BotFather shows it")
        }
        ChannelKind::Discord if is_telegram => {
            wrong("this looks like a token of Telegram", "orch channel add telegram")
        }
        ChannelKind::Discord if !is_discord => wrong(
            "this is no token of a Discord bot",
            "it has three parts separated by dots; Bot > Reset Token shows it",
        ),
        ChannelKind::Webhook if text.len() < 16 => {
            wrong("a secret has at least 16 characters", "omit it: orch generates one")
        }
        ChannelKind::Telegram | ChannelKind::Discord | ChannelKind::Webhook | ChannelKind::Desktop => {
            Ok(text.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // In parts, so that no scanner takes them for secrets.
    const TELEGRAM_TOKEN: &str = concat!("123456789", ":AAEhBOweik6ad6PsVMRxjeQKXkq8rHqJWKI");
    const DISCORD_TOKEN: &str = concat!("MTk4NjIyNDgzNDcxOTI1MjQ4", ".Cl2FMQ.", "ZnCjm1XVW7vRze4b7Cq4se7kKWs");

    #[test]
    fn a_token_of_the_other_service_is_reported_and_none_is_repeated() {
        use ChannelKind::{Discord, Telegram, Webhook};
        for (kind, token, expected) in [
            (Telegram, TELEGRAM_TOKEN, None),
            (Discord, DISCORD_TOKEN, None),
            (Telegram, DISCORD_TOKEN, Some("Discord")),
            (Discord, TELEGRAM_TOKEN, Some("Telegram")),
            (Telegram, "hunter2", Some("no token of a Telegram bot")),
            (Telegram, " \n", Some("empty")),
            (Telegram, "123456789:AAEhBOweik6ad6P sVMRxjeQKXkq8rHqJWKI", Some("blanks")),
            (Webhook, "short", Some("16")),
        ] {
            let text = checked(kind, &format!("{token}\n"));
            match expected {
                None => assert_eq!(text.expect("a token"), token),
                Some(words) => {
                    let text = text.expect_err(token).to_string();
                    assert!(text.contains(words) && (token.len() < 8 || !text.contains(token)), "{text}");
                }
            }
        }
    }
}
