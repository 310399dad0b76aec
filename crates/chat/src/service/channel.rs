//! The two-way channel of a service: sends notices, shows streams, and shuts down in order.

use super::{Listening, OutboundQueue, Service, now};
use crate::chat::Refusal;
use crate::conversation::channel_store::ChannelStore;
use crate::health::{Health, Way};
use crate::shutdown::shut_down;
use crate::streams::{Shown, Streams};
use crate::{Channel, TwoWay};
use orch_api::client::Client;
use orch_core::notices::notice::{Notice, NoticeKind};
use orch_core::operations::channel::ChatMessage;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The channel of a service. Cheap to clone.
pub struct ServiceChannel<S: Service>(pub(crate) Arc<Inner<S>>);

impl<S: Service> Clone for ServiceChannel<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// State shared by all handles of the channel.
pub struct Inner<S: Service> {
    /// The service.
    pub service: Arc<S>,
    /// What the channel stores.
    pub store: ChannelStore,
    /// The configured chat.
    pub home: S::Chat,
    /// The queue of the configured chat.
    pub queue: OutboundQueue<S>,
    /// Queues of the private chats that have their own rate limit.
    pub private: BTreeMap<S::Chat, OutboundQueue<S>>,
    /// The current problems.
    pub health: Health,
    /// The open streams.
    pub streams: Streams<S::Chat>,
}

impl<S: Service> ServiceChannel<S> {
    /// Creates the channel without connecting. `private` are the chats that have a queue of their own; `users` may press
    /// buttons.
    pub(crate) fn over(
        service: S,
        store: ChannelStore,
        (home, private): (S::Chat, impl IntoIterator<Item = S::Chat>),
        users: &BTreeSet<String>,
    ) -> Self {
        let (service, health) = (Arc::new(service), Health::new(S::KIND));
        let queue_of =
            |chat| OutboundQueue::new(Arc::clone(&service), chat, store.clone(), users.clone(), health.clone());
        let private = private.into_iter().map(|chat| (chat, queue_of(chat))).collect();
        let (queue, streams) = (queue_of(home), Streams::new(store.clone()));
        Self(Arc::new(Inner { service, store, home, queue, private, health, streams }))
    }

    /// Returns the current problem; `None`: there is none.
    pub fn trouble(&self) -> Option<String> {
        self.0.health.trouble()
    }

    /// Returns the number of messages that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.queues().map(OutboundQueue::waiting).sum()
    }

    fn queues(&self) -> impl Iterator<Item = &OutboundQueue<S>> {
        std::iter::once(&self.0.queue).chain(self.0.private.values())
    }

    /// Returns the queue that sends to a chat.
    pub(crate) fn queue_of(&self, chat: S::Chat) -> &OutboundQueue<S> {
        self.0.private.get(&chat).unwrap_or(&self.0.queue)
    }

    /// Starts to show the output of a task in a chat.
    pub(super) async fn stream(&self, shown: Shown<S::Chat>, client: &Client, tracker: &TaskTracker) {
        let begun = self.0.streams.begin(&shown, now()).await;
        self.show(begun, &shown, client, tracker);
    }

    /// Resumes the streams that were open when the daemon or this channel stopped.
    async fn resume_streams(&self, client: &Client, tracker: &TaskTracker) {
        for (key, shown) in self.0.streams.unfinished().await {
            let is_heard = !self.0.service.only_sends() && shown.home == self.0.home;
            if !is_heard || !self.0.service.is_seen(&shown).await {
                self.0.streams.remove(key).await;
                continue;
            }
            if let Some(message) = shown.message().and_then(S::parse_message) {
                self.queue_of(shown.chat).adopt(key, message);
            }
            let stop = self.0.streams.resume(key, &shown);
            self.show((key, stop), &shown, client, tracker);
        }
    }

    fn show(
        &self,
        (key, stop): (u64, CancellationToken),
        shown: &Shown<S::Chat>,
        client: &Client,
        tracker: &TaskTracker,
    ) {
        let (chat, task) = (shown.chat, shown.task);
        let (queue, client, channel) = (self.queue_of(chat).clone(), client.clone(), self.clone());
        tracker.spawn(async move {
            let show = |content, stage| queue.show(key, chat, content, stage);
            let answer = |content| queue.answer(chat, content);
            channel.0.streams.run((key, stop), (chat, task), &client, show, answer).await;
        });
    }

    /// Sends a notice about strangers to the first owner who accepts it, because in the chat the stranger would read it.
    /// Returns whether it was sent.
    async fn send_privately(&self, message: &ChatMessage) -> Result<bool, Refusal> {
        for user in self.0.service.owners() {
            let sent = match self.0.service.private_chat(&user).await {
                Ok(chat) => self.queue_of(chat).send(Some(chat), message).await,
                Err(refusal) => Err(refusal),
            };
            match sent {
                Ok(_) => return Ok(true),
                Err(refusal @ Refusal::Later { .. }) => return Err(refusal),
                // The user accepts no messages from the bot.
                Err(Refusal::Gone | Refusal::Never(_) | Refusal::Closed(_)) => {}
            }
        }
        Ok(false)
    }
}

impl<S: Service> TwoWay for ServiceChannel<S> {
    async fn run(&self, client: Client, cancel: CancellationToken) {
        let (tracker, closing, mut queues) = (TaskTracker::new(), CancellationToken::new(), JoinSet::new());
        for queue in self.queues() {
            let (queue, closing) = (queue.clone(), closing.clone());
            queues.spawn(async move { queue.run(&closing).await });
        }
        self.resume_streams(&client, &tracker).await;
        if self.0.service.only_sends() {
            tracing::info!(channel = %S::KIND, "no user is listed: nothing is received");
        } else {
            S::listen(Listening { channel: self, client: &client, tracker: &tracker, cancel: &cancel }).await;
        }
        cancel.cancelled().await;
        self.0.streams.suspend();
        shut_down(&tracker, &closing, queues).await;
        self.queues().for_each(OutboundQueue::close);
    }
}

impl<S: Service> Channel for ServiceChannel<S> {
    // The listener stores problems of receiving.
    fn trouble(&self) -> Option<String> {
        self.0.health.get(Way::Out)
    }

    async fn send(&self, message: &ChatMessage) -> Result<Option<String>, Refusal> {
        Ok(self.0.queue.send(None, message).await?.map(|message| message.to_string()))
    }

    async fn send_notices(
        &self,
        _key: &str,
        notices: &[Notice],
        message: &ChatMessage,
    ) -> Result<Option<String>, Refusal> {
        let is_of_strangers = notices.iter().all(|notice| notice.kind == NoticeKind::Stranger);
        if is_of_strangers && !notices.is_empty() && self.send_privately(message).await? {
            return Ok(None);
        }
        self.send(message).await
    }

    async fn edit(&self, id: &str, message: &ChatMessage) -> Result<(), Refusal> {
        self.0.queue.edit(S::parse_message(id).ok_or(Refusal::Gone)?, message).await
    }
}
