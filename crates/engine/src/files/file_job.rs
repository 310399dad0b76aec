//! The jobs on `tasks.yml` and the settings' files: reading what changed, and writing what orch has to say. A write
//! that meets another program's save is not made. Nothing is decided here.

use crate::deps::Deps;
use crate::files::jobs_file;
use crate::files::jobs_file::JobsNews;
use crate::settings::{Settings, project_file};
use jiff::{SignedDuration, Timestamp};
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::{Status, Task};
use orch_store::journal::{JournalError, Mark, Project};
use orch_store::tasks_file::{Agreed, Edit, Entry, Outline, TasksDoc};
use orch_sys::fs::{self, Digest, Fingerprint, FsError, WriteError, exchange_append, exchange_merged};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest `tasks.yml` that is read, in bytes.
pub(crate) const LARGEST: usize = 64 << 20;

/// How many entries are taken over in one turn of the loop. When a large file is seen for the first time, all of them
/// together would be in memory several times over: as entries, as tasks, as rows of the journal.
const AT_ONCE: usize = 500;

/// What was read last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// `None`: never read.
    pub(crate) tasks: Option<Option<Fingerprint>>,
    pub(crate) settings: Option<Vec<Option<Fingerprint>>>,
    pub(crate) jobs: Option<Option<Fingerprint>>,
    /// Which change of `jobs.yml` by a command it came after.
    pub(crate) jobs_generation: u64,
    /// A content that need not be read.
    pub(crate) agreed: Option<Agreed>,
    /// Which write it came after: what was read during a write is not the present content.
    pub(crate) generation: u64,
    /// Which wish to have it read it came after.
    pub(crate) wish: u64,
    /// Tasks that `tasks.yml` lacked when it was read, and since when.
    pub(crate) missing: BTreeMap<TaskId, Timestamp>,
}

/// What reading the files found.
#[derive(Debug, Default)]
pub struct FileNews {
    /// What was read now.
    pub known: Known,
    /// New settings, when a file of theirs changed.
    pub settings: Option<Settings>,
    /// The projects, as they were registered and approved then.
    pub projects: Vec<Project>,
    /// A settings' file may still be saved, and is read when it was left alone: then.
    pub quiet_at: Option<Timestamp>,
    /// What recurs, when its file changed.
    pub jobs: Option<JobsNews>,
    /// The tasks, when their file changed.
    pub tasks: Option<TasksNews>,
    /// The number of settled tasks in the file, by the journal.
    pub settled: usize,
    /// Those of them that the file lacks.
    pub missing: Vec<TaskId>,
    /// When the file was last saved, as far as that is known.
    pub saved: Option<Timestamp>,
    /// The last line of the file has no end: it may be cut off.
    pub is_unended: bool,
    /// More is new than is taken over at once.
    pub rest: Option<Rest>,
    /// Files with edits that a person has saved and that orch could not put in place; `None`: not searched for.
    pub set_aside: Option<Vec<PathBuf>>,
    /// Why the journal could not answer about settled tasks.
    pub unreadable: Option<JournalError>,
}

/// What is still to be taken over of a document.
#[derive(Debug)]
pub struct Rest {
    /// The place in the list where the rest begins.
    from: usize,
    marks: Vec<Mark>,
}

/// What `tasks.yml` holds.
#[derive(Debug)]
pub enum TasksNews {
    /// The file reads; a missing one reads as empty.
    Read(Box<TasksDoc>),
    /// It does not; the last good version stays in force.
    Broken(Vec<String>),
    /// It holds what was agreed on before.
    Agreed,
}

