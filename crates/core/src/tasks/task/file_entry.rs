//! The state of a task in `tasks.yml`, as far as orch knows it: what it wrote, what somebody's save has confirmed, and
//! which older values an old copy may still bring back. PURE; reads and writes no file.

use super::{Spec, Status, Task};
use crate::tasks::spec_merge::{Clash, Field, Merged, differing, merge};
use jiff::{SignedDuration, Timestamp};

/// Time after a write during which a save without it is still taken for an old copy, even though the same old copy was
/// overwritten before.
const STALE: SignedDuration = SignedDuration::from_secs(10);
/// The most earlier versions that are remembered.
const REMEMBERED: usize = 8;

/// Where the task is in `tasks.yml`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FileState {
    /// Created through the API and not written yet.
    #[default]
    Pending,
    /// It was written, and an old copy of the file was saved over it: to be written again.
    PutBack,
    /// Written, with these values of orch's own fields.
    Written {
        /// The status last written or read. Another word in the file is a request of the person, unless it is in
        /// `since`.
        status: Option<Status>,
        /// Later values of the status: orch's own, which a write may have put into the file.
        since: Vec<Status>,
        /// Whether results (branch, attempts) were written too. A save without them is an old copy.
        results: bool,
        /// Whether somebody has saved the file with the entry.
        seen: Seen,
    },
    /// The person removed it from the file.
    Removed {
        /// Whether that cancelled the task: restoring the entry takes it up again.
        gave_up: bool,
    },
}

impl FileState {
    /// Returns whether the person removed the entry.
    pub fn is_removed(&self) -> bool {
        matches!(self, Self::Removed { .. })
    }

    /// Returns whether the entry was written.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written { .. })
    }

    /// Returns whether somebody has saved the file with the entry; an entry that is not in the file needs no
    /// confirmation.
    pub fn seen(&self) -> Seen {
        match self {
            Self::Written { seen, .. } => *seen,
            Self::Pending | Self::PutBack | Self::Removed { .. } => Seen::Yes,
        }
    }
}

/// Whether somebody has saved the file with the entry as orch wrote it. Until then a save without it is an old copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seen {
    /// Somebody has.
    #[default]
    Yes,
    /// No; orch wrote the whole entry.
    Appended,
    /// No; orch added its id.
    Numbered,
    /// No; orch wrote the whole entry again after an old copy was saved over it.
    Again {
        /// The time of that write.
        at: Timestamp,
    },
}

impl Seen {
    /// Returns whether a save without the entry is an old copy, opened before the entry was written.
    pub fn outlives_old_copy(self, now: Timestamp) -> bool {
        match self {
            Self::Appended => true,
            Self::Again { at } => now.duration_since(at) < STALE,
            Self::Yes | Self::Numbered => false,
        }
    }
}

/// The file's version of a spec that a command has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// The present contents of the file.
    pub now: Spec,
    /// Overwritten contents: an editor opened before may save them again.
    pub before: Vec<Spec>,
    /// Whether an old copy was saved over the entry before, and that was reported.
    pub reported: bool,
    /// When the entry was last written.
    pub written: Option<Timestamp>,
}

impl FileEntry {
    fn new(now: Spec) -> Self {
        Self { now, before: Vec::new(), reported: false, written: None }
    }

    /// Returns the versions that the file may contain without a person's edit. Some time after an old copy was
    /// overwritten, old values count as edits again.
    fn versions(&self, now: Timestamp) -> Vec<Spec> {
        let is_believed = self.reported && self.written.is_none_or(|at| now.duration_since(at) >= STALE);
        let before: &[Spec] = if is_believed { &[] } else { &self.before };
        before.iter().chain([&self.now]).cloned().collect()
    }
}

impl Task {
    /// Returns whether the file lacks a command's change.
    pub fn is_unwritten(&self) -> bool {
        self.filed.as_ref().is_some_and(|filed| filed.now != self.spec)
    }

    /// Returns the fields to be written.
    pub fn unwritten(&self) -> Vec<Field> {
        self.filed.as_ref().map_or_else(Vec::new, |filed| differing(&filed.now, &self.spec))
    }

    /// Applies a command's change to the spec.
    pub fn set_desired(&mut self, spec: Spec) {
        let old = std::mem::replace(&mut self.spec, spec);
        if self.file.is_removed() || old == self.spec {
            return;
        }
        let filed = self.filed.get_or_insert_with(|| Box::new(FileEntry::new(old.clone())));
        if filed.now != old {
            // A write of the old version may be in progress.
            filed.remember(old);
        }
    }

