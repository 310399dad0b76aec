//! docs/reference/api.md, from the OpenAPI document.

use super::generated::{code, must_hold, plain, table};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn the_page_of_the_api_lists_what_the_openapi_document_says() {
    let mut document = orch_server::openapi_document();
    let scalars = take_scalars(&mut document);
    put_in_place(&mut document, &scalars);
    must_hold("docs/reference/api.md", "requests", &requests(&document));
    must_hold("docs/reference/api.md", "documents", &documents(&document));
}

/// The named types that are only a text or a number: they are shown where they are used.
fn take_scalars(document: &mut Value) -> BTreeMap<String, Value> {
    let is_scalar = |schema: &Value| {
        ["string", "integer", "number", "boolean"].iter().any(|name| schema["type"] == *name)
            && schema["enum"].is_null()
    };
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return BTreeMap::new() };
    let scalars =
        schemas.iter().filter(|(_, schema)| is_scalar(schema)).map(|(name, schema)| (name.clone(), schema.clone()));
    let scalars: BTreeMap<String, Value> = scalars.collect();
    schemas.retain(|name, _| !scalars.contains_key(name));
    scalars
}

fn put_in_place(value: &mut Value, scalars: &BTreeMap<String, Value>) {
    let reference = value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
    if let Some(scalar) = reference.and_then(|name| scalars.get(name)) {
        let about = value.get("description").cloned();
        *value = scalar.clone();
        value["description"] = about.unwrap_or_default();
        return;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|inner| put_in_place(inner, scalars)),
        Value::Array(items) => items.iter_mut().for_each(|inner| put_in_place(inner, scalars)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Renders the requests, grouped by the first part of the path.
fn requests(document: &Value) -> String {
    let mut groups: BTreeMap<&str, String> = BTreeMap::new();
    for (path, methods) in object(&document["paths"]) {
        let group = path.split('/').find(|word| !["", "v1"].contains(word)).unwrap_or_default();
        for (method, operation) in object(methods) {
            groups.entry(group).or_default().push_str(&request(path, &method.to_uppercase(), operation));
        }
    }
    groups.into_iter().map(|(group, text)| format!("## {group}\n\n{text}")).collect()
}

fn request(path: &str, method: &str, operation: &Value) -> String {
    let mut text = format!("### {method} {path}\n\n{}.\n\n", plain(operation["summary"].as_str().unwrap_or_default()));
    let query = array(&operation["parameters"]).filter(|parameter| parameter["in"] == "query");
    let rows: Vec<Vec<String>> = query
        .map(|parameter| {
            let name = parameter["name"].as_str().unwrap_or_default();
            vec![code(name), kind(&parameter["schema"]), described(parameter)]
        })
        .collect();
    text.push_str(&spaced(table(&["query", "type", "meaning"], &rows)));
    for (_, body) in object(&operation["requestBody"]["content"]) {
        text.push_str(&spaced(fields(&body["schema"], "body")));
    }
    for (media_type, answer) in object(&operation["responses"]["200"]["content"]) {
        let what = match (&answer["schema"], media_type.as_str()) {
            (Value::Null, media_type) => code(media_type),
            (schema, "text/event-stream") => format!("server-sent events of {}", kind(schema)),
            (schema, _) => kind(schema),
        };
        text.push_str(&format!("Answer: {what}.\n\n"));
    }
    text
}

fn documents(document: &Value) -> String {
    let schemas = object(&document["components"]["schemas"]);
    schemas.map(|(name, schema)| format!("### {name}\n\n{}", definition(schema))).collect()
}

fn definition(schema: &Value) -> String {
    let about = described(schema);
    let mut text = if about.is_empty() { about } else { format!("{about}\n\n") };
    let variants: Vec<&Value> = array(&schema["oneOf"]).chain(array(&schema["anyOf"])).collect();
    if variants.iter().any(|variant| variant["properties"].is_object()) {
        for variant in variants {
            let about = described(variant);
            text.push_str(&spaced(about));
            text.push_str(&spaced(fields(variant, "field")));
        }
    } else if variants.iter().any(|variant| variant["const"].is_string() || variant["enum"].is_array()) {
        let words = variants.iter().flat_map(|variant| words(variant).map(|word| (word, described(variant))));
        let rows: Vec<Vec<String>> = words.map(|(word, about)| vec![code(word), about]).collect();
        text.push_str(&spaced(table(&["value", "meaning"], &rows)));
    } else if schema["properties"].is_object() {
        text.push_str(&spaced(fields(schema, "field")));
    } else {
        text.push_str(&format!("Type: {}.\n\n", kind(schema)));
    }
    text
}

fn words(schema: &Value) -> impl Iterator<Item = &str> {
    schema["const"].as_str().into_iter().chain(array(&schema["enum"]).filter_map(Value::as_str))
}

/// A table of the fields, those of fields that are objects of their own below them.
fn fields(schema: &Value, head: &str) -> String {
    let mut rows = Vec::new();
    gather(schema, "", &mut rows);
    table(&[head, "type", "meaning"], &rows)
}

fn gather(schema: &Value, within: &str, rows: &mut Vec<Vec<String>>) {
    for part in array(&schema["allOf"]) {
        gather(part, within, rows);
    }
    let is_required = |name: &str| array(&schema["required"]).any(|required| required == name);
    for (name, field) in object(&schema["properties"]) {
        let path = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        let mut type_of = kind(field);
        if !is_required(name) {
            type_of.push_str("; optional");
        }
        rows.push(vec![code(&path), type_of, described(field)]);
        let inner = if field["items"]["properties"].is_object() { &field["items"] } else { field };
        gather(inner, &path, rows);
    }
}

/// Describes the type of a value.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let said: Vec<String> = words(schema).map(code).collect();
    if !said.is_empty() {
        return said.join(", ");
    }
    let variants = ["anyOf", "oneOf", "allOf"].into_iter().flat_map(|word| array(&schema[word]));
    let variants: Vec<String> = variants.map(kind).collect();
    if !variants.is_empty() {
        let (null, other): (Vec<String>, Vec<String>) = variants.into_iter().partition(|kind| kind == "null");
        return other.into_iter().chain(null).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(name) => named(name, schema),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).map(|name| named(name, schema));
            names.collect::<Vec<_>>().join(" or ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "any value".to_owned(),
    }
}

fn named(name: &str, schema: &Value) -> String {
    match name {
        "array" if schema["prefixItems"].is_array() => {
            format!("list of {}", array(&schema["prefixItems"]).map(kind).collect::<Vec<_>>().join(", "))
        }
        "array" => match kind(&schema["items"]) {
            word if ["text", "time", "number", "whole number"].contains(&word.as_str()) => format!("list of {word}s"),
            other => format!("list of {other}"),
        },
        "object" if schema["properties"].is_object() => "object".to_owned(),
        "object" if schema["additionalProperties"].is_object() => {
            format!("object of {} by name", kind(&schema["additionalProperties"]))
        }
        "string" if schema["format"] == "date-time" => "time".to_owned(),
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    }
}

fn described(schema: &Value) -> String {
    plain(schema["description"].as_str().unwrap_or_default().trim())
}

fn spaced(text: String) -> String {
    if text.is_empty() { text } else { format!("{}\n\n", text.trim_end()) }
}
