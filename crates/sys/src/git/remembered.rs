//! A cache keyed by directory. Entries of directories that no longer exist are dropped: a repository lives as long as
//! the daemon, and each task creates worktrees that disappear again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of entries from which missing directories are searched.
const FEW: usize = 32;
/// The most entries; more directories are not in use at the same time, and a dropped one is read again.
const MOST: usize = 256;

/// The cached values by directory.
#[derive(Debug)]
pub(super) struct Remembered<T>(Mutex<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    of: HashMap<PathBuf, T>,
    /// The number of entries at which those of missing directories are dropped.
    sweep_at: usize,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(Inner { of: HashMap::new(), sweep_at: FEW }))
    }
}

impl<T: Clone> Remembered<T> {
    fn locked(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the cached value of a directory.
    pub(super) fn get(&self, dir: &Path) -> Option<T> {
        self.locked().of.get(dir).cloned()
    }

    /// Caches a value for a directory.
    pub(super) fn keep(&self, dir: &Path, what: T) {
        let mut inner = self.locked();
        if inner.of.len() + 1 >= inner.sweep_at {
            inner.of.retain(|dir, _| dir.exists());
            if inner.of.len() + 1 >= MOST {
                inner.of.clear();
            }
            // As many again may be added before the next search, so that each pays little for it.
            inner.sweep_at = (inner.of.len() * 2).clamp(FEW, MOST);
        }
        inner.of.insert(dir.to_owned(), what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_none_is_remembered_for_ever() {
        let place = tempfile::tempdir().expect("a directory");
        let remembered = Remembered::default();
        for n in 0..3 * MOST {
            let dir = place.path().join(format!("there-{n}"));
            std::fs::create_dir(&dir).expect("made");
            remembered.keep(&dir, n);
            assert_eq!(remembered.get(&dir), Some(n));
            assert!(remembered.locked().of.len() <= MOST, "{n}");
        }
    }

    #[test]
    fn what_is_gone_is_forgotten_and_what_is_there_stays_however_much_it_is() {
        let place = tempfile::tempdir().expect("a directory");
        let remembered = Remembered::default();
        let there: Vec<PathBuf> = (0..3 * FEW).map(|n| place.path().join(format!("there-{n}"))).collect();
        for (n, dir) in there.iter().enumerate() {
            std::fs::create_dir(dir).expect("made");
            remembered.keep(dir, n);
        }
        for n in 0..1_000 {
            remembered.keep(&place.path().join(format!("gone-{n}")), n);
            assert!(remembered.locked().of.len() <= 2 * there.len() + FEW, "{n}");
        }
        for (n, dir) in there.iter().enumerate() {
            assert_eq!(remembered.get(dir), Some(n));
        }
    }
}
