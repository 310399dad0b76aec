//! The JSON Schema of the configuration files, generated from the raw types.

use super::raw::RawConfig;
use super::shape::{ALIAS, FileKind, ONLY_IN, SEPARATOR};
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// Returns the JSON Schema (draft 2020-12) of `config.yml` or of a project's `.orch.yml`.
pub fn json_schema(file: FileKind) -> Value {
    let mut schema = complete();
    schema["title"] = match file {
        FileKind::Global => "orch: config.yml".into(),
        FileKind::Project => "orch: .orch.yml".into(),
    };
    prune(&mut schema, file);
    schema
}

/// Returns the schema of all keys, with orch's own extensions and inlined subschemas.
pub(super) fn complete() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<RawConfig>().to_value()
}

/// Removes the keys that `file` may not contain, and the extensions.
fn prune(schema: &mut Value, file: FileKind) {
    match schema {
        Value::Object(object) => {
            object.remove(ONLY_IN);
            object.remove(SEPARATOR);
            object.remove(ALIAS);
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                properties.retain(|_, key| key[ONLY_IN].is_null() || key[ONLY_IN] == file.name());
                let spelled = |key: &Value| Some((format!("^{}$", key[ALIAS].as_str()?), key.clone()));
                // Accepted, but not suggested in addition to the usual spelling.
                let aliases: serde_json::Map<String, Value> = properties.values().filter_map(spelled).collect();
                if !aliases.is_empty() {
                    object.insert("patternProperties".to_owned(), Value::Object(aliases));
                }
            }
            object.values_mut().for_each(|inner| prune(inner, file));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| prune(inner, file)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_the_schema_of_what_may_stand_in_it() {
        let keys = |file| {
            let schema = json_schema(file);
            let properties = schema["properties"].as_object().expect("properties").keys().cloned().collect::<Vec<_>>();
            (properties, schema)
        };
        let (global, schema) = keys(FileKind::Global);
        assert_eq!(
            global,
            [
                "router",
                "model_map",
                "model_selection",
                "model_aliases",
                "models",
                "providers",
                "agents",
                "workflow",
                "review",
                "escalation",
                "fallback",
                "engine",
                "breaker",
                "budget",
                "limits",
                "health_check",
                "retention",
                "gc",
                "http",
                "channels",
                "notifications",
                "redact",
                "log"
            ]
        );
        assert_eq!(schema["properties"]["workflow"]["properties"]["max_attempts"]["maximum"], 100);
        assert_eq!(schema["properties"]["workflow"]["additionalProperties"], false);
        assert!(!schema.to_string().contains("x-orch"));
        let other = &schema["patternProperties"]["^healthCheck$"];
        assert_eq!(other["patternProperties"]["^intervalMs$"]["minimum"], 10_000);

        let (project, schema) = keys(FileKind::Project);
        assert_eq!(project, ["name", "model_map", "workflow", "workspace", "limits"]);
        let workflow = schema["properties"]["workflow"]["properties"].as_object().expect("properties");
        assert!(!workflow.contains_key("sandbox") && workflow.contains_key("checks"));
    }

    #[test]
    fn descriptions_come_from_the_documentation_of_the_types() {
        let schema = json_schema(FileKind::Global);
        let agent = &schema["properties"]["router"]["properties"]["agent"];
        assert_eq!(agent["description"], "Agent that answers the routing question.");
    }
}
