//! What is kept of the file between two writes, and the writing itself.

use super::entry::NewEntry;
use super::{TASKS, read};
use orch_config::yaml::edit::{Edited, Editor, Pair, edit};
use orch_config::yaml::{Decoded, EditError, Kind, Tree};
use orch_core::base::ids::TaskId;
use orch_core::text::task_key::{KEYS, Meaning, meaning_of};
use orch_sys::fs::Digest;
use serde_json::Value;
use std::collections::BTreeMap;

/// Which entry is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The one with this id in the file.
    Id(TaskId),
    /// The one at this place of the list, counted from 0.
    Index(usize),
}

/// One change to the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Sets a key of an entry; `null` says that there is nothing (the key stays).
    Set {
        /// The entry to change.
        at: At,
        /// The key to set.
        key: &'static str,
        /// The new value of the key.
        value: Value,
    },
    /// Gives an id to an entry that has none. A bare title becomes a mapping.
    FillId {
        /// Its place in the list, counted from 0.
        index: usize,
        /// The number of the task.
        id: TaskId,
    },
    /// Appends a task.
    Append(Box<NewEntry>),
}

/// An edit that was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which ones of the edits, by their place in the list that was given.
    pub edits: Vec<usize>,
    /// Why; `None` when the file has no such entry.
    pub error: Option<EditError>,
}

/// What became of a list of edits.
#[derive(Debug, Default)]
pub struct Applied {
    /// The new text; `None` when nothing changed.
    pub text: Option<String>,
    /// Its outline, of the YAML.
    pub(super) tree: Option<Tree>,
    /// Its values that are not written as they read.
    pub(super) decoded: Decoded,
    /// Edits that were not made.
    pub refused: Vec<Refused>,
}

impl Applied {
    /// The outline of the new text, to be kept until the next write.
    pub fn into_outline(self) -> Option<(String, Outline)> {
        let (text, tree) = (self.text?, self.tree?);
        let items = read::items(&text, &tree).ok()?;
        let ids = items.iter().map(|item| id_of(&text, &tree, &self.decoded, *item as usize)).collect();
        let outline = Outline { digest: Digest::from_bytes(text.as_bytes()), tree, items, ids };
        Some((text, outline))
    }
}

/// What is kept of a file between two writes: the place of everything, but none of the text. About half a kilobyte
/// per task.
#[derive(Debug)]
pub struct Outline {
    tree: Tree,
    items: Vec<u32>,
    ids: Vec<Option<TaskId>>,
    digest: Digest,
}

/// The edits to one entry, or one new entry: made together or not at all.
struct Unit {
    edits: Vec<usize>,
    what: What,
}

enum What {
    Entry { index: usize, pairs: Vec<Pair> },
    Append(Value),
}

