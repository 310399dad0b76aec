//! The answer in JSON that ends an agent's work, as text for a person. PURE.

use serde_json::{Map, Value};

/// Places that are tried for the beginning of the object.
const TRIED: usize = 100;

/// What an agent says, without the raw JSON of its answer: what came before it, and the answer as text. `None`: it ends with
/// no answer.
pub(super) fn readable(text: &str) -> Option<(&str, String)> {
    let (before, answer) = split(text)?;
    let mut told = String::new();
    for (name, value) in &answer {
        field(&mut told, before, name, value);
    }
    Some((before, told.trim_end().to_owned()))
}

/// The words before the last object, and the object, where that is an answer to orch.
fn split(text: &str) -> Option<(&str, Map<String, Value>)> {
    let text = text.trim_end();
    let inner = text.strip_suffix("```").map_or(text, str::trim_end);
    let is_fenced = inner.len() < text.len();
    if !inner.ends_with('}') {
        return None;
    }
    let mut starts = inner.match_indices('{').map(|(at, _)| at).take(TRIED);
    let found = starts.find_map(|at| Some((at, serde_json::from_str::<Map<String, Value>>(&inner[at..]).ok()?)));
    let (at, object) = found.filter(|(_, object)| is_answer(object))?;
    let before = inner[..at].trim_end();
    let before = if is_fenced { before.trim_end_matches("```json").trim_end_matches("```") } else { before };
    Some((before.trim_end(), object))
}

/// An answer to a task, to a review or to a routing question, by the fields that each must have.
fn is_answer(object: &Map<String, Value>) -> bool {
    let has = |name: &str| object.get(name).is_some_and(Value::is_string);
    (has("status") && has("summary")) || (has("decision") && has("notes")) || (has("executor") && has("complexity"))
}

fn field(told: &mut String, before: &str, name: &str, value: &Value) {
    let plain = name.replace('_', " ");
    match value {
        // What orch itself tells better: the commits, the verdict.
        _ if matches!(name, "commit" | "files_changed") => {}
        Value::String(text) if name == "status" && text == "done" => {}
        Value::String(text) if text.trim().is_empty() || before.contains(text.trim()) => {}
        Value::String(text) if matches!(name, "summary" | "notes" | "result") => {
            told.push_str(text.trim_end());
            told.push('\n');
        }
        Value::String(text) => told.push_str(&format!("{plain}: {}\n", text.trim_end())),
        Value::Array(items) if !items.is_empty() => {
            told.push_str(&format!("{plain}:\n"));
            items.iter().for_each(|item| told.push_str(&format!("  - {}\n", item_text(item))));
        }
        Value::Array(_) | Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text as it is; of an object, its texts and numbers.
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

    fn told(text: &str) -> Option<String> {
        readable(text).map(|(before, answer)| format!("{before}|{answer}"))
    }

    #[test]
    fn an_answer_is_told_in_words_and_its_summary_once() {
        let json = r#"{"status":"done","summary":"Added hello.txt.","files_changed":["hello.txt"],"remaining":[]}"#;
        assert_eq!(told(json).as_deref(), Some("|Added hello.txt."));
        assert_eq!(told(&format!("Added hello.txt.\n\n{json}\n")).as_deref(), Some("Added hello.txt.|"));
        let fenced = format!("All is well.\n```json\n{json}\n```\n");
        assert_eq!(told(&fenced).as_deref(), Some("All is well.|Added hello.txt."));
        let pretty =
            "Look: {a}\n{\n  \"status\": \"blocked\",\n  \"summary\": \"Half.\",\n  \"blockers\": [\"no key\"]\n}";
        assert_eq!(told(pretty).as_deref(), Some("Look: {a}|status: blocked\nHalf.\nblockers:\n  - no key"));
    }

    #[test]
    fn a_reviewers_points_are_lines() {
        let json = r#"{"decision":"request_changes","commit":"abc","notes":"Close.","issues":[{"severity":"error","file":"a.rs","line":3,"text":"wrong"}]}"#;
        let expected = "|decision: request_changes\nClose.\nissues:\n  - error · a.rs · 3 · wrong";
        assert_eq!(told(json).as_deref(), Some(expected));
    }

    #[test]
    fn other_json_is_left_as_it_was_said() {
        for text in
            ["", "plain", "{}", "{\"a\": 1}", "see {\"status\": 1}", "{\"status\":\"done\",\"summary\":\"x\"} and more"]
        {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
