//! From the outline of the text to entries, noting what is wrong.

use super::check::Relation;
use super::entry::Entry;
use super::{IGNORED, Problem, Severity, TASKS};
use orch_config::yaml::{Decoded, Kind, Lines, NodeId, Tree};
use orch_core::base::ids::TaskId;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::task::{Spec, Status};
use orch_core::text::task_key::{KEYS, Meaning, meaning_of};
use std::ops::Range;
use std::path::PathBuf;

/// Edits of letters up to which an unknown key is taken for a misspelt one.
const NEAR: usize = 2;

/// Bytes of values that every file may have, however short it is.
const SPARE: usize = 64 * 1024;

/// The items of the list of tasks.
pub(super) fn items(text: &str, tree: &Tree) -> Result<Vec<u32>, Vec<Problem>> {
    let refuse = |node: NodeId, message: &str, hint: &str| {
        let (line, column) = tree.position(text, node);
        let (message, hint) = (message.to_owned(), Some(hint.to_owned()));
        Err(vec![Problem { severity: Severity::Error, line, column, entry: None, message, hint }])
    };
    let Some(root) = tree.root().filter(|root| !tree.is_null(*root)) else { return Ok(Vec::new()) };
    let list = match tree.kind(root) {
        Kind::Sequence { .. } => root,
        Kind::Mapping { .. } => match tree.pair(root, TASKS) {
            Some((_, list)) => list,
            None => return Ok(Vec::new()),
        },
        Kind::Plain | Kind::Single | Kind::Double | Kind::Block | Kind::Alias | Kind::End => {
            return refuse(root, "the file is not a list of tasks", "begin it with `tasks:`");
        }
    };
    match tree.kind(list) {
        Kind::Sequence { .. } => Ok(tree.children(list).filter_map(|item| u32::try_from(item).ok()).collect()),
        Kind::Plain if tree.is_null(list) => Ok(Vec::new()),
        Kind::Plain | Kind::Single | Kind::Double | Kind::Block | Kind::Alias | Kind::Mapping { .. } | Kind::End => {
            refuse(list, "`tasks` is not a list", "write each task as `- title: …` below it")
        }
    }
}

/// What was read of the items.
pub(super) struct Read {
    /// The wanted entries, and those with a mistake.
    pub(super) entries: Vec<Entry>,
    /// The relations of all items.
    pub(super) relations: Vec<Relation>,
    pub(super) problems: Vec<Problem>,
}

/// The entries of the items at these places. One that is not wanted is let go of before the next is read.
pub(super) fn entries(
    text: &str,
    tree: &Tree,
    decoded: &Decoded,
    items: &[u32],
    places: Range<usize>,
    wanted: &dyn Fn(&Entry) -> bool,
) -> Read {
    let mut problems = Vec::new();
    let lines = Lines::new(text);
    let mut allowance = 2 * text.len() + SPARE;
    let mut entries = Vec::new();
    let mut relations = Vec::with_capacity(places.len());
    for (index, item) in items.iter().enumerate().take(places.end).skip(places.start) {
        let before = problems.len();
        let allowance = &mut allowance;
        let mut reader =
            Reader { text, tree, decoded, lines: &lines, problems: &mut problems, allowance, refused: false };
        let mut entry = reader.entry(*item as usize);
        entry.index = index;
        for problem in &mut problems[before..] {
            problem.entry = entry.id;
            entry.sound &= problem.severity == Severity::Warning;
        }
        relations.push(Relation::from_entry(&entry));
        if !entry.sound || wanted(&entry) {
            entries.push(entry);
        }
    }
    Read { entries, relations, problems }
}

struct Reader<'a> {
    text: &'a str,
    tree: &'a Tree,
    decoded: &'a Decoded,
    lines: &'a Lines,
    problems: &'a mut Vec<Problem>,
    /// Bytes that may still be taken over. Without aliases the text itself is the limit; with them it would not be.
    allowance: &'a mut usize,
    /// The allowance ran out in this entry.
    refused: bool,
}

