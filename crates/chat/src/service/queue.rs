//! The outbound queue of a service: what its handles can queue, and the buttons of what is sent. Temporarily refused messages
//! are retried; other failures are reported to the waiting caller.

use super::{Service, now};
use crate::chat::Refusal;
use crate::conversation::buttons::{Minted, bind, mint};
use crate::conversation::channel_store::ChannelStore;
use crate::conversation::live::Stage;
use crate::health::Health;
use crate::outbound_queue::{self, RateLimiter, SendQueue, SendResult};
use crate::rate_limit::Urgency;
use crate::streams;
use orch_core::operations::channel::ChatMessage;
use orch_engine::handle::EngineError;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A queued request.
pub enum Item<S: Service> {
    /// Sends a message to a chat, or as a notice to the place of its task.
    Send(Option<S::Chat>, ChatMessage),
    /// Replaces the content of a message.
    Edit(S::Message, ChatMessage),
    /// Removes the buttons of a message.
    RemoveButtons(S::Message),
}

/// State shared by all handles of the queue.
struct Shared<S: Service> {
    service: Arc<S>,
    /// The chat whose rate limit applies.
    chat: S::Chat,
    store: ChannelStore,
    /// Ids of the users who may press the buttons.
    users: BTreeSet<String>,
    items: SendQueue<Sender<S>>,
    health: Health,
}

/// The queue of a service. Cheap to clone; [`OutboundQueue::run`] sends.
pub struct OutboundQueue<S: Service>(Arc<Shared<S>>);

impl<S: Service> Clone for OutboundQueue<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Service> OutboundQueue<S> {
    /// Creates an empty queue with the rate limit of `chat`; `users` may press the buttons.
    pub fn new(service: Arc<S>, chat: S::Chat, store: ChannelStore, users: BTreeSet<String>, health: Health) -> Self {
        Self(Arc::new(Shared { service, chat, store, users, items: SendQueue::default(), health }))
    }

    /// Returns the number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.0.items.waiting()
    }

    /// Sends a message to this chat, or as a notice to the place of its task, and waits until it is sent.
    ///
    /// # Errors
    /// The message was not sent, or the result is unknown.
    pub async fn send(&self, chat: Option<S::Chat>, content: &ChatMessage) -> SendResult<S::Message> {
        let urgency = if content.is_urgent { Urgency::Now } else { Urgency::Usual };
        self.0.items.wait(Item::Send(chat, content.clone()), urgency).await
    }

    /// Replaces the content of a message and waits until that is done.
    ///
    /// # Errors
    /// The message was not edited, or the result is unknown.
    pub async fn edit(&self, message: S::Message, content: &ChatMessage) -> Result<(), Refusal> {
        self.0.items.wait(Item::Edit(message, content.clone()), Urgency::Usual).await.map(drop)
    }

    /// Queues an answer without waiting for it. If the queue is full, the answer is dropped and that is logged.
    pub fn answer(&self, chat: S::Chat, content: ChatMessage) {
        if !self.0.items.push(Item::Send(Some(chat), content), Urgency::Now) {
            tracing::warn!(channel = %S::KIND, %chat, "an answer is dropped: the queue is full");
        }
    }

    /// Removes the buttons of a message. They have no effect anyway.
    pub fn remove_buttons(&self, message: S::Message) {
        self.0.items.push(Item::RemoveButtons(message), Urgency::Now);
    }

    /// Sets the newest state of a live message; `false`: there are too many live messages.
    pub fn show(&self, key: u64, chat: S::Chat, content: ChatMessage, stage: Stage) -> bool {
        self.0.items.show(key, (chat, content), stage == Stage::Last)
    }

    /// Registers an existing message as a live message.
    pub fn adopt(&self, key: u64, message: S::Message) {
        self.0.items.adopt(key, message);
    }

    /// Creates the buttons of a message that is about to be sent. A queue whose buttons no user may press creates none.
    ///
    /// # Errors
    /// The buttons cannot be stored; the message must not be sent then.
    pub async fn mint(&self, content: &ChatMessage) -> Result<Vec<Minted>, Refusal> {
        if self.0.users.is_empty() {
            return Ok(Vec::new());
        }
        mint(&self.0.store, &content.buttons, &self.0.users, now()).await.map_err(|error| storage_failed(&error))
    }

    /// Makes the buttons valid under a sent message, and under no other one.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn bind(&self, minted: &[Minted], message: S::Message) -> Result<(), Refusal> {
        if minted.is_empty() {
            return Ok(());
        }
        let key = S::button_key(self.0.chat, message);
        bind(&self.0.store, minted, &key).await.map_err(|error| storage_failed(&error))
    }

    /// Sends what is queued; once `closing` is cancelled, sends the rest and returns.
    pub async fn run(&self, closing: &CancellationToken) {
        let rate_limiter = RateLimiter::new(self.0.service.rate_limit(self.0.chat));
        self.0.items.work(Sender { queue: self.clone(), rate_limiter, is_awaited: false }, closing).await;
    }

    /// Closes the queue.
    pub fn close(&self) {
        self.0.items.close();
    }
}

