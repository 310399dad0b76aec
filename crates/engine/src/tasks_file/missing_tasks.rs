//! Tasks that `tasks.yml` lacks, and entries that come back: what is a wish of the person's, what an accident, and what an
//! old copy of the file that was saved over a newer one.

use crate::engine::Engine;
use crate::engine::mode::Mode;
use crate::files::file_job::FileNews;
use crate::state::ChangeSet;
use jiff::{SignedDuration, Timestamp};
use orch_core::audit::actor::TASKS;
use orch_core::audit::history::{PutBack, Stays, TaskFact};
use orch_core::base::ids::TaskId;
use orch_core::tasks::event::Event;
use orch_core::tasks::missing_tasks::{MissingTasks, Suspicion};
use orch_core::tasks::spec_merge::is_reworded;
use orch_core::tasks::task::{FileState, Seen, Status, Task};
use orch_store::tasks_file::{Entry, TasksDoc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a task must be lacking in a file that is not being saved before that is taken as meant.
pub(crate) const SAVING: SignedDuration = SignedDuration::from_secs(2);
/// How long a file must be left alone that lacks any task at all: an editor that writes it in parts may not be done.
const SETTLING: SignedDuration = SignedDuration::from_millis(500);
/// When to read such a file again.
const RETRY_SOON: Duration = Duration::from_millis(520);
/// The number of settled tasks that an entry without an id is compared with, the newest of those that the file lacks.
const COMPARED: usize = 200;
/// When to read a file again that another program may be saving.
const RETRY_AFTER: Duration = Duration::from_millis(2_050);
/// Ids that are named at most.
const NAMED: usize = 12;

/// What a file that is not believed is treated as.
pub(crate) enum Held {
    /// Another program may be saving it: not examined yet.
    BeingSaved,
    /// Reported to the person, who decides.
    Reported(String),
}

/// What a person decides about the tasks that the file lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Only to be shown.
    List,
    /// They are written into the file again.
    Restore,
    /// They are given up.
    Cancel,
}

/// What is known of the save that brought a text.
pub(crate) struct Save {
    /// Its editor opened the file before this time, where that is known.
    pub opened: Option<Timestamp>,
    /// When it was made, as far as that is known.
    pub saved: Option<Timestamp>,
    /// The time of the turn.
    pub now: Timestamp,
}

/// Returns whether an open task was written into the file only after it had been opened. One that was typed there stood there
/// before it was a task.
fn is_younger(task: &Task, opened: Timestamp) -> bool {
    let is_typed = task.file.seen() == Seen::Numbered;
    task.file.is_written() && !is_typed && !task.status().is_final() && task.created_at > opened
}

