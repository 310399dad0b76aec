//! The wire part of Discord: sends to the channel and to one thread per task. The REST client keeps the rate limits; the rate
//! limit here keeps the number of requests low.

use super::api::{Api, Place, id};
use super::files::Files;
use super::listener::Listener;
use super::threads::Threads;
use super::{DIRECT, Setup};
use crate::chat::Refusal;
use crate::conversation::buttons::Minted;
use crate::conversation::channel_store::ChannelStore;
use crate::health::Way;
use crate::outbound_queue::SendResult;
use crate::rate_limit::{Limits, RateLimit};
use crate::service::{self, Listening, Service};
use crate::streams::Shown;
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::{ChannelKind, ChatMessage};
use std::sync::OnceLock;
use std::time::Duration;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, GuildMarker, UserMarker};

/// One message or edit per second, which matches the limit of five in five seconds of a channel.
const LIMITS: Limits =
    Limits { apart: Duration::from_secs(1), group_span: Duration::ZERO, margin: Duration::from_millis(20) };
/// Number of consecutive rate-limit refusals that are not yet a problem.
const USUAL: u32 = 2;
/// Maximum number of users that are added to a thread.
const INVITED: usize = 10;

/// Discord as a service.
pub struct DiscordService {
    pub(super) setup: Setup,
    pub(super) api: Api,
    pub(super) threads: Threads,
    pub(super) files: Files,
    store: ChannelStore,
    /// Server of the channel, once it is known; `None`: a direct-message channel.
    pub(super) guild: OnceLock<Option<Id<GuildMarker>>>,
}

impl DiscordService {
    /// Creates the service without connecting.
    pub(super) fn new(setup: Setup, store: ChannelStore) -> Self {
        let (api, files) = (Api::new(&setup.token, setup.api_url.as_deref()), Files::new(setup.api_url.as_deref()));
        Self { setup, api, threads: Threads::new(store.clone()), files, store, guild: OnceLock::new() }
    }

    /// Returns the server of the channel; `None`: it is a direct-message channel.
    pub(super) async fn guild(&self) -> Result<Option<Id<GuildMarker>>, Refusal> {
        if let Some(known) = self.guild.get() {
            return Ok(*known);
        }
        let found = self.api.whereabouts(self.setup.listed.channel).await?.guild;
        Ok(*self.guild.get_or_init(|| found))
    }

    /// Records a sent message: replies to it are about its task.
    pub(super) async fn record_sent(&self, content: &ChatMessage, place: Place) {
        if let Some(task) = content.task {
            self.threads.record_message(task, place).await;
        }
    }
}

/// Sends the requests of the queue.
type Sender = service::Sender<DiscordService>;

impl Service for DiscordService {
    const KIND: ChannelKind = ChannelKind::Discord;
    type Chat = Id<ChannelMarker>;
    type Message = Place;

    fn parse_message(text: &str) -> Option<Place> {
        Place::parse(text)
    }

    fn button_key(_: Id<ChannelMarker>, place: Place) -> String {
        place.to_string()
    }

    fn rate_limit(&self, _: Id<ChannelMarker>) -> RateLimit {
        RateLimit::new(false, LIMITS)
    }

    async fn send(sender: &mut Sender, channel: Option<Id<ChannelMarker>>, content: &ChatMessage) -> SendResult<Place> {
        match channel {
            Some(channel) => sender.send(channel, content).await.map(Some),
            None => sender.send_notice(content).await.map(Some),
        }
    }

    async fn send_live(
        sender: &mut Sender,
        channel: Id<ChannelMarker>,
        content: &ChatMessage,
    ) -> Result<Place, Refusal> {
        let place = sender.service().api.send_message(channel, content, &[]).await?;
        sender.service().record_sent(content, place).await;
        Ok(place)
    }

    async fn edit(sender: &mut Sender, place: Place, content: &ChatMessage, buttons: &[Minted]) -> Result<(), Refusal> {
        sender.service().api.edit(place, content, buttons).await?;
        sender.service().record_sent(content, place).await;
        Ok(())
    }

    async fn remove_buttons(sender: &mut Sender, place: Place) -> Result<(), Refusal> {
        sender.service().api.remove_buttons(place).await
    }

