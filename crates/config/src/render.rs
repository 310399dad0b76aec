//! Renders settings as YAML with comments above or beside a key. Renders only new text; `edit` changes existing files.

use serde_json::{Map, Value as Json};

/// Longest line of a list that is written on one line, in bytes.
const WIDTH: usize = 118;

/// Comments about a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// Comment lines above it.
    pub above: Vec<String>,
    /// Comment on the same line.
    pub beside: Option<String>,
}

/// Renders a mapping, with the comments that `note` returns for each dotted key. Any other value is rendered on one line.
pub fn yaml(value: &Json, note: &dyn Fn(&str) -> Note) -> String {
    let mut text = String::new();
    match value {
        Json::Object(map) if !map.is_empty() => mapping(map, "", 0, note, &mut text),
        Json::Object(_) | Json::Array(_) | Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            text.push_str(&flow(value));
            text.push('\n');
        }
    }
    text
}

fn mapping(map: &Map<String, Json>, path: &str, depth: usize, note: &dyn Fn(&str) -> Note, text: &mut String) {
    let indent = "  ".repeat(depth);
    for (key, value) in map {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Note { above, beside } = note(&full);
        for comment in above {
            let comment = format!("{indent}# {comment}");
            text.push_str(comment.trim_end());
            text.push('\n');
        }
        let key = scalar(key);
        let beside = beside.map(|comment| format!("  # {comment}")).unwrap_or_default();
        match value {
            Json::Object(inner) if !inner.is_empty() => {
                text.push_str(&format!("{indent}{key}:{beside}\n"));
                mapping(inner, &full, depth + 1, note, text);
            }
            Json::Array(items) if indent.len() + key.len() + flow(value).len() > WIDTH => {
                text.push_str(&format!("{indent}{key}:{beside}\n"));
                items.iter().for_each(|item| text.push_str(&format!("{indent}  - {}\n", flow(item))));
            }
            Json::Object(_) | Json::Array(_) | Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                text.push_str(&format!("{indent}{key}: {}{beside}\n", flow(value)));
            }
        }
    }
}

/// Renders a value on one line.
fn flow(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => scalar(text),
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Renders a text as a plain scalar if it is unambiguous, otherwise in double quotes.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn is_plain(text: &str) -> bool {
    const WORDS_WITH_A_MEANING: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') || text.starts_with("./");
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '+' | '@' | '%' | '-' | '=' | ' ');
    starts
        && text.chars().all(inner)
        && !text.ends_with(' ')
        && !WORDS_WITH_A_MEANING.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::super::tree::{self, Node, Value};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn settings_are_written_the_way_a_person_would() {
        let value = json!({"a": {"text": "cargo test", "word": "yes", "none": null, "empty": {}, "list": ["x", "1"], "num": 5},
            "long": [format!("x{}", "y".repeat(100)), "b, c"]});
        let note = |key: &str| match key {
            "a" => Note { above: vec!["About a.".to_owned()], beside: None },
            "a.text" => Note { above: vec![], beside: Some("here".to_owned()) },
            _ => Note::default(),
        };
        let long = format!("x{}", "y".repeat(100));
        assert_eq!(
            yaml(&value, &note),
            format!(
                "# About a.\na:\n  text: cargo test  # here\n  word: \"yes\"\n  none: null\n  empty: {{}}\n  list: [x, \"1\"]\n  \
                 num: 5\nlong: [{long}, \"b, c\"]\n"
            )
        );
        let longer = json!({"k": ["x".repeat(118), "b"]});
        assert_eq!(yaml(&longer, &|_| Note::default()), format!("k:\n  - {}\n  - b\n", "x".repeat(118)));
        assert_eq!(yaml(&json!("a: b"), &|_| Note::default()), "\"a: b\"\n");
    }

    fn texts(node: &Node) -> Vec<String> {
        match &node.value {
            Value::Text(text) => vec![text.clone()],
            Value::List(items) => items.iter().flat_map(texts).collect(),
            Value::Map(entries) => {
                entries.iter().flat_map(|(key, value)| [texts(key), texts(value)].concat()).collect()
            }
            other @ (Value::Null | Value::Bool(..) | Value::Number(_)) => panic!("{other:?} is no text"),
        }
    }

    proptest! {
        #[test]
        fn every_text_reads_back_as_itself(key in ".*", items in proptest::collection::vec(any::<String>(), 1..4)) {
            let mut inner = Map::new();
            inner.insert(key.clone(), Json::from(items.clone()));
            let text = yaml(&json!({"k": inner}), &|_| Note::default());
            let read = tree::parse(&text).expect("valid YAML");
            let expected: Vec<String> = ["k".to_owned(), key].into_iter().chain(items).collect();
            prop_assert_eq!(texts(&read), expected, "{}", text);
        }
    }
}
