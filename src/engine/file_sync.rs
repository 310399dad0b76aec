//! `tasks.yml` and the journal, kept equal: the person's part is read from the file, orch's part is written back to it.
//! A file that does not read changes nothing; a write that meets somebody else's save is done again on the new text.

use super::apply::Job;
use super::doors::Doors;
use super::settings::{Settings, project_file};
use super::world::World;
use crate::adapters::fs::{self, Fingerprint, WriteError, exchange_write};
use crate::domain::ids::TaskId;
use crate::domain::task::{FileState, Status, Task};
use crate::store::journal::Project;
use crate::store::tasks_file::{At, Edit, NewEntry, Outline, TasksDoc};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The largest `tasks.yml` that is read, in bytes.
const LARGEST: usize = 64 << 20;

/// What was read last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// `None`: never looked.
    tasks: Option<Option<Fingerprint>>,
    settings: Option<Vec<Option<Fingerprint>>>,
    /// Which write it came after: what was read beside a write is not what stands there now.
    pub(super) generation: u64,
    /// Tasks that `tasks.yml` lacked when it was read, and since when.
    pub(super) missing: BTreeMap<TaskId, Timestamp>,
}

/// What a look at the files found.
#[derive(Debug)]
pub struct FileNews {
    /// What was read now.
    pub known: Known,
    /// New settings, when a file of theirs changed.
    pub settings: Option<Settings>,
    /// The tasks, when their file changed.
    pub tasks: Option<TasksNews>,
}

/// What `tasks.yml` holds.
#[derive(Debug)]
pub enum TasksNews {
    /// It reads.
    Read(Box<TasksDoc>),
    /// It does not; the last good version stays in force.
    Broken(Vec<String>),
    /// There is none, or it is empty.
    Empty(Box<TasksDoc>),
}

/// Looks at the home's files; reads only what changed. Blocking.
pub fn read(doors: &Doors, known: Known, settings: &Settings, projects: &[Project]) -> FileNews {
    let mut files: Vec<PathBuf> = vec![doors.home.config_file()];
    files.extend(projects.iter().map(|p| project_file(&p.dir)));
    let of_settings: Vec<Option<Fingerprint>> = files.iter().map(|f| Fingerprint::of(f)).collect();
    let path = doors.home.tasks_file();
    let of_tasks = Fingerprint::of(&path);
    let settings =
        (known.settings.as_ref() != Some(&of_settings)).then(|| doors.sources.load(projects, Some(settings)));
    let changed = known.tasks != Some(of_tasks) || !known.missing.is_empty();
    let tasks = changed.then(|| read_tasks(&path, of_tasks.is_some()));
    let known = Known {
        tasks: Some(of_tasks),
        settings: Some(of_settings),
        missing: known.missing,
        generation: known.generation,
    };
    FileNews { known, settings, tasks }
}

fn read_tasks(path: &Path, exists: bool) -> TasksNews {
    let broken = |message: String| TasksNews::Broken(vec![format!("{}: {message}", path.display())]);
    let text = if exists {
        match fs::read_text(path, LARGEST) {
            Ok(text) => text,
            Err(error) => return TasksNews::Broken(vec![error.to_string()]),
        }
    } else {
        String::new()
    };
    // Ids of tasks that are only in the journal are checked by the engine, which knows them.
    match TasksDoc::parse(text, &|_| true) {
        Ok(doc) if doc.entries().is_empty() => TasksNews::Empty(Box::new(doc)),
        Ok(doc) => TasksNews::Read(Box::new(doc)),
        Err(problems) => broken(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    }
}

/// A write of `tasks.yml`.
#[derive(Debug)]
pub struct WriteOrder {
    outline: Outline,
    edits: Vec<Edit>,
    /// The tasks that are written.
    tasks: Vec<Line>,
    /// An entry gets its id: it becomes a task when the file is read again.
    fills: bool,
}

/// What stands in the file of one task after a write.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The task.
    pub id: TaskId,
    /// Its status there.
    pub status: Status,
    /// Its results stand there too.
    pub results: bool,
}

/// What became of a write.
#[derive(Debug)]
pub enum Writeback {
    /// Done.
    Written {
        /// For the next write.
        outline: Option<Outline>,
        /// The tasks that stand there now.
        tasks: Vec<Line>,
        /// What could not be written, for a person.
        refused: Vec<String>,
        /// Its fingerprint need not be read again.
        known: Option<KnownTasks>,
    },
    /// The file is not the one that was read.
    Changed,
    /// The file cannot be written.
    Failed(String),
}

