//! What channels keep in the journal for themselves, beside the loop: it is nobody else's, and no turn depends on it.

use super::handle::{EngineError, EngineHandle};
use crate::adapters::clock::{Clock, SystemClock};
use crate::domain::channel::ChannelKind;
use crate::domain::outbox::Kept;
use crate::store::journal::Write;
use jiff::Timestamp;
use std::sync::Arc;

impl EngineHandle {
    /// What a channel keeps under a key.
    pub async fn kept(&self, channel: ChannelKind, key: &str) -> Result<Option<String>, EngineError> {
        let key = key.to_owned();
        self.read(move |journal| journal.kept(channel, &key)).await
    }

    /// Keeps a value for a channel; `None` removes it. It is on disk when this returns.
    pub async fn keep(&self, channel: ChannelKind, key: &str, value: Option<String>) -> Result<(), EngineError> {
        let kept = Kept::Value { channel, key: key.to_owned(), value, at: SystemClock.now() };
        self.store(vec![Write::Kept(Box::new(kept))]).await
    }

    /// Removes what a channel keeps under a key, and hands it over: of several who ask, exactly one gets it.
    pub async fn take(&self, channel: ChannelKind, key: &str) -> Result<Option<String>, EngineError> {
        let taken = self.journal.take_kept(channel, key.to_owned()).await;
        taken.map_err(|error| {
            self.alarm.heed(&error);
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
        let forget = Kept::Forget { channel, prefix: prefix.to_owned(), before };
        self.store(vec![Write::Kept(Box::new(forget))]).await
    }

    /// One transaction of what is beside the loop.
    pub(super) async fn store(&self, writes: Vec<Write>) -> Result<(), EngineError> {
        self.journal.commit(writes).await.map_err(|error| {
            self.alarm.heed(&error);
            EngineError::Journal(Arc::new(error))
        })
    }
}
