//! A configuration file as a tree of values with their positions. Knows the kinds of YAML values, but no keys.

use super::yaml::{self, Spanned, YamlError};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A value with its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// What a YAML node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A boolean, and how it was written.
    Bool(bool, String),
    /// A number, as it was written.
    Number(String),
    /// A text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file; keys are nodes, so that they have positions.
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// Returns the kind of the value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(..) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// Describes the value with the text of a scalar; only for places where no secret is expected.
    pub fn describe(&self) -> String {
        match self {
            Self::Bool(_, text) | Self::Number(text) => short(text),
            Self::Text(text) => format!("the text {:?}", short(text)),
            Self::Null | Self::List(_) | Self::Map(_) => self.kind().to_owned(),
        }
    }

    /// Returns the text of a scalar, as it was written.
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Self::Bool(_, text) | Self::Number(text) | Self::Text(text) => Some(text),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }
}

/// Parses a file's text. An empty one is [`Value::Null`].
///
/// # Errors
/// The errors of [`yaml::read`].
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let lines: Vec<&str> = text.lines().collect();
    Ok(yaml::read::<Located>(text)?.0.into_node(&lines))
}

fn short(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

/// A node as the YAML reader returns it. `into_node` restores the spelling of numbers and booleans.
struct Located(Spanned<Read>);

enum Read {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Located>),
    Map(Vec<(Located, Located)>),
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadVisitor)
    }
}

impl Spanned<Read> {
    fn into_node(self, lines: &[&str]) -> Node {
        let (line, column) = (self.line as usize, self.column as usize);
        let value = match self.value {
            Read::Null => Value::Null,
            Read::Bool(value) => Value::Bool(value, written(lines, line, column).unwrap_or(value.to_string())),
            Read::Number(text) => Value::Number(written(lines, line, column).unwrap_or(text)),
            Read::Text(text) => Value::Text(text),
            Read::List(items) => Value::List(items.into_iter().map(|item| item.0.into_node(lines)).collect()),
            Read::Map(entries) => Value::Map(
                entries.into_iter().map(|(key, value)| (key.0.into_node(lines), value.0.into_node(lines))).collect(),
            ),
        };
        Node { value, line, column }
    }
}

/// Returns the source text of a plain scalar without whitespace; `None` for an alias or a tag.
fn written(lines: &[&str], line: usize, column: usize) -> Option<String> {
    let from = lines.get(line.checked_sub(1)?)?.chars().skip(column.checked_sub(1)?);
    let word: String = from.take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ']' | '}')).collect();
    let plain = word.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
    plain.then_some(word)
}

struct ReadVisitor;

impl<'de> Visitor<'de> for ReadVisitor {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Read, E> {
        Ok(Read::Null)
    }

    fn visit_none<E>(self) -> Result<Read, E> {
        Ok(Read::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read, D::Error> {
        Read::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Read, E> {
        Ok(Read::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Read, E> {
        Ok(Read::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Read, E> {
        Ok(Read::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Read, E> {
        Ok(Read::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Read, E> {
        Ok(Read::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Read, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Read::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Read, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Read::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(node: &Node) -> String {
        let at = format!("@{}:{}", node.line, node.column);
        match &node.value {
            Value::List(items) => format!("[{}]{at}", items.iter().map(outline).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let pairs: Vec<_> = entries.iter().map(|(k, v)| format!("{}={}", outline(k), outline(v))).collect();
                format!("{{{}}}{at}", pairs.join(" "))
            }
            other @ (Value::Null | Value::Bool(..) | Value::Number(_) | Value::Text(_)) => {
                format!("{}{at}", other.describe())
            }
        }
    }

    #[test]
    fn every_key_and_value_has_its_position_and_spelling() {
        let text = "é: 5.10\nb:\n  - yes\n  - 'x'\n  - 0x1F # hex\n  - true\nc: {d: , e: 1_0}\n";
        assert_eq!(
            outline(&parse(text).unwrap()),
            "{the text \"é\"@1:1=5.10@1:4 the text \"b\"@2:1=[yes@3:5 the text \"x\"@4:5 0x1F@5:5 true@6:5]@3:3 \
             the text \"c\"@7:1={the text \"d\"@7:5=nothing@7:6 the text \"e\"@7:10=1_0@7:13}@7:4}@1:1"
        );
    }

    #[test]
    fn aliases_and_anchors_are_followed() {
        let node = parse("a: &a 5\nb: *a\n").unwrap();
        let Value::Map(entries) = node.value else { panic!("a mapping") };
        assert_eq!(entries[1].1.value, Value::Number("5".to_owned()));
    }

    #[test]
    fn an_empty_text_is_nothing() {
        for text in ["", "# only a comment\n", "---\n"] {
            assert_eq!(parse(text).unwrap().value, Value::Null, "{text:?}");
        }
    }
}