/// Reads those of the home's files that changed. Blocking.
pub fn read(deps: &Deps, known: Known, settings: &Settings, projects: &[Project]) -> FileNews {
    if known.tasks.is_none() {
        clear_cut_off(deps);
    }
    reclaim(deps);
    let mut files: Vec<PathBuf> = vec![deps.home.config_file()];
    files.extend(projects.iter().map(|p| project_file(&p.dir)));
    files.extend(deps.sources.policy_file(&settings.config));
    let of_settings: Vec<Option<Fingerprint>> = files.iter().map(|f| Fingerprint::read(f)).collect();
    let of_jobs = Fingerprint::read(&deps.home.jobs_file());
    let jobs = (known.jobs != Some(of_jobs)).then(|| jobs_file::read(&deps.home.jobs_file()));
    let path = deps.home.tasks_file();
    let of_tasks = Fingerprint::read(&path);
    let quiet_at = quiet_at(&of_settings, deps.clock.now());
    let is_new = known.settings.as_ref() != Some(&of_settings);
    let settings = (is_new && quiet_at.is_none()).then(|| deps.sources.load(projects, Some(settings)));
    let quiet_at = quiet_at.filter(|_| is_new);
    // What could not be read is read again, though it does not change.
    let is_missed = settings.as_ref().is_some_and(|settings| settings.is_missed);
    let of_settings = match (quiet_at, is_missed) {
        (Some(_), _) => known.settings,
        (None, true) => None,
        (None, false) => Some(of_settings),
    };
    let changed = known.tasks != Some(of_tasks) || !known.missing.is_empty();
    let as_agreed = || known.agreed.is_some_and(|agreed| Digest::of_file(&path).ok() == Some(agreed.digest()));
    let news = match changed {
        false => FileNews::default(),
        true if as_agreed() => FileNews { tasks: Some(TasksNews::Agreed), ..FileNews::default() },
        true => read_tasks(deps, &path, of_tasks.is_some()),
    };
    // A program that still saves is not done yet with what is missing.
    let missing = if known.tasks == Some(of_tasks) { known.missing } else { BTreeMap::new() };
    let known = Known {
        tasks: Some(of_tasks),
        settings: of_settings,
        jobs: Some(of_jobs),
        jobs_generation: known.jobs_generation,
        missing,
        agreed: None,
        generation: known.generation,
        wish: known.wish,
    };
    let saved = of_tasks.and_then(|found| found.modified());
    let set_aside = Some(fs::set_aside(&[path, deps.home.config_file()], &deps.home.state()));
    FileNews { known, settings, projects: projects.to_vec(), quiet_at, jobs, saved, set_aside, ..news }
}

/// How long a settings' file must be left alone before it is read: what an editor has only started to write says less
/// than what it will, and what is left out has its default.
const QUIET: SignedDuration = SignedDuration::from_millis(100);
/// The same of an empty file: it may have been emptied to be written anew.
const EMPTY: SignedDuration = SignedDuration::from_secs(2);

/// Returns when the last of these files will have been left alone long enough; `None`: all are.
fn quiet_at(files: &[Option<Fingerprint>], now: Timestamp) -> Option<Timestamp> {
    let of_file = |found: &Fingerprint| {
        // A file with a time in the future is not being written now.
        let saved = found.modified().filter(|saved| *saved <= now)?;
        saved.checked_add(if found.is_empty() { EMPTY } else { QUIET }).ok().filter(|quiet| *quiet > now)
    };
    files.iter().flatten().filter_map(of_file).max()
}

/// A daemon that was ended in the middle of a write has left a file beside `tasks.yml`, where a person would find it.
fn clear_cut_off(deps: &Deps) {
    let lock = deps.home.tasks_lock();
    if let Err(error) = fs::clear_cut_off(&deps.home.tasks_file(), &lock) {
        tracing::warn!(%error, "what a write of before has left beside tasks.yml cannot be cleared away");
    }
}

/// An editor that had the file open when orch replaced it may have gone on saving into what was displaced: that is the
/// newest save then, and takes its place again.
fn reclaim(deps: &Deps) {
    let lock = deps.home.tasks_lock();
    match fs::reclaim_late(&deps.home.tasks_file(), &lock) {
        Ok(false) => {}
        Ok(true) => tracing::info!("an editor had gone on saving into the tasks.yml that orch replaced"),
        Err(error) => tracing::warn!(%error, "whether an editor saves into a replaced tasks.yml cannot be told"),
    }
}

/// Returns whether there is nothing to be learned from this entry: it is that of a settled task, as it was.
fn is_unchanged(entry: &Entry, marks: &[Mark]) -> bool {
    let mark = entry.id.and_then(|id| marks.binary_search_by_key(&id, |mark| mark.id).ok()).map(|at| marks[at]);
    let results = entry.branch.is_some() || entry.attempts.is_some();
    mark.is_some_and(|mark| entry.status == Some(mark.status) && (results || !mark.results) && mark.is_of(&entry.spec))
}

