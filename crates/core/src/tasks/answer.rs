//! The answer that orch asks of an agent. One type defines the prompt text, the validator, the JSON Schema and the
//! docs.
//!
//! Reading is generic over the type, so routing and review answers use the same code. It never guesses a status: what
//! does not follow the format is [`Malformed`], with a reason that a repair request can use.

mod objects;

use objects::Objects;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// What the agent says of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    /// Everything asked for is finished and committed.
    Done,
    /// Part of it is finished; more turns are needed.
    InProgress,
    /// It cannot go on before something else happens.
    Blocked,
    /// A person must decide.
    NeedsReview,
}

/// A piece of work that the agent hands on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Delegation {
    /// Title of the new task.
    pub title: String,
    /// What is to be done.
    #[serde(default)]
    pub body: String,
    /// Labels of the new task.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The agent that would do it best; empty where any will do.
    #[serde(default)]
    pub suggested_agent: String,
}

/// The report of an agent at the end of its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// How the work stands.
    pub status: AnswerStatus,
    /// What was done, in one or two sentences.
    pub summary: String,
    /// Finished points.
    #[serde(default)]
    pub accomplished: Vec<String>,
    /// Open points.
    #[serde(default)]
    pub remaining: Vec<String>,
    /// Paths of changed files, relative to the repository.
    #[serde(default)]
    pub files_changed: Vec<String>,
    /// What stands in the way.
    #[serde(default)]
    pub blockers: Vec<String>,
    /// Why the status is not done.
    #[serde(default)]
    pub reason: String,
    /// What the next agent should know.
    #[serde(default)]
    pub learnings: Vec<String>,
    /// Work handed on as new tasks; you go on when they are done, and are told what became of them.
    #[serde(default)]
    pub delegations: Vec<Delegation>,
    /// The whole text, in Markdown, where the task asks for one (research, a review); otherwise empty.
    #[serde(default)]
    pub result: String,
}

/// Asks for the answer's format; the fields follow.
pub const END_WITH_JSON: &str = "End your last message with one JSON object and write nothing after it. Its fields:";

/// Describes the fields of an answer of type `T`, one per line.
pub fn describe_type<T: JsonSchema>() -> String {
    describe(&loose_schema::<T>())
}

/// Why an answer could not be read. The reason is written for the agent that is asked to repair it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not in the agreed format: {reason}")]
pub struct Malformed {
    /// What is wrong, as a clause.
    pub reason: String,
}

impl Answer {
    /// Returns the schema for CLIs that take one, in the form that all of them accept: no references, every field
    /// required, no other field allowed.
    pub fn json_schema() -> Value {
        strict_schema::<Self>()
    }

    /// Returns the description of the format for the prompt.
    pub fn prompt_text() -> String {
        format!("{END_WITH_JSON}\n\n{}", describe_type::<Self>())
    }

    /// Reads the report: the structured answer if the CLI delivered one, else the last JSON object with a `status` in
    /// the text. Unknown fields are ignored; a missing status or a wrong type is malformed.
    pub fn parse(structured: Option<&Value>, final_text: Option<&str>) -> Result<Self, Malformed> {
        read(structured, final_text, "status")
    }
}

/// Reads an answer of type `T`: `structured` first, else the last JSON object with the field `key` in `final_text`.
pub fn read<T>(structured: Option<&Value>, final_text: Option<&str>, key: &str) -> Result<T, Malformed>
where
    T: DeserializeOwned + JsonSchema + 'static,
{
    let value = match structured.filter(|value| !value.is_null()) {
        Some(value) => value.clone(),
        None => Value::Object(object_in_text(final_text.unwrap_or_default(), key)?),
    };
    let value = without_nulls(value);
    check(&value, &shape_of::<T>(), "").map_err(|reason| Malformed { reason })?;
    serde_json::from_value(value).map_err(|error| Malformed { reason: error.to_string() })
}

/// Returns the loose schema of `T`. It is cached, because making one takes a hundred times as long as reading an
/// answer.
fn shape_of<T: JsonSchema + 'static>() -> Arc<Value> {
    static SHAPES: LazyLock<Mutex<HashMap<TypeId, Arc<Value>>>> = LazyLock::new(Mutex::default);
    let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(shapes.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(loose_schema::<T>())))
}