    /// Records a completed write.
    pub fn record_write(&mut self, written: &Spec, now: Timestamp) {
        if self.filed.is_none() && *written == self.spec {
            return;
        }
        let filed = self.filed.get_or_insert_with(|| Box::new(FileEntry::new(written.clone())));
        let old = std::mem::replace(&mut filed.now, written.clone());
        filed.written = Some(now);
        if old != *written {
            filed.remember(old);
        }
        if filed.before.is_empty() && filed.now == self.spec {
            self.filed = None;
        }
    }

    /// Merges the file's version. `own`: it is what orch wrote. Also returns what an old copy brought back, which will
    /// be overwritten again.
    pub fn take_file_entry(&mut self, theirs: &Spec, own: bool, now: Timestamp) -> (Merged, Vec<Clash>) {
        let Some(mut filed) = self.filed.take() else {
            let merged = merge(&[], &self.spec, theirs);
            self.spec = merged.spec.clone();
            return (merged, Vec::new());
        };
        if own && filed.now == *theirs {
            self.filed = Some(filed);
            return (Merged { spec: self.spec.clone(), taken: vec![], clashes: vec![] }, Vec::new());
        }
        let merged = merge(&filed.versions(now), &self.spec, theirs);
        self.spec = merged.spec.clone();
        if merged.spec == *theirs {
            // A person's save agrees: no older version is to be expected.
            return (merged, Vec::new());
        }
        let is_echo = |field: &Field| !field.is_same(&filed.now, theirs);
        let clash = |field: Field| Clash { field, file: field.render(theirs), other: field.render(&merged.spec) };
        let echoes: Vec<Clash> = differing(theirs, &merged.spec).into_iter().filter(is_echo).map(clash).collect();
        filed.reported |= !echoes.is_empty();
        filed.now = theirs.clone();
        self.filed = Some(filed);
        (merged, echoes)
    }
}

impl FileEntry {
    fn remember(&mut self, version: Spec) {
        self.before.retain(|known| *known != version);
        self.before.push(version);
        if self.before.len() > REMEMBERED {
            self.before.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TaskId;
    use jiff::Timestamp;

    fn spec(title: &str) -> Spec {
        Spec { title: title.into(), ..Spec::default() }
    }

    fn written(title: &str) -> Task {
        let file = FileState::Written { status: Some(Status::New), since: vec![], results: false, seen: Seen::Yes };
        Task::new(TaskId(1), spec(title), file, Timestamp::UNIX_EPOCH)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_command_is_written_and_then_confirmed_by_a_save() {
        let mut task = written("a");
        task.set_desired(spec("b"));
        assert_eq!(task.unwritten(), [Field::Title]);
        task.record_write(&spec("b"), at(0));
        assert!(!task.is_unwritten() && task.filed.is_some(), "an old copy may still come");
        task.take_file_entry(&spec("b"), true, at(1));
        assert!(task.filed.is_some(), "orch's own text confirms nothing");
        task.take_file_entry(&spec("b"), false, at(2));
        assert_eq!(task.filed, None);
    }

    #[test]
    fn an_old_copy_is_written_over_and_believed_when_it_is_said_again_later() {
        let mut task = written("a");
        task.set_desired(spec("b"));
        task.record_write(&spec("b"), at(0));
        for second in [1000, 1002, 1004] {
            let (_, echoes) = task.take_file_entry(&spec("a"), false, at(second));
            assert_eq!((task.spec.title.as_str(), echoes.len(), task.unwritten()), ("b", 1, vec![Field::Title]));
            task.record_write(&spec("b"), at(second + 1));
        }
        let (merged, echoes) = task.take_file_entry(&spec("a"), false, at(1020));
        assert_eq!((task.spec.title.as_str(), echoes.len(), merged.taken), ("a", 0, vec![Field::Title]));
    }

    #[test]
    fn a_second_command_while_the_first_is_written_loses_neither() {
        let mut task = written("a");
        task.set_desired(spec("b"));
        task.set_desired(spec("c"));
        // The write of the first was done, and its report was lost in a crash.
        let (merged, _) = task.take_file_entry(&spec("b"), false, at(0));
        assert_eq!((task.spec.title.as_str(), merged.clashes), ("c", vec![]));
        task.record_write(&spec("c"), at(1));
        assert!(!task.is_unwritten());
    }

    #[test]
    fn an_entry_that_was_put_back_may_be_taken_out_a_while_later() {
        let again = Seen::Again { at: at(100) };
        assert!(Seen::Appended.outlives_old_copy(at(100_000)) && again.outlives_old_copy(at(105)));
        assert!(!again.outlives_old_copy(at(110)) && !Seen::Yes.outlives_old_copy(at(0)));
    }
}
