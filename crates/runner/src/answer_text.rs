//! Renders the JSON answer at the end of an agent's work as text for a person. PURE.

use serde_json::{Map, Value};

/// The most places that are tried as the beginning of the object.
const MAX_STARTS: usize = 100;

/// Splits a text into what precedes its JSON answer, and the answer as text. `None` when it does not end with an answer.
pub(super) fn readable(text: &str) -> Option<(&str, String)> {
    let (before, answer) = split(text)?;
    let mut rendered = String::new();
    for (name, value) in &answer {
        field(&mut rendered, before, name, value);
    }
    Some((before, rendered.trim_end().to_owned()))
}

/// Splits off the object at the end of the text, if it is an answer to orch.
fn split(text: &str) -> Option<(&str, Map<String, Value>)> {
    let text = text.trim_end();
    let inner = text.strip_suffix("```").map_or(text, str::trim_end);
    let is_fenced = inner.len() < text.len();
    if !inner.ends_with('}') {
        return None;
    }
    let mut starts = inner.match_indices('{').map(|(at, _)| at).take(MAX_STARTS);
    let found = starts.find_map(|at| Some((at, serde_json::from_str::<Map<String, Value>>(&inner[at..]).ok()?)));
    let (at, object) = found.filter(|(_, object)| is_answer(object))?;
    let before = inner[..at].trim_end();
    let before = if is_fenced { before.trim_end_matches("```json").trim_end_matches("```") } else { before };
    Some((before.trim_end(), object))
}

/// Returns whether the object is an answer to a task, a review or a routing question, by its required fields.
fn is_answer(object: &Map<String, Value>) -> bool {
    let has = |name: &str| object.get(name).is_some_and(Value::is_string);
    (has("status") && has("summary")) || (has("decision") && has("notes")) || (has("executor") && has("complexity"))
}

fn field(rendered: &mut String, before: &str, name: &str, value: &Value) {
    let plain = name.replace('_', " ");
    match value {
        // orch reports the commits and the verdict itself.
        _ if matches!(name, "commit" | "files_changed") => {}
        Value::String(text) if name == "status" && text == "done" => {}
        Value::String(text) if text.trim().is_empty() || before.contains(text.trim()) => {}
        Value::String(text) if matches!(name, "summary" | "notes" | "result") => {
            rendered.push_str(text.trim_end());
            rendered.push('\n');
        }
        Value::String(text) => rendered.push_str(&format!("{plain}: {}\n", text.trim_end())),
        Value::Array(items) if !items.is_empty() => {
            rendered.push_str(&format!("{plain}:\n"));
            items.iter().for_each(|item| rendered.push_str(&format!("  - {}\n", item_text(item))));
        }
        Value::Array(_) | Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Renders an item of a list: a text as it is, an object by its texts and numbers.
fn item_text(item: &Value) -> String {
    match item {
        Value::String(text) => text.trim_end().to_owned(),
        Value::Object(fields) => {
            let texts = fields.values().filter_map(|value| match value {
                Value::String(text) if !text.trim().is_empty() => Some(text.trim_end().to_owned()),
                Value::Number(number) => Some(number.to_string()),
                Value::String(_) | Value::Array(_) | Value::Object(_) | Value::Null | Value::Bool(_) => None,
            });
            texts.collect::<Vec<_>>().join(" · ")
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => item.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        readable(text).map(|(before, answer)| format!("{before}|{answer}"))
    }

    #[test]
    fn an_answer_becomes_text_and_its_summary_is_not_repeated() {
        let json = r#"{"status":"done","summary":"Added hello.txt.","files_changed":["hello.txt"],"remaining":[]}"#;
        assert_eq!(shown(json).as_deref(), Some("|Added hello.txt."));
        assert_eq!(shown(&format!("Added hello.txt.\n\n{json}\n")).as_deref(), Some("Added hello.txt.|"));
        let fenced = format!("All is well.\n```json\n{json}\n```\n");
        assert_eq!(shown(&fenced).as_deref(), Some("All is well.|Added hello.txt."));
        let pretty =
            "Look: {a}\n{\n  \"status\": \"blocked\",\n  \"summary\": \"Half.\",\n  \"blockers\": [\"no key\"]\n}";
        assert_eq!(shown(pretty).as_deref(), Some("Look: {a}|status: blocked\nHalf.\nblockers:\n  - no key"));
    }

    #[test]
    fn a_reviewers_points_are_lines() {
        let json = r#"{"decision":"request_changes","commit":"abc","notes":"Close.","issues":[{"severity":"error","file":"a.rs","line":3,"text":"wrong"}]}"#;
        let expected = "|decision: request_changes\nClose.\nissues:\n  - error · a.rs · 3 · wrong";
        assert_eq!(shown(json).as_deref(), Some(expected));
    }

    #[test]
    fn other_json_is_left_unchanged() {
        for text in
            ["", "plain", "{}", "{\"a\": 1}", "see {\"status\": 1}", "{\"status\":\"done\",\"summary\":\"x\"} and more"]
        {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
