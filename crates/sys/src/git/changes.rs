//! Changes in a repository during a run beyond the run's own branch. PURE.
//!
//! A run, other runs, orch and the user all work on one repository at once, and git does not record who did what. A
//! change therefore says nothing about its author: the caller has to prove that ([`super::trace`], the run's tool
//! calls). Excluded are branches under `orch/` (other tasks), `refs/remotes/` (any fetch; the next one corrects them),
//! and moves that orch made itself (the caller's ledger).

use orch_core::base::count::named;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A change of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Files of the main checkout changed.
    Files {
        /// The changed paths, relative to that directory.
        paths: Vec<String>,
    },
    /// The main checkout has something else checked out: a branch, or a commit when detached.
    Head {
        /// The branch or commit before the run.
        from: String,
        /// The branch or commit now.
        to: String,
    },
    /// A branch, a tag or a stash entry changed.
    Ref(RefChange),
    /// Hooks or files beside the configuration changed; paths are relative to the git directory.
    Programs {
        /// The changed paths, relative to that directory.
        paths: Vec<String>,
    },
    /// Keys of the configuration changed.
    Settings {
        /// The names of the changed keys.
        keys: Vec<String>,
        /// Whether they can make git start a program or use other directories.
        danger: Danger,
    },
}

/// How dangerous a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    /// It can make git start a program or use other directories.
    Program,
    /// It can do neither.
    None,
}

/// A ref that has moved, appeared or disappeared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefChange {
    /// The full name of the ref.
    pub name: String,
    /// The old commit; `None` for a new ref.
    pub before: Option<String>,
    /// The new commit; `None` for a deleted ref.
    pub after: Option<String>,
    /// Whether it is or was the branch checked out in the main checkout.
    pub is_checked_out: bool,
}

impl Change {
    /// Returns whether the ref is a stash entry.
    pub fn is_stash(&self) -> bool {
        matches!(self, Self::Ref(moved) if Self::is_of_stash(&moved.name))
    }

    /// Returns the commit of a new stash entry.
    pub fn new_stash(&self) -> Option<&str> {
        match self {
            Self::Ref(RefChange { before: None, after: Some(entry), .. }) if self.is_stash() => Some(entry),
            Self::Ref(_) | Self::Files { .. } | Self::Head { .. } | Self::Programs { .. } | Self::Settings { .. } => {
                None
            }
        }
    }

    /// Returns whether a name is that of a stash entry.
    pub fn is_of_stash(name: &str) -> bool {
        name.starts_with(STASH)
    }

    /// Describes the change in one sentence.
    pub fn describe(&self) -> String {
        match self {
            Self::Files { paths } => format!("changed in the main checkout: {}", named(paths)),
            Self::Head { from, to } => format!("the main checkout went from {from} to {to}"),
            Self::Ref(moved) => moved.describe(),
            Self::Programs { paths } => format!("changed in the repository's git directory: {}", named(paths)),
            Self::Settings { keys, .. } => format!("changed in the repository's configuration: {}", named(keys)),
        }
    }
}

impl RefChange {
    fn describe(&self) -> String {
        let moved = Moved { name: &self.name, before: self.before.as_deref(), after: self.after.as_deref() };
        moved.describe()
    }
}

/// A move of a ref that orch made itself during the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefMove {
    /// The full name of the ref.
    pub name: String,
    /// The old commit.
    pub old: String,
    /// The new commit.
    pub new: String,
    /// Whether the move was completed.
    pub progress: MoveProgress,
}

/// The progress of a move that orch makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveProgress {
    /// It may happen at any moment, or may have happened before its process was killed.
    UnderWay,
    /// It was completed.
    Made,
}

/// Returns whether changes of this ref are ignored.
pub(super) fn moves_freely(name: &str) -> bool {
    ["refs/heads/orch/", "refs/orch/", "refs/remotes/"].iter().any(|prefix| name.starts_with(prefix))
}

/// The ref of the stash. Its entries are in its reflog, and are identified by their commits.
pub(super) const STASH: &str = "refs/stash";

/// Returns the name that represents a stash entry among the refs.
pub(super) fn stash_entry(sha: &str) -> String {
    format!("{STASH}@{{{}}}", sha.get(..10).unwrap_or(sha))
}

/// Refs by full name, with the object each points to.
pub(super) type Refs = BTreeMap<String, String>;

/// A move of a ref that orch did not make.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moved<'a> {
    pub(super) name: &'a str,
    pub(super) before: Option<&'a str>,
    pub(super) after: Option<&'a str>,
}

