//! `jobs.yml` as a document: what recurs, as a person wrote it, and the few changes that commands make in it, each in its
//! place. It opens no file.
//!
//! Problems are reported in two degrees, as for `tasks.yml`. *The whole file is invalid* when it is no YAML, sets a key
//! twice, or is no list of jobs: the caller keeps what was in force. *One entry is invalid* in every other case: it is
//! told, the last form of that job that read stays in force, and everything else in the file counts.

mod read;
#[cfg(test)]
mod tests;

pub use crate::problem::Severity;

use orch_config::yaml::edit::edit;
use orch_config::yaml::{EditError, NodeId, Tree};
use orch_core::operations::job::{JobId, JobSpec};
use serde_json::{Map, Value};

/// The key of the list.
const JOBS: &str = "jobs";

/// Every key that orch understands, in the order in which it writes them.
const KEYS: [&str; 20] = [
    "id",
    "schedule",
    "tz",
    "title",
    "run",
    "type",
    "priority",
    "labels",
    "depends_on",
    "dir",
    "assignee",
    "agent",
    "model",
    "complexity",
    "enabled",
    "catch_up",
    "overlap",
    "jitter",
    "timeout",
    "body",
];

/// Something wrong in the file.
pub type Problem = crate::problem::Problem<JobId>;

/// One entry of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the list, counted from 0.
    pub index: usize,
    /// Its name, written or made from its title; `None` where neither reads.
    pub id: Option<JobId>,
    /// What it says; `None` where something in it is wrong.
    pub spec: Option<JobSpec>,
}

/// A `jobs.yml` that reads.
#[derive(Debug)]
pub struct JobsDoc {
    /// Its entries, in their order.
    pub entries: Vec<Entry>,
    /// What is wrong with single entries, and warnings, in the order of the file.
    pub problems: Vec<Problem>,
    /// The file is blank: it has not even an empty list.
    pub is_blank: bool,
}

impl JobsDoc {
    /// Reads a file. `zone` says why there is no time zone of a name.
    ///
    /// # Errors
    /// Why the file as a whole is invalid.
    pub fn parse(text: &str, zone: &dyn Fn(&str) -> Result<(), String>) -> Result<Self, Problem> {
        read::document(text, zone)
    }

    /// The first entry of a job.
    pub fn entry(&self, id: &JobId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id.as_ref() == Some(id))
    }
}

/// The text with a new entry at the end of the list.
///
/// # Errors
/// The text is no YAML, or has no place for it.
pub fn with_entry(text: &str, entry: &Map<String, Value>) -> Result<String, EditError> {
    let (tree, _) = Tree::parse(text)?;
    let item = Value::Object(entry.clone());
    Ok(edit(text, &tree, |editor| editor.append(JOBS, vec![item.clone()]))?.text)
}

/// The text with one value of an entry set. `None`: there is no such entry.
///
/// # Errors
/// The text is no YAML, or the entry cannot take it.
pub fn with_value(text: &str, index: usize, key: &str, value: Value) -> Result<Option<String>, EditError> {
    let (tree, _) = Tree::parse(text)?;
    let Some(item) = item(&tree, index) else { return Ok(None) };
    let pairs = [(key.to_owned(), value)];
    Ok(Some(edit(text, &tree, |editor| editor.put(item, &pairs, &KEYS))?.text))
}

/// The text without an entry. `None`: there is no such entry.
///
/// # Errors
/// The text is no YAML, or the entry cannot be taken out without disturbing the rest.
pub fn without_entry(text: &str, index: usize) -> Result<Option<String>, EditError> {
    let (tree, _) = Tree::parse(text)?;
    let Some((list, item)) = list(&tree).and_then(|list| Some((list, tree.children(list).nth(index)?))) else {
        return Ok(None);
    };
    Ok(Some(edit(text, &tree, |editor| editor.take_out(list, item))?.text))
}

/// What is written for a job; what is usual is left out.
pub fn entry_of(spec: &JobSpec) -> Map<String, Value> {
    let task = &spec.task;
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let span = |seconds: u64| {
        Value::from(if seconds.is_multiple_of(60) { format!("{}m", seconds / 60) } else { format!("{seconds}s") })
    };
    let ids: Vec<u64> = task.depends_on.iter().map(|id| id.0).collect();
    let all: [Option<Value>; KEYS.len()] = [
        Some(spec.id.as_str().into()),
        Some(spec.schedule.as_str().into()),
        text(&spec.tz),
        (!task.title.is_empty()).then(|| task.title.as_str().into()),
        text(&spec.run),
        text(&task.kind),
        (task.priority != 0).then(|| task.priority.into()),
        (!task.labels.is_empty()).then(|| task.labels.clone().into()),
        (!ids.is_empty()).then(|| ids.into()),
        task.dir.as_ref().map(|dir| dir.to_string_lossy().into_owned().into()),
        text(&task.assignee),
        text(&task.agent),
        text(&task.model),
        task.complexity.map(|complexity| complexity.as_str().into()),
        (!spec.enabled).then(|| false.into()),
        (spec.catch_up != Default::default()).then(|| spec.catch_up.as_str().into()),
        spec.overlap.map(|overlap| overlap.as_str().into()),
        (spec.jitter_seconds > 0).then(|| span(spec.jitter_seconds)),
        spec.timeout_seconds.map(span),
        (!task.body.is_empty()).then(|| task.body.as_str().into()),
    ];
    let pairs = KEYS.iter().zip(all).filter_map(|(key, value)| Some(((*key).to_owned(), value?)));
    Map::from_iter(pairs)
}

fn list(tree: &Tree) -> Option<NodeId> {
    let root = tree.root().filter(|root| !tree.is_null(*root))?;
    let list = if tree.is_sequence(root) { root } else { tree.pair(root, JOBS)?.1 };
    tree.is_sequence(list).then_some(list)
}

fn item(tree: &Tree, index: usize) -> Option<NodeId> {
    tree.children(list(tree)?).nth(index)
}
