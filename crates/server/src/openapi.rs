//! The OpenAPI document, from the routes and the types that cross the wire. schemars makes the schemas, because it
//! does so for the configuration already; what is left is small enough to be written down here.

use super::routes;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::MethodFilter;
use orch_api::problem::{self, Problem};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// Adds a type's schema to the document, and refers to it.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route is asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Asks for something.
    Post,
    /// Changes some of it.
    Patch,
}

impl Method {
    /// For the router.
    pub fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Patch => MethodFilter::PATCH,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Patch => "patch",
        }
    }
}

/// One route, as the document tells it.
pub struct Operation {
    /// What it is asked with.
    pub method: Method,
    /// Where.
    pub path: &'static str,
    summary: &'static str,
    query: Option<SchemaOf>,
    body: Option<SchemaOf>,
    media_type: &'static str,
    answer: Option<SchemaOf>,
}

/// A route that reads.
pub fn get(path: &'static str, summary: &'static str) -> Operation {
    operation(Method::Get, path, summary)
}

/// A route that asks for something.
pub fn post(path: &'static str, summary: &'static str) -> Operation {
    operation(Method::Post, path, summary)
}

/// A route that changes some of what is there.
pub fn patch(path: &'static str, summary: &'static str) -> Operation {
    operation(Method::Patch, path, summary)
}

fn operation(method: Method, path: &'static str, summary: &'static str) -> Operation {
    Operation { method, path, summary, query: None, body: None, media_type: "application/json", answer: None }
}

impl Operation {
    /// What may stand behind the `?`.
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(SchemaGenerator::root_schema_for::<T>);
        self
    }

    /// The body that it takes.
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(SchemaGenerator::root_schema_for::<T>);
        self
    }

    /// The document that it answers with.
    pub fn answer<T: JsonSchema>(mut self) -> Self {
        self.answer = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// The data of each server-sent event that it answers with.
    pub fn events<T: JsonSchema>(mut self) -> Self {
        self.media_type = "text/event-stream";
        self.answer::<T>()
    }

    /// Something else that it answers with.
    pub fn text(mut self, media_type: &'static str) -> Self {
        self.media_type = media_type;
        self
    }

    fn document(&self, made: &mut Schemas) -> Value {
        let mut told = json!({ "summary": self.summary, "operationId": self.id() });
        let parameters: Vec<Value> = self.path_parameters().into_iter().chain(self.query_parameters()).collect();
        if !parameters.is_empty() {
            told["parameters"] = parameters.into();
        }
        if let Some(body) = self.body {
            let schema = without_dialect(body(&mut read()));
            told["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
        let content = match self.answer {
            Some(answer) => json!({ "schema": answer(&mut made.0) }),
            None => json!({}),
        };
        let problem = made.0.subschema_for::<Problem>();
        told["responses"] = json!({
            "200": { "description": "Done", "content": { self.media_type: content } },
            "default": { "description": "Not done, and why", "content": { problem::MEDIA_TYPE: { "schema": problem } } },
        });
        told
    }

    /// `GET /v1/tasks/{id}/why` is `getTasksIdWhy`.
    fn id(&self) -> String {
        let words =
            self.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty() && *word != "v1");
        let mut id = self.method.as_str().to_owned();
        for word in words {
            let (first, rest) = word.split_at(1);
            id.push_str(&first.to_uppercase());
            id.push_str(rest);
        }
        id
    }

    fn path_parameters(&self) -> Vec<Value> {
        let names = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameter = |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
        names.map(parameter).collect()
    }

    fn query_parameters(&self) -> Vec<Value> {
        let Some(query) = self.query else { return Vec::new() };
        let schema = query(&mut read()).to_value();
        let fields = schema["properties"].as_object().cloned().unwrap_or_default();
        let parameter = |(name, mut schema): (String, Value)| {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
        };
        fields.into_iter().map(parameter).collect()
    }
}

/// Schemas of what is answered: a field that is always there is told to be.
struct Schemas(SchemaGenerator);

impl Schemas {
    fn new() -> Self {
        let at = |settings: &mut SchemaSettings| settings.definitions_path = "/components/schemas".into();
        Self(SchemaSettings::draft2020_12().with(at).for_serialize().into_generator())
    }
}

/// Schemas of what is read: what may be left out is told so, everything in one piece.
fn read() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator()
}

fn without_dialect(mut schema: Schema) -> Schema {
    schema.remove("$schema");
    schema
}

/// The whole document.
fn build() -> Value {
    let mut made = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in routes::operations() {
        let told = operation.document(&mut made);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str()] = told;
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
        let stream = &document["paths"]["/v1/tasks/{id}/stream"]["get"];
        let names: Vec<&Value> =
            stream["parameters"].as_array().expect("parameters").iter().map(|p| &p["name"]).collect();
        assert_eq!(names, ["id", "run", "from", "tail", "since", "first", "part", "cursor"]);
        assert_eq!(stream["parameters"][2]["description"], "From this byte of the newest run on.");
        assert!(stream["responses"]["200"]["content"]["text/event-stream"]["schema"]["$ref"].is_string());
        let add = &document["paths"]["/v1/tasks"]["post"];
        assert_eq!(add["operationId"], "postTasks");
        let body = &add["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["additionalProperties"], false);
        assert!(body["properties"]["depends_on"]["items"].is_object());
        let task = &document["components"]["schemas"]["TaskView"];
        let required = task["required"].as_array().expect("required");
        assert!(required.contains(&json!("hold")) && !required.contains(&json!("runs")), "{required:?}");
    }
}