impl Outline {
    pub(super) fn new(text: &str, tree: Tree, items: Vec<u32>, ids: impl Iterator<Item = Option<TaskId>>) -> Self {
        Self { digest: Digest::from_bytes(text.as_bytes()), tree, items, ids: ids.collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn items(&self) -> &[u32] {
        &self.items
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns the digest by which the text is recognized.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether this is the outline of that text.
    pub fn is_of(&self, text: &str) -> bool {
        self.digest == Digest::from_bytes(text.as_bytes())
    }

    /// Makes the edits in the text that this is the outline of; those that cannot be made are returned, the others are
    /// made. Costs one reading of the text.
    pub fn apply(&self, text: &str, edits: &[Edit]) -> Applied {
        let mut applied = Applied::default();
        let units = self.units(edits, &mut applied.refused);
        if !units.is_empty() {
            make(text, &self.tree, &self.items, &units, &mut applied);
        }
        applied
    }

    fn units(&self, edits: &[Edit], refused: &mut Vec<Refused>) -> Vec<Unit> {
        let mut entries: BTreeMap<usize, Unit> = BTreeMap::new();
        let mut appended = Vec::new();
        for (number, edit) in edits.iter().enumerate() {
            let (at, pair) = match edit {
                Edit::Set { at, key, value } => (*at, ((*key).to_owned(), value.clone())),
                Edit::FillId { index, id } => (At::Index(*index), ("id".to_owned(), Value::from(id.0))),
                Edit::Append(new) => {
                    appended.push(Unit { edits: vec![number], what: What::Append(new.to_value()) });
                    continue;
                }
            };
            let Some(index) = self.index_of(at) else {
                refused.push(Refused { edits: vec![number], error: None });
                continue;
            };
            let new = || Unit { edits: Vec::new(), what: What::Entry { index, pairs: Vec::new() } };
            let unit = entries.entry(index).or_insert_with(new);
            unit.edits.push(number);
            if let What::Entry { pairs, .. } = &mut unit.what {
                // The last word on a key counts.
                pairs.retain(|(key, _)| *key != pair.0);
                pairs.push(pair);
            }
        }
        entries.into_values().chain(appended).collect()
    }

    fn index_of(&self, at: At) -> Option<usize> {
        match at {
            At::Id(id) => self.ids.iter().position(|known| *known == Some(id)),
            At::Index(index) => (index < self.items.len()).then_some(index),
        }
    }
}

/// Makes all units at once; when that fails, halves, so that one odd entry does not stand in the way of the others.
fn make(text: &str, tree: &Tree, items: &[u32], units: &[Unit], applied: &mut Applied) {
    let error = match edit(text, tree, |editor| describe(editor, (text, tree), items, units)) {
        Ok(Edited { text, tree, decoded }) => {
            (applied.text, applied.tree, applied.decoded) = (Some(text), Some(tree), decoded);
            return;
        }
        Err(error) => error,
    };
    if let [unit] = units {
        applied.refused.push(Refused { edits: unit.edits.clone(), error: Some(error) });
        return;
    }
    let (first, second) = units.split_at(units.len() / 2);
    make(text, tree, items, first, applied);
    match (applied.text.take(), applied.tree.take()) {
        (Some(new_text), Some(new_tree)) => {
            let new_items = read::items(&new_text, &new_tree).unwrap_or_default();
            make(&new_text, &new_tree, &new_items, second, applied);
            if applied.text.is_none() {
                (applied.text, applied.tree) = (Some(new_text), Some(new_tree));
            }
        }
        (_, _) => make(text, tree, items, second, applied),
    }
}

fn describe(
    editor: &mut Editor<'_>,
    (text, tree): (&str, &Tree),
    items: &[u32],
    units: &[Unit],
) -> Result<(), EditError> {
    let mut appended = Vec::new();
    for unit in units {
        match &unit.what {
            What::Entry { index, pairs } => {
                let item = items[*index] as usize;
                match tree.kind(item) {
                    Kind::Mapping { .. } => {
                        let words = |(key, value): &Pair| (word_for(text, tree, item, key), value.clone());
                        let pairs: Vec<Pair> = pairs.iter().map(words).collect();
                        editor.put(item, &pairs, &order_of(tree, item))?;
                    }
                    Kind::Sequence { .. } | Kind::Alias | Kind::End => editor.put(item, pairs, &KEYS)?,
                    Kind::Plain | Kind::Single | Kind::Double | Kind::Block => {
                        editor.promote(item, "title", pairs, &TITLE_FIRST)?;
                    }
                }
            }
            What::Append(value) => appended.push(value.clone()),
        }
    }
    if appended.is_empty() { Ok(()) } else { editor.append(TASKS, appended) }
}

/// [`KEYS`] for an entry that begins with its title: no line of the person's changes when the id is put behind it.
const TITLE_FIRST: [&str; KEYS.len()] = {
    let mut keys = KEYS;
    (keys[0], keys[1]) = (KEYS[1], KEYS[0]);
    keys
};

/// The order in which missing keys are put into an entry.
fn order_of(tree: &Tree, item: usize) -> [&'static str; KEYS.len()] {
    let at = |key| tree.pair(item, key).map(|(key, _)| key);
    match (at("id"), at("title")) {
        (Some(id), Some(title)) if id < title => KEYS,
        (Some(_), None) => KEYS,
        (Some(_) | None, _) => TITLE_FIRST,
    }
}

/// The word by which an entry says what `key` says, where it has one.
fn word_for(text: &str, tree: &Tree, item: usize, key: &str) -> String {
    if tree.pair(item, key).is_some() {
        return key.to_owned();
    }
    let words = tree.pairs(item).map(|(key, _)| &text[tree.range(key)]);
    let mut same = words.filter(|word| meaning_of(word) == Meaning::Key(own_word(key)));
    same.next().unwrap_or(key).to_owned()
}

fn own_word(key: &str) -> &'static str {
    KEYS.iter().find(|known| **known == key).copied().unwrap_or_default()
}

fn id_of(text: &str, tree: &Tree, decoded: &Decoded, item: usize) -> Option<TaskId> {
    let (_, value) = tree.pair(tree.resolve(item), "id")?;
    tree.text(text, decoded, value)?.parse().ok()
}
