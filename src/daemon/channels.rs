//! Runs the channels according to the settings: each enabled channel has a service that sends it notifications, and the
//! queue of a disabled one is deleted. Follows the settings while the daemon runs.

use super::Setup;
use jiff::tz::TimeZone;
use orch_api::client::Client;
use orch_chat::TwoWay;
use orch_chat::desktop::Desktop;
use orch_chat::discord::Discord;
use orch_chat::notifier;
use orch_chat::streams::STREAMS;
use orch_chat::telegram::Telegram;
use orch_chat::webhook::Webhook;
use orch_config::Secret;
use orch_config::resolved::Config;
use orch_config::resolved_channels::Level;
use orch_core::notices::notice::queue;
use orch_core::notices::outbox::{DROPPED, KeyValue, LISTENING, PLACE, TROUBLE};
use orch_core::operations::channel::ChannelKind;
use orch_engine::handle::EngineHandle;
use orch_engine::{Settings, Sources};
use orch_server::Asked;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often the settings are read again, for a token that was missing and where changes of files are not reported.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The service that runs the channels.
pub(super) struct Channels {
    pub(super) sources: Sources,
    pub(super) engine: EngineHandle,
    /// The client that executes the commands of people in chats.
    pub(super) client: Client,
    /// Notified when the settings may have changed.
    pub(super) changed: Arc<Notify>,
    /// Requests to read the settings again, which are answered afterwards.
    pub(super) asked: mpsc::Receiver<Asked>,
    pub(super) closing: CancellationToken,
}

/// The configuration of a channel. When it changes, the channel is restarted.
#[derive(PartialEq)]
struct Wanted {
    /// Its settings and those of all notifications, with references in place of secrets.
    settings: serde_json::Value,
    /// The present values of the references.
    secrets: Vec<Result<Secret, String>>,
}

/// A running channel.
struct Open {
    wanted: Wanted,
    stop: CancellationToken,
    service: Option<JoinHandle<()>>,
}