impl Reader<'_> {
    fn entry(&mut self, item: NodeId) -> Entry {
        let (line, _) = self.lines.position(self.text, self.tree.range(item).start);
        let mut entry = Entry { line, sound: true, ..Entry::default() };
        let own = self.tree.resolve(item);
        match self.tree.kind(own) {
            Kind::Mapping { .. } => {
                self.fields(own, &mut entry);
                self.merged(own, &mut entry);
            }
            Kind::Plain | Kind::Single | Kind::Double | Kind::Block if !self.tree.is_null(own) => {
                entry.spec.title = self.text_of(own).unwrap_or_default();
            }
            Kind::Plain
            | Kind::Single
            | Kind::Double
            | Kind::Block
            | Kind::Alias
            | Kind::Sequence { .. }
            | Kind::End => {
                self.error(item, "this task is neither a title nor a mapping", "write `- title: …`");
                return entry;
            }
        }
        if entry.spec.title.trim().is_empty() {
            let message = "this task has no title";
            self.error(self.title_place(item, own), message, "give it a `title`");
        }
        entry
    }

    /// Returns where a missing title is reported: at its key, when there is one.
    fn title_place(&self, item: NodeId, own: NodeId) -> NodeId {
        self.tree.pair(own, "title").map_or(item, |(key, _)| key)
    }

    fn fields(&mut self, mapping: NodeId, entry: &mut Entry) {
        let tree = self.tree;
        for (key, value) in tree.pairs(mapping) {
            match tree.text(self.text, self.decoded, key) {
                Some(name) => self.named(&name, key, value, mapping, entry),
                None => self.warning(key, "this key is no text and is not looked at", None),
            }
        }
    }

    /// Takes over what `<<` brings in and the entry does not say itself.
    fn merged(&mut self, mapping: NodeId, entry: &mut Entry) {
        let tree = self.tree;
        let Some((_, value)) = tree.pair(mapping, "<<") else { return };
        let value = tree.resolve(value);
        let sources: Vec<NodeId> = match tree.kind(value) {
            Kind::Mapping { .. } => vec![value],
            Kind::Sequence { .. } => tree.children(value).map(|source| tree.resolve(source)).collect(),
            Kind::Plain | Kind::Single | Kind::Double | Kind::Block | Kind::Alias | Kind::End => Vec::new(),
        };
        let own = tree.pairs(mapping).filter_map(|(key, _)| tree.text(self.text, self.decoded, key));
        let mut taken: Vec<&'static str> = own.filter_map(|name| key_of(&name)).collect();
        for (key, value) in sources.into_iter().flat_map(|source| tree.pairs(source)) {
            let Some(name) = tree.text(self.text, self.decoded, key) else { continue };
            let Meaning::Key(meant) = meaning_of(&name) else { continue };
            if !taken.contains(&meant) {
                self.field(meant, key, value, entry);
                taken.push(meant);
            }
        }
    }

    /// A key as the person wrote it. Where two words mean the same key, orch's own word counts, else the first.
    fn named(&mut self, name: &str, key: NodeId, value: NodeId, mapping: NodeId, entry: &mut Entry) {
        match meaning_of(name) {
            Meaning::Key(meant) if meant == name || self.says_first(mapping, key, meant) => {
                self.field(meant, key, value, entry);
            }
            Meaning::Key(_) => ignore(entry, name),
            Meaning::Hold => self.held(name, key, value),
            Meaning::Instead(what) => {
                ignore(entry, name);
                let message = format!("`{name}` is no key of a task and is not looked at");
                self.warning(key, &message, Some(what.to_owned()));
            }
            Meaning::Nothing if name == "<<" => {}
            Meaning::Nothing => {
                ignore(entry, name);
                self.unknown(name, key);
            }
        }
    }

    /// Whether no key before this one, and no key in orch's own word, says the same.
    fn says_first(&self, mapping: NodeId, key: NodeId, meant: &str) -> bool {
        let names = |key: NodeId| self.tree.text(self.text, self.decoded, key);
        let same = |(other, _): (NodeId, NodeId)| {
            names(other).is_some_and(|name| name == meant || (other < key && key_of(&name) == Some(meant)))
        };
        !self.tree.pairs(mapping).any(same)
    }

    /// A task that is not to begin yet: its entry does not count until the key is taken out.
    fn held(&mut self, name: &str, key: NodeId, value: NodeId) {
        let is_off = matches!(self.text_of(value).as_deref(), Some("false" | "no" | "off" | "0"));
        if !is_off {
            self.error(key, &format!("held by `{name}`"), "take that key out, and orch goes on with the task");
        }
    }

    fn field(&mut self, name: &str, key: NodeId, value: NodeId, entry: &mut Entry) {
        let spec: &mut Spec = &mut entry.spec;
        match name {
            "id" => entry.id = self.id(key, value),
            "title" => spec.title = self.text_field(name, value).unwrap_or_default(),
            "body" => spec.body = self.text_field(name, value).unwrap_or_default(),
            "labels" => spec.labels = self.list(name, value, |reader, item| reader.text_field(name, item)),
            "priority" => spec.priority = self.number(value).unwrap_or_default(),
            "depends_on" => spec.depends_on = self.list(name, value, |reader, item| reader.id(key, item)),
            "parent" => spec.parent = self.id(key, value),
            "dir" => spec.dir = self.text_field(name, value).map(PathBuf::from),
            "type" => spec.kind = self.text_field(name, value),
            "agent" => spec.agent = self.text_field(name, value),
            "model" => spec.model = self.text_field(name, value),
            "complexity" => spec.complexity = self.complexity(value),
            "assignee" => spec.assignee = self.text_field(name, value),
            "status" => entry.status = self.status(value),
            // orch wrote these; whatever the file says now, it is written anew when it changes.
            "branch" => entry.branch = self.text_of(value),
            "attempts" => entry.attempts = self.text_of(value).and_then(|text| text.parse().ok()),
            "summary" => entry.summary = self.text_of(value),
            "pr" => entry.pr = self.text_of(value),
            _ => {}
        }
    }

    fn unknown(&mut self, name: &str, key: NodeId) {
        let allowed = if name.len() < 5 { 1 } else { NEAR };
        let near = |known: &&&str| {
            name.len() > 2 && strsim::damerau_levenshtein(&name.to_lowercase(), known) <= allowed.min(known.len() / 2)
        };
        if let Some(known) = KEYS.iter().find(near) {
            let hint = format!("did you mean `{known}`?");
            self.warning(key, &format!("`{name}` is no key of a task and is not looked at"), Some(hint));
        }
    }

    /// The text of a scalar; `None` for `null` and for collections.
    fn text_of(&mut self, value: NodeId) -> Option<String> {
        if self.tree.is_null(self.tree.resolve(value)) {
            return None;
        }
        let text = self.tree.text(self.text, self.decoded, value)?;
        match self.allowance.checked_sub(text.len() + 1) {
            Some(left) => *self.allowance = left,
            None => {
                self.refuse_more(value);
                return None;
            }
        }
        Some(text.into_owned())
    }

    /// Told once per entry.
    fn refuse_more(&mut self, value: NodeId) {
        *self.allowance = 0;
        if !std::mem::replace(&mut self.refused, true) {
            self.error(value, "the aliases of this file multiply its texts", "write the values out");
        }
    }

    fn text_field(&mut self, name: &str, value: NodeId) -> Option<String> {
        if self.tree.is_sequence(value) || self.tree.is_mapping(value) {
            let hint = "quote it if it contains `: `, `[` or `{`";
            self.error(value, &format!("`{name}` expects a text here"), hint);
        }
        self.text_of(value).filter(|text| !text.is_empty())
    }

    fn list<T>(&mut self, name: &str, value: NodeId, mut item: impl FnMut(&mut Self, NodeId) -> Option<T>) -> Vec<T> {
        let tree = self.tree;
        let value = tree.resolve(value);
        if tree.is_mapping(value) {
            self.error(value, &format!("`{name}` expects a list"), "write it as `[a, b]`");
            return Vec::new();
        }
        if !tree.is_sequence(value) {
            // A single value is a list of one; nothing is an empty list.
            self.hidden_by_hash(value);
            return if tree.is_null(value) { Vec::new() } else { item(self, value).into_iter().collect() };
        }
        let mut held = Vec::new();
        for child in tree.children(value) {
            held.extend(item(self, child));
            if self.refused {
                break;
            }
        }
        held
    }

    fn id(&mut self, key: NodeId, value: NodeId) -> Option<TaskId> {
        self.hidden_by_hash(value);
        if self.tree.is_null(self.tree.resolve(value)) {
            return None;
        }
        let id = self.text_of(value).and_then(|text| text.parse().ok());
        if id.is_none() && !self.refused {
            let name = &self.text[self.tree.range(key)];
            let found = &self.text[self.tree.range(value)];
            self.error(value, &format!("{} is not a task id", shown(found)), &format!("write `{name}: 7`"));
        }
        id
    }

    /// `#7` without quotes is a comment, which is never meant as an id.
    fn hidden_by_hash(&mut self, value: NodeId) {
        let range = self.tree.range(value);
        if !range.is_empty() {
            return;
        }
        let rest = self.text[range.end..].lines().next().unwrap_or_default().trim_start();
        if rest.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            let hint = "write the number alone, or quote it".to_owned();
            self.warning(value, "`#` begins a comment in YAML, so this says nothing", Some(hint));
        }
    }

    fn number(&mut self, value: NodeId) -> Option<i64> {
        if self.tree.is_null(self.tree.resolve(value)) {
            return None;
        }
        let number = self.text_of(value).and_then(|text| text.parse().ok());
        if number.is_none() && !self.refused {
            let found = shown(&self.text[self.tree.range(value)]);
            self.error(value, &format!("{found} is not a priority"), "write a whole number; higher starts first");
        }
        number
    }

    fn status(&mut self, value: NodeId) -> Option<Status> {
        let names = Status::ALL.map(Status::as_str);
        self.word(value, "status", &names).and_then(|word| Status::parse(&word))
    }

    fn complexity(&mut self, value: NodeId) -> Option<Complexity> {
        let names = Complexity::ALL.map(Complexity::as_str);
        self.word(value, "complexity", &names).and_then(|word| word.parse().ok())
    }

    /// One of the words that are allowed.
    fn word(&mut self, value: NodeId, what: &str, allowed: &[&str]) -> Option<String> {
        if self.tree.is_null(self.tree.resolve(value)) {
            return None;
        }
        let word = self.text_of(value).unwrap_or_default();
        if allowed.contains(&word.as_str()) {
            return Some(word);
        }
        let found = shown(&self.text[self.tree.range(value)]);
        let near = allowed.iter().find(|known| strsim::damerau_levenshtein(known, &word.to_lowercase()) <= NEAR);
        let hint = near.map_or_else(
            || format!("expected one of {}", allowed.join(", ")),
            |known| format!("did you mean `{known}`?"),
        );
        self.error(value, &format!("{found} is not a {what}"), &hint);
        None
    }

    fn error(&mut self, node: NodeId, message: &str, hint: &str) {
        self.note(Severity::Error, node, message, Some(hint.to_owned()));
    }

    fn warning(&mut self, node: NodeId, message: &str, hint: Option<String>) {
        self.note(Severity::Warning, node, message, hint);
    }

    fn note(&mut self, severity: Severity, node: NodeId, message: &str, hint: Option<String>) {
        let (line, column) = self.lines.position(self.text, self.tree.range(node).start);
        self.problems.push(Problem { severity, line, column, entry: None, message: message.to_owned(), hint });
    }
}

fn key_of(name: &str) -> Option<&'static str> {
    match meaning_of(name) {
        Meaning::Key(key) => Some(key),
        Meaning::Hold | Meaning::Instead(_) | Meaning::Nothing => None,
    }
}

fn ignore(entry: &mut Entry, name: &str) {
    if entry.ignored.len() < IGNORED {
        entry.ignored.push(name.chars().take(80).collect());
    }
}

/// The first words of what was found, quoted.
fn shown(found: &str) -> String {
    let line = found.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(40).collect();
    let more = if cut.len() < found.len() { "…" } else { "" };
    format!("`{cut}{more}`")
}
