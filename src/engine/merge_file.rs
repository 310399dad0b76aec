//! What the person wrote in `tasks.yml`, applied to the state: new tasks, changed wishes, requests by status.

use super::apply::Job;
use super::file_job::{FileNews, TasksNews, Writeback};
use super::main_loop::Engine;
use super::world::Turn;
use crate::domain::event::Event;
use crate::domain::ids::TaskId;
use crate::domain::task::{FileState, State, Status, Task};
use crate::store::tasks_file::{Entry, Severity, TasksDoc};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long a task may be lacking in the file before that is taken as meant.
const SAVING: SignedDuration = SignedDuration::from_secs(2);

impl Engine {
    pub(super) fn on_files(&mut self, turn: &mut Turn, mut news: FileNews, now: Timestamp) {
        if let Some(settings) = news.settings.take() {
            let changed = settings.problems != self.settings.problems && !settings.problems.is_empty();
            if changed {
                turn.note(&mut self.world, now, None, None, "config_problem", settings.problems.join("\n"));
            }
            self.settings = Arc::new(settings);
        }
        if !self.file.is_current(&news.known) {
            // Read beside one of orch's own writes: what it says may be older than what orch wrote.
            return self.read_files();
        }
        let suspected = std::mem::take(&mut news.known.missing);
        let mut problems = None;
        match news.tasks.take() {
            None => {}
            Some(TasksNews::Broken(found)) => {
                self.file.forget_document();
                problems = Some(found);
            }
            Some(TasksNews::Empty(doc)) => {
                problems = Some(self.on_empty_file(news.settled));
                self.file.take_document(*doc, Vec::new(), false);
            }
            Some(TasksNews::Agreed) => {
                self.world.invalid.clear();
                self.file.take_agreed();
                problems = Some(Vec::new());
            }
            Some(TasksNews::Read(doc)) => {
                problems = Some(problems_of(&doc));
                news.known.missing = self.merge(turn, &doc, news.lacking, &suspected, now);
                let fills = self.ids_for(&doc);
                if let Some(rest) = news.rest.take() {
                    self.file.take_portion(fills);
                    return self.spawn_once(Job::ReadOn { known: news.known, doc, rest });
                }
                let whole = doc.problems().is_empty() && news.known.missing.is_empty();
                self.file.take_document(*doc, fills, whole);
            }
        }
        if self.file.take_look(news.known, problems) {
            let text = self.file.told().join("\n");
            turn.note(&mut self.world, now, None, None, "file_problem", text);
        }
        self.file.touch(&self.unwritten());
    }

    /// An empty file cancels nothing: an editor that truncates before it writes looks just like this.
    fn on_empty_file(&self, settled: usize) -> Vec<String> {
        let written =
            self.world.tasks.values().filter(|t| matches!(t.file, FileState::Written { .. })).count() + settled;
        if written == 0 {
            return Vec::new();
        }
        vec![format!(
            "{} is empty or gone, but {written} tasks were in it; nothing is cancelled by that: restore the file",
            self.doors.home.tasks_file().display()
        )]
    }

    /// Entries without an id get one: it is written first, and the task is born when the file is read again, so that a
    /// crash in between makes no second one.
    fn ids_for(&mut self, doc: &TasksDoc) -> Vec<(usize, TaskId)> {
        self.world.reserve_ids(doc.ids().last().map_or(0, |id| id.0));
        let without = doc.entries().iter().filter(|e| e.sound && e.id.is_none()).map(|e| e.index);
        without.into_iter().map(|index| (index, self.world.next_task_id())).collect()
    }

