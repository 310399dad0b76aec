//! The parts of the routing prompt that describe the answer and the choice: the schema, the same as text, the
//! complexity guide, and the agents' strengths. The text is made from the schema, so that they cannot differ.

use crate::prompts::prompt::data::one_line;
use crate::tasks::route::Complexity;
use serde_json::{Map, Value, json};

/// Returns the JSON Schema of the answer, in the strict form that providers demand: every field required, none added.
/// The lists hold the names that may be chosen; an empty list leaves the choice open.
pub fn schema(agents: &[String], skills: &[String], tools: &[String]) -> Value {
    let tiers = Complexity::ALL.map(|c| c.as_str().to_owned());
    object([
        ("executor", one_of(agents, "the agent that shall do the task")),
        ("complexity", one_of(&tiers, "how hard the task is, by the guide")),
        ("reason", text("why, in one sentence")),
        ("profile", profile(tools)),
        (
            "selected_skills",
            list(one_of(skills, "a skill's name"), "the skills of the catalogue that this task needs; often none"),
        ),
    ])
}

fn profile(tools: &[String]) -> Value {
    let mut profile = object([
        ("role", text("for instance \"backend specialist\"")),
        ("skills", list(text("a field of knowledge"), "what the agent should be good at for this task")),
        ("tools", list(one_of(tools, "a command"), "command-line tools that the task needs")),
        ("constraints", list(text("a constraint"), "what the agent must take care of in this task")),
    ]);
    profile["description"] = Value::from("the part the agent plays in this task");
    profile
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let required = json!(required);
    let properties: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn one_of(values: &[String], description: &str) -> Value {
    let mut field = text(description);
    if !values.is_empty() {
        field["enum"] = json!(values);
    }
    field
}

fn list(items: Value, description: &str) -> Value {
    json!({ "type": "array", "items": items, "description": description })
}

/// Describes the answer's format as text with a skeleton. `schema` is the result of [`schema`].
pub fn format_text(schema: &Value) -> String {
    let skeleton = serde_json::to_string_pretty(&skeleton(schema)).unwrap_or_default();
    let mut lines = Vec::new();
    describe(schema, "", &mut lines);
    format!("```json\n{skeleton}\n```\n\n{}", lines.join("\n"))
}

fn skeleton(schema: &Value) -> Value {
    if let Some(properties) = schema["properties"].as_object() {
        return properties.iter().map(|(name, field)| (name.clone(), skeleton(field))).collect();
    }
    match schema.get("items") {
        Some(items) => Value::Array(vec![skeleton(items)]),
        None => Value::from(format!("<{}>", schema["description"].as_str().unwrap_or("text"))),
    }
}

fn describe(schema: &Value, prefix: &str, lines: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let kind = match (field["type"].as_str(), choices(field), choices(&field["items"])) {
            (Some("array"), _, Some(choices)) => format!("list, each one of {choices}"),
            (Some("array"), _, None) => "list of texts".to_owned(),
            (_, Some(choices), _) => format!("one of {choices}"),
            (Some("object"), None, _) => "object".to_owned(),
            (_, None, _) => "text".to_owned(),
        };
        lines.push(format!("- `{path}` ({kind}): {}", field["description"].as_str().unwrap_or_default()));
        describe(field, &format!("{path}."), lines);
    }
}

fn choices(field: &Value) -> Option<String> {
    let quoted = |value: &Value| format!("`{}`", value.as_str().unwrap_or_default());
    Some(field["enum"].as_array()?.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// Returns the guide that tells the complexities apart.
pub fn complexity_guide() -> String {
    let line = |complexity: Complexity| {
        let means = match complexity {
            Complexity::Simple => {
                "documentation, configuration, typos, a change in a single file that is clear beforehand"
            }
            Complexity::Medium => {
                "a feature over several files, a bug to be found and fixed, tests, a small refactoring"
            }
            Complexity::Complex => {
                "architecture, a large refactoring, a migration, a fault that spans several systems, subtle concurrency or security"
            }
        };
        format!("- `{complexity}`: {means}\n")
    };
    let lines: String = Complexity::ALL.into_iter().map(line).collect();
    format!("{lines}\nWhen in doubt: `{}`.", Complexity::Medium)
}

/// Returns the strengths of an agent; `None` for one that orch does not know.
pub fn describe_agent(name: &str) -> Option<&'static str> {
    match name {
        "claude" => Some(
            "documentation and writing, user interfaces, refactoring, careful work over many files, open questions",
        ),
        "codex" => Some("backend code, APIs, databases, algorithms, hunting bugs, well-specified changes"),
        "opencode" => Some("general coding with models of many providers, small and quick changes"),
        "kimi" => Some("general coding, long inputs, low price"),
        "minimax" => Some("general coding, routine changes, low price"),
        _ => None,
    }
}

/// Renders a list line for the prompt: the agent and its description.
pub(crate) fn agent_line(name: &str, own: Option<&String>) -> String {
    let about = own.map(|text| one_line(text, 300)).filter(|text| !text.is_empty());
    let about = about.or_else(|| describe_agent(name).map(str::to_owned));
    format!("- `{name}`: {}", about.unwrap_or_else(|| "a program the user declared; nothing more is known".to_owned()))
}
