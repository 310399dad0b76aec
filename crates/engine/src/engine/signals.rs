//! What reaches the loop from outside beside commands, and what it says when it has left. Decides nothing.

use orch_core::operations::service::{Departure, ShutdownMode};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How the engine left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineExit {
    /// Some task needs a person, or can go on only when one acts.
    pub person_needed: bool,
    /// It left to be started again.
    pub respawns: bool,
    /// The journal was found damaged; how.
    pub damage: Option<String>,
    /// Why `tasks.yml` does not have yet what the journal has.
    pub unwritten: Option<String>,
    /// How it was asked to leave, if it was.
    pub ordered: Option<ShutdownMode>,
}

impl EngineExit {
    /// It is to be opened again by this same process: the journal is damaged, which is repaired on the way, and no request
    /// to stop is open.
    pub fn reopens(&self) -> bool {
        let goes_on = match self.ordered {
            None | Some(ShutdownMode::Respawn) => true,
            Some(ShutdownMode::Stop | ShutdownMode::Drain | ShutdownMode::Now) => false,
        };
        self.damage.is_some() && goes_on
    }
}

/// What wakes the loop from outside.
#[derive(Clone, Default)]
pub struct Signals {
    /// A runner has news.
    pub wake: Arc<Notify>,
    /// A file of the home changed.
    pub files: Arc<Notify>,
    /// Leave at once; agents go on.
    pub shutdown: CancellationToken,
    /// The journal is damaged: leave at once.
    pub damaged: CancellationToken,
    /// Files of the engine's state were removed while it ran: what is missing. The journal is written anew from what is
    /// open.
    pub displaced: Arc<OnceLock<String>>,
    /// Why, for the history.
    pub word: Arc<OnceLock<Departure>>,
}

impl Signals {
    /// Has the engine leave at once, and write down why. The first word counts.
    pub fn leave(&self, departure: Departure) {
        self.remember(departure);
        self.shutdown.cancel();
    }

    /// Has the engine leave at once, because files of its state were removed.
    pub fn displace(&self, missing: String) {
        self.displaced.get_or_init(|| missing);
        self.damaged.cancel();
    }

    /// Records why the engine leaves, for the history. The first reason counts.
    pub fn remember(&self, departure: Departure) {
        self.word.get_or_init(|| departure);
    }
}
