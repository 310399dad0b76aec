//! Changes single values of a user's text: changes are spliced in, every other byte stays, and the result is parsed
//! again and compared with the intended change. A result that differs is not written.

mod append;
mod block;
mod path;
mod put;
mod tail;
mod take_out;
#[cfg(test)]
mod tests;
mod verify;

pub use path::set_path;
pub use put::Pair;
pub use tail::Tail;

use super::scalar::{Quoting, marks_of};
use super::tree::NodeId;
use super::{Decoded, Kind, Tree, YamlError};
use serde_json::Value;
use std::cell::OnceCell;
use std::ops::Range;

/// Why a change was not made. The text is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is no valid YAML.
    #[error("{0}")]
    Yaml(#[from] YamlError),
    /// The value there cannot take the change.
    #[error("line {line}, column {column}: expected {expected} here")]
    Unsuitable {
        /// The line, counted from 1.
        line: u32,
        /// The column in characters, counted from 1.
        column: u32,
        /// The expected kind of value.
        expected: &'static str,
    },
    /// The changed text would not read back as intended: a shared anchor, or an unusual syntax.
    #[error("the change cannot be made without disturbing the rest of the file; make it by hand")]
    Unverified,
}

/// A changed text with its outline.
#[derive(Debug)]
pub struct Edited {
    /// The changed text.
    pub text: String,
    /// The outline of the text.
    pub tree: Tree,
    /// Its values that are written with escapes, folding or blocks.
    pub decoded: Decoded,
}

/// A replacement of a byte range of the text.
#[derive(Debug)]
struct Change {
    range: Range<usize>,
    text: String,
}

/// The intended effect: these nodes are replaced by nodes with these marks.
#[derive(Debug)]
struct Patch {
    nodes: Range<usize>,
    marks: Vec<u32>,
}

/// Collects changes to one text.
#[derive(Debug)]
pub struct Editor<'a> {
    text: &'a str,
    tree: &'a Tree,
    line_end: &'static str,
    quoting: Quoting,
    changes: Vec<Change>,
    patches: Vec<Patch>,
    /// The outermost flow collections, computed on demand.
    flows: OnceCell<Vec<Range<NodeId>>>,
    /// Values that differ from their spelling, computed on demand.
    decoded: OnceCell<Decoded>,
}

/// Makes the changes that `describe` requests, in the most readable way that reads back as intended.
///
/// # Errors
/// The error of `describe`; [`EditError::Unverified`] when no way reads back as intended.
pub fn edit<'a>(
    text: &'a str,
    tree: &'a Tree,
    describe: impl Fn(&mut Editor<'a>) -> Result<(), EditError>,
) -> Result<Edited, EditError> {
    let attempt = |quoting| {
        let mut editor = Editor::new(text, tree, quoting);
        describe(&mut editor)?;
        editor.finish()
    };
    match attempt(Quoting::AsNeeded) {
        // Some YAML reader may interpret an unquoted or block value differently; quotes are unambiguous.
        Err(EditError::Unverified) => attempt(Quoting::Double),
        done => done,
    }
}

impl<'a> Editor<'a> {
    fn new(text: &'a str, tree: &'a Tree, quoting: Quoting) -> Self {
        let crlf = text.find('\n').is_some_and(|feed| text[..feed].ends_with('\r'));
        let line_end = if crlf { "\r\n" } else { "\n" };
        let (changes, patches) = (Vec::new(), Vec::new());
        Self { text, tree, line_end, quoting, changes, patches, flows: OnceCell::new(), decoded: OnceCell::new() }
    }

    fn change(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.changes.push(Change { range, text: text.into() });
    }

    fn patch(&mut self, nodes: Range<usize>, marks: Vec<u32>) {
        self.patches.push(Patch { nodes, marks });
    }

    /// Records that the node is replaced by this value.
    fn patch_value(&mut self, node: NodeId, value: &Value) {
        self.patch(node..self.tree.after(node), marks_of(value));
    }

    fn unsuitable(&self, node: NodeId, expected: &'static str) -> EditError {
        let (line, column) = self.tree.position(self.text, node);
        EditError::Unsuitable { line, column, expected }
    }

    fn is_flow(&self, node: NodeId) -> bool {
        matches!(self.tree.kind(node), Kind::Sequence { flow: true } | Kind::Mapping { flow: true })
    }

    /// Returns whether a collection around the node is in flow style.
    fn is_inside_flow(&self, node: NodeId) -> bool {
        let outermost = self.flows.get_or_init(|| {
            let mut found: Vec<Range<NodeId>> = Vec::new();
            for node in (0..self.tree.len()).filter(|node| self.is_flow(*node)) {
                if found.last().is_none_or(|last| last.end <= node) {
                    found.push(node..self.tree.after(node));
                }
            }
            found
        });
        let next = outermost.partition_point(|flow| flow.start < node);
        next > 0 && outermost[next - 1].end > node
    }

    /// Returns whether the value is not written at all.
    fn is_unwritten(&self, node: NodeId) -> bool {
        self.tree.kind(node) == Kind::Plain && self.tree.range(node).is_empty()
    }

    /// Applies the changes and compares the parsed result with the intended one.
    fn finish(mut self) -> Result<Edited, EditError> {
        // Both sorts are stable: insertions at one place stay in the order of their requests.
        self.changes.sort_by_key(|change| (change.range.start, change.range.end));
        self.patches.sort_by_key(|patch| (patch.nodes.start, patch.nodes.end));
        let text = self.splice().ok_or(EditError::Unverified)?;
        let (tree, decoded) = Tree::parse(&text).map_err(|_| EditError::Unverified)?;
        if !verify::is_as_meant(self.tree, &self.patches, &tree) {
            return Err(EditError::Unverified);
        }
        Ok(Edited { text, tree, decoded })
    }

    /// Returns the changed text; `None` when two changes touch the same bytes.
    fn splice(&self) -> Option<String> {
        let added: usize = self.changes.iter().map(|change| change.text.len()).sum();
        let mut text = String::with_capacity(self.text.len() + added);
        let mut copied = 0;
        for change in &self.changes {
            text.push_str(self.text.get(copied..change.range.start)?);
            text.push_str(&change.text);
            copied = change.range.end;
        }
        text.push_str(self.text.get(copied..)?);
        Some(text)
    }
}