/// The fingerprint of a file that orch wrote itself.
#[derive(Debug, Clone, Copy)]
pub struct KnownTasks(Fingerprint);

/// Writes `tasks.yml`. Blocking.
pub fn write(doors: &Doors, order: WriteOrder) -> Writeback {
    let path = doors.home.tasks_file();
    let exists = Fingerprint::of(&path).is_some();
    let text = if exists {
        match fs::read_text(&path, LARGEST) {
            Ok(text) => text,
            Err(error) => return Writeback::Failed(error.to_string()),
        }
    } else {
        String::new()
    };
    if !order.outline.is_of(&text) {
        return Writeback::Changed;
    }
    let applied = order.outline.apply(&text, &order.edits);
    let mut refused: Vec<String> = applied
        .refused
        .iter()
        .map(|r| r.error.as_ref().map_or_else(|| "there is no such entry".to_owned(), ToString::to_string))
        .collect();
    let Some((new, outline)) = applied.into_outline() else {
        return Writeback::Written { outline: Some(order.outline), tasks: order.tasks, refused, known: None };
    };
    let lock = doors.home.state().join("tasks.lock");
    match exchange_write(&path, &lock, new.as_bytes(), exists.then_some(text.as_bytes())) {
        Ok(written) => {
            let rescued = written.rescued.iter();
            refused.extend(rescued.map(|p| format!("an edit that came too late is kept in {}", p.display())));
            // What gets an id must be read again; else what orch wrote is known. It is not looked up at the path: there
            // may already stand what somebody saved since, which nobody would then read.
            let known = (!order.fills).then_some(KnownTasks(written.fingerprint));
            Writeback::Written { outline: Some(outline), tasks: order.tasks, refused, known }
        }
        Err(WriteError::Changed { .. }) => Writeback::Changed,
        Err(error @ WriteError::Fs(_)) => Writeback::Failed(format!("{}: {error}", path.display())),
    }
}

/// The loop's side of the file.
#[derive(Debug, Default)]
pub struct FileSync {
    known: Known,
    /// Where everything stands in the file, as far as that is kept between two writes.
    outline: Option<Outline>,
    /// The file reads: it may be written.
    readable: bool,
    /// Tasks whose lines may differ from the state.
    dirty: BTreeSet<TaskId>,
    /// Entries that wait for an id.
    fills: Vec<(usize, TaskId)>,
    writing: bool,
    /// Raised with each write that begins or ends.
    generation: u64,
    /// When what waits is written.
    due: Option<Instant>,
    /// Somebody wants the file read when the write is over.
    read_wanted: bool,
    /// What is wrong with the file now.
    problems: Vec<String>,
    /// What could not be written.
    refused: Vec<String>,
    shown: Vec<String>,
}

impl FileSync {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was read last.
    pub fn known(&self) -> Known {
        Known { generation: self.generation, ..self.known.clone() }
    }

    /// Whether this is how the file stands now, as far as orch's own writes go.
    pub fn is_current(&self, known: &Known) -> bool {
        known.generation == self.generation
    }

    /// A write is under way.
    pub fn is_writing(&self) -> bool {
        self.writing
    }

    /// The file is to be read when the write is over.
    pub fn read_after_write(&mut self) {
        self.read_wanted = true;
    }

    /// Whether it is; asked once.
    pub fn take_read_wanted(&mut self) -> bool {
        std::mem::take(&mut self.read_wanted)
    }

    /// What is wrong with the file, for a person.
    pub fn told(&self) -> &[String] {
        &self.shown
    }

    fn show(&mut self) {
        self.shown = self.problems.iter().chain(&self.refused).cloned().collect();
    }

    /// These tasks changed.
    pub fn touch(&mut self, tasks: &BTreeSet<TaskId>) {
        self.dirty.extend(tasks);
    }

    /// Takes over what a look found. Returns whether the problems are other ones than before.
    pub fn take_look(&mut self, known: Known, problems: Option<Vec<String>>) -> bool {
        self.known = known;
        let Some(problems) = problems else { return false };
        let changed = problems != self.problems && !problems.is_empty();
        self.problems = problems;
        self.show();
        changed
    }

