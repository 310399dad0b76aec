//! A reply that a job carries to its end.

use super::command::Reply;
use super::handle::EngineError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A reply that leaves with the job's end.
pub struct ReplySlot<T>(Arc<Mutex<Option<Reply<T>>>>);

impl<T> ReplySlot<T> {
    /// Holds `reply`.
    pub fn new(reply: Reply<T>) -> Self {
        Self(Arc::new(Mutex::new(Some(reply))))
    }

    pub(super) fn send(&self, result: Result<T, EngineError>) {
        if let Some(reply) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A caller that went away does not need the answer.
            reply.send(result).ok();
        }
    }
}

impl<T> fmt::Debug for ReplySlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplySlot")
    }
}
