//! Sets keys of a mapping, and turns a bare item into a mapping.

use super::{EditError, Editor};
use crate::yaml::scalar::{self, Quoting, inline, mark_of_str, marks_of};
use crate::yaml::tree::{NodeId, indicator, line_start, next_line};
use crate::yaml::{Kind, Tree};
use serde_json::Value;

/// A key and its value.
pub type Pair = (String, Value);

impl Editor<'_> {
    /// Sets keys of a mapping. A missing key goes after the nearest key that `order` names before it, else to the
    /// front; one that `order` does not name goes to the end.
    ///
    /// # Errors
    /// The node is no mapping of its own (an alias is not).
    pub fn put(&mut self, mapping: NodeId, pairs: &[Pair], order: &[&str]) -> Result<(), EditError> {
        if !matches!(self.tree.kind(mapping), Kind::Mapping { .. }) {
            return Err(self.unsuitable(mapping, "a mapping"));
        }
        let mut missing: Vec<(Option<NodeId>, Vec<&Pair>)> = Vec::new();
        for pair in sorted(pairs, order) {
            if let Some((key, value)) = self.tree.pair(mapping, &pair.0) {
                self.set(Some(key), value, &pair.1, self.is_flow(mapping));
                continue;
            }
            let after = self.neighbour(mapping, &pair.0, order);
            match missing.iter_mut().find(|(place, _)| *place == after) {
                Some((_, group)) => group.push(pair),
                None => missing.push((after, vec![pair])),
            }
        }
        for (after, group) in missing {
            self.insert(mapping, after, &group);
        }
        Ok(())
    }

    /// Returns the value after which a missing key goes.
    fn neighbour(&self, mapping: NodeId, key: &str, order: &[&str]) -> Option<NodeId> {
        let usable = |value: &NodeId| self.is_flow(mapping) || self.ends_its_line(*value);
        match order.iter().position(|name| *name == key) {
            Some(rank) => order[..rank]
                .iter()
                .rev()
                .find_map(|name| self.tree.pair(mapping, name).map(|(_, value)| value).filter(usable)),
            None => {
                let values: Vec<NodeId> = self.tree.pairs(mapping).map(|(_, value)| value).collect();
                values.into_iter().rev().find(usable)
            }
        }
    }

    fn insert(&mut self, mapping: NodeId, after: Option<NodeId>, pairs: &[&Pair]) {
        let mut marks = Vec::new();
        pairs.iter().for_each(|pair| push_marks(pair, &mut marks));
        let node = after.map_or(mapping + 1, |value| self.tree.after(value));
        self.patch(node..node, marks);
        if self.is_flow(mapping) {
            return self.insert_in_braces(mapping, after, pairs);
        }
        let column = self.key_column(mapping);
        let margin = " ".repeat(column);
        let texts: Vec<String> = pairs.iter().map(|(key, value)| self.pair_text(key, value, column)).collect();
        match after {
            Some(value) => {
                let lines: String = texts.iter().map(|text| format!("{margin}{text}{}", self.line_end)).collect();
                let at = self.line_below(self.tree.range(value).end);
                self.insert_lines(at, &lines);
            }
            None => {
                let first = self.tree.range(mapping).start;
                let text: String = texts.iter().map(|text| format!("{text}{}{margin}", self.line_end)).collect();
                self.change(first..first, text);
            }
        }
    }

    fn insert_in_braces(&mut self, mapping: NodeId, after: Option<NodeId>, pairs: &[&Pair]) {
        let quoting = self.quoting;
        let written = |(key, value): &&Pair| {
            format!("{}: {}", inline(&Value::String(key.clone()), quoting, true), inline(value, quoting, true))
        };
        let text = pairs.iter().map(written).collect::<Vec<_>>().join(", ");
        match after {
            Some(value) => {
                let end = self.tree.range(value).end;
                self.change(end..end, format!(", {text}"));
            }
            None => {
                let first = self.tree.range(mapping).start + 1;
                let empty = self.tree.end_of(mapping) == mapping + 1;
                self.change(first..first, if empty { text } else { format!("{text}, ") });
            }
        }
    }

    /// Replaces a value. `key` is its key, if it is in a mapping.
    pub(super) fn set(&mut self, key: Option<NodeId>, value: NodeId, new: &Value, in_flow: bool) {
        let old = &self.tree;
        let meant = marks_of(new);
        let same = old.after(value) - value == meant.len() && meant.iter().zip(value..).all(|(m, n)| *m == old.mark(n));
        if same {
            return;
        }
        self.patch_value(value, new);
        let range = self.tree.range(value);
        let text = inline(new, self.like(value), in_flow);
        match (self.tree.kind(value), key) {
            (Kind::Plain, Some(key)) if range.is_empty() => {
                let colon = self.text[..range.start].ends_with(':') && range.start > self.tree.range(key).end;
                self.change(range, if colon { format!(" {text}") } else { format!(": {text}") });
            }
            (Kind::Plain, None) if range.is_empty() => self.change(range, format!(" {text}")),
            (Kind::Block, _) => {
                let line_end = if self.text[range.clone()].ends_with('\n') { self.line_end } else { "" };
                self.change(range, format!("{text}{line_end}"));
            }
            (Kind::Sequence { flow: false } | Kind::Mapping { flow: false }, Some(key)) => {
                self.replace_block(key, value, &text);
            }
            (
                Kind::Plain
                | Kind::Single
                | Kind::Double
                | Kind::Alias
                | Kind::Sequence { .. }
                | Kind::Mapping { .. }
                | Kind::End,
                _,
            ) => self.change(range, text),
        }
    }

    /// Replaces a block of lines below its key by a value on the key's line.
    fn replace_block(&mut self, key: NodeId, value: NodeId, text: &str) {
        let Some(colon) = indicator(self.text, self.tree.range(key).end) else { return };
        let range = self.tree.range(value);
        self.change(colon + 1..colon + 1, format!(" {text}"));
        let first = line_start(self.text, range.start);
        let end = if self.text[..range.end].ends_with('\n') { range.end } else { next_line(self.text, range.end) };
        self.change(first..end, "");
    }

    /// Returns the quoting of the old value, to keep it.
    fn like(&self, value: NodeId) -> Quoting {
        match (self.quoting, self.tree.kind(value)) {
            (Quoting::AsNeeded, Kind::Single) => Quoting::Single,
            (Quoting::AsNeeded, Kind::Double) | (Quoting::Double, _) => Quoting::Double,
            (
                quoting,
                Kind::Plain
                | Kind::Single
                | Kind::Block
                | Kind::Alias
                | Kind::Sequence { .. }
                | Kind::Mapping { .. }
                | Kind::End,
            ) => quoting,
            (Quoting::Single, Kind::Double) => Quoting::Double,
        }
    }

    /// Turns a bare scalar item into a mapping in which it is the value of `own_key`, written as it was.
    ///
    /// # Errors
    /// The node is no scalar.
    pub fn promote(&mut self, item: NodeId, own_key: &str, pairs: &[Pair], order: &[&str]) -> Result<(), EditError> {
        let range = self.tree.range(item);
        let raw = &self.text[range.clone()];
        let own_text = match self.tree.kind(item) {
            Kind::Plain | Kind::Single | Kind::Double if !raw.contains('\n') => raw.to_owned(),
            Kind::Plain | Kind::Single | Kind::Double | Kind::Block => inline(&self.decode(item)?, self.quoting, true),
            Kind::Alias | Kind::Sequence { .. } | Kind::Mapping { .. } | Kind::End => {
                return Err(self.unsuitable(item, "a text"));
            }
        };
        let rank = |key: &str| order.iter().position(|name| *name == key).unwrap_or(order.len());
        let all = sorted(pairs, order);
        let (before, after) = all.split_at(all.partition_point(|(key, _)| rank(key) < rank(own_key)));
        let mut marks = vec![scalar::mark_of_start(true, None)];
        before.iter().for_each(|pair| push_marks(pair, &mut marks));
        marks.extend([mark_of_str(own_key), self.tree.mark(item)]);
        after.iter().for_each(|pair| push_marks(pair, &mut marks));
        marks.push(scalar::MARK_END);
        self.patch(item..item + 1, marks);
        self.write_promoted(item, &format!("{own_key}: {own_text}"), before, after);
        Ok(())
    }

    /// Writes the mapping; `own` is the pair that the item itself becomes.
    fn write_promoted(&mut self, item: NodeId, own: &str, before: &[&Pair], after: &[&Pair]) {
        let range = self.tree.range(item);
        let quoting = self.quoting;
        let in_flow = self.is_inside_flow(item);
        let one = |(key, value): &&Pair| format!("{key}: {}", inline(value, quoting, in_flow));
        let (before, after) = (before.iter().map(one).collect(), after.iter().map(one).collect());
        let with_own = |first: Vec<String>, last: Vec<String>, between: &str| {
            let all: Vec<String> = first.into_iter().chain([own.to_owned()]).chain(last).collect();
            all.join(between)
        };
        if in_flow {
            let text = with_own(before, after, ", ");
            return self.change(range, format!("{{{text}}}"));
        }
        let margin = " ".repeat(self.column(range.start));
        let between = format!("{}{margin}", self.line_end);
        let at = self.line_below(range.end);
        let line_end = if self.text[range.clone()].ends_with('\n') { self.line_end } else { "" };
        // A comment on the line of the item stays on it.
        self.change(range, format!("{}{line_end}", with_own(before, Vec::new(), &between)));
        if !after.is_empty() {
            let lines: String = after.iter().map(|text| format!("{margin}{text}{}", self.line_end)).collect();
            self.insert_lines(at, &lines);
        }
    }

    /// Decodes a scalar that differs from its spelling. Rarely needed, so the text is parsed again for it.
    fn decode(&self, node: NodeId) -> Result<Value, EditError> {
        if self.decoded.get().is_none() {
            let (_, decoded) = Tree::parse(self.text)?;
            // It is set only here, so it is not set yet.
            let _ = self.decoded.set(decoded);
        }
        let decoded = self.decoded.get().ok_or(EditError::Unverified)?;
        let text = self.tree.text(self.text, decoded, node).unwrap_or_default();
        Ok(Value::String(text.into_owned()))
    }
}

/// Sorts the pairs by the given order; those it does not name come last, in their own order.
fn sorted<'p>(pairs: &'p [Pair], order: &[&str]) -> Vec<&'p Pair> {
    let mut sorted: Vec<&Pair> = pairs.iter().collect();
    sorted.sort_by_key(|(key, _)| order.iter().position(|name| name == key).unwrap_or(order.len()));
    sorted
}

fn push_marks((key, value): &Pair, marks: &mut Vec<u32>) {
    marks.push(mark_of_str(key));
    marks.extend(marks_of(value));
}