    /// Takes over a document that reads.
    pub fn take_document(&mut self, doc: TasksDoc, fills: Vec<(usize, TaskId)>) {
        self.outline = Some(doc.into_outline());
        self.readable = true;
        self.fills = fills;
    }

    /// The file does not read: nothing is written before it does.
    pub fn forget_document(&mut self) {
        self.outline = None;
        self.readable = false;
        self.fills.clear();
    }

    /// Takes over what became of a write.
    pub fn take_write(&mut self, outline: Option<Outline>, refused: Vec<String>, known: Option<KnownTasks>) {
        self.writing = false;
        self.generation += 1;
        self.outline = outline;
        self.refused = refused;
        if let Some(KnownTasks(fingerprint)) = known {
            self.known.tasks = Some(Some(fingerprint));
        }
        self.show();
    }

    /// The write did not happen: its tasks are still to be written.
    pub fn take_back(&mut self, refused: Option<String>) {
        self.writing = false;
        self.generation += 1;
        self.refused = refused.into_iter().collect();
        // Read again before the next write.
        self.known.tasks = None;
        self.show();
    }

    /// Nothing waits to be written, or nothing can be.
    pub fn is_written(&self) -> bool {
        !self.writing && (!self.readable || (self.dirty.is_empty() && self.fills.is_empty()))
    }

    /// Whether what waits is to be written now. Changes that follow each other within `pause` make one write; an entry
    /// that waits for its id waits for nothing else.
    pub fn is_due(&mut self, now: Instant, pause: Duration) -> bool {
        if self.dirty.is_empty() && self.fills.is_empty() {
            self.due = None;
            return false;
        }
        let due = *self.due.get_or_insert(now + pause);
        !self.fills.is_empty() || now >= due
    }

    /// When that will be.
    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.writing && self.readable)
    }

    /// The next write, when there is something to write and nothing under way.
    pub fn next_write(&mut self, world: &World) -> Option<Job> {
        if self.writing || (self.dirty.is_empty() && self.fills.is_empty()) {
            return None;
        }
        if !self.readable {
            return None;
        }
        let mut edits: Vec<Edit> =
            self.fills.iter().map(|(index, id)| Edit::FillId { index: *index, id: *id }).collect();
        let mut tasks = Vec::new();
        self.dirty.retain(|id| {
            let Some(task) = world.tasks.get(id) else { return false };
            let differs = edits_of(task, &mut edits);
            if differs {
                let results = task.place.is_some() || task.attempts > 0;
                tasks.push(Line { id: *id, status: task.status(), results });
            }
            differs
        });
        if edits.is_empty() {
            self.due = None;
            return None;
        }
        let Some(outline) = self.outline.take() else {
            // Let go of while nothing was to be written: read again first.
            self.known.tasks = None;
            return Some(Job::ReadFiles { known: self.known() });
        };
        let fills = !std::mem::take(&mut self.fills).is_empty();
        self.dirty.clear();
        self.due = None;
        self.writing = true;
        self.generation += 1;
        Some(Job::WriteFile { order: WriteOrder { outline, edits, tasks, fills } })
    }

    /// Nothing is open: lets go of what only the next write needs, about half a kilobyte for each task.
    pub fn rest(&mut self) {
        if !self.writing && self.dirty.is_empty() && self.fills.is_empty() {
            self.outline = None;
        }
    }
}

/// orch's own values of one task. Returns whether there is anything to write.
fn edits_of(task: &Task, edits: &mut Vec<Edit>) -> bool {
    let written = match &task.file {
        FileState::Removed => return false,
        FileState::Pending => {
            let entry = NewEntry { id: task.id, spec: task.spec.clone(), status: Some(task.status()) };
            edits.push(Edit::Append(Box::new(entry)));
            return true;
        }
        FileState::Written { status, .. } => *status,
    };
    if written == Some(task.status()) {
        return false;
    }
    let mut set = |key: &'static str, value: Value| edits.push(Edit::Set { at: At::Id(task.id), key, value });
    set("status", task.status().as_str().into());
    if let Some(place) = &task.place {
        set("branch", place.branch.as_str().into());
    }
    if task.attempts > 0 {
        set("attempts", task.attempts.into());
    }
    if let Some(summary) = &task.summary {
        set("summary", summary.as_str().into());
    }
    true
}
