//! Converts a task to the small YAML text that a person edits, and back. PURE.

use orch_api::edits::TaskFields;
use orch_config::yaml::{YamlError, read_or_default};
use orch_core::base::ids::TaskId;
use orch_core::tasks::route::Complexity;
use orch_core::tasks::spec_merge::Field;
use orch_core::tasks::task::Spec;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// The indentation of the lines of a body.
const MARGIN: &str = "  ";

/// The text after editing. A missing field is unchanged.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    title: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    priority: Option<i64>,
    labels: Option<Vec<String>>,
    depends_on: Option<Vec<TaskId>>,
    parent: Option<TaskId>,
    dir: Option<PathBuf>,
    assignee: Option<String>,
    agent: Option<String>,
    model: Option<String>,
    complexity: Option<Complexity>,
    body: Option<String>,
}

/// Returns the text for a task.
pub fn text_of(id: TaskId, spec: &Spec) -> String {
    let mut text = format!(
        "# Task {id}. Save and leave the editor to change it; leave without a change, or with an empty file, to change\n\
         # nothing. A line that you take out says that there is nothing.\n"
    );
    for field in Field::ALL {
        let value = match field.value(spec) {
            Value::Null => String::new(),
            Value::String(body) if field == Field::Body => block(&body),
            value @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                format!(" {}", quoted(&value))
            }
        };
        text.push_str(&format!("{}:{value}\n", field.key()));
    }
    text
}

/// Returns a value as JSON, which is valid YAML after escaping some characters.
fn quoted(value: &Value) -> String {
    let is_special =
        |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let one = |c: char| if is_special(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    value.to_string().chars().map(one).collect()
}

/// Returns a text as a block of lines if that is lossless, else quoted.
fn block(text: &str) -> String {
    let is_special =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    let is_plain =
        !text.trim().is_empty() && !text.contains(is_special) && text.lines().all(|line| line.trim_end() == line);
    if text.is_empty() {
        return String::new();
    }
    if !is_plain || text.starts_with(['\n', ' ']) {
        return format!(" {}", quoted(&Value::from(text)));
    }
    let keep = match (text.ends_with("\n\n"), text.ends_with('\n')) {
        (true, _) => return format!(" {}", quoted(&Value::from(text))),
        (false, true) => "|",
        (false, false) => "|-",
    };
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("{MARGIN}{line}") });
    format!(" {keep}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Parses the edited text; `None` if it is empty, which cancels the edit.
///
/// # Errors
/// Where the text is wrong, and why.
pub fn read(text: &str) -> Result<Option<Spec>, YamlError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(None);
    }
    let form: Form = read_or_default(text)?;
    let fields = TaskFields {
        title: Some(form.title.unwrap_or_default()),
        body: Some(form.body.unwrap_or_default()),
        labels: Some(form.labels.unwrap_or_default()),
        priority: Some(form.priority.unwrap_or_default()),
        depends_on: Some(form.depends_on.unwrap_or_default()),
        parent: Some(form.parent),
        dir: Some(form.dir),
        kind: Some(form.kind),
        assignee: Some(form.assignee),
        agent: Some(form.agent),
        model: Some(form.model),
        complexity: Some(form.complexity),
    };
    Ok(Some(fields.into_spec().0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_form_reads_like_this() {
        let spec = Spec {
            title: "Fix: \"it\"".into(),
            body: "First.\n\n  indented\n".into(),
            labels: vec!["a".into(), "b: c".into()],
            depends_on: vec![TaskId(3)],
            agent: Some("claude".into()),
            ..Spec::default()
        };
        let text = text_of(TaskId(7), &spec);
        let (_, fields) = text.split_once("nothing.\n").expect("a head");
        assert_eq!(
            fields,
            "title: \"Fix: \\\"it\\\"\"\ntype:\npriority: 0\nlabels: [\"a\",\"b: c\"]\ndepends_on: [3]\nparent:\ndir:\n\
             assignee:\nagent: \"claude\"\nmodel:\ncomplexity:\nbody: |\n  First.\n\n    indented\n"
        );
        assert_eq!(read(&text).expect("reads"), Some(spec));
    }

    #[test]
    fn a_mistake_has_its_place_and_an_empty_text_says_nothing() {
        assert_eq!(read("# only\n\n").expect("reads"), None);
        let error = read("title: x\npriority: soon\n").expect_err("no number");
        assert_eq!((error.line, error.column), (2, 11));
        assert_eq!(read("title: x\nstatus: done\n").expect_err("not a field of the person's").line, 2);
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_it_was(title in ".{0,20}", body in "(?s)[ \\n\\t#:a-c\"'|\u{e9}\u{2028}\r]{0,40}") {
            let spec = Spec { title, body, ..Spec::default() };
            prop_assert_eq!(read(&text_of(TaskId(1), &spec)).expect("reads"), Some(spec));
        }
    }
}
