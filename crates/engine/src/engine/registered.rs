//! Whether the directory of a task belongs to a registered repository. What the file system says is remembered until the list
//! of projects or a file of the person's changes.

use orch_sys::git::main_checkout_around;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What is known of directories that are not themselves registered.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    known: Mutex<BTreeMap<PathBuf, bool>>,
}

impl Registered {
    /// Whether `dir` belongs to one of these projects: it is one, a folder of one, a linked worktree, or a symbolic link
    /// there. One that does not exist counts as registered: its first user reports that it is missing.
    pub(crate) fn holds(&self, dir: &Path, projects: &[PathBuf]) -> bool {
        if projects.iter().any(|project| project == dir) {
            return true;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(dir) {
            Some(is) => *is,
            None => *known.entry(dir.to_owned()).or_insert(is_registered(dir, projects)),
        }
    }

    /// Asks the file system anew.
    pub(crate) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn is_registered(dir: &Path, projects: &[PathBuf]) -> bool {
    let Some(root) = main_checkout_around(dir) else { return !dir.is_dir() };
    projects.iter().any(|project| *project == root || project.canonicalize().is_ok_and(|project| project == root))
}