impl Channels {
    /// Runs the channels until the daemon shuts down; a message that is being sent then is completed.
    pub(super) async fn run(mut self) {
        let mut settings: Option<Settings> = None;
        let mut open: BTreeMap<ChannelKind, Open> = BTreeMap::new();
        let mut pending: Option<Asked> = None;
        loop {
            let read = self.sources.load(&[], settings.as_ref());
            // With unreadable settings no channel is started or stopped.
            if read.unread.is_none() {
                for kind in ChannelKind::ALL {
                    self.update(kind, &read.config, &mut open).await;
                }
            }
            settings = Some(read);
            if let Some(asked) = pending.take() {
                // The requester may have given up.
                asked.send(()).ok();
            }
            tokio::select! {
                () = self.closing.cancelled() => break,
                () = self.changed.notified() => {}
                Some(asked) = self.asked.recv() => pending = Some(asked),
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
        // Later requests must not wait for the shutdown of the channels.
        drop(self.asked);
        for (_, open) in open {
            close(open).await;
        }
    }

    async fn update(&self, kind: ChannelKind, config: &Config, open: &mut BTreeMap<ChannelKind, Open>) {
        if !config.channels.is_on(kind) {
            if let Some(open) = open.remove(&kind) {
                close(open).await;
            }
            return self.forget(kind).await;
        }
        let wanted = self.wanted(kind, config);
        if open.get(&kind).is_some_and(|open| open.wanted == wanted) {
            return;
        }
        if let Some(open) = open.remove(&kind) {
            close(open).await;
        }
        let stop = self.closing.child_token();
        let service = self.start(kind, config, &wanted, stop.clone());
        let problem = service.as_ref().err().cloned();
        if let Some(why) = &problem {
            tracing::error!(channel = %kind, why, "a channel is enabled and has no effect");
        }
        // Success is recorded with the next message.
        let recorded = match problem {
            Some(why) => self.engine.keep(kind, TROUBLE, Some(why)).await,
            None => Ok(()),
        };
        if let Err(error) = recorded {
            tracing::warn!(channel = %kind, %error, "the state of a channel cannot be recorded");
        }
        open.insert(kind, Open { wanted, stop, service: service.ok() });
    }

    fn wanted(&self, kind: ChannelKind, config: &Config) -> Wanted {
        let channels = &config.channels;
        let (home, environment) = (&self.sources.home, &self.sources.environment);
        let reference = |reference: &Option<_>| -> Vec<Result<Secret, String>> {
            let read = |one: &orch_config::resolved_channels::Reference| one.read(home, environment);
            reference.as_ref().map(read).into_iter().collect()
        };
        let (own, secrets) = match kind {
            ChannelKind::Telegram => {
                (serde_json::to_value(&channels.telegram), reference(&channels.telegram.bot_token))
            }
            ChannelKind::Discord => (serde_json::to_value(&channels.discord), reference(&channels.discord.bot_token)),
            ChannelKind::Webhook => {
                let url = channels.webhook.url.as_ref().map(|url| url.read(home, environment));
                let secrets = url.into_iter().chain(reference(&channels.webhook.secret)).collect();
                (serde_json::to_value(&channels.webhook), secrets)
            }
            ChannelKind::Desktop => (serde_json::to_value(&channels.desktop), Vec::new()),
        };
        let all = serde_json::to_value((&config.notifications, &config.redact));
        Wanted { settings: serde_json::json!([own.unwrap_or_default(), all.unwrap_or_default()]), secrets }
    }

    /// Starts the service of a channel.
    ///
    /// # Errors
    /// What is wrong with its configuration, for a person.
    fn start(
        &self,
        kind: ChannelKind,
        config: &Config,
        wanted: &Wanted,
        stop: CancellationToken,
    ) -> Result<JoinHandle<()>, String> {
        let secrets = wanted.secrets.iter().cloned().collect::<Result<Vec<Secret>, String>>()?;
        match kind {
            ChannelKind::Webhook => {
                let url = secrets.first().ok_or("it has no URL")?;
                let channel = Webhook::new(url, secrets.get(1))?;
                Ok(tokio::spawn(self.notifier(kind, channel, config, stop)))
            }
            ChannelKind::Desktop => {
                let channel = Desktop::new(self.sources.environment.clone());
                Ok(tokio::spawn(self.notifier(kind, channel, config, stop)))
            }
            ChannelKind::Telegram => {
                let token = secrets.into_iter().next().ok_or("it has no token")?;
                let channel = Telegram::open(&config.channels.telegram, token, self.engine.clone());
                Ok(self.chat(kind, channel.map_err(|error| error.to_string())?, config, stop))
            }
            ChannelKind::Discord => {
                let token = secrets.into_iter().next().ok_or("it has no token")?;
                let channel = Discord::open(&config.channels.discord, token, self.engine.clone());
                Ok(self.chat(kind, channel.map_err(|error| error.to_string())?, config, stop))
            }
        }
    }

    /// Starts a channel that also receives messages.
    fn chat<C: TwoWay + Clone + 'static>(
        &self,
        kind: ChannelKind,
        channel: C,
        config: &Config,
        stop: CancellationToken,
    ) -> JoinHandle<()> {
        let notifier = self.notifier(kind, channel.clone(), config, stop.clone());
        let client = self.client.clone();
        tokio::spawn(async move {
            tokio::join!(notifier, channel.run(client, stop));
        })
    }

    /// Returns the task that sends a channel's notifications.
    fn notifier<C: orch_chat::Channel + 'static>(
        &self,
        kind: ChannelKind,
        channel: C,
        config: &Config,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<C> {
        let notifications = &config.notifications;
        let level = match notifications.level {
            Level::All => queue::Level::All,
            Level::ErrorsOnly => queue::Level::Errors,
            Level::None => queue::Level::Nothing,
        };
        let filter = config.channels.filter(kind).clone();
        let rules = queue::Rules { level, filter, quiet: notifications.quiet_hours, zone: TimeZone::system() };
        let redactor = config.redactor(&self.sources.environment);
        let setup = notifier::Setup { kind, channel, rules, daily_summary: notifications.daily_summary, redactor };
        notifier::run(setup, self.engine.clone(), stop)
    }

    /// Deletes the queue of a disabled channel, so that it is not sent when the channel is enabled again.
    async fn forget(&self, kind: ChannelKind) {
        let deletion = async {
            if self.engine.kept(kind, PLACE).await?.is_none() && self.engine.kept(kind, TROUBLE).await?.is_none() {
                return Ok(());
            }
            let rows = self.engine.outbox(kind).await?.into_iter().map(|parcel| (parcel.id, None)).collect();
            let at = jiff::Timestamp::UNIX_EPOCH;
            let gone = |key: &str| KeyValue::Value { channel: kind, key: key.to_owned(), value: None, at };
            let streams = KeyValue::Forget { channel: kind, prefix: STREAMS.to_owned(), before: None };
            let kept = [PLACE, DROPPED, TROUBLE, LISTENING].map(gone).into_iter().chain([streams]);
            self.engine.post(rows, kept.collect()).await
        };
        let done: Result<(), orch_engine::handle::EngineError> = deletion.await;
        if let Err(error) = done {
            tracing::warn!(channel = %kind, %error, "the queue of a disabled channel cannot be deleted yet");
        }
    }
}

async fn close(open: Open) {
    open.stop.cancel();
    if let Some(service) = open.service
        && let Err(error) = service.await
    {
        tracing::error!(%error, "a channel's service failed");
    }
}

impl Setup {
    /// Starts the service, which runs until `closing`.
    pub(super) fn keep_channels(
        &self,
        engine: EngineHandle,
        client: Client,
        changed: Arc<Notify>,
        asked: mpsc::Receiver<Asked>,
        closing: CancellationToken,
    ) -> JoinHandle<()> {
        let sources = Sources::new(self.home.clone(), self.environment.clone(), self.flags.clone());
        tokio::spawn(Channels { sources, engine, client, changed, asked, closing }.run())
    }
}
