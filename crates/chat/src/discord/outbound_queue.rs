//! The outbound queue of Discord: sends one request after the other: answers to users first, then notices, then live
//! output. The REST client keeps the rate limits; this queue keeps the number of requests low. Temporarily refused messages
//! are retried.

use super::api::{Api, Armed, Place, id};
use super::now;
use super::threads::Threads;
use crate::chat::Refusal;
use crate::conversation::buttons::{Minted, bind, mint};
use crate::conversation::channel_store::ChannelStore;
use crate::conversation::live::Stage;
use crate::health::{Health, Way};
use crate::outbound_queue::{self, RateLimiter, SendQueue, SendResult};
use crate::rate_limit::{Limits, RateLimit, Urgency};
use crate::streams;
use orch_core::base::ids::TaskId;
use orch_core::operations::channel::ChatMessage;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use twilight_model::id::Id;
use twilight_model::id::marker::{ChannelMarker, UserMarker};

/// One message or edit per second, which matches the limit of five in five seconds of a channel.
const LIMITS: Limits =
    Limits { apart: Duration::from_secs(1), group_span: Duration::ZERO, margin: Duration::from_millis(20) };
/// Number of consecutive rate-limit refusals that are not yet a problem.
const USUAL: u32 = 2;
/// Maximum number of users that are added to a thread.
const INVITED: usize = 10;

/// A queued request.
pub enum Item {
    /// Sends a notice to its task's thread, or else to the channel.
    Notice(ChatMessage),
    /// Sends a message to this channel, split into several if needed.
    Send(Id<ChannelMarker>, ChatMessage),
    /// Replaces the content of a message.
    Edit(Place, ChatMessage),
    /// Removes the buttons of a message.
    RemoveButtons(Place),
}

/// The state of a live message with its channel.
type LiveState = (Id<ChannelMarker>, ChatMessage);

struct Shared {
    api: Api,
    /// The configured channel.
    channel: Id<ChannelMarker>,
    store: ChannelStore,
    users: BTreeSet<String>,
    items: SendQueue<Sender>,
    threads: Threads,
    health: Health,
}

/// The queue. Cheap to clone; [`OutboundQueue::run`] sends.
#[derive(Clone)]
pub struct OutboundQueue(Arc<Shared>);

impl OutboundQueue {
    /// Creates the queue of a channel; `users` may press the buttons.
    pub fn new(
        api: Api,
        channel: Id<ChannelMarker>,
        store: ChannelStore,
        users: BTreeSet<String>,
        health: Health,
    ) -> Self {
        let threads = Threads::new(store.clone());
        Self(Arc::new(Shared { api, channel, store, users, items: SendQueue::default(), threads, health }))
    }

    /// Returns the threads of tasks.
    pub fn threads(&self) -> &Threads {
        &self.0.threads
    }

