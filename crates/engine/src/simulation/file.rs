//! `tasks.yml` in the simulation: one text that the engine reads and writes by its real rules, and a person by hand.

use super::scenario::Change;
use super::stored::Tables;
use crate::files::file_job::{FileNews, How, Known, KnownTasks, TasksNews, WriteOrder, Writeback};
use jiff::Timestamp;
use orch_core::base::ids::TaskId;
use orch_core::tasks::task::{Spec, Status, Task};
use orch_store::tasks_file::{At, Edit, TasksDoc};
use orch_sys::fs::{Digest, Fingerprint};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::path::Path;

/// What stands there of one task.
#[derive(Debug, Clone)]
struct Line {
    spec: Spec,
    status: Option<String>,
    /// orch's own results stand there.
    results: bool,
}

/// How the file stands beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    #[default]
    Sound,
    /// The text is no YAML.
    Broken,
    /// An editor truncated it, and has not written yet.
    Empty,
}

/// The file as an editor has it open.
#[derive(Debug, Clone)]
pub struct Copy {
    lines: BTreeMap<TaskId, Line>,
    newborn: Vec<(usize, Spec)>,
    by_hand: u64,
}

impl Copy {
    /// The tasks that it calls new, as somebody may type it. Without results it is seen to be older than they are.
    pub fn says_new(&self) -> Vec<TaskId> {
        let is_new = |(_, line): &(&TaskId, &Line)| line.status.as_deref() == Some("new") && line.results;
        self.lines.iter().filter(is_new).map(|(id, _)| *id).collect()
    }
}

/// The simulated file `tasks.yml`.
#[derive(Debug, Default)]
pub struct File {
    lines: BTreeMap<TaskId, Line>,
    /// Entries that have no id yet, by their number in the scenario.
    newborn: Vec<(usize, Spec)>,
    pub shape: Shape,
    version: u64,
    /// When it was saved, by the wall clock.
    saved_at: Timestamp,
    /// How often a person saved it.
    by_hand: u64,
    /// The text of a version: it is asked for more often than it changes.
    written: RefCell<Option<(u64, String)>>,
}

impl File {
    /// A person saved it.
    pub fn saved_by_hand(&mut self, now: Timestamp) {
        self.by_hand += 1;
        self.saved(now);
    }

    fn saved(&mut self, now: Timestamp) {
        self.version += 1;
        self.saved_at = now;
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::numbered(self.version, self.saved_at)
    }

    /// Whether a look would find something new.
    pub fn is_news_to(&self, known: &Known) -> bool {
        known.tasks != Some(Some(self.fingerprint())) || !known.missing.is_empty()
    }

