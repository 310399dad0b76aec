//! What the person wrote in `tasks.yml`, applied to the state: new tasks, changed wishes, requests by status. What the file
//! lacks is handled elsewhere.

use crate::engine::Engine;
use crate::files::file_job::{FileNews, Known, TasksNews, Writeback};
use crate::job::Job;
use crate::settings::Settings;
use crate::state::ChangeSet;
use crate::tasks_file::cycles::Relations;
use crate::tasks_file::missing_tasks::{Held, Save, written_as};
use jiff::Timestamp;
use orch_core::audit::actor::{Actor, TASKS};
use orch_core::audit::history::{EditConflict, EditSource, FileFact, FileProblem, TaskFact};
use orch_core::base::ids::TaskId;
use orch_core::tasks::event::Event;
use orch_core::tasks::spec_merge::Clash;
use orch_core::tasks::task::{FileState, Seen, State, Status, Task};
use orch_store::tasks_file::{Entry, Severity, TasksDoc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long it is waited before the file is read again because a task could not be read.
const READ_AGAIN: Duration = Duration::from_secs(2);

/// A save without the results that orch wrote there comes from an editor that was opened before them.
fn lacks_results(file: &FileState, entry: &Entry) -> bool {
    let results = match file {
        FileState::Written { results, .. } => *results,
        FileState::Pending | FileState::PutBack | FileState::Removed { .. } => false,
    };
    results && entry.branch.is_none() && entry.attempts.is_none()
}

/// Before which time a text was opened that has this entry, where that is known: it lacks results that the task had by
/// then.
fn older_than(task: &Task, entry: &Entry) -> Option<Timestamp> {
    lacks_results(&task.file, entry).then_some(task.updated_at)
}

impl Engine {
    pub(crate) fn on_files(&mut self, change_set: &mut ChangeSet, mut news: FileNews, now: Timestamp) {
        self.planner.forget_registered();
        if let Some(error) = news.unreadable.take() {
            self.storage.observe(&error);
        }
        if let Some(at) = news.quiet_at.take() {
            let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            self.file.schedule_read(self.deps.clock.instant() + left + Duration::from_millis(10));
        }
        match news.settings.take() {
            Some(settings) if news.projects == self.state.projects => self.take_settings(change_set, settings, now),
            // What was registered or approved while they were read counts.
            Some(_) => self.reload(change_set, now),
            None => {}
        }
        if let Some(jobs) = news.jobs.take() {
            if self.timetable.is_current(&news.known) {
                self.on_jobs_file(change_set, jobs, now);
            } else {
                news.known.jobs = None;
                if !self.timetable.is_changing() {
                    self.read_files();
                }
            }
        }
        if !self.file.is_current(&news.known) {
            // Read beside one of orch's own writes: what it says may be older than what orch wrote.
            return self.read_files();
        }
        if self.take_tasks(change_set, news, now) {
            self.unpark(change_set, now);
        }
    }

    fn take_settings(&mut self, change_set: &mut ChangeSet, settings: Settings, now: Timestamp) {
        let changed = settings.problems != self.settings.problems && !settings.problems.is_empty();
        if changed {
            change_set.by(Actor::Orch, |change_set| {
                let fact = FileFact::ConfigProblem { problems: settings.problems.clone() };
                change_set.note(&mut self.state, now, None, None, fact);
            });
        }
        self.settings = Arc::new(settings);
        self.apply_pauses(now);
    }

    /// Takes over what the files of the settings say now: the caller has written them as a whole.
    pub(crate) fn reload(&mut self, change_set: &mut ChangeSet, now: Timestamp) {
        let settings = self.deps.sources.load(&self.state.projects, Some(&self.settings));
        self.take_settings(change_set, settings, now);
    }

    /// Returns whether the read is over; else a portion of a large file was taken over, and the next is on its way.
    fn take_tasks(&mut self, change_set: &mut ChangeSet, mut news: FileNews, now: Timestamp) -> bool {
        let mut problems = None;
        let set_aside = news.set_aside.take();
        let suspects =
            self.file.problems_mut().take_suspects().filter(|_| !matches!(news.tasks, Some(TasksNews::Read(_))));
        match news.tasks.take() {
            None => {}
            Some(TasksNews::Broken(found)) => {
                self.file.take_being_saved(false);
                self.file.forget_document();
                problems = Some(found);
            }
            Some(TasksNews::Agreed) => {
                self.file.take_being_saved(false);
                self.state.invalid.clear();
                self.file.take_agreed();
                self.file.lacks(Vec::new());
                problems = Some(Vec::new());
            }
            Some(TasksNews::Read(doc)) => {
                let numbered = self.numbered_before(&doc, &news.missing);
                let held = if self.file.is_halfway() { None } else { self.doubt(&doc, &news, &numbered, now) };
                self.file.take_being_saved(matches!(held, Some(Held::BeingSaved)));
                match held {
                    Some(Held::BeingSaved) => self.file.forget_document(),
                    Some(Held::Reported(text)) => {
                        self.file.forget_document();
                        problems = Some(vec![text]);
                    }
                    None => {
                        let mut messages = problems_of(&doc);
                        let Some((known, cycles)) = self.take_over(change_set, doc, news, &numbered, now) else {
                            return false;
                        };
                        messages.extend(cycles);
                        problems = Some(messages);
                        news = FileNews { known, ..FileNews::default() };
                    }
                }
            }
        }
        let odd = self.model_warnings(suspects, now);
        let mut has_news = self.file.problems_mut().take_models(odd);
        has_news |= self.file.take_read(news.known, problems);
        has_news |= set_aside.is_some_and(|files| self.file.problems_mut().take_set_aside(&files));
        if has_news {
            let fact =
                FileFact::Problem(FileProblem::Read { problems: self.file.problems().lines().cloned().collect() });
            change_set.note(&mut self.state, now, None, None, fact);
        }
        self.file.touch(&self.unwritten());
        true
    }

    /// What a document says becomes the state. Also returns the cycles that it would have closed. `None`: there is more
    /// of it.
    fn take_over(
        &mut self,
        change_set: &mut ChangeSet,
        doc: Box<TasksDoc>,
        mut news: FileNews,
        numbered: &BTreeMap<usize, TaskId>,
        now: Timestamp,
    ) -> Option<(Known, Vec<String>)> {
        let suspected = std::mem::take(&mut news.known.missing);
        let (cycles, opened) = self.merge(change_set, &doc, now);
        let save = Save { opened, saved: news.saved, now };
        news.known.missing = self.missing(change_set, &doc, news.missing, &suspected, save);
        let fills = self.ids_for(&doc, numbered);
        if let Some(rest) = news.rest.take() {
            self.file.take_portion(fills);
            self.jobs.order(Job::ReadOn { known: news.known, doc, rest });
            return None;
        }
        // Of the portions before, a cycle that was refused is still held as a mistake.
        let whole = doc.problems().is_empty() && news.known.missing.is_empty() && self.state.invalid.is_empty();
        self.file.take_document(*doc, fills, whole);
        Some((news.known, cycles))
    }

    /// Entries without an id get one: it is written first, and the task is born when the file is read again, so that a
    /// crash in between makes no second one. `numbered`: those that have had one.
    fn ids_for(&mut self, doc: &TasksDoc, numbered: &BTreeMap<usize, TaskId>) -> Vec<(usize, TaskId)> {
        self.state.reserve_ids(doc.ids().last().map_or(0, |id| id.0));
        let without = doc.entries().iter().filter(|e| e.sound && e.id.is_none()).map(|e| e.index);
        let id = |index| (index, numbered.get(&index).copied().unwrap_or_else(|| self.state.next_task_id()));
        without.map(id).collect()
    }

    /// Returns the cycles that were not taken over, and before which time the text was opened, where that is known.
    fn merge(
        &mut self,
        change_set: &mut ChangeSet,
        doc: &TasksDoc,
        now: Timestamp,
    ) -> (Vec<String>, Option<Timestamp>) {
        let own = self.file.is_own(doc);
        let known = self.state.invalid.clone();
        if !self.file.is_halfway() {
            self.state.invalid.clear();
        }
        for problem in doc.problems().iter().filter(|p| p.severity == Severity::Error) {
            let Some(id) = problem.entry else { continue };
            self.state.invalid.entry(id).or_insert_with(|| problem.to_string());
        }
        let mut opened: Option<Timestamp> = None;
        let mut rewired = BTreeMap::new();
        for entry in doc.entries().iter().filter(|entry| entry.sound) {
            let Some(id) = entry.id else { continue };
            let found = self.state.task(id);
            let before = found.iter().flatten().next().map(|task| Relations::from_spec(&task.spec)).unwrap_or_default();
            match found {
                Ok(None) => self.adopt(change_set, id, entry, own, now),
                Ok(Some(task)) => {
                    opened = opened.into_iter().chain(older_than(&task, entry)).min();
                    self.merge_entry(change_set, &task, entry, own, now);
                }
                Err(error) => {
                    tracing::error!(task = %id, %error, "a task cannot be compared with its entry");
                    // The file is read again because of it, but not at once: it may stay so.
                    self.file.schedule_read(self.deps.clock.instant() + READ_AGAIN);
                }
            }
            if self.state.tasks.get(&id).is_some_and(|task| Relations::from_spec(&task.spec) != before) {
                rewired.insert(id, before);
            }
        }
        (self.refuse_cycles(change_set, rewired, &known, now), opened)
    }

    /// A task that is new to the journal. One that is written as finished is finished: a file that comes from
    /// elsewhere does not start everything again.
    fn adopt(&mut self, change_set: &mut ChangeSet, id: TaskId, entry: &Entry, own: bool, now: Timestamp) {
        let seen = if own { Seen::Numbered } else { Seen::Yes };
        let mut task = self.with_base_branch(Task::new(id, entry.spec.clone(), written_as(entry, seen), now));
        task.ignored.clone_from(&entry.ignored);
        if entry.status == Some(Status::Done) {
            task.state = State::Done;
        } else if entry.status == Some(Status::Cancelled) {
            task.state = State::Cancelled { reason: "written so in tasks.yml".to_owned() };
        }
        let over = Some(task.status()).filter(|status| status.is_final());
        let fact = TaskFact::Added { title: entry.spec.title.clone(), over };
        change_set.put_task(&mut self.state, task);
        change_set.by_file(TASKS, |change_set| {
            change_set.note(&mut self.state, now, Some(id), None, fact);
        });
    }

    fn merge_entry(
        &mut self,
        change_set: &mut ChangeSet,
        task: &Arc<Task>,
        entry: &Entry,
        own_text: bool,
        now: Timestamp,
    ) {
        let (written, since, results, seen) = match &task.file {
            FileState::Written { status, since, results, seen } => (*status, since.as_slice(), *results, *seen),
            // Written by a write whose report was lost in a crash.
            FileState::Pending | FileState::PutBack => (entry.status, &[][..], false, Seen::Appended),
            FileState::Removed { .. } => return self.adopt_again(change_set, task, entry, now),
        };
        let own = entry.status == written || entry.status.is_some_and(|status| since.contains(&status));
        let old_copy = lacks_results(&task.file, entry);
        let seen = if own_text { seen } else { Seen::Yes };
        let mut next = Task::clone(task);
        next.file = match own {
            true => {
                let results = results && !old_copy;
                FileState::Written { status: entry.status, since: since.to_vec(), results, seen }
            }
            false => written_as(entry, seen),
        };
        next.ignored.clone_from(&entry.ignored);
        let (merged, echoes) = next.take_file_entry(&entry.spec, own_text, now);
        if !merged.taken.is_empty() {
            let changes = merged.taken.iter().map(|field| field.change(&task.spec, &merged.spec)).collect();
            change_set.by_file(TASKS, |change_set| {
                let fact = TaskFact::Edited { source: EditSource::File, changes };
                change_set.note(&mut self.state, now, Some(task.id), None, fact);
            });
        }
        self.note_clashes(change_set, task.id, &merged.clashes, &echoes, now);
        if next != **task {
            change_set.put_task(&mut self.state, next);
        }
        let Some(wanted) = entry.status.filter(|wanted| !own && *wanted != task.status()) else { return };
        let moved_on = task.status().is_final() && written.is_some() && written != Some(task.status());
        if old_copy {
            let fact = TaskFact::StatusRefused { status: wanted, reason: None };
            change_set.note(&mut self.state, now, Some(task.id), None, fact);
            change_set.touched.insert(task.id);
        } else if moved_on {
            let id = task.id;
            let conflict = EditConflict::Status { task: id, written: wanted, status: task.status() };
            change_set.note(&mut self.state, now, Some(id), None, TaskFact::EditConflict(conflict));
            change_set.touched.insert(id);
        } else {
            self.request_status(change_set, task.id, wanted, now);
        }
    }

    fn note_clashes(
        &mut self,
        change_set: &mut ChangeSet,
        id: TaskId,
        clashes: &[Clash],
        echoes: &[Clash],
        now: Timestamp,
    ) {
        let parts = |Clash { field, file, other }: &Clash| (field.key().to_owned(), file.clone(), other.clone());
        for (field, file, command) in clashes.iter().map(parts) {
            let conflict = EditConflict::Field { field, file, command };
            change_set.note(&mut self.state, now, Some(id), None, TaskFact::EditConflict(conflict));
        }
        for (field, file, command) in echoes.iter().map(parts) {
            let conflict = EditConflict::Echo { field, file, command };
            change_set.note(&mut self.state, now, Some(id), None, TaskFact::EditConflict(conflict));
        }
    }

    /// Applies a status that the person wrote, as a request; what the lifecycle refuses is written back as it is.
    pub(crate) fn request_status(&mut self, change_set: &mut ChangeSet, id: TaskId, wanted: Status, now: Timestamp) {
        let cancel = || Event::CancelAsked { reason: "cancelled in tasks.yml".to_owned() };
        let event =
            if wanted == Status::New { Some(Event::RetryAsked) } else { (wanted == Status::Cancelled).then(cancel) };
        let refused = match event {
            Some(event) => {
                let asked = change_set.by_file(TASKS, |change_set| self.apply(change_set, id, &event, now));
                asked.err().map(|error| error.to_string())
            }
            None => Some(format!("{} is orch's to set; write new or cancelled", wanted.as_str())),
        };
        if refused.is_some() {
            let fact = TaskFact::StatusRefused { status: wanted, reason: refused };
            change_set.note(&mut self.state, now, Some(id), None, fact);
        }
        change_set.touched.insert(id);
    }

    /// Returns a task, settled or not; logs a journal that cannot be read.
    pub(crate) fn look_up(&mut self, id: TaskId) -> Option<Arc<Task>> {
        let found = self.state.task(id);
        found.inspect_err(|error| tracing::error!(task = %id, %error, "a task cannot be looked up")).ok().flatten()
    }

    pub(crate) fn on_written(&mut self, change_set: &mut ChangeSet, result: Writeback, now: Timestamp) {
        let reads_after = self.file.end_write();
        match result {
            Writeback::Written { outline, agreed, tasks, refused, known } => {
                self.file
                    .problems_mut()
                    .suspect(tasks.iter().filter(|line| line.task.spec.model.is_some()).map(|line| line.task.id));
                for line in tasks {
                    let Some(task) = self.state.tasks.get(&line.task.id).cloned() else { continue };
                    let mut next = Task::clone(&task);
                    // What the task became while it was written may be written next.
                    let since = if task.status() == line.status() { Vec::new() } else { vec![task.status()] };
                    let (results, seen) = match &task.file {
                        FileState::Written { status, results, seen, .. } if *status == Some(line.status()) => {
                            (*results, *seen)
                        }
                        FileState::Written { seen, .. } => (line.results(), *seen),
                        FileState::Pending => (line.results(), Seen::Appended),
                        FileState::PutBack => (line.results(), Seen::Again { at: now }),
                        FileState::Removed { .. } => continue,
                    };
                    next.file = FileState::Written { status: Some(line.status()), since, results, seen };
                    next.record_write(&line.task.spec, now);
                    change_set.put_file_entry(&mut self.state, next);
                }
                let read_again = known.is_none();
                if !refused.is_empty() {
                    let fact = FileFact::Problem(FileProblem::NotWritten { refused: refused.clone() });
                    change_set.note(&mut self.state, now, None, None, fact);
                }
                self.file.take_write(outline, agreed, refused, known);
                self.file.schedule_late_search(self.deps.clock.instant());
                if read_again {
                    self.read_files();
                }
            }
            Writeback::Changed => {
                self.file.take_back(None);
                self.read_files();
            }
            Writeback::Failed(error) => {
                tracing::error!(%error, "tasks.yml cannot be written");
                self.file.take_failure(error, self.deps.clock.instant());
            }
        }
        self.file.touch(&self.unwritten());
        if reads_after {
            self.read_files();
        }
    }

    /// Returns the tasks whose status in the file is not the present one.
    fn unwritten(&self) -> BTreeSet<TaskId> {
        let differs = |task: &&Arc<Task>| match &task.file {
            FileState::Pending | FileState::PutBack => true,
            FileState::Written { status, .. } => *status != Some(task.status()) || task.is_unwritten(),
            FileState::Removed { .. } => false,
        };
        self.state.tasks.values().filter(differs).map(|t| t.id).collect()
    }
}

fn problems_of(doc: &TasksDoc) -> Vec<String> {
    doc.problems().iter().map(|p| format!("tasks.yml: {p}")).collect()
}