/// Returns the last JSON object in `text` that has the field `key`: the whole text, inside a fence, or among prose.
pub fn object_in_text(text: &str, key: &str) -> Result<Map<String, Value>, Malformed> {
    let malformed = |reason: String| Malformed { reason };
    if text.trim().is_empty() {
        return Err(malformed("there was no answer".to_owned()));
    }
    let (mut found, mut other, mut broken, mut at) = (None, false, None, 0);
    let mut objects = Objects::new(text);
    while let Some(offset) = text[at..].find('{') {
        at += offset;
        let end = objects.end(at);
        match end.map(|end| serde_json::from_str::<Map<String, Value>>(&text[at..end])) {
            Some(Ok(object)) if object.contains_key(key) => found = Some(object),
            Some(Ok(_)) => other = true,
            Some(Err(_)) | None => drop(broken.get_or_insert(at)),
        }
        at = end.unwrap_or(at + 1);
    }
    let error = broken.and_then(|at| cause_in(&text[at..]));
    found.ok_or_else(|| match (other, error) {
        (true, _) => malformed(format!("the JSON object has no `{key}`")),
        (false, Some(error)) => malformed(format!("the JSON object is broken: {error}")),
        (false, None) => malformed("there was no JSON object in the answer".to_owned()),
    })
}

/// Returns the syntax error of the object that starts here.
fn cause_in(text: &str) -> Option<String> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    stream.next()?.err().map(|cause| cause.to_string())
}

/// Returns the strict JSON Schema of `T` (OpenAI's rules for structured output, which the others accept too).
pub fn strict_schema<T: JsonSchema>() -> Value {
    let mut schema = loose_schema::<T>();
    tighten(&mut schema);
    schema
}

/// Describes the fields of a schema, one per line: name, whether required, type, meaning.
pub fn describe(schema: &Value) -> String {
    let required = names(schema.get("required"));
    let mut lines = Vec::new();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let must = if required.contains(&name.as_str()) { "required; " } else { "" };
        let about = field.get("description").and_then(Value::as_str).unwrap_or_default();
        lines.push(format!("- `{name}` ({must}{}): {about}", describe_type_of(field)));
    }
    lines.join("\n")
}

fn loose_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    schema
}

/// Drops keywords that structured output does not support and turns a choice of constants into an `enum`.
fn simplify(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    for key in ["title", "default", "format", "$schema"] {
        object.remove(key);
    }
    if let Some(choice) = object.get("oneOf").and_then(constants) {
        object.remove("oneOf");
        let about = object.get("description").and_then(Value::as_str).unwrap_or_default();
        let meanings: Vec<String> = choice.iter().map(|(name, about)| format!("`{name}`: {about}")).collect();
        let about = format!("{about} {}", meanings.join(" "));
        let names: Vec<&String> = choice.iter().map(|(name, _)| name).collect();
        let (kind, choices, about) = (json!("string"), json!(names), json!(about.trim()));
        object.insert("type".to_owned(), kind);
        object.insert("enum".to_owned(), choices);
        object.insert("description".to_owned(), about);
    }
    for schema in subschemas(object) {
        simplify(schema);
    }
}

/// Makes every field required and allows no others.
fn tighten(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(fields) = object.get("properties").and_then(Value::as_object) {
        let names: Vec<String> = fields.keys().cloned().collect();
        object.insert("required".to_owned(), json!(names));
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    for schema in subschemas(object) {
        tighten(schema);
    }
}

fn subschemas(object: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    object.iter_mut().flat_map(|(key, value)| -> Vec<&mut Value> {
        match (key.as_str(), value) {
            ("properties", Value::Object(fields)) => fields.values_mut().collect(),
            ("items", items @ Value::Object(_)) => vec![items],
            ("anyOf", Value::Array(choices)) => choices.iter_mut().collect(),
            _ => Vec::new(),
        }
    })
}

/// Returns the names and meanings of a `oneOf` of constants, in order.
fn constants(one_of: &Value) -> Option<Vec<(String, String)>> {
    let choice = |schema: &Value| {
        let name = schema.get("const")?.as_str()?.to_owned();
        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        Some((name, about.to_owned()))
    };
    one_of.as_array()?.iter().map(choice).collect()
}

fn names(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn describe_type_of(schema: &Value) -> String {
    if schema.get("enum").is_some() {
        return names(schema.get("enum")).iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" | ");
    }
    match names_of_types(schema).first().copied() {
        Some("array") => format!("list of {}", plural(schema.get("items").unwrap_or(&Value::Null))),
        Some("object") => "object".to_owned(),
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    }
}

fn plural(items: &Value) -> String {
    let Some(fields) = items.get("properties").and_then(Value::as_object) else {
        return format!("{}s", describe_type_of(items));
    };
    let fields: Vec<String> =
        fields.iter().map(|(name, field)| format!("`{name}`: {}", describe_type_of(field))).collect();
    format!("objects {{{}}}", fields.join(", "))
}

fn names_of_types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        several => names(several),
    }
}

/// Validates `value` against a schema of this module; the error names the field.
fn check(value: &Value, schema: &Value, path: &str) -> Result<(), String> {
    let place = if path.is_empty() { "the answer".to_owned() } else { format!("`{path}`") };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = names_of_types(schema);
    let fits = types.is_empty() || types.contains(&kind) || (kind == "integer" && types.contains(&"number"));
    if !fits {
        return Err(format!("{place} must be a {}, but is {}", describe_type_of(schema), excerpt(value)));
    }
    let choices = names(schema.get("enum"));
    if value.as_str().is_some_and(|text| !choices.is_empty() && !choices.contains(&text)) {
        return Err(format!("{place} must be one of {}, but is {}", describe_type_of(schema), excerpt(value)));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(item, schema.get("items").unwrap_or(&Value::Null), &format!("{path}[{index}]"))?;
    }
    check_fields(value, schema, path)
}