    fn record_result(sender: &mut Sender, refusal: Option<&Refusal>) {
        sender.rate_limiter.record_request();
        match refusal {
            None | Some(Refusal::Gone | Refusal::Never(_)) => {
                sender.rate_limiter.record_success();
                sender.health().set(Way::Out, None);
            }
            Some(Refusal::Later { after, why }) => {
                let in_a_row = sender.rate_limiter.record_failure(*after);
                if after.is_none() || in_a_row > USUAL {
                    sender.health().set(Way::Out, Some(why.clone()));
                }
            }
            Some(Refusal::Closed(why)) => sender.health().set(Way::Out, Some(why.clone())),
        }
    }

    fn owners(&self) -> Vec<String> {
        self.setup.listed.users.iter().cloned().collect()
    }

    async fn private_chat(&self, user: &str) -> Result<Id<ChannelMarker>, Refusal> {
        let key = format!("{DIRECT}{user}");
        if let Some(known) = self.store.get(&key).await.ok().flatten().as_deref().and_then(id) {
            return Ok(known);
        }
        let Some(user) = id(user) else { return Err(Refusal::Gone) };
        let channel = self.api.direct(user).await?;
        if let Err(error) = self.store.set(&key, Some(channel.to_string())).await {
            tracing::debug!(%error, "a channel is looked up again");
        }
        Ok(channel)
    }

    fn only_sends(&self) -> bool {
        self.setup.listed.is_empty()
    }

    async fn is_seen(&self, shown: &Shown<Id<ChannelMarker>>) -> bool {
        let listed = &self.setup.listed;
        let is_there = shown.chat == listed.channel || listed.users.contains(&shown.by);
        is_there || self.threads.task_of(shown.chat, None).await.is_some()
    }

    async fn listen(listening: Listening<'_, Self>) {
        Listener::new(listening).run().await;
    }
}

impl Sender {
    /// Sends a notice to the task's thread if there is one.
    async fn send_notice(&self, content: &ChatMessage) -> Result<Place, Refusal> {
        let service = self.service();
        if let Some(task) = content.task
            && let Some(thread) = service.threads.thread_of(task).await
        {
            match self.send(thread, content).await {
                Err(Refusal::Gone) => {}
                Err(Refusal::Never(_) | Refusal::Closed(_)) if service.api.is_gone(thread).await => {}
                done => return done,
            }
            // The thread was deleted or locked.
            service.threads.forget(task, thread).await;
        }
        self.send(self.chat(), content).await
    }

    async fn send(&self, channel: Id<ChannelMarker>, content: &ChatMessage) -> Result<Place, Refusal> {
        let minted = self.queue.mint(content).await?;
        let place = self.service().api.send_message(channel, content, &minted).await?;
        self.queue.bind(&minted, place).await?;
        self.service().record_sent(content, place).await;
        if let Some(task) = content.task
            && channel == self.chat()
        {
            self.create_thread(task, place, content).await;
        }
        Ok(place)
    }

    /// Creates a thread under the first message about a task, as the place for messages to its agent.
    async fn create_thread(&self, task: TaskId, under: Place, content: &ChatMessage) {
        let service = self.service();
        if service.threads.thread_of(task).await.is_some() {
            return;
        }
        let line = content.plain_text().lines().next().unwrap_or_default().trim().to_owned();
        let name = if line.contains(&format!("#{task}")) { line } else { format!("#{task} {line}") };
        match service.api.create_thread(under, &name).await {
            Ok(thread) => {
                service.threads.record_thread(task, thread).await;
                self.invite(thread).await;
            }
            // Replies to the message work as well.
            Err(refusal) => tracing::debug!(%refusal, %task, "a thread cannot be created"),
        }
    }

    /// Adds users to a thread, because only its members are notified.
    async fn invite(&self, thread: Id<ChannelMarker>) {
        let people = self.users().iter().filter_map(|user| id::<UserMarker>(user)).take(INVITED);
        for person in people {
            if let Err(refusal) = self.service().api.join(thread, person).await {
                tracing::debug!(%refusal, "a user cannot be added to a thread");
            }
        }
    }
}
