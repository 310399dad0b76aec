//! docs/reference/configuration.md, from the types of the configuration.

use super::generated::{code, must_hold, plain, table};
use orch_config::FileKind;
use orch_config::shape::{Field, Shape, root};
use regex::Regex;
use serde_json::Value;

#[test]
fn the_page_of_the_configuration_has_every_key_with_its_default() {
    must_hold("docs/reference/configuration.md", "keys", &text());
}

fn text() -> String {
    let defaults = orch_config::load(&[]).unwrap_or_else(|_| panic!("the defaults are valid")).show();
    let mut text = String::new();
    for field in root().fields() {
        let mut rows = Vec::new();
        let default = defaults.get(&field.name);
        below(field, &field.name, default, &mut rows);
        let only = field.only_in.map(|file| format!(" Only in `{}`.", file.name())).unwrap_or_default();
        text.push_str(&format!("## {}\n\n{}{only}\n\n", field.name, about(field)));
        if !field.shape.fields().is_empty() {
            rows.remove(0);
        }
        text.push_str(&table(&["key", "value", "default", "file", "meaning"], &rows));
        text.push('\n');
    }
    text
}

/// A row for the key, unless it is a section, and rows for all below it.
fn below(field: &Field, key: &str, default: Option<&Value>, rows: &mut Vec<Vec<String>>) {
    let file = field.only_in.map(FileKind::name).unwrap_or_default();
    rows.push(vec![code(key), kind(&field.shape), shown(default, &field.shape), file.to_owned(), about(field)]);
    deeper(&field.shape, key, default, rows);
}

fn deeper(shape: &Shape, key: &str, default: Option<&Value>, rows: &mut Vec<Vec<String>>) {
    for inner in shape.fields() {
        let default = default.and_then(|value| value.get(&inner.name));
        below(inner, &format!("{key}.{}", inner.name), default, rows);
    }
    if let Some(inner) = shape.map_value() {
        deeper(inner, &format!("{key}.*"), None, rows);
    }
}

/// Its documentation, in which a page is a link.
fn about(field: &Field) -> String {
    let page = Regex::new(r"\bdocs/([a-z/-]+/([a-z-]+)\.md)").expect("an expression");
    page.replace_all(&plain(&field.doc), "[$2](../$1)").into_owned()
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Section(_) => "section".to_owned(),
        Shape::Map(inner) => match inner.as_ref() {
            Shape::Section(_) => "a section for each name".to_owned(),
            Shape::Text => "a text for each name".to_owned(),
            other @ (Shape::Map(_)
            | Shape::List { .. }
            | Shape::Flag
            | Shape::Number { .. }
            | Shape::Dollars
            | Shape::Choice(_)) => format!("for each name: {}", kind(other)),
        },
        Shape::Number { min, max: u64::MAX, percent: false } => format!("a whole number from {min} on"),
        Shape::Choice(words) => words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", "),
        other @ (Shape::List { .. } | Shape::Text | Shape::Flag | Shape::Number { .. } | Shape::Dollars) => {
            other.expected()
        }
    }
}

fn shown(default: Option<&Value>, shape: &Shape) -> String {
    let is_section = matches!(shape, Shape::Section(_));
    let holds_sections = shape.map_value().is_some_and(|inner| !inner.fields().is_empty());
    match default {
        Some(Value::Object(names)) if holds_sections => {
            names.keys().map(|name| code(name)).collect::<Vec<_>>().join(", ")
        }
        Some(value) if !is_section && !value.is_null() => code(&value.to_string()),
        Some(_) | None => String::new(),
    }
}
