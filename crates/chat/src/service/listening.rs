//! The part of receiving that is the same for all services: answers, streams, strangers, and the deletion of old entries.

use super::{MESSAGE, Service, ServiceChannel, now};
use crate::conversation::buttons::{CLAIMED, LIFETIME, MEMORY, OPEN, UNDER, USED};
use crate::conversation::strangers::{self, REPORTED, Stranger};
use crate::conversation::{Answer, Conversation, WANTED, render};
use crate::health::Way;
use crate::streams::{Shown, stopped};
use jiff::{SignedDuration, Timestamp};
use orch_api::client::Client;
use orch_core::base::ids::TaskId;
use orch_core::notices::outbox::LISTENING;
use orch_engine::handle::EngineError;
use orch_sys::clock::zone;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long entries of a day are kept.
const DAYS: SignedDuration = SignedDuration::from_hours(48);
/// How long replies to a message are recognized as being about its task.
const THREADS: SignedDuration = SignedDuration::from_hours(24 * 90);
/// Prefixes of the keys that expire, with their age.
const AGES: [(&str, SignedDuration); 7] = [
    (OPEN, LIFETIME),
    (UNDER, LIFETIME),
    (USED, MEMORY),
    (CLAIMED, MEMORY),
    (WANTED, DAYS),
    (REPORTED, DAYS),
    (MESSAGE, THREADS),
];

/// What a service needs to receive.
pub struct Listening<'a, S: Service> {
    /// The channel.
    pub channel: &'a ServiceChannel<S>,
    /// Carries out the requests of users.
    pub client: &'a Client,
    /// Tracks requests in progress.
    pub tracker: &'a TaskTracker,
    /// Ends receiving.
    pub cancel: &'a CancellationToken,
}

impl<S: Service> Listening<'_, S> {
    /// Creates the conversation; `us` is the bot's name, which commands may contain.
    pub fn conversation(&self, us: Option<String>) -> Conversation {
        Conversation::new(self.client.clone(), self.channel.0.store.clone(), us)
    }

    /// Stores the problem of receiving, for `orch channel list`.
    pub async fn note(&self, trouble: Option<String>) {
        if let Err(error) = self.channel.0.store.set(LISTENING, trouble).await {
            tracing::warn!(%error, channel = %S::KIND, "the state of a channel cannot be stored");
        }
    }

    /// Sets the current problem of receiving.
    pub fn set_trouble(&self, trouble: Option<String>) {
        self.channel.0.health.set(Way::In, trouble);
    }

    /// Sends an answer to a chat, and starts or stops the streams that user `to` asked for.
    pub async fn say(&self, chat: S::Chat, to: String, answer: Answer) {
        let queue = self.channel.queue_of(chat);
        answer.messages.into_iter().for_each(|content| queue.answer(chat, content));
        if let Some(task) = answer.stream {
            self.stream(chat, task, to).await;
        }
        if let Some(stop) = answer.stop_stream {
            let count = self.channel.0.streams.stop(chat, stop).await;
            queue.answer(chat, render::sentence(stopped(count)));
        }
    }

    /// Starts to show the output of a task in a chat, as user `by` requested.
    pub async fn stream(&self, chat: S::Chat, task: TaskId, by: String) {
        let shown = Shown::new(chat, self.channel.0.home, task, by);
        self.channel.stream(shown, self.client, self.tracker).await;
    }

    /// Reports strangers to the owner, each once per day.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn report(&self, strangers: Vec<Stranger>, at: Timestamp) -> Result<(), EngineError> {
        let today = at.to_zoned(zone(None).unwrap_or(jiff::tz::TimeZone::UTC)).date();
        strangers::announce(&self.channel.0.store, S::KIND, strangers, today).await
    }

    /// Deletes old entries.
    pub async fn clean_up(&self) {
        for (prefix, age) in AGES {
            let before = now().saturating_sub(age).unwrap_or(Timestamp::MIN);
            if let Err(error) = self.channel.0.store.forget(prefix, before).await {
                tracing::warn!(%error, prefix, "old entries cannot be deleted");
            }
        }
    }
}
