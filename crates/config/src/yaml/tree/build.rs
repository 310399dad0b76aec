//! Builds the outline from the parser's events, in one pass.

use super::place::{indicator, line_start};
use super::{Decoded, Kind, Node, Tree};
use crate::yaml::error::{SECOND_DOCUMENT, TOO_COMPLEX, TOO_MANY_ALIASES};
use crate::yaml::{MAX_ALIASES, MAX_DEPTH, MAX_NODES, YamlError, scalar, too_large};
use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The bytes of text per node by which memory is reserved: a little less than tasks need.
const BYTES_PER_NODE: usize = 14;

/// A collection that is not complete yet.
struct Open {
    node: u32,
    anchor: usize,
    mapping: bool,
    /// Whether the next node is a key of a mapping.
    key_next: bool,
    /// The end of its last node.
    last_end: usize,
    keys: Keys,
}

/// Replaces the hash of a key that is a collection or an alias: too unusual to be compared with others.
const UNCOMPARED: u64 = u64::MAX;

/// The hashes of the keys of one mapping. Most mappings have few keys, and there are many mappings.
#[derive(Default)]
struct Keys {
    few: Vec<u64>,
    many: HashSet<u64>,
}

impl Keys {
    /// Returns `false` when the hash was present before.
    fn insert(&mut self, hash: u64) -> bool {
        if self.few.contains(&hash) || self.many.contains(&hash) {
            return false;
        }
        if self.few.len() < 32 {
            self.few.push(hash);
            true
        } else {
            self.many.insert(hash)
        }
    }
}

/// A node that aliases may refer to.
#[derive(Clone, Copy)]
struct Anchored {
    node: u32,
    /// The mark of its whole content.
    whole: u32,
    /// Its hash as a key.
    name: u64,
}

struct Builder<'a> {
    text: &'a str,
    tree: Tree,
    decoded: Decoded,
    open: Vec<Open>,
    /// The anchors by the parser's number.
    anchors: HashMap<usize, Anchored>,
    documents: u32,
    aliases: usize,
    /// The end of the last token; indicators of the next node come after it.
    last_end: usize,
}

