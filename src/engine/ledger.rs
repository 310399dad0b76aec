//! The moves of base branches that this engine makes: one after the other, so that its own merges do not overtake each
//! other, and known, so that nobody else is blamed for them. In memory: after a
//! restart a move by an earlier engine is at most noted as somebody's, never held against a run that shows no trail.

use crate::adapters::git::{MoveProgress, RefMove};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

/// More than are merged while one run lasts.
const REMEMBERED: usize = 4096;

/// A base branch: its repository and its name.
type Base = (PathBuf, String);

/// The newest moves, in order.
#[derive(Debug, Default)]
pub struct Ledger {
    moves: Mutex<VecDeque<RefMove>>,
    queues: Mutex<HashMap<Base, Arc<Turns<()>>>>,
}

impl Ledger {
    /// Waits for the turn to merge into a base branch; it lasts as long as what is returned.
    pub async fn turn(&self, repository: &Path, base: &str) -> OwnedMutexGuard<()> {
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(queues.entry((repository.to_owned(), base.to_owned())).or_default())
        };
        queue.lock_owned().await
    }

    /// A move that will be made now.
    pub fn begin(&self, moved: RefMove) {
        let mut moves = self.locked();
        if moves.len() == REMEMBERED {
            moves.pop_front();
        }
        moves.push_back(moved);
    }

    /// The move to `new` was made, or it was not and is forgotten.
    pub fn end(&self, new: &str, made: bool) {
        let mut moves = self.locked();
        if made {
            moves.iter_mut().filter(|moved| moved.new == new).for_each(|moved| moved.progress = MoveProgress::Made);
        } else {
            moves.retain(|moved| moved.new != new);
        }
    }

    /// What was moved, or may just be.
    pub fn moves(&self) -> Vec<RefMove> {
        self.locked().iter().cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<RefMove>> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(new: &str) -> RefMove {
        let (name, old, new) = ("refs/heads/main".to_owned(), "0".to_owned(), new.to_owned());
        RefMove { name, old, new, progress: MoveProgress::UnderWay }
    }

    #[test]
    fn a_move_that_was_refused_explains_nothing_and_old_ones_make_room() {
        let ledger = Ledger::default();
        ledger.begin(to("refused"));
        ledger.end("refused", false);
        assert_eq!(ledger.moves(), []);
        ledger.begin(to("first"));
        for index in 0..REMEMBERED {
            ledger.begin(to(&index.to_string()));
        }
        ledger.end("7", true);
        let moves = ledger.moves();
        assert_eq!(moves.len(), REMEMBERED);
        assert!(moves.iter().all(|moved| moved.new != "first"));
        assert!(moves.iter().all(|moved| (moved.progress == MoveProgress::Made) == (moved.new == "7")));
    }
}
