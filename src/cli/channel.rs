//! `orch channel`: sets up, tests, lists and removes notification channels.

mod add;
mod alone;

use super::config::set::{LOCK, write_all};
use super::context::{Context, Link};
use super::error::CliError;
use super::exit::Exit;
use super::ui::text;
use super::ui::time::Now;
use clap::Subcommand;
use orch_api::channels::{ChannelState, ChannelView, NewNotice, NoticeState, NoticeView};
use orch_api::client::Client;
use orch_api::endpoint;
use orch_config::FileKind;
use orch_config::home::Home;
use orch_core::operations::channel::ChannelKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::sleep;

/// How long a test waits for the channel.
const PATIENCE: Duration = Duration::from_secs(60);
/// The polling interval.
const LOOK: Duration = Duration::from_millis(200);
/// A channel that reports trouble in this many polls in a row has failed.
const SURE: u32 = 5;
/// How many polls wait for the daemon to read that a channel is off.
const UNREAD: u32 = 50;

/// The text of a test message.
const TEXT: &str = "This is a test of orch: it reaches you here.";
/// The commands of `orch channel`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up a channel; the token is asked for, or read from stdin, a file or a variable
    Add {
        #[command(subcommand)]
        channel: add::Which,
    },
    /// List all channels: pending messages, the last message, failed messages and why
    #[command(visible_alias = "ls")]
    List,
    /// Send a test message and wait for its delivery; without a daemon, check token and chat
    Test {
        /// telegram, discord, webhook or desktop
        #[arg(value_parser = kind)]
        name: ChannelKind,
    },
    /// Remove a channel from config.yml, with its token and its pending messages
    Remove {
        /// telegram, discord, webhook or desktop
        #[arg(value_parser = kind)]
        name: ChannelKind,
    },
}

/// Parses the name of a channel.
pub fn kind(text: &str) -> Result<ChannelKind, String> {
    let found = ChannelKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| "expected telegram, discord, webhook or desktop".to_owned())
}

/// Runs the subcommand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Add { channel } => add::run(channel, context).await,
        Command::List => {
            context.present(&endpoint::ChannelList, |views: &Vec<ChannelView>, now, _| listed(views, now)).await
        }
        Command::Test { name } => test(name, context).await,
        Command::Remove { name } => remove(name, context).await,
    }
}

/// Returns the path of a channel's secret.
fn secret_file(home: &Home, kind: ChannelKind) -> PathBuf {
    home.state().join("channels").join(format!("{kind}.secret"))
}

