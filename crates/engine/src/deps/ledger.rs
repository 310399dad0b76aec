//! The moves of base branches that this engine makes: one after the other, so that its own merges do not overtake each
//! other, and known, so that no agent is blamed for them. In memory: after a
//! restart a move by an earlier engine is at most noted without an author, never held against a run that shows no trail.

use orch_core::base::ids::RunId;
use orch_sys::git::{MoveProgress, RefMove};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

/// More than are merged while one run lasts.
const REMEMBERED: usize = 4096;

/// A base branch: its repository and its name.
type Base = (PathBuf, String);

/// The newest moves, in order, and the integrations that are under way.
#[derive(Debug, Default)]
pub struct Ledger {
    moves: Mutex<VecDeque<(PathBuf, RefMove)>>,
    queues: Mutex<HashMap<Base, Arc<Turns<()>>>>,
    integrations: Mutex<HashMap<RunId, Stage>>,
}

/// How far an integration has come.
#[derive(Debug)]
enum Stage {
    /// Nothing has moved: it ends when this is cancelled.
    Preparing(CancellationToken),
    /// The base branch moves, or has moved.
    Moving(CancellationToken),
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

    /// Begins the integration of a run. It is to end when the token that is returned is cancelled.
    pub fn prepare(&self, run: &RunId) -> CancellationToken {
        let token = CancellationToken::new();
        self.integrations().insert(run.clone(), Stage::Preparing(token.clone()));
        token
    }

    /// Takes the step after which an integration cannot be called off. `false`: it was called off.
    pub fn begin_moving(&self, run: &RunId) -> bool {
        let mut integrations = self.integrations();
        let Some(Stage::Preparing(token) | Stage::Moving(token)) = integrations.get(run) else { return false };
        let moving = Stage::Moving(token.clone());
        integrations.insert(run.clone(), moving);
        true
    }

    /// Takes that step back: nothing was moved.
    pub fn not_moved(&self, run: &RunId) {
        let mut integrations = self.integrations();
        if let Some(Stage::Moving(token)) = integrations.get(run) {
            let preparing = Stage::Preparing(token.clone());
            integrations.insert(run.clone(), preparing);
        }
    }

    /// Calls the integration of a run off, if one is under way. `false`: it is too late for that.
    pub fn call_off(&self, run: &RunId) -> bool {
        let mut integrations = self.integrations();
        match integrations.get(run) {
            Some(Stage::Moving(_)) => return false,
            Some(Stage::Preparing(token)) => token.cancel(),
            None => {}
        }
        integrations.remove(run);
        true
    }

    /// The integration of a run is over, and what became of it is applied.
    pub fn integrated(&self, run: &RunId) {
        self.integrations().remove(run);
    }

    /// A move that will be made now, in the repository with this common directory.
    pub fn begin(&self, repository: &Path, moved: RefMove) {
        let mut moves = self.locked();
        if moves.len() == REMEMBERED {
            moves.pop_front();
        }
        moves.push_back((repository.to_owned(), moved));
    }

    /// The move to `new` was made, or it was not and is forgotten.
    pub fn end(&self, repository: &Path, new: &str, made: bool) {
        let mut moves = self.locked();
        if made {
            let of = moves.iter_mut().filter(|(at, moved)| at == repository && moved.new == new);
            of.for_each(|(_, moved)| moved.progress = MoveProgress::Made);
        } else {
            moves.retain(|(at, moved)| at != repository || moved.new != new);
        }
    }

    /// Returns what was moved in a repository, or may just be. Two clones have the same names and the same commits.
    pub fn moves(&self, repository: &Path) -> Vec<RefMove> {
        self.locked().iter().filter(|(at, _)| at == repository).map(|(_, moved)| moved.clone()).collect()
    }

    fn integrations(&self) -> MutexGuard<'_, HashMap<RunId, Stage>> {
        self.integrations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<(PathBuf, RefMove)>> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::base::ids::TaskId;

    fn to(new: &str) -> RefMove {
        let (name, old, new) = ("refs/heads/main".to_owned(), "0".to_owned(), new.to_owned());
        RefMove { name, old, new, progress: MoveProgress::UnderWay }
    }

    #[test]
    fn an_integration_is_called_off_until_the_base_moves() {
        let (ledger, run) = (Ledger::default(), RunId::new(TaskId(7), 1, 1));
        assert!(ledger.call_off(&run), "nothing is under way");
        let token = ledger.prepare(&run);
        assert!(ledger.begin_moving(&run) && !ledger.call_off(&run), "the base moves");
        ledger.not_moved(&run);
        assert!(!token.is_cancelled() && ledger.call_off(&run), "somebody else was first: nothing has moved");
        assert!(token.is_cancelled() && !ledger.begin_moving(&run), "and nothing moves any more");
        ledger.prepare(&run);
        assert!(ledger.begin_moving(&run));
        ledger.integrated(&run);
        assert!(ledger.call_off(&run), "what is over is not in the way");
    }

    #[test]
    fn a_move_that_was_refused_explains_nothing_and_old_ones_make_room() {
        let (ledger, at) = (Ledger::default(), Path::new("/r/.git"));
        ledger.begin(at, to("refused"));
        ledger.end(at, "refused", false);
        assert_eq!(ledger.moves(at), []);
        ledger.begin(Path::new("/clone/.git"), to("elsewhere"));
        assert_eq!(ledger.moves(at), [], "a clone moves by itself");
        ledger.begin(at, to("first"));
        for index in 0..REMEMBERED {
            ledger.begin(at, to(&index.to_string()));
        }
        ledger.end(at, "7", true);
        let moves = ledger.moves(at);
        assert_eq!(moves.len(), REMEMBERED);
        assert!(moves.iter().all(|moved| moved.new != "first"));
        assert!(moves.iter().all(|moved| (moved.progress == MoveProgress::Made) == (moved.new == "7")));
    }
}
