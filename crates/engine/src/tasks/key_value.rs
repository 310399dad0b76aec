//! What channels keep in the journal for themselves, beside the loop: no turn depends on it.

use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::EngineError;
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::audit::history::ChannelFact;
use orch_core::notices::outbox::{KeyValue, OutboxItem};
use orch_core::operations::channel::ChannelKind;
use orch_store::journal::Write;
use orch_sys::clock::{Clock, SystemClock};
use std::sync::Arc;

impl EngineHandle {
    /// Returns what a channel keeps under a key.
    pub async fn kept(&self, channel: ChannelKind, key: &str) -> Result<Option<String>, EngineError> {
        let key = key.to_owned();
        self.read(move |journal| journal.kept(channel, &key)).await
    }

    /// Keeps a value for a channel; `None` removes it. It is on disk when this returns.
    pub async fn keep(&self, channel: ChannelKind, key: &str, value: Option<String>) -> Result<(), EngineError> {
        let kept = KeyValue::Value { channel, key: key.to_owned(), value, at: SystemClock.now() };
        self.store(vec![Write::Kept(Box::new(kept))]).await
    }

    /// Removes what a channel keeps under a key, and hands it over: of several who ask, exactly one gets it.
    pub async fn take(&self, channel: ChannelKind, key: &str) -> Result<Option<String>, EngineError> {
        let taken = self.journal.take_kept(channel, key.to_owned()).await;
        taken.map_err(|error| {
            self.alarm.observe(&error);
            EngineError::Journal(Arc::new(error))
        })
    }

    /// All that a channel keeps under keys that begin so: key, value, and when it was written.
    pub async fn kept_below(
        &self,
        channel: ChannelKind,
        prefix: &str,
    ) -> Result<Vec<(String, String, Timestamp)>, EngineError> {
        let prefix = prefix.to_owned();
        self.read(move |journal| journal.kept_below(channel, &prefix)).await
    }

    /// Removes what a channel keeps under keys that begin so; with a time, only what was written before it.
    pub async fn forget_below(
        &self,
        channel: ChannelKind,
        prefix: &str,
        before: Option<Timestamp>,
    ) -> Result<(), EngineError> {
        let forget = KeyValue::Forget { channel, prefix: prefix.to_owned(), before };
        self.store(vec![Write::Kept(Box::new(forget))]).await
    }

    /// Returns the messages of a channel, sent or to be sent, the oldest first.
    pub async fn outbox(&self, channel: ChannelKind) -> Result<Vec<OutboxItem>, EngineError> {
        self.read(move |journal| journal.outbox(channel)).await
    }

    /// Changes rows of the outbox and what a channel keeps, as a whole or not at all. On disk when it returns.
    pub async fn post(&self, rows: Vec<(u64, Option<OutboxItem>)>, kept: Vec<KeyValue>) -> Result<(), EngineError> {
        let rows = rows.into_iter().map(|(id, item)| Write::OutboxItem(id, item.map(Box::new)));
        self.store(rows.chain(kept.into_iter().map(|kept| Write::Kept(Box::new(kept)))).collect()).await
    }

    /// Says something in the channels, or in one of them, by a line of the history. Returns its place.
    pub async fn announce(&self, channel: Option<ChannelKind>, text: String) -> Result<u64, EngineError> {
        let fact = ChannelFact::note(channel, text);
        self.change(move |engine, change_set, now| Ok(engine.announce(change_set, fact, now))).await
    }

    /// Tells the owner in all channels that a person who is not on the list spoke to a bot. With it, as a whole or not at
    /// all, the channel keeps `mark` under `key` as proof that it was reported.
    pub async fn announce_stranger(
        &self,
        text: String,
        channel: ChannelKind,
        key: String,
        mark: String,
    ) -> Result<u64, EngineError> {
        let announce = move |engine: &mut Engine, change_set: &mut ChangeSet, now| {
            change_set.kept.push(KeyValue::Value { channel, key, value: Some(mark), at: now });
            Ok(engine.announce(change_set, ChannelFact::Stranger { text }, now))
        };
        self.change(announce).await
    }

    /// One transaction of what is beside the loop.
    pub(crate) async fn store(&self, writes: Vec<Write>) -> Result<(), EngineError> {
        self.journal.commit(writes).await.map_err(|error| {
            self.alarm.observe(&error);
            EngineError::Journal(Arc::new(error))
        })
    }
}

impl Engine {
    /// Stores messages that are to be sent to channels.
    /// Returns the place of the line.
    fn announce(&mut self, change_set: &mut ChangeSet, fact: ChannelFact, now: Timestamp) -> u64 {
        change_set.note(&mut self.state, now, None, None, fact);
        change_set.entries.last().map_or(0, |entry| entry.seq)
    }
}
