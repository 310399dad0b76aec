//! What changed in a repository during a run beyond the run's own branch. PURE.
//!
//! A run, other runs, orch and the user all work on one repository at once, and git does not record who did what. So a
//! change says nothing about who made it: the caller has to prove that ([`super::trace`], the run's tool calls). Left out
//! are branches under `orch/` (other tasks), `refs/remotes/` (any fetch; the next one sets them right), and moves that
//! orch made itself (the caller's ledger).

use orch_core::count::named;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Files of the main checkout, relative to its root.
    Files {
        /// Their paths.
        paths: Vec<String>,
    },
    /// What is checked out in the main checkout: branch, or commit when detached.
    Head {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// A branch, a tag or an entry of the stash.
    Ref(RefChange),
    /// Hooks and the files beside the configuration, relative to the git directory.
    Programs {
        /// Their paths.
        paths: Vec<String>,
    },
    /// Keys of the configuration.
    Settings {
        /// The keys.
        keys: Vec<String>,
        /// Whether they can make git start a program or look elsewhere.
        danger: Danger,
    },
}

/// What a setting can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    /// Make git start a program, or look elsewhere.
    Program,
    /// Nothing of that kind.
    None,
}

/// A ref that is not where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefChange {
    /// Its full name.
    pub name: String,
    /// Where it was; `None`: it is new.
    pub before: Option<String>,
    /// Where it is; `None`: it is gone.
    pub after: Option<String>,
    /// Whether it is the branch that is checked out in the main checkout, before or now.
    pub is_checked_out: bool,
}

impl Change {
    /// It is of an entry of the stash.
    pub fn is_stash(&self) -> bool {
        matches!(self, Self::Ref(moved) if Self::is_of_stash(&moved.name))
    }

    /// The entry of the stash that is new.
    pub fn new_stash(&self) -> Option<&str> {
        match self {
            Self::Ref(RefChange { before: None, after: Some(entry), .. }) if self.is_stash() => Some(entry),
            Self::Ref(_) | Self::Files { .. } | Self::Head { .. } | Self::Programs { .. } | Self::Settings { .. } => {
                None
            }
        }
    }

    /// Whether a ref's name is that of an entry of the stash.
    pub fn is_of_stash(name: &str) -> bool {
        name.starts_with(STASH)
    }

    /// One sentence.
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
    /// Where it was.
    pub old: String,
    /// Where it went.
    pub new: String,
    /// Whether it is there already.
    pub progress: MoveProgress,
}

/// How far a move of orch's own has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveProgress {
    /// It may be made at any moment, or have been made by somebody who was ended before he could say so.
    UnderWay,
    /// It was made.
    Made,
}

/// Whether changes of this ref are nobody's business.
pub(super) fn moves_freely(name: &str) -> bool {
    ["refs/heads/orch/", "refs/orch/", "refs/remotes/"].iter().any(|prefix| name.starts_with(prefix))
}

/// What the stash is. Its entries stand in its log, and are told apart by their commits.
pub(super) const STASH: &str = "refs/stash";

/// The name under which an entry of the stash stands among the refs.
pub(super) fn stash_entry(sha: &str) -> String {
    format!("{STASH}@{{{}}}", sha.get(..10).unwrap_or(sha))
}

/// Refs by full name, with what they point to.
pub(super) type Refs = BTreeMap<String, String>;

/// A ref that is not where it was, and where orch did not put it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moved<'a> {
    pub(super) name: &'a str,
    pub(super) before: Option<&'a str>,
    pub(super) after: Option<&'a str>,
}

/// Compares refs, less what the ledger explains. The ledger's moves are followed in its order; one that is under way
/// may have been seen or not.
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
    /// In words.
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

/// The keys whose values differ between two maps, in order.
pub(super) fn differing<V: PartialEq>(before: &BTreeMap<String, V>, after: &BTreeMap<String, V>) -> Vec<String> {
    let changed = before.iter().filter(|(key, value)| after.get(*key) != Some(value)).map(|(key, _)| key);
    let added = after.keys().filter(|key| !before.contains_key(*key));
    changed.chain(added).collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// A list that stays readable.
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
        let told = moved_refs(&before, &after, &ledger[..1]);
        assert_eq!(told, [Moved { name: "refs/heads/main", before: Some("2"), after: Some("3") }]);
        assert_eq!(told[0].describe(), "refs/heads/main moved from 2 to 3");
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
        let told: Vec<String> = moved_refs(&before, &after, &[]).iter().map(Moved::describe).collect();
        assert_eq!(told, ["refs/tags/a was deleted (it was at 1)", "refs/tags/b was made at 1"]);
    }
}
