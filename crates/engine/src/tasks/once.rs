//! Requests with a key are carried out once: what was answered is stored with what was made, in one transaction, and a
//! repeated request gets that answer.

use crate::engine::Engine;
use crate::engine::engine_handle::EngineHandle;
use crate::error::{EngineError, unreadable};
use crate::state::ChangeSet;
use jiff::Timestamp;
use orch_core::base::once::{Answered, Once, Repeated};
use orch_store::records::{Stored, from_value, to_value};

impl EngineHandle {
    /// Returns whether a request was carried out before.
    ///
    /// # Errors
    /// Its key was used for another request.
    pub(crate) async fn was_carried_out(&self, once: Option<&Once>) -> Result<bool, EngineError> {
        let Some(once) = once.cloned() else { return Ok(false) };
        let key = once.key.clone();
        match self.read(move |journal| journal.answered(&key)).await?.map(|answered| answered.repeats(&once)) {
            Some(Repeated::Same(_)) => Ok(true),
            Some(Repeated::Other) => Err(used_for_another(&once.key)),
            None => Ok(false),
        }
    }
}

fn used_for_another(key: &str) -> EngineError {
    EngineError::InTheWay {
        message: format!("the Idempotency-Key {key:?} was used for another request"),
        hint: "send another request with a key of its own".to_owned(),
    }
}

impl Engine {
    /// Carries a request out with `make`, unless it has a key with which the same was carried out before: then it returns
    /// what that made. A key that was used for another request is refused.
    pub(crate) fn once<T: Stored>(
        &mut self,
        change_set: &mut ChangeSet,
        once: Option<Once>,
        now: Timestamp,
        make: impl FnOnce(&mut Self, &mut ChangeSet) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let Some(once) = once else { return make(self, change_set) };
        let broken = |error: serde_json::Error| EngineError::Invalid {
            message: format!("the answer to the request with this key cannot be stored: {error}"),
            hint: None,
        };
        if let Some(answered) = self.state.answered(&once.key).map_err(unreadable)? {
            return match answered.repeats(&once) {
                Repeated::Same(answer) => from_value(answer).map_err(broken),
                Repeated::Other => Err(used_for_another(&once.key)),
            };
        }
        let made = make(self, change_set)?;
        let answer = to_value(&made).map_err(broken)?;
        change_set.put_answered(&mut self.state, once.key, Answered { digest: once.digest, answer, at: now });
        Ok(made)
    }
}