/// Compares refs and removes the moves that the ledger explains, in its order; a pending move may or may not have
/// happened.
pub(super) fn moved_refs<'a>(before: &'a Refs, after: &'a Refs, ledger: &'a [RefMove]) -> Vec<Moved<'a>> {
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let mut moved = Vec::new();
    for name in before.keys().chain(added).filter(|name| !moves_freely(name)) {
        let mut expected = before.get(name).map(String::as_str);
        let mut instead = None;
        for step in ledger.iter().filter(|step| step.name == *name) {
            match step.progress {
                _ if expected != Some(step.old.as_str()) => {}
                MoveProgress::Made => expected = Some(&step.new),
                MoveProgress::UnderWay => instead = Some(step.new.as_str()),
            }
        }
        let after = after.get(name).map(String::as_str);
        if expected != after && (instead.is_none() || instead != after) {
            moved.push(Moved { name, before: expected, after });
        }
    }
    moved
}

impl Moved<'_> {
    /// Describes the change in one sentence.
    pub(super) fn describe(&self) -> String {
        let short = |sha: &str| sha.get(..10).unwrap_or(sha).to_owned();
        match (self.before, self.after) {
            (Some(before), Some(after)) => format!("{} moved from {} to {}", self.name, short(before), short(after)),
            (None, Some(after)) => format!("{} was made at {}", self.name, short(after)),
            (Some(before), None) => format!("{} was deleted (it was at {})", self.name, short(before)),
            (None, None) => format!("{} is gone", self.name),
        }
    }
}

/// Returns the keys whose values differ between two maps, in order.
pub(super) fn differing<V: PartialEq>(before: &BTreeMap<String, V>, after: &BTreeMap<String, V>) -> Vec<String> {
    let changed = before.iter().filter(|(key, value)| after.get(*key) != Some(value)).map(|(key, _)| key);
    let added = after.keys().filter(|key| !before.contains_key(*key));
    changed.chain(added).collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// Joins a list, shortened when it is long.
#[cfg(test)]
mod tests {
    use super::*;

    fn refs(pairs: &[(&str, &str)]) -> Refs {
        pairs.iter().map(|(name, sha)| ((*name).to_owned(), (*sha).to_owned())).collect()
    }

    fn step(name: &str, old: &str, new: &str) -> RefMove {
        let (name, old, new) = (name.to_owned(), old.to_owned(), new.to_owned());
        RefMove { name, old, new, progress: MoveProgress::Made }
    }

    #[test]
    fn branches_of_tasks_and_of_remotes_move_freely() {
        let before = refs(&[("refs/heads/orch/1-a", "1"), ("refs/remotes/origin/main", "1")]);
        let after = refs(&[("refs/heads/orch/1-a", "2"), ("refs/heads/orch/2-b", "2")]);
        assert_eq!(moved_refs(&before, &after, &[]), []);
    }

    #[test]
    fn moves_of_orch_itself_are_followed_and_what_comes_after_is_told() {
        let (before, after) = (refs(&[("refs/heads/main", "1")]), refs(&[("refs/heads/main", "3")]));
        let ledger = [step("refs/heads/main", "1", "2"), step("refs/heads/main", "2", "3")];
        assert_eq!(moved_refs(&before, &after, &ledger), []);
        let moves = moved_refs(&before, &after, &ledger[..1]);
        assert_eq!(moves, [Moved { name: "refs/heads/main", before: Some("2"), after: Some("3") }]);
        assert_eq!(moves[0].describe(), "refs/heads/main moved from 2 to 3");
    }

    #[test]
    fn a_move_under_way_may_have_been_seen_or_not_and_one_that_was_made_is_not_taken_back() {
        let name = "refs/heads/main";
        let (one, two, three) = (refs(&[(name, "1")]), refs(&[(name, "2")]), refs(&[(name, "3")]));
        let under_way = RefMove { progress: MoveProgress::UnderWay, ..step(name, "2", "3") };
        let ledger = [step(name, "1", "2"), under_way];
        assert_eq!(moved_refs(&one, &two, &ledger), []);
        assert_eq!(moved_refs(&one, &three, &ledger), []);
        assert_eq!(moved_refs(&one, &one, &ledger), [Moved { name, before: Some("2"), after: Some("1") }]);
    }

    #[test]
    fn made_and_deleted_refs_are_told() {
        let (before, after) = (refs(&[("refs/tags/a", "1")]), refs(&[("refs/tags/b", "1")]));
        let moves: Vec<String> = moved_refs(&before, &after, &[]).iter().map(Moved::describe).collect();
        assert_eq!(moves, ["refs/tags/a was deleted (it was at 1)", "refs/tags/b was made at 1"]);
    }
}