/// Removes the file of a secret, if it exists.
fn forget_secret(file: &Path) -> Result<(), CliError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CliError::system(format!("cannot remove {}", file.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Returns a hint on how to allow a person to give orders.
fn how_to_allow(kind: ChannelKind) -> String {
    format!("orch config set channels.{kind}.allowed_users \"['ID']\"")
}

fn listed(views: &[ChannelView], now: &Now) -> String {
    let mut text = String::new();
    for view in views {
        let waits = if view.state == ChannelState::Off && view.pending == 0 {
            String::new()
        } else {
            let last = view.last_sent_at.map_or_else(|| "never".to_owned(), |at| now.past(at));
            format!("  {} pending, last sent {last}", view.pending)
        };
        let state = if view.state == ChannelState::NoDaemon { "set up" } else { view.state.as_str() };
        let line = format!("{:<9} {state:<8}{waits}", view.name.as_str());
        text.push_str(&format!("{}\n", line.trim_end()));
        if view.state != ChannelState::Off && view.allowed == Some(0) {
            let how = how_to_allow(view.name);
            text.push_str(&format!("  send-only: no one is allowed to give orders there; {how}\n"));
        }
        if let Some(why) = &view.trouble {
            text.push_str(&format!("  cannot send: {}\n", text::line(why)));
        }
        if view.dropped > 0 {
            text.push_str(&format!("  {} dropped, because too many waited\n", view.dropped));
        }
        for dead in &view.dead {
            let (at, why, said) = (now.past(dead.at), text::line(&dead.why), text::fit(&dead.text, 60));
            text.push_str(&format!("  given up {at} ({why}): {} {said}\n", dead.kind));
        }
    }
    if views.iter().any(|view| view.state == ChannelState::NoDaemon) {
        text.push_str("\nno daemon runs: notifications are sent when one does (orch serve)\n");
    }
    if views.iter().all(|view| view.state == ChannelState::Off) {
        text.push_str("\norch channel add telegram (or discord, webhook, desktop) sets one up\n");
    }
    text
}

fn off(kind: ChannelKind) -> CliError {
    CliError::NotFound { message: format!("channel {kind} is off"), hint: Some(format!("orch channel add {kind}")) }
}

/// Sends a test message, and waits for its delivery.
async fn test(kind: ChannelKind, context: &Context) -> Result<Exit, CliError> {
    let mut link = context.link().await?;
    if has_no_daemon(&mut link).await? {
        link.close().await?;
        return alone::test(kind, context).await;
    }
    let view = tried(kind, &mut link).await?;
    let is_said = view.state == NoticeState::Sent;
    if context.ui.is_json() {
        context.ui.json(&view)?;
    } else if is_said {
        context.ui.data(&format!("{kind}: the test message was sent\n"))?;
    } else {
        let why = view.error.as_deref().map_or("no answer yet".into(), text::line);
        context.ui.data(&format!("{kind}: the test message was not sent: {why}\n"))?;
        context.ui.note("it is retried automatically; orch channel list shows the state");
    }
    link.close().await?;
    Ok(if is_said { Exit::Done } else { Exit::Failed })
}

/// Returns whether no daemon runs. An engine that runs one task in a terminal sends no notifications.
async fn has_no_daemon(link: &mut Link) -> Result<bool, CliError> {
    if link.is_own() {
        return Ok(true);
    }
    let views = link.call(&endpoint::ChannelList).await?;
    Ok(views.iter().any(|view| view.state == ChannelState::NoDaemon))
}

/// Waits until the daemon has read that a channel is off. Returns `false` if it has not after a while.
async fn is_off(kind: ChannelKind, client: &Client) -> bool {
    for _ in 0..UNREAD {
        match client.call(&endpoint::ChannelList).await {
            Ok(views) if views.iter().any(|view| view.name == kind && view.state != ChannelState::Off) => {}
            // One that is gone by now has nothing on.
            Ok(_) | Err(_) => return true,
        }
        sleep(LOOK).await;
    }
    false
}

/// Waits for the result of a test; it is pending if the channel was not reached in time.
async fn tried(kind: ChannelKind, link: &mut Link) -> Result<NoticeView, CliError> {
    let new = NewNotice { text: TEXT.to_owned(), channels: vec![kind.to_string()] };
    let messages = link.call(&endpoint::Notify { body: new }).await?;
    let mut view = messages.into_iter().next().ok_or_else(|| off(kind))?;
    let looks = PATIENCE.as_millis() / LOOK.as_millis();
    let mut in_trouble = 0;
    for _ in 0..looks {
        sleep(LOOK).await;
        let found = link.call(&endpoint::NoticeShow { seq: view.seq }).await?;
        let taken = found.into_iter().find(|found| found.channel == view.channel);
        let is_taken = taken.is_some();
        view = taken.unwrap_or(view);
        if view.state != NoticeState::Pending || view.error.is_some() {
            break;
        }
        if is_taken {
            continue;
        }
        // A channel that cannot start reports why. A report on the previous settings disappears in a moment.
        let trouble = trouble_of(kind, link).await?;
        in_trouble = if trouble.is_some() { in_trouble + 1 } else { 0 };
        if in_trouble == SURE {
            view.error = trouble;
            break;
        }
    }
    Ok(view)
}

/// Returns why a channel does not send.
async fn trouble_of(kind: ChannelKind, link: &mut Link) -> Result<Option<String>, CliError> {
    let views = link.call(&endpoint::ChannelList).await?;
    Ok(views.into_iter().find(|view| view.name == kind).and_then(|view| view.trouble))
}

async fn remove(kind: ChannelKind, context: &Context) -> Result<Exit, CliError> {
    let home = context.setup()?.home;
    let key = match kind {
        ChannelKind::Telegram => "channels.telegram.bot_token",
        ChannelKind::Discord => "channels.discord.bot_token",
        ChannelKind::Webhook => "channels.webhook.url",
        ChannelKind::Desktop => "channels.desktop.enabled",
    };
    let mut changes = vec![(key, "null")];
    if kind == ChannelKind::Webhook {
        changes.push(("channels.webhook.secret", "null"));
    }
    let changed = write_all(&home.config_file(), FileKind::Global, &home.state().join(LOCK), &changes)?;
    forget_secret(&secret_file(&home, kind))?;
    // A daemon that has not read the settings yet would still report it as on.
    let is_known = match context.setup()?.connect().await {
        Some(client) => is_off(kind, &client).await,
        None => true,
    };
    if !is_known {
        context.ui.warning("the daemon has not applied that yet; orch channel list shows when it has");
    }
    if context.ui.is_json() {
        context.ui.json(&serde_json::json!({ "channel": kind, "removed": changed }))?;
    } else if changed {
        context.ui.data(&format!("channel {kind} is off; its other settings stay in config.yml\n"))?;
    } else {
        context.ui.data(&format!("channel {kind} was off already\n"))?;
    }
    Ok(Exit::Done)
}