    /// Returns the tasks that are no longer in the file, and since when. They are given up when they are still lacking
    /// a while later: before, somebody may be in the middle of saving. `settled`: the settled ones among them.
    fn merge(
        &mut self,
        turn: &mut Turn,
        doc: &TasksDoc,
        settled: Vec<TaskId>,
        suspected: &BTreeMap<TaskId, Timestamp>,
        now: Timestamp,
    ) -> BTreeMap<TaskId, Timestamp> {
        self.world.invalid.clear();
        for problem in doc.problems().iter().filter(|p| p.severity == Severity::Error) {
            let Some(id) = problem.task else { continue };
            self.world.invalid.entry(id).or_insert_with(|| problem.to_string());
        }
        let mut suspects = BTreeMap::new();
        for entry in doc.entries().iter().filter(|entry| entry.sound) {
            let Some(id) = entry.id else { continue };
            match self.world.task(id) {
                Ok(None) => self.adopt(turn, id, entry, now),
                Ok(Some(task)) => self.merge_entry(turn, &task, entry, now),
                Err(error) => {
                    tracing::error!(task = %id, %error, "a task cannot be compared with its entry");
                    // The file is read again because of it.
                    suspects.insert(id, now);
                }
            }
        }
        let lacking = |task: &&Arc<Task>| {
            matches!(task.file, FileState::Written { .. }) && doc.ids().binary_search(&task.id).is_err()
        };
        let open: Vec<TaskId> = self.world.tasks.values().filter(lacking).map(|t| t.id).collect();
        for id in open.into_iter().chain(settled) {
            let since = suspected.get(&id).copied().unwrap_or(now);
            if now.duration_since(since) >= SAVING {
                self.removed(turn, id, now);
            } else {
                suspects.insert(id, since);
            }
        }
        suspects
    }

    /// A task that is new to the journal. One that is written as finished is finished: a file that comes from
    /// elsewhere does not start everything again.
    fn adopt(&mut self, turn: &mut Turn, id: TaskId, entry: &Entry, now: Timestamp) {
        let mut task = Task::new(id, entry.spec.clone(), written_as(entry), now);
        match entry.status {
            Some(Status::Done) => task.state = State::Done,
            Some(Status::Cancelled) => task.state = State::Cancelled { reason: "written so in tasks.yml".to_owned() },
            Some(
                Status::New
                | Status::Routed
                | Status::InProgress
                | Status::InReview
                | Status::Blocked
                | Status::NeedsReview,
            )
            | None => {}
        }
        turn.put_task(&mut self.world, task);
        turn.note(&mut self.world, now, Some(id), None, "task_added", entry.spec.title.clone());
    }

    fn merge_entry(&mut self, turn: &mut Turn, task: &Arc<Task>, entry: &Entry, now: Timestamp) {
        let (written, since, results) = match &task.file {
            FileState::Written { status, since, results } => (*status, since.as_slice(), *results),
            // Written by a write whose report was lost in a crash.
            FileState::Pending => (entry.status, &[][..], false),
            FileState::Removed => return self.adopt_again(turn, task, entry, now),
        };
        let own = entry.status == written || entry.status.is_some_and(|status| since.contains(&status));
        // A save without the results that orch wrote there comes from an editor that was opened before them.
        let old_copy = results && entry.branch.is_none() && entry.attempts.is_none();
        let mut next = Task::clone(task);
        next.file = match own {
            true => FileState::Written { status: entry.status, since: since.to_vec(), results: results && !old_copy },
            false => written_as(entry),
        };
        if entry.spec != task.spec {
            next.spec = entry.spec.clone();
            turn.note(&mut self.world, now, Some(task.id), None, "task_edited", entry.spec.title.clone());
        }
        if next != **task {
            turn.put_task(&mut self.world, next);
        }
        let Some(wanted) = entry.status.filter(|wanted| !own && *wanted != task.status()) else { return };
        if old_copy {
            let text = format!("status {} in tasks.yml comes from an old copy of the file", wanted.as_str());
            turn.note(&mut self.world, now, Some(task.id), None, "status_refused", text);
            turn.touched.insert(task.id);
        } else {
            self.request_status(turn, task.id, wanted, now);
        }
    }

    /// The person put a removed task back.
    fn adopt_again(&mut self, turn: &mut Turn, task: &Arc<Task>, entry: &Entry, now: Timestamp) {
        let mut next = Task::clone(task);
        next.file = written_as(entry);
        next.spec = entry.spec.clone();
        turn.put_task(&mut self.world, next);
        if let Some(wanted) = entry.status.filter(|s| *s != task.status()) {
            self.request_status(turn, task.id, wanted, now);
        }
    }

