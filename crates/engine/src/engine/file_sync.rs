//! `tasks.yml` and the journal, kept equal: the loop's side. A file that does not read changes nothing; a write that
//! meets another program's save is done again on the new text.

mod journaled;
mod layout;
mod problems;

use crate::engine::command::{Command, Parked};
use crate::files::entry_edits::edits_of;
use crate::files::file_job::{How, Known, KnownTasks, Line, WriteOrder};
use crate::job::Job;
use crate::state::EngineState;
use jiff::Timestamp;
use journaled::Journaled;
use layout::Layout;
use orch_core::base::ids::TaskId;
use orch_store::tasks_file::{Agreed, Edit, NewEntry, Outline, TasksDoc};
use orch_sys::fs::Digest;
use problems::FileProblems;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after a write orch searches for an editor that had the file open and goes on saving into what was replaced.
/// After that, every tick searches too.
const LATE: Duration = Duration::from_millis(300);
/// How long it is waited after a write that failed; doubled with each one that follows.
const RETRY: Duration = Duration::from_secs(1);
/// The longest pause between two writes that fail.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The last write failed.
#[derive(Debug)]
struct Failure {
    why: String,
    /// How often, one after the other.
    times: u32,
    /// The file is not written before this time.
    again_at: Instant,
}

/// How far the file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    /// Not yet, or it does not read: nothing is written before it does.
    #[default]
    Unread,
    /// The rest of a large file is still to be read.
    Halfway {
        /// The file read as a whole before.
        is_again: bool,
    },
    Whole,
}

impl Reading {
    fn is_halfway(self) -> bool {
        matches!(self, Self::Halfway { .. })
    }

    /// Returns whether the file reads: it may be written, as a whole once all of it was read.
    fn is_readable(self) -> bool {
        matches!(self, Self::Whole | Self::Halfway { is_again: true })
    }
}

/// The first read of the files, before which no request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum FirstRead {
    #[default]
    Pending,
    /// What was read is to become tasks, and their ids were tried to be written.
    WriteTried,
    Done,
}

/// A write of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Writing {
    #[default]
    Idle,
    UnderWay,
    /// Under way, and the file is to be read when it is over.
    ThenRead,
}

/// The loop's side of the file.
#[derive(Default)]
pub struct FileSync {
    first_read: FirstRead,
    /// The commands that wait until the file is read.
    parked: Vec<Parked>,
    known: Known,
    /// The content that both sides agree on, while they do.
    agreed: Journaled<Option<Agreed>>,
    layout: Layout,
    reading: Reading,
    /// Tasks whose lines may differ from the state.
    dirty: BTreeSet<TaskId>,
    /// Entries that wait for an id.
    fills: Vec<(usize, TaskId)>,
    /// Whether entries were given their ids by a write, and the file was not read since.
    filling: bool,
    writing: Writing,
    /// The last write, if it failed.
    failure: Option<Failure>,
    /// A number that grows with each write that begins or ends.
    generation: u64,
    /// A number that grows whenever the file is to be read, whatever is known of it.
    wish: u64,
    /// The last such wish that a read came after.
    granted: u64,
    /// Whether another program may be saving it.
    being_saved: bool,
    /// When what waits is written.
    due: Option<Instant>,
    /// What orch wrote last: a text that no other program has saved.
    own: Option<Digest>,
    /// When the file is read again, although no change was reported.
    again_at: Option<Instant>,
    /// When orch searches for an editor that goes on saving into what it has replaced.
    late_at: Option<Instant>,
    /// Since when there is something odd about it.
    doubted: Option<Timestamp>,
    /// Tasks that a file lacks which is not believed.
    missing: Journaled<Vec<TaskId>>,
    problems: FileProblems,
}

impl FileSync {
    /// Creates the state before the first read. `missing`: what the file lacked when an earlier daemon did not believe it.
    pub fn new(agreed: Option<Agreed>, missing: Vec<TaskId>) -> Self {
        Self { agreed: Journaled::known(agreed), missing: Journaled::known(missing), ..Self::default() }
    }

    /// Records that the files were read once.
    pub fn set_read(&mut self) {
        self.first_read = FirstRead::Done;
    }

    /// Returns whether the files were read once, and what is new there has become tasks, where that is possible. Before that
    /// no request is answered: an answer would miss what the file holds.
    pub fn is_read(&self) -> bool {
        self.first_read == FirstRead::Done
    }

    /// Records that a read or a write is over. New entries are tasks when their ids were written; a file that takes
    /// none does not hold others up.
    pub fn note_progress(&mut self) {
        let is_tried = self.first_read == FirstRead::WriteTried;
        if !self.reading.is_halfway() && (is_tried || !self.is_filling()) {
            self.first_read = FirstRead::Done;
        }
    }

