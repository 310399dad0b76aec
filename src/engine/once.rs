//! Requests with a key are carried out once: what was answered is stored with what was made, in one transaction, and a
//! repeated request gets that answer.

use super::commands::unreadable;
use super::error::EngineError;
use super::main_loop::Engine;
use super::state::ChangeSet;
use crate::domain::once::{Answered, Once, Repeated};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Engine {
    /// Carries a request out with `make`, unless it has a key with which the same was carried out before: then it returns
    /// what that made. A key that was used for another request is refused.
    pub(super) fn once<T: Serialize + DeserializeOwned>(
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
                Repeated::Same(answer) => serde_json::from_value(answer).map_err(broken),
                Repeated::Other => Err(EngineError::InTheWay {
                    message: format!("the Idempotency-Key {:?} was used for another request", once.key),
                    hint: "send another request with a key of its own".to_owned(),
                }),
            };
        }
        let made = make(self, change_set)?;
        let answer = serde_json::to_value(&made).map_err(broken)?;
        change_set.put_answered(&mut self.state, once.key, Answered { digest: once.digest, answer, at: now });
        Ok(made)
    }
}
