//! The OpenAPI document, from the table of endpoints and the types that cross the wire. schemars makes the schemas, because it
//! does so for the configuration already; what is left is small enough to be written down here.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use orch_api::endpoint::{self, Description};
use orch_api::problem::{self, Problem};
use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// One endpoint, as the document describes it.
fn operation(endpoint: &Description, made: &mut Schemas) -> Value {
    let mut operation = json!({ "summary": endpoint.summary, "operationId": operation_id(endpoint) });
    let parameters: Vec<Value> = path_parameters(endpoint).into_iter().chain(query_parameters(endpoint)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = endpoint.body {
        let schema = without_dialect(body(&mut read()));
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    let content = match endpoint.answer {
        Some(answer) => json!({ "schema": answer(&mut made.0) }),
        None => json!({}),
    };
    let problem = made.0.subschema_for::<Problem>();
    operation["responses"] = json!({
        "200": { "description": "Done", "content": { endpoint.media_type: content } },
        "default": { "description": "Not done, and why", "content": { problem::MEDIA_TYPE: { "schema": problem } } },
    });
    operation
}

/// Returns the id of an operation: `getTasksIdWhy` for `GET /v1/tasks/{id}/why`.
fn operation_id(endpoint: &Description) -> String {
    let words = endpoint.path.split(|c: char| !c.is_ascii_alphanumeric());
    let mut id = endpoint.method.as_str().to_lowercase();
    for word in words.filter(|word| !word.is_empty() && *word != "v1") {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_uppercase());
        id.push_str(rest);
    }
    id
}

fn path_parameters(endpoint: &Description) -> Vec<Value> {
    let names = endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    names.map(parameter).collect()
}

fn query_parameters(endpoint: &Description) -> Vec<Value> {
    let Some(query) = endpoint.query else { return Vec::new() };
    let schema = query(&mut read()).to_value();
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
    };
    fields.into_iter().map(parameter).collect()
}

/// The schemas of answers: a field that is always present is required.
struct Schemas(SchemaGenerator);

impl Schemas {
    fn new() -> Self {
        let at = |settings: &mut SchemaSettings| settings.definitions_path = "/components/schemas".into();
        Self(SchemaSettings::draft2020_12().with(at).for_serialize().into_generator())
    }
}

/// Returns a generator for requests: a field that may be left out is optional, and all types are inlined.
fn read() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator()
}

fn without_dialect(mut schema: Schema) -> Schema {
    schema.remove("$schema");
    schema
}

/// The whole document.
pub fn build() -> Value {
    let mut made = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoint::ALL {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_lowercase()] = operation(endpoint, &mut made);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "orch",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The API of the orch daemon, on its Unix socket and, where http.listen says so, on loopback.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": made.0.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Over TCP only; the Unix socket needs none." },
            },
        },
    })
}

/// Answers with the document.
pub async fn document() -> impl IntoResponse {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| build().to_string().into());
    ([(CONTENT_TYPE, "application/json")], document.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_api::endpoint::Endpoint;

    /// All references in a document.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|inner| references(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = build();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn a_route_is_told_with_what_it_takes_and_gives() {
        let document = build();
        let stream = &document["paths"][endpoint::TaskStream::DESCRIPTION.path]["get"];
        let names: Vec<&Value> =
            stream["parameters"].as_array().expect("parameters").iter().map(|p| &p["name"]).collect();
        assert_eq!(names, ["id", "run", "from", "tail", "since", "first", "part", "cursor"]);
        assert_eq!(stream["parameters"][2]["description"], "From this byte of the newest run on.");
        assert!(stream["responses"]["200"]["content"]["text/event-stream"]["schema"]["$ref"].is_string());
        let add = &document["paths"][endpoint::TaskAdd::DESCRIPTION.path]["post"];
        assert_eq!(add["operationId"], "postTasks");
        let body = &add["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["additionalProperties"], false);
        assert!(body["properties"]["depends_on"]["items"].is_object());
        let task = &document["components"]["schemas"]["TaskView"];
        let required = task["required"].as_array().expect("required");
        assert!(required.contains(&json!("hold")) && !required.contains(&json!("runs")), "{required:?}");
    }
}
