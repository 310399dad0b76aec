//! Appends items to a list that may be in flow or block style, empty, or missing.

use super::put::Pair;
use super::{EditError, Editor};
use crate::yaml::Kind;
use crate::yaml::scalar::{inline, marks_of};
use crate::yaml::tree::{NodeId, line_start};
use serde_json::{Map, Value};

impl Editor<'_> {
    /// Appends items to the list under `key` of the document, or to the document when that is a list itself.
    ///
    /// # Errors
    /// The value is no list.
    pub fn append(&mut self, key: &str, items: Vec<Value>) -> Result<(), EditError> {
        let Some(root) = self.tree.root() else {
            self.write_document(key, items);
            return Ok(());
        };
        match self.tree.kind(root) {
            Kind::Sequence { .. } => self.append_to(root, self.tree.body().start, items),
            Kind::Mapping { .. } => match self.tree.pair(root, key) {
                Some((key, value)) => self.append_to_value(key, value, items, self.is_flow(root)),
                None => self.add_list(root, key, items),
            },
            Kind::Plain if self.tree.is_null(root) => {
                self.write_document(key, items);
                Ok(())
            }
            Kind::Plain | Kind::Single | Kind::Double | Kind::Block | Kind::Alias | Kind::End => {
                Err(self.unsuitable(root, "a mapping with a list of tasks"))
            }
        }
    }

    fn append_to_value(
        &mut self,
        key: NodeId,
        value: NodeId,
        items: Vec<Value>,
        in_flow: bool,
    ) -> Result<(), EditError> {
        if self.tree.is_null(value) {
            self.fill(key, value, &Value::Array(items), in_flow);
            return Ok(());
        }
        match self.tree.kind(value) {
            Kind::Sequence { flow: true } if !in_flow && self.is_bare_brackets(value) => {
                self.fill(key, value, &Value::Array(items), in_flow);
                Ok(())
            }
            Kind::Sequence { .. } => self.append_to(value, self.tree.range(key).end, items),
            Kind::Plain
            | Kind::Single
            | Kind::Double
            | Kind::Block
            | Kind::Alias
            | Kind::Mapping { .. }
            | Kind::End => Err(self.unsuitable(value, "a list")),
        }
    }

    /// Appends to a block list; `from` is an offset before the first dash.
    fn append_to(&mut self, list: NodeId, from: usize, items: Vec<Value>) -> Result<(), EditError> {
        let end = self.tree.end_of(list);
        let last = self.tree.children(list).last();
        if self.is_flow(list) {
            self.append_in_brackets(list, last, &items);
        } else {
            let column = self.dash_column(list, from).ok_or(EditError::Unverified)?;
            let lines = self.block_lines(&Value::Array(items.clone()), column);
            self.insert_lines_below(self.tree.range(list).end, column, &lines);
        }
        self.patch(end..end, items.iter().flat_map(marks_of).collect());
        Ok(())
    }

    fn append_in_brackets(&mut self, list: NodeId, last: Option<NodeId>, items: &[Value]) {
        let texts: Vec<String> = items.iter().map(|item| inline(item, self.quoting, true)).collect();
        let Some(last) = last else {
            let at = self.tree.range(list).start + 1;
            return self.change(at..at, texts.join(", "));
        };
        let range = self.tree.range(last);
        let margin = &self.text[line_start(self.text, range.start)..range.start];
        // If the items are on lines of their own, the new one is, too.
        let own_lines = !margin.is_empty() && margin.bytes().all(|byte| byte == b' ');
        let between = if own_lines { format!(",{}{margin}", self.line_end) } else { ", ".to_owned() };
        self.change(range.end..range.end, format!("{between}{}", texts.join(&between)));
    }

    /// Writes a mapping or a list where the value is `null`, `[]` or nothing.
    pub(super) fn fill(&mut self, key: NodeId, value: NodeId, new: &Value, in_flow: bool) {
        if in_flow {
            self.set(Some(key), value, new, true);
            return;
        }
        self.patch_value(value, new);
        let range = self.tree.range(value);
        let column = self.column(self.tree.range(key).start);
        let lines = self.block_lines(new, column + 2);
        self.erase(value);
        self.insert_lines_below(range.end, column, &lines);
    }

    /// Removes a value with the blanks before it, and its line when it is alone there.
    fn erase(&mut self, value: NodeId) {
        let range = self.tree.range(value);
        let start = self.text[..range.start].trim_end_matches(' ').len();
        let alone = (start == 0 || self.text[..start].ends_with(['\n', '\u{feff}']))
            && self.text[range.end..].starts_with(['\n', '\r']);
        let end = if alone { self.line_below(range.end) } else { range.end };
        if !range.is_empty() {
            self.change(start..end, "");
        }
    }

    /// Adds the key with its list to the end of the document's mapping.
    fn add_list(&mut self, root: NodeId, key: &str, items: Vec<Value>) -> Result<(), EditError> {
        if self.is_flow(root) {
            return self.put(root, &[(key.to_owned(), Value::Array(items)) as Pair], &[]);
        }
        let document = object(key, items);
        let column = self.key_column(root);
        let lines = self.block_lines(&document, column);
        self.insert_lines_below(self.tree.range(root).end, column, &lines);
        let end = self.tree.end_of(root);
        let marks = marks_of(&document);
        self.patch(end..end, marks[1..marks.len() - 1].to_vec());
        Ok(())
    }

    fn write_document(&mut self, key: &str, items: Vec<Value>) {
        self.write_root(&object(key, items));
    }

    /// Writes the whole content of a document that has none.
    pub(super) fn write_root(&mut self, document: &Value) {
        let lines = self.block_lines(document, 0);
        match self.tree.root() {
            Some(root) if !self.is_unwritten(root) => {
                let below = self.line_below(self.tree.range(root).end);
                self.erase(root);
                self.insert_lines(below, &lines);
            }
            Some(_) | None => self.insert_lines(self.tree.body().end, &lines),
        }
        self.patch(0..self.tree.len(), marks_of(document));
    }

    /// Returns whether brackets contain only blanks.
    fn is_bare_brackets(&self, list: NodeId) -> bool {
        let raw = &self.text[self.tree.range(list)];
        raw.strip_prefix('[')
            .and_then(|raw| raw.strip_suffix(']'))
            .is_some_and(|held| held.trim_matches(' ').is_empty())
    }
}

fn object(key: &str, items: Vec<Value>) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), Value::Array(items))]))
}
