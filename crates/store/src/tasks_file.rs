//! `tasks.yml` as a document: what a person wrote, read into entries, and the few values that orch writes back, each
//! in its place. It opens no file, knows no journal and merges nothing.
//!
//! Problems of a file are reported in two degrees. *The whole file is invalid* when it is no YAML, sets a key
//! twice, is not a mapping with a list of `tasks` (or that list itself, or empty), or uses an id twice: then
//! [`TasksDoc::parse`] fails and the caller keeps the last good version. *One entry is invalid* in every other case
//! (no title, a wrong type, an unknown status, a bad id, an unknown dependency, a cycle): it is not [`Entry::sound`],
//! the caller leaves that task as it was, and everything else in the file counts. Keys that orch does not know are no
//! fault and survive: the entry names them; one that looks like a misspelt key is a warning.

mod agreed;
mod check;
mod entry;
mod outline;
mod read;
#[cfg(test)]
mod tests;

pub use crate::problem::Severity;
pub use agreed::Agreed;
pub use entry::{Entry, NewEntry};
pub use outline::{Applied, At, Edit, Outline, Refused};

use orch_config::yaml::{Decoded, EditError, Tree};
use orch_core::base::ids::TaskId;
use std::ops::Range;

/// The most keys of an entry that mean nothing that are named.
const IGNORED: usize = 8;

/// The key of the list of tasks.
const TASKS: &str = "tasks";

/// Something wrong in the file.
pub type Problem = crate::problem::Problem<TaskId>;

/// A valid `tasks.yml`.
#[derive(Debug)]
pub struct TasksDoc {
    text: String,
    outline: Outline,
    decoded: Decoded,
    /// Entries that are wrong only beside others, by their place.
    unsound: Vec<usize>,
    entries: Vec<Entry>,
    ids: Vec<TaskId>,
    problems: Vec<Problem>,
}

impl TasksDoc {
    /// Reads a file. `known` says of ids that are not in the file whether such a task exists all the same (a person
    /// may take a finished task out of the file while others still name it).
    ///
    /// # Errors
    /// Why the file as a whole is invalid.
    pub fn parse(text: String, known: &dyn Fn(TaskId) -> bool) -> Result<Self, Vec<Problem>> {
        Self::parse_where(text, known, &|_| true)
    }

    /// The same, but of the sound entries only the wanted ones are kept.
    ///
    /// # Errors
    /// Why the file as a whole is invalid.
    pub fn parse_where(
        text: String,
        known: &dyn Fn(TaskId) -> bool,
        wanted: &dyn Fn(&Entry) -> bool,
    ) -> Result<Self, Vec<Problem>> {
        let (tree, decoded) = Tree::parse(&text)
            .map_err(|error| vec![Problem::error((error.line, error.column), error.message, None)])?;
        Self::from_parts(text, tree, decoded, known, wanted)
    }

    fn from_parts(
        text: String,
        tree: Tree,
        decoded: Decoded,
        known: &dyn Fn(TaskId) -> bool,
        wanted: &dyn Fn(&Entry) -> bool,
    ) -> Result<Self, Vec<Problem>> {
        let items = read::items(&text, &tree)?;
        let read::Read { entries, relations, mut problems } =
            read::entries(&text, &tree, &decoded, &items, 0..items.len(), wanted);
        let places = check::Places { text: &text, tree: &tree, items: &items };
        check::duplicates(&places, &relations)?;
        let (found, unsound) = check::relations(&places, &relations, known);
        problems.extend(found);
        problems.sort_by_key(|problem| (problem.line, problem.column));
        let mut ids: Vec<TaskId> = relations.iter().filter_map(|relation| relation.id).collect();
        ids.sort_unstable();
        let outline = Outline::new(&text, tree, items, relations.into_iter().map(|relation| relation.id));
        Ok(Self { text, outline, decoded, unsound, entries: Vec::new(), ids, problems }.with(entries))
    }

    fn with(mut self, mut entries: Vec<Entry>) -> Self {
        for index in &self.unsound {
            if let Ok(at) = entries.binary_search_by_key(index, |entry| entry.index) {
                entries[at].sound = false;
            }
        }
        self.entries = entries;
        self
    }

    /// How many entries there are, wanted or not.
    pub fn len(&self) -> usize {
        self.outline.len()
    }

    /// The same document with other entries: the wanted ones at these places of the list.
    pub fn turned_to(self, places: Range<usize>, wanted: &dyn Fn(&Entry) -> bool) -> Self {
        let (items, tree) = (self.outline.items(), self.outline.tree());
        let read = read::entries(&self.text, tree, &self.decoded, items, places, wanted);
        self.with(read.entries)
    }

    /// Returns the text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The ids of all entries, in their order.
    pub fn ids(&self) -> &[TaskId] {
        &self.ids
    }

    /// There is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.outline.is_empty()
    }

    /// The wanted entries and those with a mistake, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is wrong with single entries, and warnings, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The entry of a task.
    pub fn entry(&self, id: TaskId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == Some(id))
    }

    /// Makes the edits; returns those that cannot be made, and makes the others.
    ///
    /// # Errors
    /// Never for a single edit; only when the file with the edits made would no longer be valid.
    pub fn apply(&self, edits: &[Edit], known: &dyn Fn(TaskId) -> bool) -> Result<(Self, Vec<Refused>), EditError> {
        let Applied { text, tree, decoded, refused } = self.outline.apply(&self.text, edits);
        let text = text.unwrap_or_else(|| self.text.clone());
        let doc = match tree {
            Some(tree) => Self::from_parts(text, tree, decoded, known, &|_| true),
            None => Self::parse(text, known),
        };
        doc.map(|doc| (doc, refused)).map_err(|_| EditError::Unverified)
    }

    /// Returns the mark by which this content is recognized.
    pub fn agreed(&self) -> Agreed {
        self.outline.agreed(&self.text)
    }

    /// Lets go of the text and the entries and keeps what the next write needs.
    pub fn into_outline(self) -> Outline {
        self.outline
    }
}