    /// A person edits the entry of a task.
    pub fn change(&mut self, id: TaskId, change: &Change, after: Vec<TaskId>) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        match change {
            Change::Priority(priority) => line.spec.priority = *priority,
            Change::Status(status) => line.status = Some((*status).to_owned()),
            Change::After(_) => line.spec.depends_on = after,
            // Without any entry the file would be empty, by which nothing is said.
            Change::Delete if self.lines.len() == 1 => {}
            Change::Delete => drop(self.lines.remove(&id)),
        }
    }

    /// The tasks that stand there.
    pub fn ids(&self) -> BTreeSet<TaskId> {
        self.lines.keys().copied().collect()
    }

    /// An editor opens it.
    pub fn open(&self) -> Copy {
        Copy { lines: self.lines.clone(), newborn: self.newborn.clone(), by_hand: self.by_hand }
    }

    /// An editor saves what it has, whatever stands there by now. Who saw somebody else's save, and has new entries that
    /// were saved already, takes over those that stand there.
    pub fn save_copy(&mut self, copy: Copy) {
        if copy.by_hand == self.by_hand {
            self.newborn = copy.newborn;
        }
        self.lines = copy.lines;
    }

    /// Two thirds are lost; tells which.
    pub fn lose(&mut self) -> BTreeSet<TaskId> {
        let keeps = self.lines.len() / 3;
        let lost = self.lines.keys().skip(keeps).copied().collect::<BTreeSet<_>>();
        if keeps == 0 {
            return BTreeSet::new();
        }
        self.lines.retain(|id, _| !lost.contains(id));
        lost
    }

    /// What was lost is put back, as it was.
    pub fn put_back(&mut self, whole: Copy) {
        for (id, line) in whole.lines {
            self.lines.entry(id).or_insert(line);
        }
    }

    /// A person writes a new entry.
    pub fn write_new(&mut self, wish: usize, spec: Spec) {
        self.newborn.push((wish, spec));
    }

    /// A person mends what went in circles: no task waits for a later one.
    pub fn mend(&mut self) {
        for (id, line) in &mut self.lines {
            line.spec.depends_on.retain(|other| other < id);
        }
        self.shape = Shape::Sound;
    }

    fn text(&self) -> String {
        let mut written = self.written.borrow_mut();
        match &*written {
            Some((version, text)) if *version == self.version => text.clone(),
            Some(_) | None => {
                let text = self.composed();
                *written = Some((self.version, text.clone()));
                text
            }
        }
    }

    fn composed(&self) -> String {
        match self.shape {
            Shape::Broken => return "tasks: [".to_owned(),
            Shape::Empty => return String::new(),
            Shape::Sound => {}
        }
        let mut text = String::new();
        for (id, line) in &self.lines {
            entry(&mut text, Some(*id), line);
        }
        for (_, spec) in &self.newborn {
            entry(&mut text, None, &Line { spec: spec.clone(), status: None, results: false });
        }
        // An entry a line: in long lines a parser counts characters to say where something stands.
        match text.strip_suffix(",\n") {
            Some(entries) => format!("{{\"tasks\":[\n{entries}]}}\n"),
            None => text,
        }
    }

    /// What the engine's look finds, as the real one tells it.
    pub fn read(&self, known: &Known, stored: &Tables) -> FileNews {
        let text = self.text();
        let here = Some(Some(self.fingerprint()));
        let missing = if known.tasks == here { known.missing.clone() } else { BTreeMap::new() };
        let looked = Known { tasks: here, agreed: None, missing, ..known.clone() };
        let (saved, is_unended) = (Some(self.saved_at), !text.is_empty() && !text.ends_with('\n'));
        let news = FileNews { known: looked, saved, is_unended, ..FileNews::default() };
        if !self.is_news_to(known) {
            return FileNews { is_unended: false, ..news };
        }
        if known.agreed.is_some_and(|agreed| agreed.digest() == Digest::from_bytes(text.as_bytes())) {
            return FileNews { tasks: Some(TasksNews::Agreed), is_unended: false, ..news };
        }
        let is_mark = |task: &&Task| task.is_settled() && task.file.is_written();
        let marks: Vec<TaskId> =
            stored.tasks.values().map(|task| &**task).filter(is_mark).map(|task| task.id).collect();
        let (tasks, missing) = match TasksDoc::parse(text, &|_| true) {
            Ok(doc) => {
                let lacks = |id: &TaskId| doc.ids().binary_search(id).is_err();
                let missing = marks.iter().copied().filter(lacks).collect();
                (TasksNews::Read(Box::new(doc)), missing)
            }
            Err(problems) => (TasksNews::Broken(problems.iter().map(ToString::to_string).collect()), Vec::new()),
        };
        FileNews { tasks: Some(tasks), settled: marks.len(), missing, ..news }
    }

    /// The engine writes. `filled` receives which new entries got which ids.
    pub fn write(&mut self, order: &WriteOrder, now: Timestamp, filled: &mut dyn FnMut(usize, TaskId)) -> Writeback {
        let text = self.text();
        match &order.how {
            How::Append { agreed, .. } => {
                if agreed.digest() != Digest::from_bytes(text.as_bytes()) {
                    return Writeback::Changed;
                }
                for line in &order.tasks {
                    let status = Some(line.status().as_str().to_owned());
                    self.lines.insert(line.task.id, Line { spec: line.task.spec.clone(), status, results: false });
                }
            }
            How::Edit { outline, edits } => {
                if !outline.is_of(&text) {
                    return Writeback::Changed;
                }
                let before = self.lines.len();
                let mut born = Vec::new();
                for edit in edits {
                    match edit {
                        Edit::Set { at: At::Id(id), key, value } => self.set(*id, key, value),
                        Edit::Set { at: At::Index(_), .. } => {}
                        Edit::FillId { index, id } => born.push((index - before, *id)),
                        Edit::Append(new) => {
                            let status = new.status.map(|status| status.as_str().to_owned());
                            self.lines.insert(new.id, Line { spec: new.spec.clone(), status, results: false });
                        }
                    }
                }
                for (at, id) in &born {
                    let (wish, spec) = self.newborn[*at].clone();
                    filled(wish, *id);
                    self.lines.insert(*id, Line { spec, status: None, results: false });
                }
                if !born.is_empty() {
                    self.newborn.clear();
                }
            }
        }
        self.saved(now);
        let doc = TasksDoc::parse(self.text(), &|_| true).ok();
        Writeback::Written {
            agreed: doc.as_ref().map(TasksDoc::agreed),
            outline: doc.map(TasksDoc::into_outline),
            tasks: order.tasks.clone(),
            refused: Vec::new(),
            known: (!order.fills).then(|| KnownTasks(self.fingerprint())),
        }
    }

    fn set(&mut self, id: TaskId, key: &str, value: &Value) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        if key == "status" {
            line.status = value.as_str().map(str::to_owned);
        } else if key == "assignee" {
            line.spec.assignee = value.as_str().map(str::to_owned);
        } else {
            line.results |= key == "attempts" || key == "branch";
        }
    }

    /// The status that stands there of a task.
    pub fn status(&self, id: TaskId) -> Option<Status> {
        Status::parse(self.lines.get(&id)?.status.as_deref()?)
    }
}

/// Writes an entry as JSON, which is YAML, with a comma after it: the text of a course is composed thousands of times.
fn entry(text: &mut String, id: Option<TaskId>, line: &Line) {
    let Line { spec, status, results } = line;
    let put = |text: &mut String, key: &str, value: &dyn Display| {
        write!(text, ",\"{key}\":{value}").expect("a text takes all");
    };
    let word = |text: &mut String, key: &str, word: Option<&str>| {
        if let Some(word) = word {
            put(text, key, &Value::from(word));
        }
    };
    write!(text, "{{\"title\":{}", Value::from(spec.title.as_str())).expect("a text takes all");
    put(text, "priority", &spec.priority);
    for (key, id) in [("id", id), ("parent", spec.parent)] {
        if let Some(id) = id {
            put(text, key, &id.0);
        }
    }
    if !spec.depends_on.is_empty() {
        let after: Vec<String> = spec.depends_on.iter().map(|id| id.0.to_string()).collect();
        put(text, "depends_on", &format_args!("[{}]", after.join(",")));
    }
    if !spec.labels.is_empty() {
        put(text, "labels", &Value::from(spec.labels.clone()));
    }
    word(text, "dir", spec.dir.as_deref().and_then(Path::to_str));
    word(text, "assignee", spec.assignee.as_deref());
    word(text, "agent", spec.agent.as_deref());
    word(text, "status", status.as_deref());
    if *results {
        put(text, "attempts", &1);
    }
    text.push_str("},\n");
}