    /// Records that a write was tried.
    pub fn set_write_tried(&mut self) {
        if self.first_read == FirstRead::Pending {
            self.first_read = FirstRead::WriteTried;
        }
    }

    /// Queues a command until the file is read next.
    pub fn park(&mut self, parked: Parked) {
        self.parked.push(parked);
    }

    /// Returns the commands that have waited long enough, now that the file was read.
    pub fn take_parked(&mut self) -> Vec<Command> {
        let is_being_saved = self.being_saved;
        let parked = std::mem::take(&mut self.parked).into_iter();
        let (waiting, ready): (_, Vec<Parked>) = parked.partition(|parked| parked.waits_for_save && is_being_saved);
        self.parked = waiting;
        ready.into_iter().map(|parked| parked.command).collect()
    }

    /// Returns what was read last.
    pub fn known(&self) -> Known {
        let (generation, wish) = (self.generation, self.wish);
        let tasks = self.known.tasks.filter(|_| self.granted == wish);
        let known = Known { tasks, generation, wish, agreed: *self.agreed.get(), ..self.known.clone() };
        if self.layout.is_wanted() { Known { tasks: None, agreed: None, ..known } } else { known }
    }

    /// Returns what is agreed on, when the journal is to record it.
    pub fn take_agreed_anew(&mut self) -> Option<Option<Agreed>> {
        self.agreed.take_new()
    }

    /// Returns whether orch has not written the file since this was read.
    pub fn is_current(&self, known: &Known) -> bool {
        known.generation == self.generation
    }

    /// Returns whether a write is under way.
    pub fn is_writing(&self) -> bool {
        self.writing != Writing::Idle
    }

    /// Has the file read when the write is over.
    pub fn read_after_write(&mut self) {
        self.writing = Writing::ThenRead;
    }

    /// Ends the write. Returns whether the file is to be read now.
    pub fn end_write(&mut self) -> bool {
        self.generation += 1;
        std::mem::take(&mut self.writing) == Writing::ThenRead
    }

    /// Returns what is wrong with the file, for a person.
    pub fn problems(&self) -> &FileProblems {
        &self.problems
    }

    pub fn problems_mut(&mut self) -> &mut FileProblems {
        &mut self.problems
    }

    /// Returns whether no other program has saved this text since orch wrote it or read it last.
    pub fn is_own(&self, doc: &TasksDoc) -> bool {
        let digest = doc.agreed().digest();
        self.own == Some(digest) || self.agreed.get().is_some_and(|agreed| agreed.digest() == digest)
    }

    /// Has the file read again in a while.
    pub fn schedule_read(&mut self, at: Instant) {
        self.again_at = Some(self.again_at.map_or(at, |known| known.min(at)));
    }

    /// Returns whether that time has come; asked once.
    pub fn take_scheduled_read(&mut self, now: Instant) -> bool {
        self.again_at.take_if(|at| *at <= now).is_some()
    }

    /// Returns whether it is time to search for an editor that goes on saving into what orch has replaced; asked once.
    pub fn take_late(&mut self, now: Instant) -> bool {
        self.late_at.take_if(|at| *at <= now).is_some()
    }

    /// Schedules a search after a write: an editor may have had the file open.
    pub fn schedule_late_search(&mut self, now: Instant) {
        self.late_at = Some(now + LATE);
    }

    /// Has the file read again, also when an older read is under way.
    pub fn read_anew(&mut self) {
        self.wish += 1;
    }

    /// Whether it was being saved when it was read: what it lacks is not known then.
    pub fn take_being_saved(&mut self, is: bool) {
        self.being_saved = is;
    }

    /// Returns since when a file is odd, or since when it has its content.
    pub fn doubted_since(&mut self, is_odd: bool, saved: Option<Timestamp>, now: Timestamp) -> Timestamp {
        self.doubted = is_odd.then(|| self.doubted.unwrap_or(now));
        // After a clock was set back, files have times in the future.
        saved.filter(|saved| *saved <= now).or(self.doubted).unwrap_or(now).min(now)
    }

    /// Records that the file is not believed, because it lacks these.
    pub fn lacks(&mut self, tasks: Vec<TaskId>) {
        self.missing.set(tasks);
    }

    /// Returns what the file lacks that is not believed, when the journal is to record it.
    pub fn take_new_missing(&mut self) -> Option<Vec<TaskId>> {
        self.missing.take_new()
    }

    /// Returns what a file lacks that is not believed.
    pub fn missing(&self) -> &[TaskId] {
        self.missing.get()
    }

