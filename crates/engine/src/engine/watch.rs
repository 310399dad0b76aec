//! What this engine knows of runs beside the stored state. Nothing of it is stored.

use crate::state::reply::Reply;
use crate::upkeep::gc::Collected;
use orch_core::ids::RunId;
use std::collections::BTreeSet;
use std::time::Instant;

/// What is due. Nothing of it is stored: after a start everything is looked at.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// When what is kept is looked at next.
    pub(crate) next_look: Option<Instant>,
    /// All runs must be compared with the index.
    pub(crate) catch_up: bool,
    /// Runs that ended, and the first of them when.
    pub(crate) ended: BTreeSet<RunId>,
    pub(crate) gathering_since: Option<Instant>,
    /// Who waits to hear which worktrees went.
    pub(crate) collecting_for: Option<Reply<Collected>>,
}

impl Upkeep {
    /// A run ended: its output is complete.
    pub(crate) fn run_ended(&mut self, run: RunId, at: Instant) {
        self.ended.insert(run);
        self.gathering_since.get_or_insert(at);
    }

    /// What is kept was looked at; some of it may be gone.
    pub(crate) fn looked(&mut self) {
        self.catch_up = true;
    }
}
