//! The key-value store of a channel: in the journal, or in memory.

use jiff::Timestamp;
use orch_core::operations::channel::ChannelKind;
use orch_engine::handle::{EngineError, EngineHandle};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Prefix of the keys of announcements in a memory store, which has no engine to send them.
pub const ANNOUNCED: &str = "announced/";

/// A store for small texts by key. Cheap to clone.
#[derive(Clone)]
pub enum ChannelStore {
    /// In the journal: values are on disk when a call returns.
    Journal(EngineHandle, ChannelKind),
    /// In memory, for tests of a channel.
    Memory(Arc<Mutex<BTreeMap<String, String>>>),
}

impl ChannelStore {
    /// Creates an empty store in memory.
    pub fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn get(&self, key: &str) -> Result<Option<String>, EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.kept(*channel, key).await,
            Self::Memory(kept) => Ok(kept.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()),
        }
    }

    /// Stores a value; `None` removes it.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn set(&self, key: &str, value: Option<String>) -> Result<(), EngineError> {
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

    /// Removes and returns a value; of several concurrent callers, exactly one gets it.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn take(&self, key: &str) -> Result<Option<String>, EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.take(*channel, key).await,
            Self::Memory(kept) => Ok(kept.lock().unwrap_or_else(PoisonError::into_inner).remove(key)),
        }
    }

    /// Announces a stranger to the owner and stores `mark` under `key`, both or neither.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn announce_stranger(&self, text: String, key: String, mark: String) -> Result<(), EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.announce_stranger(text, *channel, key, mark).await.map(drop),
            Self::Memory(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let place = format!("{ANNOUNCED}{:06}", kept.len());
                kept.insert(key, mark);
                kept.insert(place, text);
                Ok(())
            }
        }
    }

    /// Returns all values whose keys start with `prefix`, in the order of the keys.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn with_prefix(&self, prefix: &str) -> Result<Vec<(String, String)>, EngineError> {
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

    /// Removes values older than `before` whose keys start with `prefix`.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn forget(&self, prefix: &str, before: Timestamp) -> Result<(), EngineError> {
        match self {
            Self::Journal(handle, channel) => handle.forget_below(*channel, prefix, Some(before)).await,
            // A memory store does not live long enough.
            Self::Memory(_) => Ok(()),
        }
    }
}