/// Returns what the file holds; of settled tasks, only what is not as it was.
fn read_tasks(deps: &Deps, path: &Path, exists: bool) -> FileNews {
    let (marks, marks_error) = match deps.journal.marks() {
        Ok(marks) => (marks, None),
        Err(error) => {
            // Without them every entry is compared with the whole task: slower, and the same in the end.
            tracing::error!(%error, "settled tasks cannot be told from their entries");
            (Vec::new(), Some(error))
        }
    };
    let news = FileNews { settled: marks.len(), unreadable: marks_error, ..FileNews::default() };
    let broken = |message: String| FileNews { tasks: Some(TasksNews::Broken(vec![message])), ..FileNews::default() };
    if let Some(target) = fs::dangling_link(path) {
        let (path, target) = (path.display(), target.display());
        return broken(format!(
            "{path} is a link to {target}, where there is no file; put the file there, or point the link to it"
        ));
    }
    let text = match exists.then(|| fs::read_text(path, LARGEST)) {
        None => String::new(),
        Some(Ok(text)) => text,
        // Removed since it was found.
        Some(Err(FsError::Io { source, .. })) if source.kind() == ErrorKind::NotFound => String::new(),
        Some(Err(error)) => return broken(unreadable(path, &error)),
    };
    let news = FileNews { is_unended: !text.is_empty() && !text.ends_with('\n'), ..news };
    let (taken, from) = (Cell::new(0), Cell::new(None));
    let wanted = |entry: &Entry| {
        if is_unchanged(entry, &marks) {
            return false;
        }
        if taken.get() == AT_ONCE {
            from.set(from.get().or(Some(entry.index)));
            return false;
        }
        taken.set(taken.get() + 1);
        true
    };
    // Ids of tasks that are only in the journal are checked by the engine, which knows them.
    let parsed = TasksDoc::parse_where(text, &|_| true, &wanted);
    let from = from.get();
    match parsed {
        Ok(doc) => {
            let lacks = |id: &TaskId| doc.ids().binary_search(id).is_err();
            let missing = marks.iter().map(|mark| mark.id).filter(lacks).collect();
            let rest = from.map(|from| Rest { from, marks });
            FileNews { tasks: Some(TasksNews::Read(Box::new(doc))), missing, rest, ..news }
        }
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            broken(format!("{}: {}", path.display(), lines.join("; ")))
        }
    }
}

/// Returns what is in the way, and what to do about it.
pub(crate) fn unreadable(path: &Path, error: &FsError) -> String {
    format!("{error}; what it held before counts on: {}", remedy_of(path, error))
}

/// Returns what to do about a file that cannot be read.
pub(crate) fn remedy_of(path: &Path, error: &FsError) -> String {
    match error {
        FsError::NotAFile { .. } => "move it away and put the file back in its place".to_owned(),
        FsError::TooLarge { .. } => "take finished tasks out of it".to_owned(),
        FsError::NotText { .. } => "mend that line in an editor".to_owned(),
        FsError::Io { .. } => format!("`ls -l {}` shows who may read it", path.display()),
    }
}

/// Returns the next portion of a document that is taken over in several turns. Blocking.
pub fn read_on(known: Known, doc: TasksDoc, rest: Rest) -> FileNews {
    let end = (rest.from + AT_ONCE).min(doc.len());
    let doc = doc.turned_to(rest.from..end, &|entry| !is_unchanged(entry, &rest.marks));
    let rest = (end < doc.len()).then_some(Rest { from: end, ..rest });
    let missing = known.missing.keys().filter(|id| doc.ids().binary_search(id).is_err()).copied().collect();
    FileNews { known, tasks: Some(TasksNews::Read(Box::new(doc))), missing, rest, ..FileNews::default() }
}

/// A write of `tasks.yml`.
#[derive(Debug)]
pub struct WriteOrder {
    /// How the file is written.
    pub(crate) how: How,
    /// The tasks that are written.
    pub(crate) tasks: Vec<Line>,
    /// An entry gets its id: it becomes a task when the file is read again.
    pub(crate) fills: bool,
}

