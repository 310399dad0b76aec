//! Storing a turn, on a disk that may be full.

use crate::engine::Engine;
use crate::state::{Answer, ChangeSet};
use jiff::Timestamp;
use orch_core::audit::history::{Hindrance, ServiceFact};
use orch_store::journal::{JournalError, Write};
use orch_sys::clock::instant;
use std::sync::Arc;
use std::time::Duration;

/// How long the loop waits before it tries again to store a turn that the disk refused.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// How often it is tried again before it is reported, and how long is waited before: a disk that fails for a moment
/// need not be reported, and a command in a process of its own has no later try.
const AT_ONCE: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(100)];

impl Engine {
    /// Returns whether something that was read while a turn was decided is damaged. Such a turn is not stored: what it rests on
    /// is not known.
    pub(crate) fn meets_damage(&mut self, replies: &mut Vec<Answer>) -> bool {
        let Some(found) = self.storage.note_damage_found() else { return false };
        tracing::error!(%found, "the journal is damaged");
        let error = Arc::new(JournalError::Damaged { path: self.deps.home.journal(), findings: vec![found] });
        for reply in replies.drain(..) {
            reply(Some(&error));
        }
        true
    }

    /// Stores a turn, trying again until the disk takes it. Meanwhile who asks is answered, and nothing else begins.
    /// `false`: it cannot be stored any more.
    pub(crate) async fn store(&mut self, replies: &mut Vec<Answer>, writes: Vec<Write>) -> bool {
        if writes.is_empty() {
            return true;
        }
        let mut at_once = AT_ONCE.iter();
        loop {
            let begun = instant();
            let error = match self.deps.journal.commit(writes.clone()).await {
                Ok(()) => {
                    self.storage.stored(begun.elapsed());
                    return true;
                }
                Err(error) => Arc::new(error),
            };
            let is_final = error.is_damage() || matches!(*error, JournalError::Fenced { .. });
            if let (false, Some(pause)) = (is_final, at_once.next()) {
                tracing::warn!(%error, "the journal could not be written; it is tried again at once");
                tokio::time::sleep(*pause).await;
                continue;
            }
            tracing::error!(%error, "the journal could not be written; nothing is begun before it can");
            self.storage.refused(&error, self.deps.clock.now());
            for reply in replies.drain(..) {
                reply(Some(&error));
            }
            if is_final || !self.wait_for_storage(&error).await {
                return false;
            }
        }
    }

    /// What the system has put in the way of the work is written down: what has lasted a while, and that nothing could be
    /// stored, as soon as something can.
    pub(crate) fn note_obstacles(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        if let Some((since, error)) = self.storage.take_unstored() {
            let hindrance = Hindrance::Storage { since, error };
            change_set.note(&mut self.state, now, None, None, ServiceFact::Hindered(hindrance));
        }
        for detail in self.deps.obstacles.lasting(self.deps.clock.instant()) {
            let hindrance = Hindrance::Outside { detail };
            change_set.note(&mut self.state, now, None, None, ServiceFact::Hindered(hindrance));
        }
    }

    /// Waits before the next try to store. `false`: no caller waits for it any more.
    pub(crate) async fn wait_for_storage(&mut self, error: &Arc<JournalError>) -> bool {
        let over = tokio::time::sleep(STORE_RETRY);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = self.lifetime.stopped() => return false,
                () = self.storage.damaged() => return false,
                () = &mut over => return true,
                command = self.inputs.command() => match command {
                    Some(command) => self.refuse(command, error),
                    None => return false,
                },
            }
        }
    }
}
