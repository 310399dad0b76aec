//! What a channel keeps beyond the life of the process: in the journal, or for as long as it lives.

use jiff::Timestamp;
use orch_core::channel::ChannelKind;
use orch_engine::handle::{EngineError, EngineHandle};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Keys of what the owner was to be told, where there is no engine to tell it.
pub const ANNOUNCED: &str = "announced/";

/// A place for small texts under names. Cheap to clone.
#[derive(Clone)]
pub enum ChannelStore {
    /// In the journal: on disk when a call returns.
    Journal(EngineHandle, ChannelKind),
    /// In memory: for a channel that is only tried.
    Memory(Arc<Mutex<BTreeMap<String, String>>>),
}

impl ChannelStore {
    /// One in memory, with nothing on it.
    pub fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// What is kept under a key.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn kept(&self, key: &str) -> Result<Option<String>, EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.kept(*channel, key).await,
            Self::Memory(kept) => Ok(kept.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()),
        }
    }

    /// Keeps a value; `None` removes it.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn keep(&self, key: &str, value: Option<String>) -> Result<(), EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.keep(*channel, key, value).await,
            Self::Memory(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                match value {
                    Some(value) => kept.insert(key.to_owned(), value),
                    None => kept.remove(key),
                };
                Ok(())
            }
        }
    }

    /// Removes a value and hands it over: of several who ask, exactly one gets it.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn take(&self, key: &str) -> Result<Option<String>, EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.take(*channel, key).await,
            Self::Memory(kept) => Ok(kept.lock().unwrap_or_else(PoisonError::into_inner).remove(key)),
        }
    }

    /// Has the owner told of somebody who is not on the list, and keeps under `key` that it was; both or neither.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn announce_stranger(&self, text: String, key: String, mark: String) -> Result<(), EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.announce_stranger(text, *channel, (key, mark)).await.map(drop),
            Self::Memory(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let place = format!("{ANNOUNCED}{:06}", kept.len());
                kept.insert(key, mark);
                kept.insert(place, text);
                Ok(())
            }
        }
    }

    /// What is kept under keys that begin so, by key.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn below(&self, prefix: &str) -> Result<Vec<(String, String)>, EngineError> {
        match self {
            Self::Journal(handle, channel) => {
                let kept = handle.kept_below(*channel, prefix).await?;
                Ok(kept.into_iter().map(|(key, value, _)| (key, value)).collect())
            }
            Self::Memory(kept) => {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let below = kept.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
                Ok(below.map(|(key, value)| (key.clone(), value.clone())).collect())
            }
        }
    }

    /// Forgets what was kept before this time under keys that begin so.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn forget(&self, prefix: &str, before: Timestamp) -> Result<(), EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.forget_below(*channel, prefix, Some(before)).await,
            // It does not live long enough.
            Self::Memory(_) => Ok(()),
        }
    }
}