impl Engine {
    /// Whether what was read is to be believed. What is not counts as little as a file that does not read. `numbered`: what
    /// the file holds without its id, and is not lost.
    pub(crate) fn doubt(
        &mut self,
        doc: &TasksDoc,
        news: &FileNews,
        numbered: &BTreeMap<usize, TaskId>,
        now: Timestamp,
    ) -> Option<Held> {
        let here: BTreeSet<TaskId> = numbered.values().copied().collect();
        let lacks = |task: &&Arc<Task>| {
            task.file.is_written() && doc.ids().binary_search(&task.id).is_err() && !here.contains(&task.id)
        };
        let open: Vec<TaskId> = self.state.tasks.values().filter(lacks).map(|task| task.id).collect();
        let settled: Vec<TaskId> = news.missing.iter().copied().filter(|id| !here.contains(id)).collect();
        let is_open = |task: &&Arc<Task>| task.file.is_written() && !task.status().is_final();
        // What an old copy lacks is written again: nothing is lost with it.
        let lost = |task: &&Arc<Task>| task.status().is_final() || !task.file.seen().outlives_old_copy(now);
        let lost: Vec<&Arc<Task>> = open.iter().filter_map(|id| self.state.tasks.get(id)).filter(lost).collect();
        let written = self.state.tasks.values().filter(|task| task.file.is_written()).count();
        let lack = MissingTasks {
            open: lost.iter().filter(|task| is_open(task)).count(),
            all: lost.len() + settled.len(),
            were_open: self.state.tasks.values().filter(is_open).count(),
            // Of those that are written again, the file's lack of them says nothing about the rest.
            were: written + news.settled - (open.len() - lost.len()),
            is_empty: doc.is_empty(),
            is_cut: news.is_unended || self.ends_broken_off(doc, &open),
        };
        let suspicion = lack.suspicion().or_else(|| self.still(&open, &settled));
        let is_odd = suspicion.is_some() || news.is_unended;
        let lacks_some = !open.is_empty() || !settled.is_empty();
        let since = self.file.doubted_since(is_odd || lacks_some, news.saved, now);
        // Read or written over half-way, the rest of a save would come too late.
        let patience = if is_odd { SAVING } else { SETTLING };
        if self.lifetime.mode() == Mode::Serve && (is_odd || lacks_some) && now.duration_since(since) < patience {
            let soon = if is_odd { RETRY_AFTER } else { RETRY_SOON };
            self.file.schedule_read(self.deps.clock.instant() + soon);
            return Some(Held::BeingSaved);
        }
        let message = suspicion.map(|suspicion| self.describe_suspicion(suspicion, &lack, &open));
        self.file.lacks(if message.is_some() { open.into_iter().chain(settled).collect() } else { vec![] });
        message.map(Held::Reported)
    }

    /// A file that was not believed lacks all that it lacked then: whatever became of the tasks meanwhile, and however few of
    /// them count now, only a save that brings some of them back or a person's word ends that.
    fn still(&self, open: &[TaskId], settled: &[TaskId]) -> Option<Suspicion> {
        let missing = self.file.missing();
        let lacks_all = missing.iter().all(|id| open.contains(id) || settled.contains(id));
        (!missing.is_empty() && !open.is_empty() && lacks_all).then_some(Suspicion::Most)
    }

    /// The last entry has lost its end, and what is lacking came after it.
    fn ends_broken_off(&self, doc: &TasksDoc, missing: &[TaskId]) -> bool {
        let Some(entry) = doc.entries().last().filter(|entry| entry.index + 1 == doc.len()) else { return false };
        let Some(task) = entry.id.and_then(|id| self.state.tasks.get(&id)) else { return false };
        let FileState::Written { status, .. } = &task.file else { return false };
        if missing.iter().any(|id| *id < task.id) {
            return false;
        }
        let (body, was) = (&entry.spec.body, &task.spec.body);
        !entry.sound
            || (entry.status.is_none() && status.is_some())
            || (body.len() < was.len() && was.starts_with(body.trim_end()))
    }

    fn describe_suspicion(&self, suspicion: Suspicion, lack: &MissingTasks, open: &[TaskId]) -> String {
        let path = self.deps.home.tasks_file();
        let path = path.display();
        let mut ids: Vec<String> = open.iter().take(NAMED).map(|id| format!("#{id}")).collect();
        if open.len() > NAMED {
            ids.push("…".to_owned());
        }
        let ids = ids.join(" ");
        let found = match suspicion {
            Suspicion::Empty => format!("{path} is empty or gone, but {} tasks were in it", lack.were),
            Suspicion::Most => format!("{path} lacks {} of {} tasks that were in it ({ids})", lack.all, lack.were),
            Suspicion::Cut => format!("{path} lacks {ids} and seems to be cut off at its end"),
        };
        format!(
            "{found}; nothing is cancelled by that, and the file is neither read nor written: restore it, or \
             `orch task missing --restore` writes the open ones again; if it is meant, `orch task missing --cancel`"
        )
    }