fn storage_failed(error: &EngineError) -> Refusal {
    tracing::warn!(%error, "buttons cannot be stored");
    Refusal::later(None, format!("the buttons of the message cannot be stored: {error}"))
}

/// Sends the requests of a queue.
pub struct Sender<S: Service> {
    /// The queue.
    pub queue: OutboundQueue<S>,
    /// The rate limit of the chat.
    pub rate_limiter: RateLimiter,
    /// Whether a caller waits that retries itself, and nothing was sent yet: a pause is then reported instead of waited for.
    pub is_awaited: bool,
}

impl<S: Service> Sender<S> {
    /// Returns the service.
    pub fn service(&self) -> &S {
        &self.queue.0.service
    }

    /// Returns the chat of the queue.
    pub fn chat(&self) -> S::Chat {
        self.queue.0.chat
    }

    /// Returns the problems of the channel.
    pub fn health(&self) -> &Health {
        &self.queue.0.health
    }

    /// Returns the listed users.
    pub fn users(&self) -> &BTreeSet<String> {
        &self.queue.0.users
    }

    async fn edit(&mut self, message: S::Message, content: &ChatMessage) -> Result<(), Refusal> {
        let minted = self.queue.mint(content).await?;
        S::edit(self, message, content, &minted).await?;
        self.queue.bind(&minted, message).await
    }
}

impl<S: Service> outbound_queue::Sender for Sender<S> {
    type Item = Item<S>;
    type Id = S::Message;
    type Live = (S::Chat, ChatMessage);

    fn rate_limiter(&self) -> &RateLimiter {
        &self.rate_limiter
    }

    async fn deliver(&mut self, what: &Item<S>, is_awaited: bool) -> SendResult<S::Message> {
        self.is_awaited = is_awaited;
        let done = match what {
            Item::Send(chat, content) => S::send(self, *chat, content).await,
            Item::Edit(message, content) => self.edit(*message, content).await.map(|()| Some(*message)),
            Item::RemoveButtons(message) => S::remove_buttons(self, *message).await.map(|()| None),
        };
        self.is_awaited = false;
        S::record_result(self, done.as_ref().err());
        done
    }

    async fn show(&mut self, at: Option<&S::Message>, (chat, content): &Self::Live) -> Result<S::Message, Refusal> {
        let done = match at {
            Some(message) => S::edit(self, *message, content, &[]).await.map(|()| *message),
            None => S::send_live(self, *chat, content).await,
        };
        S::record_result(self, done.as_ref().err());
        done
    }

    async fn live_created(&mut self, key: u64, message: &S::Message) {
        streams::store_message::<S::Chat>(&self.queue.0.store, key, message.to_string()).await;
    }

    async fn live_ended(&mut self, key: u64) {
        streams::remove(&self.queue.0.store, key).await;
    }
}
