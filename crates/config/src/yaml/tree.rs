//! The outline of a YAML text: the kind, byte range and mark (hash of the meaning) of every node. Twenty bytes per
//! node, so that a file of ten thousand tasks can stay in memory. It holds no text of its own.

mod build;
mod place;

use super::{YamlError, scalar};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

pub(super) use place::{indicator, line_start, next_line};

/// The kind and style of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain scalar; also an empty one that is not written at all (`status:`).
    Plain,
    /// A single-quoted scalar.
    Single,
    /// A double-quoted scalar.
    Double,
    /// A literal or folded block scalar.
    Block,
    /// An alias, `*name`.
    Alias,
    /// A list; `flow` is `[a, b]`.
    Sequence {
        /// Whether it is in brackets.
        flow: bool,
    },
    /// A mapping; `flow` is `{a: b}`.
    Mapping {
        /// Whether it is in braces.
        flow: bool,
    },
    /// The end of the collection that `next` names.
    End,
}

/// One node. Nodes are in the order of the text; a collection is followed by its children and an end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    start: u32,
    end: u32,
    /// For a collection the index after its end, for an end its collection, for an alias its target.
    next: u32,
    mark: u32,
    kind: Kind,
}

/// The index of a node in a [`Tree`].
pub type NodeId = usize;

/// Values of the scalars that differ from their spelling (escapes, folded lines, blocks).
pub type Decoded = HashMap<u32, Box<str>>;

/// The outline of one document.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The byte offset at which the document's content begins: after `---` where there is one.
    body_start: u32,
    /// The byte offset at which it ends: before `...` where there is one.
    body_end: u32,
}

impl Tree {
    /// Parses the outline of a text, and the values that differ from their spelling.
    ///
    /// # Errors
    /// The text is no YAML, too large, too deeply nested, holds a second document, or sets a key twice.
    pub fn parse(text: &str) -> Result<(Self, Decoded), YamlError> {
        build::parse(text)
    }

    /// Returns the root node; `None` when the document is empty or only comments.
    pub fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(0)
    }

    /// Returns the kind of a node.
    pub fn kind(&self, id: NodeId) -> Kind {
        self.nodes[id].kind
    }

    /// Returns the byte range of a node: for a block scalar with its header, for a block collection from its first to
    /// its last node.
    pub fn range(&self, id: NodeId) -> Range<usize> {
        self.nodes[id].start as usize..self.nodes[id].end as usize
    }

    /// Returns the byte range of the document's content.
    pub(super) fn body(&self) -> Range<usize> {
        self.body_start as usize..self.body_end as usize
    }

    /// Returns a hash of a node's meaning; the same value has the same mark in every spelling.
    pub(super) fn mark(&self, id: NodeId) -> u32 {
        self.nodes[id].mark
    }

    /// Returns the number of nodes, including ends.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the index after a node and all its children.
    pub fn after(&self, id: NodeId) -> NodeId {
        if let Kind::Sequence { .. } | Kind::Mapping { .. } = self.nodes[id].kind {
            self.nodes[id].next as usize
        } else {
            id + 1
        }
    }

    /// Returns the end node of a collection.
    pub(super) fn end_of(&self, collection: NodeId) -> NodeId {
        self.after(collection) - 1
    }

    /// Returns the node itself, or the target of an alias.
    pub fn resolve(&self, id: NodeId) -> NodeId {
        if let Kind::Alias = self.nodes[id].kind { self.nodes[id].next as usize } else { id }
    }

    /// Returns the items of a list or the alternating keys and values of a mapping; empty for other nodes.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let mut next = id + 1;
        let end =
            if let Kind::Sequence { .. } | Kind::Mapping { .. } = self.nodes[id].kind { self.end_of(id) } else { next };
        std::iter::from_fn(move || {
            let child = (next < end).then_some(next)?;
            next = self.after(child);
            Some(child)
        })
    }

    /// Returns the keys of a mapping with their values.
    pub fn pairs(&self, mapping: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let mut children = self.children(mapping);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// Returns the key and the value of a mapping under `name`.
    pub fn pair(&self, mapping: NodeId, name: &str) -> Option<(NodeId, NodeId)> {
        // A key is compared by its spelling, even if it could be a number or a boolean (`1:`, `on:`).
        let marks = [scalar::mark_of_str(name), scalar::mark(scalar::hash(name, true, None))];
        self.pairs(mapping).find(|(key, _)| marks.contains(&self.nodes[*key].mark))
    }

    /// Returns whether the value is not written or `null`.
    pub fn is_null(&self, id: NodeId) -> bool {
        self.nodes[id].mark == scalar::MARK_NULL
    }

    /// Returns whether it is a list, or an alias of one.
    pub fn is_sequence(&self, id: NodeId) -> bool {
        matches!(self.kind(self.resolve(id)), Kind::Sequence { .. })
    }

    /// Returns whether it is a mapping, or an alias of one.
    pub fn is_mapping(&self, id: NodeId) -> bool {
        matches!(self.kind(self.resolve(id)), Kind::Mapping { .. })
    }

    /// Returns the value of a scalar as text; `None` for collections.
    pub fn text<'a>(&self, source: &'a str, decoded: &'a Decoded, id: NodeId) -> Option<Cow<'a, str>> {
        let id = self.resolve(id);
        match self.nodes[id].kind {
            Kind::Sequence { .. } | Kind::Mapping { .. } | Kind::End | Kind::Alias => None,
            Kind::Plain | Kind::Single | Kind::Double | Kind::Block => {
                let key = u32::try_from(id).unwrap_or(u32::MAX);
                Some(Cow::Borrowed(match decoded.get(&key) {
                    Some(value) => value,
                    None => &source[self.unquoted(id)],
                }))
            }
        }
    }

    fn unquoted(&self, id: NodeId) -> Range<usize> {
        let range = self.range(id);
        if matches!(self.nodes[id].kind, Kind::Single | Kind::Double) { range.start + 1..range.end - 1 } else { range }
    }

    /// Returns line and column of a node, counted from 1; the column in characters.
    pub fn position(&self, source: &str, id: NodeId) -> (u32, u32) {
        position_of(source, self.range(id).start)
    }
}

/// Returns line and column of a byte of a text, counted from 1; the column in characters. For many positions see
/// [`Lines`].
pub fn position_of(source: &str, offset: usize) -> (u32, u32) {
    let line = source.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count();
    position_in(source, line, line_start(source, offset), offset)
}

/// An index of the line starts of a text.
#[derive(Debug)]
pub struct Lines {
    starts: Vec<u32>,
}

impl Lines {
    /// Indexes a text.
    pub fn new(source: &str) -> Self {
        let feeds = source.bytes().zip(1_u32..).filter(|(byte, _)| *byte == b'\n');
        Self { starts: std::iter::once(0).chain(feeds.map(|(_, next)| next)).collect() }
    }

    /// Returns line and column of a byte, counted from 1; the column in characters.
    pub fn position(&self, source: &str, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start as usize <= offset).saturating_sub(1);
        position_in(source, line, self.starts[line] as usize, offset)
    }
}

fn position_in(source: &str, lines_before: usize, line_start: usize, offset: usize) -> (u32, u32) {
    let column = 1 + source[line_start..offset].trim_start_matches('\u{feff}').chars().count();
    (u32::try_from(lines_before + 1).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}