    /// Records that these tasks changed.
    pub fn touch(&mut self, tasks: &BTreeSet<TaskId>) {
        self.dirty.extend(tasks);
    }

    /// Takes over what a read found. Returns whether the problems are other ones than before.
    pub fn take_read(&mut self, known: Known, problems: Option<Vec<String>>) -> bool {
        self.granted = known.wish;
        self.known = known;
        problems.is_some_and(|problems| self.problems.take_text(problems))
    }

    /// Takes over what a portion of a large document brought; the rest is being read.
    pub fn take_portion(&mut self, fills: Vec<(usize, TaskId)>) {
        if !self.reading.is_halfway() {
            self.fills.clear();
            self.reading = Reading::Halfway { is_again: self.reading.is_readable() };
        }
        self.fills.extend(fills);
    }

    /// Takes over a document that reads. `whole`: nothing of it is still to be learned or reported.
    pub fn take_document(&mut self, doc: TasksDoc, fills: Vec<(usize, TaskId)>, whole: bool) {
        self.take_portion(fills);
        self.reading = Reading::Whole;
        self.filling = false;
        self.agreed.set((whole && self.fills.is_empty()).then(|| doc.agreed()));
        self.layout = Layout::Known(doc.into_outline());
    }

    /// Has the file read again, because what was being read is lost.
    pub fn start_over(&mut self) {
        self.reading = if self.reading.is_readable() { Reading::Whole } else { Reading::Unread };
        self.filling = false;
        self.fills.clear();
        self.read_anew();
    }

    /// Returns whether the rest of a large file is still to be read.
    pub fn is_halfway(&self) -> bool {
        self.reading.is_halfway()
    }

    /// Returns whether the file has entries that are not tasks yet: they wait for ids, or to be read with them.
    pub fn is_filling(&self) -> bool {
        self.filling || !self.fills.is_empty()
    }

    /// The file holds what was agreed on: it reads, and nothing is to be learned from it.
    pub fn take_agreed(&mut self) {
        let agreed = self.agreed.get().map(|agreed| agreed.digest());
        let outline = self.layout.take().filter(|outline| Some(outline.digest()) == agreed);
        self.layout.replace(outline);
        self.reading = Reading::Whole;
        self.filling = false;
        self.fills.clear();
    }

    /// The file does not read: nothing is written before it does.
    pub fn forget_document(&mut self) {
        self.layout = Layout::Unknown;
        self.filling = false;
        self.reading = Reading::Unread;
        self.fills.clear();
    }

    /// Takes over what became of a write.
    pub fn take_write(
        &mut self,
        outline: Option<Outline>,
        agreed: Option<Agreed>,
        refused: Vec<String>,
        known: Option<KnownTasks>,
    ) {
        self.own = agreed.map(|agreed| agreed.digest()).or(self.own);
        // Entries that were given ids by an earlier write are still to be read, whatever this write put beside them.
        let known = known.filter(|_| !self.filling);
        let is_agreed = self.agreed.get().is_some() && refused.is_empty() && known.is_some();
        self.agreed.set(agreed.filter(|_| is_agreed));
        self.failure = None;
        self.layout.replace(outline);
        self.problems.set_refused(refused);
        if let Some(KnownTasks(fingerprint)) = known {
            self.known.tasks = Some(Some(fingerprint));
        }
    }

    /// The write did not happen: its tasks are still to be written.
    pub fn take_back(&mut self, refused: Option<String>) {
        self.problems.set_refused(refused.into_iter().collect());
        // Read again before the next write.
        self.read_anew();
    }

    /// The write failed: it is made again after a while, which grows.
    pub fn take_failure(&mut self, why: String, now: Instant) {
        let times = self.failure.as_ref().map_or(0, |before| before.times);
        let pause = RETRY.saturating_mul(1 << times.min(5)).min(LONGEST_RETRY);
        self.take_back(Some(format!("{why}; it is tried again")));
        self.failure = Some(Failure { why, times: times + 1, again_at: now + pause });
    }

    /// Returns why what waits to be written cannot be.
    pub fn unwritten(&self) -> Option<&str> {
        let waits = self.filling || !self.dirty.is_empty() || !self.fills.is_empty();
        self.failure.as_ref().filter(|_| waits).map(|failure| failure.why.as_str())
    }

    /// Returns whether nothing waits to be written, or nothing can be.
    pub fn is_written(&self) -> bool {
        let can_write = self.reading.is_readable() && self.failure.is_none();
        !self.is_writing() && (!can_write || (self.dirty.is_empty() && self.fills.is_empty()))
    }

