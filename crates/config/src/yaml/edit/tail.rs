//! Appends to a list at the end of a text without the text: whole lines after it cannot change what precedes them, so
//! the column of the dashes is enough.

use super::{Editor, Kind, Tree};
use crate::yaml::scalar::{Quoting, marks_of};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How items are appended to a text that ends with the list they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The column of the dashes.
    column: usize,
    /// Whether lines end with CR LF.
    crlf: bool,
}

impl Tail {
    /// Of a text whose last line is the last one of the list under `key`, or of the list that the document is; `None`
    /// when it ends in any other way (with a comment, say, an empty line, another key, or in brackets).
    pub fn find(text: &str, tree: &Tree, key: &str) -> Option<Self> {
        let root = tree.root()?;
        let (list, from) = match tree.kind(root) {
            Kind::Sequence { .. } => (root, tree.body().start),
            Kind::Mapping { flow: false } => {
                let (key, value) = tree.pair(root, key)?;
                (value, tree.range(key).end)
            }
            Kind::Mapping { flow: true }
            | Kind::Plain
            | Kind::Single
            | Kind::Double
            | Kind::Block
            | Kind::Alias
            | Kind::End => return None,
        };
        if tree.kind(list) != (Kind::Sequence { flow: false }) {
            return None;
        }
        let editor = Editor::new(text, tree, Quoting::AsNeeded);
        let column = editor.dash_column(list, from)?;
        let last = text.ends_with('\n')
            && tree.body().end == text.len()
            && editor.below(tree.range(list).end, column) == text.len();
        last.then_some(Self { column, crlf: editor.line_end == "\r\n" })
    }

    /// Renders the lines of the items, to be put after the text; `None` when they would not read back as intended.
    pub fn lines(self, items: &[Value]) -> Option<String> {
        let items = Value::Array(items.to_vec());
        let meant = marks_of(&items);
        let reads_back = |lines: &String| {
            let read = Tree::parse(lines);
            read.is_ok_and(|(tree, _)| tree.len() == meant.len() && (0..).zip(&meant).all(|(n, m)| tree.mark(n) == *m))
        };
        let (text, tree) = (if self.crlf { "\r\n" } else { "\n" }, Tree::default());
        let written = |quoting| Editor::new(text, &tree, quoting).block_lines(&items, self.column);
        [Quoting::AsNeeded, Quoting::Double].into_iter().map(written).find(reads_back)
    }
}