fn check_fields(value: &Value, schema: &Value, path: &str) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if let Some(name) = names(schema.get("required")).into_iter().find(|name| !object.contains_key(*name)) {
        return Err(format!("`{}` is missing", inner(name)));
    }
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(value) = object.get(name) {
            check(value, field, &inner(name))?;
        }
    }
    Ok(())
}

/// Shortens a value for an error message.
fn excerpt(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

/// Removes fields that are `null`, which count as absent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &str) -> String {
        Answer::parse(None, Some(text)).expect_err("malformed").reason
    }

    #[test]
    fn the_schema_is_strict_all_the_way_down() {
        let schema = Answer::json_schema();
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["required"].as_array().expect("list").len(), 10);
        assert_eq!(schema["properties"]["status"]["enum"], json!(["done", "in_progress", "blocked", "needs_review"]));
        let delegation = &schema["properties"]["delegations"]["items"];
        assert_eq!(delegation["required"], json!(["title", "body", "labels", "suggested_agent"]));
        assert_eq!(delegation["additionalProperties"], json!(false));
        let text = schema.to_string();
        for absent in ["$ref", "$schema", "oneOf", "\"default\"", "\"const\""] {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
    }

    #[test]
    fn the_prompt_names_every_field_and_every_status() {
        let text = Answer::prompt_text();
        for name in Answer::json_schema()["properties"].as_object().expect("fields").keys() {
            assert!(text.contains(&format!("- `{name}` (")), "{name} in {text}");
        }
        assert!(
            text.contains("`status` (required; \"done\" | \"in_progress\" | \"blocked\" | \"needs_review\")"),
            "{text}"
        );
        assert!(
            text.contains(
                "objects {`title`: string, `body`: string, `labels`: list of strings, `suggested_agent`: string}"
            ),
            "{text}"
        );
    }

    #[test]
    fn an_answer_is_found_whole_fenced_and_among_prose() {
        let object = r#"{"status":"done","summary":"s","new_field":1}"#;
        let among =
            format!("Example: {{\"status\":\"blocked\",\"summary\":\"x\"}}. {{ not json }} I did: {object} bye");
        for text in [object.to_owned(), format!("Done.\n```json\n{object}\n```\n"), among] {
            let answer = Answer::parse(None, Some(&text)).expect("an answer");
            assert_eq!((answer.status, answer.summary.as_str()), (AnswerStatus::Done, "s"), "{text}");
        }
    }

    #[test]
    fn the_structured_answer_comes_before_the_text() {
        let structured = json!({"status": "blocked", "summary": "s", "blockers": ["b"], "reason": null});
        let answer = Answer::parse(Some(&structured), Some(r#"{"status":"done","summary":"x"}"#)).expect("an answer");
        assert_eq!((answer.status, answer.reason.as_str()), (AnswerStatus::Blocked, ""));
        assert!(Answer::parse(Some(&Value::Null), None).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        assert_eq!(reason("  "), "there was no answer");
        assert_eq!(reason("all done"), "there was no JSON object in the answer");
        assert_eq!(reason(r#"{"summary":"s"}"#), "the JSON object has no `status`");
        assert_eq!(reason(r#"{"status":"done"}"#), "`summary` is missing");
        assert_eq!(reason(r#"{"status":null,"summary":"s"}"#), "`status` is missing");
        assert!(reason(r#"{"status":"finished","summary":"s"}"#).contains("but is \"finished\""));
        assert_eq!(
            reason(r#"{"status":"done","summary":"s","files_changed":"a"}"#),
            "`files_changed` must be a list of strings, but is \"a\""
        );
        assert!(
            reason(r#"{"status":"done","summary":"s","delegations":[{"body":"b"}]}"#).contains("delegations[0].title")
        );
        assert!(reason(r#"{"status":"done","#).starts_with("the JSON object is broken"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[{}\"\\[\\]:, a-z\\\\é\n]{0,200}") {
            let _ = Answer::parse(None, Some(&text));
        }

        #[test]
        fn an_answer_survives_the_way_through_text(summary in ".*", lead in "[^{]*", files in proptest::collection::vec(".*", 0..3)) {
            let written = json!({"status": "in_progress", "summary": summary, "files_changed": files});
            let answer = Answer::parse(None, Some(&format!("{lead}{written}\n"))).expect("an answer");
            prop_assert_eq!(answer.summary, summary);
            prop_assert_eq!(answer.files_changed, files);
        }
    }
}
