//! The layout of new keys and items, and their position in the text.

use super::Editor;
use crate::yaml::Kind;
use crate::yaml::scalar::{Quoting, inline, literal};
use crate::yaml::tree::{NodeId, indicator, line_start, next_line};
use serde_json::Value;

/// The indentation of a child relative to its parent.
const STEP: usize = 2;

impl Editor<'_> {
    /// Renders `key: value` without indentation and without the last line end; `column` is where the key will be.
    pub(super) fn pair_text(&self, key: &str, value: &Value, column: usize) -> String {
        // A key is quoted by the stricter flow rules, which are valid everywhere.
        let key = inline(&Value::String(key.to_owned()), self.quoting, true);
        format!("{key}:{}", self.value_text(value, column))
    }

    /// Renders what follows the colon of a key at `column`: a value on the same line, or lines below.
    pub(super) fn value_text(&self, value: &Value, column: usize) -> String {
        if is_tall(value) {
            let lines = self.block_lines(value, column + STEP);
            return format!("{}{}", self.line_end, lines.trim_end_matches(['\r', '\n']));
        }
        if let Value::String(text) = value
            && self.quoting == Quoting::AsNeeded
            && let Some(block) = literal(text, column + STEP, self.line_end)
        {
            return format!(" {block}");
        }
        format!(" {}", inline(value, self.quoting, false))
    }

    /// Renders the lines of a mapping or a list whose keys or dashes are at `column`, each with its line end.
    pub(super) fn block_lines(&self, value: &Value, column: usize) -> String {
        let margin = " ".repeat(column);
        let line_end = self.line_end;
        let line = |text: String| format!("{margin}{text}{line_end}");
        match value {
            Value::Object(pairs) => pairs.iter().map(|(key, value)| line(self.pair_text(key, value, column))).collect(),
            Value::Array(items) => items.iter().map(|item| line(self.item_text(item, column))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                line(inline(value, self.quoting, false))
            }
        }
    }

    /// Renders an item with its dash at `column`, without indentation and without the last line end.
    fn item_text(&self, item: &Value, column: usize) -> String {
        match item {
            Value::Object(pairs) if !pairs.is_empty() => {
                let lines = self.block_lines(item, column + STEP);
                format!("- {}", lines.trim_start_matches(' ').trim_end_matches(['\r', '\n']))
            }
            Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                format!("- {}", inline(item, self.quoting, false))
            }
        }
    }

    /// Inserts whole lines after everything that belongs to the node which ends at `end`: the rest of its line, and the
    /// comments below that are indented deeper than `column`.
    pub(super) fn insert_lines_below(&mut self, end: usize, column: usize, lines: &str) {
        let at = self.below(end, column);
        self.insert_lines(at, lines);
    }

    /// Inserts whole lines at the beginning of a line, or at the end of the text.
    pub(super) fn insert_lines(&mut self, at: usize, lines: &str) {
        if at == 0 || self.text[..at].ends_with(['\n', '\u{feff}']) {
            self.change(at..at, lines);
        } else {
            // The last line has no line end; it gets one, and the new last line has none.
            let lines = lines.strip_suffix(self.line_end).unwrap_or(lines);
            self.change(at..at, format!("{}{lines}", self.line_end));
        }
    }

    /// Returns the start of the line after `end`.
    pub(super) fn line_below(&self, end: usize) -> usize {
        let ended = end > 0 && self.text.as_bytes()[end - 1] == b'\n';
        if ended { end } else { next_line(self.text, end) }
    }

    /// Returns the offset after deeper comments, which belong to the node above; inserted before them, a block scalar
    /// would include them.
    pub(super) fn below(&self, end: usize, column: usize) -> usize {
        let mut at = self.line_below(end);
        let mut next = at;
        while next < self.tree.body().end {
            let line_after = next_line(self.text, next);
            let line = self.text[next..line_after].trim_end();
            let indentation = line.len() - line.trim_start_matches(' ').len();
            let comment = line.trim_start().starts_with('#');
            if comment && indentation > column {
                at = line_after;
            } else if !line.is_empty() {
                break;
            }
            next = line_after;
        }
        at
    }

    /// Returns the column of the keys of a block mapping.
    pub(super) fn key_column(&self, mapping: NodeId) -> usize {
        let starts = || self.tree.pairs(mapping).map(|(key, _)| self.tree.range(key).start);
        let own_line =
            starts().find(|start| self.text[line_start(self.text, *start)..*start].bytes().all(|b| b == b' '));
        own_line.or_else(|| starts().next()).map_or(0, |start| self.column(start))
    }

    /// Returns how many characters precede `at` on its line.
    pub(super) fn column(&self, at: usize) -> usize {
        self.text[line_start(self.text, at)..at].trim_start_matches('\u{feff}').chars().count()
    }

    /// Returns the column of the dashes of a block list; `from` is an offset before its first dash, after the previous
    /// token.
    pub(super) fn dash_column(&self, list: NodeId, from: usize) -> Option<usize> {
        let first = self.tree.range(self.tree.children(list).next()?).start;
        let mut at = indicator(self.text, from)?;
        while at < first {
            let bytes = self.text.as_bytes();
            if bytes[at] == b'-' && bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace) {
                return Some(self.column(at));
            }
            at = indicator(self.text, at + 1)?;
        }
        None
    }

    /// Returns whether lines can be inserted after the line on which this value ends.
    pub(super) fn ends_its_line(&self, value: NodeId) -> bool {
        let last = (value..self.tree.after(value)).rev().find(|node| self.tree.kind(*node) != Kind::End);
        last.is_none_or(|last| self.tree.kind(last) != Kind::Block)
    }
}

/// Returns whether a value is written on lines below its key: mappings, and lists of mappings.
fn is_tall(value: &Value) -> bool {
    match value {
        Value::Object(pairs) => !pairs.is_empty(),
        Value::Array(items) => items.iter().any(|item| matches!(item, Value::Object(pairs) if !pairs.is_empty())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