    /// Returns whether what waits is to be written now. Changes that follow each other within `pause` make one write; an entry
    /// that waits for its id waits for nothing else.
    pub fn is_due(&mut self, now: Instant, pause: Duration) -> bool {
        if self.dirty.is_empty() && self.fills.is_empty() {
            self.due = None;
            return false;
        }
        let due = *self.due.get_or_insert(now + pause);
        let is_tried = self.failure.as_ref().is_none_or(|failure| now >= failure.again_at);
        is_tried && (!self.fills.is_empty() || now >= due)
    }

    /// Returns when that will be, or when the file is read again.
    pub fn due(&self) -> Option<Instant> {
        // Once the outline is asked for, the read that brings it is awaited.
        let can_write = !self.is_writing() && self.reading == Reading::Whole && !self.layout.is_wanted();
        let retry = |due: Instant| self.failure.as_ref().map_or(due, |failure| due.max(failure.again_at));
        let write = self.due.filter(|_| can_write).map(retry);
        [write, self.again_at, self.late_at].into_iter().flatten().min()
    }

    /// Returns the next write, when there is something to write and nothing under way.
    pub fn next_write(&mut self, state: &EngineState) -> Option<Job> {
        if self.is_writing() || (self.dirty.is_empty() && self.fills.is_empty()) {
            return None;
        }
        if self.reading != Reading::Whole {
            return None;
        }
        let mut edits: Vec<Edit> =
            self.fills.iter().map(|(index, id)| Edit::FillId { index: *index, id: *id }).collect();
        let mut tasks = Vec::new();
        self.dirty.retain(|id| {
            let Some(task) = state.tasks.get(id) else { return false };
            let differs = edits_of(task, &mut edits);
            if differs {
                tasks.push(Line { task: Arc::clone(task), is_new: !task.file.is_written() });
            }
            differs
        });
        if edits.is_empty() {
            self.due = None;
            return None;
        }
        let Some(how) = self.how(edits) else {
            // It was released while nothing was to be written: the file is read again first.
            let asked_for = matches!(std::mem::replace(&mut self.layout, Layout::Wanted), Layout::Wanted);
            return (!asked_for).then(|| Job::ReadFiles { known: self.known() });
        };
        let fills = !std::mem::take(&mut self.fills).is_empty();
        self.filling |= fills;
        self.dirty.clear();
        self.due = None;
        self.writing = Writing::UnderWay;
        self.generation += 1;
        Some(Job::WriteFile { order: WriteOrder { how, tasks, fills } })
    }

    /// New tasks alone are appended unread where that is possible; everything else needs the outline.
    fn how(&mut self, edits: Vec<Edit>) -> Option<How> {
        let outline = self.layout.take();
        let new = edits.iter().map(|edit| match edit {
            Edit::Append(new) => Some(NewEntry::clone(new)),
            Edit::Set { .. } | Edit::FillId { .. } => None,
        });
        if let Some(agreed) = *self.agreed.get()
            && let Some(new) = new.collect::<Option<Vec<_>>>()
            && let Some(lines) = agreed.lines(&new)
        {
            return Some(How::Append { agreed, lines });
        }
        Some(How::Edit { outline: outline?, edits })
    }

    /// Returns whether an outline is kept for the next write.
    pub fn holds_outline(&self) -> bool {
        matches!(self.layout, Layout::Known(_))
    }

    /// Releases what only the next write needs while nothing is open, about half a kilobyte for each task.
    pub fn rest(&mut self) {
        if !self.is_writing() && self.dirty.is_empty() && self.fills.is_empty() {
            self.layout.replace(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_sys::fs::Fingerprint;

    #[test]
    fn an_entry_that_got_its_id_is_read_again_though_another_write_follows_at_once() {
        let here = Fingerprint::read(std::path::Path::new("/")).expect("a root");
        let after = |filling: bool| {
            let mut file = FileSync { filling, writing: Writing::UnderWay, ..FileSync::default() };
            file.end_write();
            file.take_write(None, None, Vec::new(), Some(KnownTasks(here)));
            file.known().tasks
        };
        assert_eq!(after(false), Some(Some(here)), "what orch wrote need not be read");
        assert_eq!(after(true), None, "the task of the entry is not born yet");
    }

    #[test]
    fn a_wish_to_read_it_outlives_the_look_that_was_under_way() {
        let mut file = FileSync::new(None, Vec::new());
        let known = Known { tasks: Some(None), ..file.known() };
        file.read_anew();
        file.take_read(known, None);
        assert_eq!(file.known().tasks, None, "the next look reads it");
        let known = Known { tasks: Some(None), ..file.known() };
        file.take_read(known, None);
        assert_eq!(file.known().tasks, Some(None), "and the wish is fulfilled");
    }
}
