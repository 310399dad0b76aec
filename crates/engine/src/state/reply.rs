//! A reply that a job carries to its end.

use crate::error::EngineError;
use crate::state::ChangeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// A reply that leaves with the job's end.
pub struct ReplySlot<T>(Arc<Mutex<Option<Reply<T>>>>);

impl<T> ReplySlot<T> {
    /// Creates a slot that holds `reply`.
    pub fn new(reply: Reply<T>) -> Self {
        Self(Arc::new(Mutex::new(Some(reply))))
    }

    pub(crate) fn send(&self, result: Result<T, EngineError>) {
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

/// Where the answer to a command goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// Answers when the turn is on disk.
pub(crate) fn answer<T: Send + 'static>(change_set: &mut ChangeSet, reply: Reply<T>, result: Result<T, EngineError>) {
    change_set.replies.push(Box::new(move |failed| {
        let result = match failed {
            None => result,
            Some(error) => result.and(Err(EngineError::NotYetStored(Arc::clone(error)))),
        };
        // A caller that went away does not need the answer.
        drop(reply.send(result));
    }));
}
