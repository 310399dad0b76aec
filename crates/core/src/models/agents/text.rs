//! Functions for reading the output of agent CLIs: JSON by path, text cut to a readable length. Cuts fall between
//! characters, and nothing here panics on any text.

use serde_json::{Map, Value};

/// The most characters of a tool's output that an event carries.
pub(super) const TOOL_OUTPUT: usize = 8_000;
/// The most characters of one text of the agent that an event carries.
pub(super) const SPEECH: usize = 100_000;
/// The most characters of the line that describes a tool call.
const TOOL_INPUT: usize = 400;
/// The most characters of an error's text.
const DETAIL: usize = 600;

/// Parses the JSON object on a line, if there is one.
pub(super) fn object(line: &str) -> Option<Value> {
    serde_json::from_str::<Map<String, Value>>(line).ok().map(Value::Object)
}

/// Returns the text at a JSON pointer.
pub(super) fn str_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// Returns the non-empty text at a JSON pointer, owned.
pub(super) fn string_at(value: &Value, pointer: &str) -> Option<String> {
    str_at(value, pointer).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns the natural number at a JSON pointer.
pub(super) fn u64_at(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_u64()
}

/// Returns the first `max` characters, with a note on what was left out.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… [{} more bytes]", &text[..at], text.len() - at),
    }
}

/// Joins a text to one line of at most `max` characters, without control characters and terminal sequences.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let (mut count, mut chars, mut gap) = (0, text.chars(), false);
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            skip_sequence(&mut chars);
        } else if c.is_whitespace() || c.is_control() {
            gap = !line.is_empty();
        } else {
            if std::mem::take(&mut gap) {
                line.push(' ');
                count += 1;
            }
            if count >= max {
                return format!("{}…", line.trim_end());
            }
            line.push(c);
            count += 1;
        }
    }
    line
}

/// Skips the rest of a terminal sequence, up to its final letter.
fn skip_sequence(chars: &mut std::str::Chars<'_>) {
    if chars.as_str().starts_with('[') {
        chars.next();
        for c in chars.by_ref() {
            if ('\u{40}'..='\u{7e}').contains(&c) {
                return;
            }
        }
    }
}

/// Renders an error's text as one line.
pub(super) fn detail(text: &str) -> String {
    one_line(text, DETAIL)
}

/// Renders the last few lines of a program's stderr as one line.
pub(super) fn stderr_summary(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    detail(&lines[lines.len().saturating_sub(3)..].join("\n"))
}

/// Describes a tool call in one line for a person: the command, the path, the pattern.
pub(super) fn tool_input(input: &Value) -> String {
    const DESCRIPTIVE_KEYS: [&str; 14] = [
        "command",
        "cmd",
        "file_path",
        "filePath",
        "notebook_path",
        "pattern",
        "query",
        "url",
        "path",
        "skill",
        "description",
        "prompt",
        "title",
        "summary",
    ];
    let text = match input {
        Value::String(text) => text.clone(),
        Value::Object(fields) => match DESCRIPTIVE_KEYS.iter().find_map(|key| fields.get(*key)?.as_str()) {
            Some(description) => match (fields.get("pattern"), fields.get("path").and_then(Value::as_str)) {
                (Some(_), Some(path)) => format!("{description} in {path}"),
                _ => description.to_owned(),
            },
            None if fields.is_empty() => String::new(),
            None => input.to_string(),
        },
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_)) => other.to_string(),
    };
    one_line(&text, TOOL_INPUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_line_loses_colours_and_breaks_and_keeps_its_words() {
        assert_eq!(
            one_line("\u{1b}[91m\u{1b}[1mError: \u{1b}[0mSession\r\n\tnot found\n", 80),
            "Error: Session not found"
        );
        assert_eq!(one_line("äöü äöü", 4), "äöü…");
        assert_eq!(cut("äöü", 2), "äö… [2 more bytes]");
    }

    #[test]
    fn a_tool_call_is_described_by_what_it_acts_on() {
        assert_eq!(tool_input(&json!({"description": "d", "command": "ls\n  -l"})), "ls -l");
        assert_eq!(tool_input(&json!({"pattern": "fn main", "path": "src"})), "fn main in src");
        assert_eq!(tool_input(&json!({"a": 1})), r#"{"a":1}"#);
        assert_eq!(tool_input(&json!({})), "");
    }

    proptest! {
        #[test]
        fn cuts_never_split_a_character(text in ".*", max in 0usize..50) {
            let line = one_line(&text, max);
            prop_assert!(line.chars().count() <= max + 1);
            prop_assert!(!line.chars().any(|c| c.is_control()));
            prop_assert!(cut(&text, max).chars().count() <= max + 40);
        }
    }
}