    /// The tasks that are no longer in the file, and since when. They are given up when they are still lacking a while
    /// later: before, another program may be saving the file. `settled`: the settled ones among them.
    pub(crate) fn missing(
        &mut self,
        change_set: &mut ChangeSet,
        doc: &TasksDoc,
        settled: Vec<TaskId>,
        suspected: &BTreeMap<TaskId, Timestamp>,
        Save { opened, saved, now }: Save,
    ) -> BTreeMap<TaskId, Timestamp> {
        let missing = |task: &&Arc<Task>| task.file.is_written() && doc.ids().binary_search(&task.id).is_err();
        let open: Vec<TaskId> = self.state.tasks.values().filter(missing).map(|t| t.id).collect();
        let mut suspects = BTreeMap::new();
        for id in open.into_iter().chain(settled) {
            if opened.is_some_and(|opened| self.state.tasks.get(&id).is_some_and(|task| is_younger(task, opened))) {
                self.put_back(change_set, id, now);
                continue;
            }
            // A clock that was put back makes no file older.
            let since = suspected.get(&id).copied().or(saved).unwrap_or(now).min(now);
            if now.duration_since(since) >= SAVING {
                self.left_out(change_set, id, now);
            } else {
                suspects.insert(id, since);
            }
        }
        if !suspects.is_empty() {
            self.file.schedule_read(self.deps.clock.instant() + RETRY_AFTER);
        }
        suspects
    }

    fn left_out(&mut self, change_set: &mut ChangeSet, id: TaskId, now: Timestamp) {
        let Some(task) = self.look_up(id) else { return };
        if task.file.seen().outlives_old_copy(now) && !task.status().is_final() {
            return self.put_back(change_set, id, now);
        }
        self.removed(change_set, id, now);
    }

    fn put_back(&mut self, change_set: &mut ChangeSet, id: TaskId, now: Timestamp) {
        let Some(task) = self.look_up(id) else { return };
        let mut next = Task::clone(&task);
        next.file = FileState::PutBack;
        change_set.put_task(&mut self.state, next);
        change_set.note(&mut self.state, now, Some(id), None, TaskFact::PutBack { why: PutBack::OldCopy });
    }

    fn removed(&mut self, change_set: &mut ChangeSet, id: TaskId, now: Timestamp) {
        let Some(task) = self.look_up(id).filter(|task| !task.file.is_removed()) else { return };
        let gave_up = !task.status().is_final();
        if gave_up {
            let reason = "taken out of tasks.yml".to_owned();
            change_set.by_file(TASKS, |change_set| {
                self.expect(change_set, id, &Event::CancelAsked { reason }, now);
            });
        }
        let Some(task) = self.state.tasks.get(&id).cloned() else { return };
        let mut next = Task::clone(&task);
        next.file = FileState::Removed { gave_up };
        next.filed = None;
        change_set.put_task(&mut self.state, next);
        change_set.by_file(TASKS, |change_set| {
            change_set.note(&mut self.state, now, Some(id), None, TaskFact::Removed);
        });
    }

    /// The person put a removed task back: what was given up by taking it out is taken up again, and nothing else.
    pub(crate) fn adopt_again(&mut self, change_set: &mut ChangeSet, task: &Arc<Task>, entry: &Entry, now: Timestamp) {
        let gave_up = task.file == FileState::Removed { gave_up: true };
        let mut next = Task::clone(task);
        next.file = written_as(entry, Seen::Yes);
        next.spec = entry.spec.clone();
        next.ignored.clone_from(&entry.ignored);
        change_set.put_task(&mut self.state, next);
        let is_over = matches!(entry.status, Some(Status::Done | Status::Cancelled)) || task.status() == Status::Done;
        if gave_up && !is_over {
            change_set.by_file(TASKS, |change_set| {
                change_set.note(&mut self.state, now, Some(task.id), None, TaskFact::Returned { stays: None });
            });
            self.request_status(change_set, task.id, Status::New, now);
        } else if entry.status != Some(task.status()) {
            let id = task.id;
            let stays = Some(Stays { task: id, written: entry.status, status: task.status() });
            change_set.by_file(TASKS, |change_set| {
                change_set.note(&mut self.state, now, Some(id), None, TaskFact::Returned { stays });
            });
            change_set.touched.insert(id);
        }
    }