    /// A status that the person wrote is a request; what the lifecycle refuses is written back as it is.
    fn request_status(&mut self, turn: &mut Turn, id: TaskId, wanted: Status, now: Timestamp) {
        let event = match wanted {
            Status::New => Some(Event::RetryAsked),
            Status::Cancelled => Some(Event::CancelAsked { reason: "cancelled in tasks.yml".to_owned() }),
            Status::Routed
            | Status::InProgress
            | Status::InReview
            | Status::Done
            | Status::Blocked
            | Status::NeedsReview => None,
        };
        let refused = match event {
            Some(event) => self.apply(turn, id, &event, now).err().map(|e| e.to_string()),
            None => Some(format!("{} is orch's to set; write new or cancelled", wanted.as_str())),
        };
        if let Some(reason) = refused {
            let text = format!("status {} in tasks.yml is refused: {reason}", wanted.as_str());
            turn.note(&mut self.world, now, Some(id), None, "status_refused", text);
        }
        turn.touched.insert(id);
    }

    fn removed(&mut self, turn: &mut Turn, id: TaskId, now: Timestamp) {
        let Some(task) = self.look_up(id).filter(|task| task.file != FileState::Removed) else { return };
        if !task.status().is_final() {
            let reason = "taken out of tasks.yml".to_owned();
            self.expect(turn, id, &Event::CancelAsked { reason }, now);
        }
        let Some(task) = self.world.tasks.get(&id).cloned() else { return };
        let mut next = Task::clone(&task);
        next.file = FileState::Removed;
        turn.put_task(&mut self.world, next);
        turn.note(&mut self.world, now, Some(id), None, "task_removed", "taken out of tasks.yml by hand");
    }

    /// A task, settled or not; that the journal does not tell is told in the log.
    pub(super) fn look_up(&mut self, id: TaskId) -> Option<Arc<Task>> {
        let found = self.world.task(id);
        found.inspect_err(|error| tracing::error!(task = %id, %error, "a task cannot be looked up")).ok().flatten()
    }

    pub(super) fn on_written(&mut self, turn: &mut Turn, result: Writeback, now: Timestamp) {
        match result {
            Writeback::Written { outline, agreed, tasks, refused, known } => {
                for line in tasks {
                    let Some(task) = self.world.tasks.get(&line.id).cloned() else { continue };
                    let mut next = Task::clone(&task);
                    // What the task became while it was written may be written next.
                    let since = if task.status() == line.status { Vec::new() } else { vec![task.status()] };
                    next.file = FileState::Written { status: Some(line.status), since, results: line.results };
                    turn.put_filed(&mut self.world, next);
                }
                let read_again = known.is_none();
                if !refused.is_empty() {
                    let text = format!("not written to tasks.yml: {}", refused.join("; "));
                    turn.note(&mut self.world, now, None, None, "file_problem", text);
                }
                self.file.take_write(outline, agreed, refused, known);
                if read_again {
                    self.read_files();
                }
            }
            Writeback::Changed => {
                self.file.take_back(None);
                self.read_files();
            }
            Writeback::Failed(error) => {
                let text = format!("{error}; it is tried again");
                tracing::error!(%error, "tasks.yml cannot be written");
                self.file.take_back(Some(text));
            }
        }
        self.file.touch(&self.unwritten());
        if self.file.take_read_wanted() {
            self.read_files();
        }
    }

    /// Tasks whose status in the file is not the present one.
    fn unwritten(&self) -> BTreeSet<TaskId> {
        let differs = |task: &&Arc<Task>| match &task.file {
            FileState::Pending => true,
            FileState::Written { status, .. } => *status != Some(task.status()),
            FileState::Removed => false,
        };
        self.world.tasks.values().filter(differs).map(|t| t.id).collect()
    }
}

/// An entry as it was found in the file.
fn written_as(entry: &Entry) -> FileState {
    let results = entry.branch.is_some() || entry.attempts.is_some();
    FileState::Written { status: entry.status, since: Vec::new(), results }
}

fn problems_of(doc: &TasksDoc) -> Vec<String> {
    doc.problems().iter().map(|p| format!("tasks.yml: {p}")).collect()
}