/// How a write is made.
#[derive(Debug)]
pub(crate) enum How {
    /// Edits the text by the outline of all of it.
    Edit { outline: Outline, edits: Vec<Edit> },
    /// Lines for new tasks, put after a content that need not be read for it.
    Append { agreed: Agreed, lines: String },
}

/// What the file holds of one task after a write.
#[derive(Debug, Clone)]
pub struct Line {
    /// The task, as it was when the write was ordered.
    pub task: Arc<Task>,
    /// Its whole entry is new.
    pub is_new: bool,
}

impl Line {
    /// Returns the status that the file shows.
    pub fn status(&self) -> Status {
        self.task.status()
    }

    /// Returns whether the file holds its results too.
    pub fn results(&self) -> bool {
        !self.is_new && (self.task.place.is_some() || self.task.progress.attempts > 0)
    }
}

/// What became of a write.
#[derive(Debug)]
pub enum Writeback {
    /// The file was written.
    Written {
        /// The outline for the next write.
        outline: Option<Outline>,
        /// What the file holds now, when everything in it is known.
        agreed: Option<Agreed>,
        /// The tasks that the file holds now.
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
pub struct KnownTasks(pub(crate) Fingerprint);

/// Writes `tasks.yml`. Blocking.
pub fn write(deps: &Deps, order: WriteOrder) -> Writeback {
    let path = deps.home.tasks_file();
    let lock = deps.home.tasks_lock();
    let (written, outline, agreed, refused) = match order.how {
        How::Append { agreed, lines } => match exchange_append(&path, &lock, lines.as_bytes(), agreed.digest()) {
            Ok((written, digest)) => (written, None, agreed.appended(digest), Vec::new()),
            Err(error) => return not_written(&path, &error),
        },
        How::Edit { outline, edits } => {
            let exists = Fingerprint::read(&path).is_some();
            let text = match exists.then(|| fs::read_text(&path, LARGEST)) {
                None => String::new(),
                Some(Ok(text)) => text,
                Some(Err(error)) => return Writeback::Failed(unreadable(&path, &error)),
            };
            if !outline.is_of(&text) {
                return Writeback::Changed;
            }
            let applied = outline.apply(&text, &edits);
            // An entry that is gone was taken out by a person, which is read as such.
            let errors = applied.refused.iter().filter_map(|refused| refused.error.as_ref());
            let refused: Vec<String> = errors.map(ToString::to_string).collect();
            let tasks = order.tasks.clone();
            let Some((new, next)) = applied.into_outline() else {
                return Writeback::Written { outline: Some(outline), agreed: None, tasks, refused, known: None };
            };
            match exchange_merged(&path, &lock, new.as_bytes(), exists.then_some(text.as_bytes())) {
                Ok(written) => {
                    let agreed = next.agreed(&new);
                    (written, Some(next), agreed, refused)
                }
                Err(error) => return not_written(&path, &error),
            }
        }
    };
    // What gets an id must be read again; else what orch wrote is known. It is not looked up at the path: there may
    // already be what was saved since, which would then never be read.
    let known = (!order.fills).then_some(KnownTasks(written.fingerprint));
    Writeback::Written { outline, agreed: Some(agreed), tasks: order.tasks, refused, known }
}

fn not_written(path: &Path, error: &WriteError) -> Writeback {
    match error {
        WriteError::Changed { .. } => Writeback::Changed,
        WriteError::Fs(_) => Writeback::Failed(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settings_file_is_read_when_it_was_left_alone_and_an_empty_one_when_that_is_meant() {
        let now: Timestamp = "2026-08-01T12:00:00Z".parse().expect("a time");
        let saved = |length: u64, ago: i64| Some(Fingerprint::numbered(length, now - SignedDuration::from_millis(ago)));
        let left = |files: &[Option<Fingerprint>]| quiet_at(files, now).map(|at| at.duration_since(now).as_millis());
        assert_eq!(left(&[saved(10, 99), None]), Some(1));
        assert_eq!(left(&[saved(10, 100), saved(7, 5000)]), None);
        assert_eq!(left(&[saved(0, 100), saved(7, 20)]), Some(1900));
        assert_eq!(left(&[saved(0, 2000)]), None);
        assert_eq!(left(&[saved(10, -50)]), None, "a clock that is wrong keeps nobody waiting");
        assert_eq!(left(&[None]), None);
    }
}