pub(super) fn parse(text: &str) -> Result<(Tree, Decoded), YamlError> {
    too_large(text)?;
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::new(text);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| YamlError::from_scanner(text, &error))?;
        builder.take(event, span)?;
    }
    builder.tree.nodes.shrink_to_fit();
    Ok((builder.tree, builder.decoded))
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        let body_end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let nodes = Vec::with_capacity(text.len() / BYTES_PER_NODE);
        Self {
            text,
            tree: Tree { nodes, body_start: body_end, body_end },
            decoded: Decoded::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            documents: 0,
            aliases: 0,
            last_end: 0,
        }
    }

    // The parser may gain new events; those that are no nodes do not concern the outline.
    fn take(&mut self, event: Event<'a>, span: Span) -> Result<(), YamlError> {
        let range = span.byte_range().unwrap_or(0..0);
        if self.tree.nodes.len() > MAX_NODES || self.open.len() > MAX_DEPTH {
            return Err(self.fault(&span, TOO_COMPLEX));
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.fault(&span, SECOND_DOCUMENT));
                }
                self.tree.body_start = small(range.end);
                self.last_end = range.end;
                Ok(())
            }
            Event::DocumentEnd => {
                self.tree.body_end = small(range.start);
                Ok(())
            }
            Event::Scalar(value, style, anchor, tag) => self.scalar(value, style, anchor, tag, &span),
            Event::Alias(anchor) => self.alias(anchor, &span),
            Event::SequenceStart(style, anchor, tag) => {
                self.start(Kind::Sequence { flow: flow(style) }, anchor, tag, &span)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.start(Kind::Mapping { flow: flow(style) }, anchor, tag, &span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end(range.end);
                Ok(())
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | Event::Comment(..)
            | _ => Ok(()),
        }
    }

    fn fault(&self, span: &Span, message: &str) -> YamlError {
        let place = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        YamlError::at(self.text, place(span.start.line()), place(span.start.col() + 1), message)
    }

    fn scalar(
        &mut self,
        value: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<Cow<'a, Tag>>,
        span: &Span,
    ) -> Result<(), YamlError> {
        let range = span.byte_range().unwrap_or(0..0);
        let (kind, range) = match style {
            ScalarStyle::Plain if range.is_empty() => (Kind::Plain, self.unwritten(range.start)),
            ScalarStyle::Plain => (Kind::Plain, range),
            ScalarStyle::SingleQuoted => (Kind::Single, range),
            ScalarStyle::DoubleQuoted => (Kind::Double, range),
            ScalarStyle::Literal | ScalarStyle::Folded => (Kind::Block, self.block(range)),
        };
        // The parser reports a missing value as `~`.
        let shown = if range.is_empty() { "" } else { &*value };
        // A key is compared by its spelling, whatever its tag: for lookup and for duplicates.
        let name = scalar::hash(shown, kind == Kind::Plain, None);
        let is_key = self.key(name, span)?;
        let tag = tag.as_deref().filter(|_| !is_key).map(Tag::to_string);
        let mark = scalar::mark(match &tag {
            Some(tag) => scalar::hash(shown, kind == Kind::Plain, Some(tag)),
            None => name,
        });
        let id = self.tree.nodes.len();
        if !written_as_read(self.text, &range, kind, shown) {
            self.decoded.insert(small(id), shown.into());
        }
        self.note_anchor(anchor, Anchored { node: small(id), whole: mark, name });
        self.push(Node { start: small(range.start), end: small(range.end), next: 0, mark, kind });
        self.grew_to(range.end);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), YamlError> {
        self.aliases += 1;
        if self.aliases > MAX_ALIASES {
            return Err(self.fault(span, TOO_MANY_ALIASES));
        }
        let range = span.byte_range().unwrap_or(0..0);
        // An alias inside of its own target has no mark yet.
        let within = Anchored { node: 0, whole: 0, name: UNCOMPARED };
        let Anchored { node, whole, name } = self.anchors.get(&anchor).copied().unwrap_or(within);
        let is_key = self.key(name, span)?;
        // As a key it is named like its target.
        let is_name = is_key && name != UNCOMPARED;
        let mark = if is_name { scalar::mark(name) } else { scalar::mark_of_alias(whole) };
        self.push(Node { start: small(range.start), end: small(range.end), next: node, mark, kind: Kind::Alias });
        self.grew_to(range.end);
        Ok(())
    }

    fn start(&mut self, kind: Kind, anchor: usize, tag: Option<Cow<'a, Tag>>, span: &Span) -> Result<(), YamlError> {
        let range = span.byte_range().unwrap_or(0..0);
        let mapping = matches!(kind, Kind::Mapping { .. });
        let mark = scalar::mark_of_start(mapping, tag.as_deref().map(Tag::to_string).as_deref());
        self.key(UNCOMPARED, span)?;
        let node = small(self.tree.nodes.len());
        self.note_anchor(anchor, Anchored { node, whole: 0, name: UNCOMPARED });
        self.push(Node { start: small(range.start), end: small(range.end), next: 0, mark, kind });
        self.last_end = range.end;
        self.open.push(Open { node, anchor, mapping, key_next: true, last_end: range.end, keys: Keys::default() });
        Ok(())
    }

    fn end(&mut self, token_end: usize) {
        let Some(open) = self.open.pop() else { return };
        let node = self.tree.nodes[open.node as usize];
        let flow = matches!(node.kind, Kind::Sequence { flow: true } | Kind::Mapping { flow: true });
        // A block collection has no end token of its own.
        let end = if flow { token_end } else { open.last_end };
        self.push(Node {
            start: small(end),
            end: small(end),
            next: open.node,
            mark: scalar::MARK_END,
            kind: Kind::End,
        });
        let next = small(self.tree.nodes.len());
        let node = &mut self.tree.nodes[open.node as usize];
        (node.end, node.next) = (small(end), next);
        if open.anchor > 0 {
            let held = &self.tree.nodes[open.node as usize..];
            let whole = held.iter().fold(0, |sum, node| scalar::mix_marks(sum, node.mark));
            self.note_anchor(open.anchor, Anchored { node: open.node, whole, name: UNCOMPARED });
        }
        self.grew_to(end);
    }

    /// Counts keys and values of the innermost mapping, and rejects a duplicate key. Returns whether the node is a key.
    fn key(&mut self, hash: u64, span: &Span) -> Result<bool, YamlError> {
        let Some(open) = self.open.last_mut().filter(|open| open.mapping) else { return Ok(false) };
        let is_key = open.key_next;
        open.key_next = !is_key;
        if is_key && hash != UNCOMPARED && !open.keys.insert(hash) {
            let name = span.slice(self.text).unwrap_or_default();
            return Err(self.fault(span, &format!("the key `{name}` is already set above")));
        }
        Ok(is_key)
    }

    fn note_anchor(&mut self, anchor: usize, anchored: Anchored) {
        if anchor > 0 {
            self.anchors.insert(anchor, anchored);
        }
    }

    fn push(&mut self, node: Node) {
        self.tree.nodes.push(node);
    }

    fn grew_to(&mut self, end: usize) {
        self.last_end = self.last_end.max(end);
        if let Some(open) = self.open.last_mut() {
            open.last_end = open.last_end.max(end);
        }
    }

    /// Returns the position of a missing value: after the colon of its key, or where the parser says.
    fn unwritten(&self, reported: usize) -> std::ops::Range<usize> {
        let is_value = self.open.last().is_some_and(|open| open.mapping && !open.key_next);
        match indicator(self.text, self.last_end) {
            Some(at) if is_value && self.text.as_bytes()[at] == b':' => at + 1..at + 1,
            Some(_) | None => reported..reported,
        }
    }

    /// Returns the range of a block scalar from its header to the end of its last line; the parser reports from its
    /// first content to the indentation of what follows.
    fn block(&self, reported: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let bytes = self.text.as_bytes();
        let mut from = self.last_end;
        let start = loop {
            match indicator(self.text, from) {
                Some(at) if at < reported.end && matches!(bytes[at], b'|' | b'>') => break at,
                // The colon of the key, or the dash of the item.
                Some(at) if at < reported.start => from = at + 1,
                Some(_) | None => break reported.start,
            }
        };
        let last_line = line_start(self.text, reported.end);
        let only_indentation = bytes[last_line..reported.end].iter().all(|byte| *byte == b' ');
        let end = if only_indentation && last_line > start { last_line } else { reported.end };
        start..end.max(start)
    }
}

fn flow(style: StructureStyle) -> bool {
    match style {
        StructureStyle::Flow => true,
        StructureStyle::Block => false,
    }
}

fn written_as_read(text: &str, range: &std::ops::Range<usize>, kind: Kind, value: &str) -> bool {
    let raw = &text[range.clone()];
    match kind {
        Kind::Plain => raw == value,
        Kind::Single | Kind::Double => raw.get(1..raw.len().saturating_sub(1)) == Some(value),
        Kind::Block | Kind::Alias | Kind::Sequence { .. } | Kind::Mapping { .. } | Kind::End => false,
    }
}

/// Converts an offset or count, which fits because texts are limited to [`crate::yaml::MAX_BYTES`].
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