    /// The ids for entries that have none. One that orch has numbered already, in a copy that the editor did not load, is
    /// known by its title, or by being the only one and like it. A task that is over (`settled`: those that the file lacks) only by its
    /// title: beside an entry that was taken out, a new one may have been written. One that lost its number (a slip of the
    /// hand in the key, a flipped bit) is known by its title together with the status that orch wrote there.
    pub(crate) fn numbered_before(&mut self, doc: &TasksDoc, settled: &[TaskId]) -> BTreeMap<usize, TaskId> {
        let without: Vec<&Entry> = doc.entries().iter().filter(|entry| entry.sound && entry.id.is_none()).collect();
        if without.is_empty() {
            return BTreeMap::new();
        }
        let is_numbered = |task: &Arc<Task>| task.file.seen() == Seen::Numbered;
        let at_hand = self.state.tasks.values().filter(|task| doc.ids().binary_search(&task.id).is_err());
        let (mut missing, mut lost): (Vec<Arc<Task>>, Vec<Arc<Task>>) =
            at_hand.filter(|task| task.file.is_written()).cloned().partition(is_numbered);
        if let ([task], [entry]) = (&missing[..], &without[..])
            && !task.status().is_final()
            // In a file that is held for what it lacks, an entry more is a new one.
            && !self.file.missing().contains(&task.id)
            && is_reworded(&task.spec, &entry.spec)
        {
            return BTreeMap::from([(entry.index, task.id)]);
        }
        let of_journal = settled.iter().rev().filter(|id| !self.state.tasks.contains_key(id));
        let of_journal: Vec<TaskId> = of_journal.take(COMPARED).copied().collect();
        for task in of_journal.into_iter().filter_map(|id| self.look_up(id)).filter(|task| task.file.is_written()) {
            if is_numbered(&task) { missing.push(task) } else { lost.push(task) }
        }
        let mut known = BTreeMap::new();
        for entry in without {
            let is_called = |task: &Arc<Task>| task.spec.title == entry.spec.title;
            let is_as_written = |task: &Arc<Task>| is_called(task) && entry.status == Some(task.status());
            if let Some(at) = missing.iter().position(is_called) {
                known.insert(entry.index, missing.remove(at).id);
            } else if let Some(at) = lost.iter().position(is_as_written) {
                known.insert(entry.index, lost.remove(at).id);
            }
        }
        known
    }

    /// Does with the tasks that the file lacks what the person decided.
    pub(crate) fn decide_missing(
        &mut self,
        change_set: &mut ChangeSet,
        verdict: Verdict,
        now: Timestamp,
    ) -> Vec<Arc<Task>> {
        let missing = self.file.missing().to_vec();
        let tasks: Vec<Arc<Task>> = missing.into_iter().filter_map(|id| self.look_up(id)).collect();
        for task in &tasks {
            match verdict {
                Verdict::List => {}
                Verdict::Restore if !task.status().is_final() => {
                    let mut next = Task::clone(task);
                    next.file = FileState::PutBack;
                    change_set.put_task(&mut self.state, next);
                    let fact = TaskFact::PutBack { why: PutBack::Asked };
                    change_set.note(&mut self.state, now, Some(task.id), None, fact);
                }
                Verdict::Restore | Verdict::Cancel => self.removed(change_set, task.id, now),
            }
        }
        if verdict != Verdict::List {
            self.file.lacks(Vec::new());
            self.file.read_anew();
            self.read_files();
        }
        let over = |task: &Arc<Task>| task.status().is_final();
        tasks.into_iter().filter(|task| !over(task)).collect()
    }
}

/// An entry as it was found in the file.
pub(crate) fn written_as(entry: &Entry, seen: Seen) -> FileState {
    let results = entry.branch.is_some() || entry.attempts.is_some();
    FileState::Written { status: entry.status, since: Vec::new(), results, seen }
}