    /// Returns the number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.0.items.waiting()
    }

    /// Sends a message to its task's thread or to the channel, and waits until it is sent.
    ///
    /// # Errors
    /// The message was not sent, or the result is unknown.
    pub async fn send(&self, content: &ChatMessage) -> SendResult<Place> {
        let urgency = if content.is_urgent { Urgency::Now } else { Urgency::Usual };
        self.0.items.wait(Item::Notice(content.clone()), urgency).await
    }

    /// Sends a message to this channel and waits until it is sent.
    ///
    /// # Errors
    /// The message was not sent, or the result is unknown.
    pub async fn send_to(&self, channel: Id<ChannelMarker>, content: &ChatMessage) -> SendResult<Place> {
        self.0.items.wait(Item::Send(channel, content.clone()), Urgency::Usual).await
    }

    /// Replaces the content of a message and waits until that is done.
    ///
    /// # Errors
    /// The message was not edited, or the result is unknown.
    pub async fn edit(&self, place: Place, content: &ChatMessage) -> Result<(), Refusal> {
        self.0.items.wait(Item::Edit(place, content.clone()), Urgency::Usual).await.map(drop)
    }

    /// Queues an answer without waiting for it. If the queue is full, the answer is dropped and that is logged.
    pub fn answer(&self, channel: Id<ChannelMarker>, content: ChatMessage) {
        if !self.0.items.push(Item::Send(channel, content), Urgency::Now) {
            tracing::warn!(%channel, "an answer is dropped: the queue is full");
        }
    }

    /// Removes the buttons of a message. They have no effect anyway.
    pub fn remove_buttons(&self, place: Place) {
        self.0.items.push(Item::RemoveButtons(place), Urgency::Now);
    }

    /// Sets the newest state of a live message; `false`: there are too many live messages.
    pub fn show(&self, key: u64, channel: Id<ChannelMarker>, content: ChatMessage, stage: Stage) -> bool {
        self.0.items.show(key, (channel, content), stage == Stage::Last)
    }

    /// Creates the buttons of a message that is about to be sent.
    ///
    /// # Errors
    /// The buttons cannot be stored; the message must not be sent then.
    pub async fn arm(&self, content: &ChatMessage) -> Result<(Vec<Minted>, Vec<Armed>), Refusal> {
        if self.0.users.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let minted = mint(&self.0.store, &content.buttons, &self.0.users, now()).await;
        let minted = minted.map_err(|error| storage_failed(&error))?;
        let armed = Armed::all(&content.buttons, &minted);
        Ok((minted, armed))
    }

    /// Records a sent message: its buttons become valid under it only, and replies to it are about its task.
    pub async fn record_sent(&self, content: &ChatMessage, minted: &[Minted], place: Place) -> Result<(), Refusal> {
        if !minted.is_empty() {
            bind(&self.0.store, minted, &place.to_string()).await.map_err(|error| storage_failed(&error))?;
        }
        if let Some(task) = content.task {
            self.0.threads.record_message(task, place).await;
        }
        Ok(())
    }

    /// Registers an existing message as a live message.
    pub fn adopt(&self, key: u64, place: Place) {
        self.0.items.adopt(key, place);
    }

    /// Sends what is queued; once `closing` is cancelled, sends the rest and returns.
    pub async fn run(&self, closing: &CancellationToken) {
        let rate_limiter = RateLimiter::new(RateLimit::new(false, LIMITS));
        self.0.items.work(Sender { queue: self.clone(), rate_limiter }, closing).await;
    }

    /// Closes the queue.
    pub fn close(&self) {
        self.0.items.close();
    }
}

fn storage_failed(error: &orch_engine::handle::EngineError) -> Refusal {
    tracing::warn!(%error, "a message cannot be stored");
    Refusal::later(None, format!("the message cannot be stored: {error}"))
}

/// Sends the requests of a queue.
struct Sender {
    queue: OutboundQueue,
    rate_limiter: RateLimiter,
}

impl outbound_queue::Sender for Sender {
    type Item = Item;
    type Id = Place;
    type Live = LiveState;

    fn rate_limiter(&self) -> &RateLimiter {
        &self.rate_limiter
    }

    async fn deliver(&mut self, what: &Item, _: bool) -> SendResult<Place> {
        let done = match what {
            Item::Notice(content) => self.send_notice(content).await.map(Some),
            Item::Send(channel, content) => self.send(*channel, content).await.map(Some),
            Item::Edit(place, content) => self.edit(*place, content).await.map(|()| Some(*place)),
            Item::RemoveButtons(place) => self.queue.0.api.remove_buttons(*place).await.map(|()| None),
        };
        self.record_result(done.as_ref().err());
        done
    }

    async fn show(&mut self, at: Option<&Place>, (channel, content): &LiveState) -> Result<Place, Refusal> {
        let api = &self.queue.0.api;
        let done = match at {
            Some(place) => api.edit(*place, content, &[]).await.map(|()| *place),
            None => api.send_message(*channel, content, &[]).await,
        };
        self.record_result(done.as_ref().err());
        if let (Ok(place), Some(task)) = (&done, content.task) {
            self.queue.0.threads.record_message(task, *place).await;
        }
        done
    }

    async fn live_created(&mut self, key: u64, place: &Place) {
        streams::store_message::<Id<ChannelMarker>>(&self.queue.0.store, key, place.to_string()).await;
    }

    async fn live_ended(&mut self, key: u64) {
        streams::remove(&self.queue.0.store, key).await;
    }
}

impl Sender {
    /// Records the result of a request: updates the rate limiter and the reported problem.
    fn record_result(&mut self, refusal: Option<&Refusal>) {
        self.rate_limiter.record_request();
        let health = &self.queue.0.health;
        match refusal {
            None | Some(Refusal::Gone | Refusal::Never(_)) => {
                self.rate_limiter.record_success();
                health.set(Way::Out, None);
            }
            Some(Refusal::Later { after, why }) => {
                let in_a_row = self.rate_limiter.record_failure(*after);
                if after.is_none() || in_a_row > USUAL {
                    health.set(Way::Out, Some(why.clone()));
                }
            }
            Some(Refusal::Closed(why)) => health.set(Way::Out, Some(why.clone())),
        }
    }

    /// Sends a notice to the task's thread if there is one.
    async fn send_notice(&self, content: &ChatMessage) -> Result<Place, Refusal> {
        let shared = &self.queue.0;
        if let Some(task) = content.task
            && let Some(thread) = shared.threads.thread_of(task).await
        {
            match self.send(thread, content).await {
                Err(Refusal::Gone) => {}
                Err(Refusal::Never(_) | Refusal::Closed(_)) if shared.api.is_gone(thread).await => {}
                done => return done,
            }
            // The thread was deleted or locked.
            shared.threads.forget(task, thread).await;
        }
        self.send(shared.channel, content).await
    }

    async fn send(&self, channel: Id<ChannelMarker>, content: &ChatMessage) -> Result<Place, Refusal> {
        let shared = &self.queue.0;
        let (minted, armed) = self.queue.arm(content).await?;
        let place = shared.api.send_message(channel, content, &armed).await?;
        self.queue.record_sent(content, &minted, place).await?;
        if let Some(task) = content.task
            && channel == shared.channel
        {
            self.create_thread(task, place, content).await;
        }
        Ok(place)
    }

    /// Creates a thread under the first message about a task, as the place for messages to its agent.
    async fn create_thread(&self, task: TaskId, under: Place, content: &ChatMessage) {
        let shared = &self.queue.0;
        if shared.threads.thread_of(task).await.is_some() {
            return;
        }
        let line = content.plain_text().lines().next().unwrap_or_default().trim().to_owned();
        let name = if line.contains(&format!("#{task}")) { line } else { format!("#{task} {line}") };
        match shared.api.create_thread(under, &name).await {
            Ok(thread) => {
                shared.threads.record_thread(task, thread).await;
                self.invite(thread).await;
            }
            // Replies to the message work as well.
            Err(refusal) => tracing::debug!(%refusal, %task, "a thread cannot be created"),
        }
    }

    /// Adds users to a thread, because only its members are notified.
    async fn invite(&self, thread: Id<ChannelMarker>) {
        let people = self.queue.0.users.iter().filter_map(|user| id::<UserMarker>(user)).take(INVITED);
        for person in people {
            if let Err(refusal) = self.queue.0.api.join(thread, person).await {
                tracing::debug!(%refusal, "a user cannot be added to a thread");
            }
        }
    }

    async fn edit(&self, place: Place, content: &ChatMessage) -> Result<(), Refusal> {
        let (minted, armed) = self.queue.arm(content).await?;
        self.queue.0.api.edit(place, content, &armed).await?;
        self.queue.record_sent(content, &minted, place).await
    }
}
