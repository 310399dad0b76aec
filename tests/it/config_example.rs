//! Tests that `config.example.yml` matches the code: it is generated from the types, readable, and complete.
//! `ORCH_BLESS=1 cargo test --test it config_example` updates it.

use orch_config::shape::find;
use orch_config::{Config, FileKind, Layer, Loaded, example_text, json_schema, load};
use serde_json::Value;
use std::collections::BTreeSet;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.yml");

fn read(text: &str) -> Loaded {
    match load(&[Layer::Global { path: PATH.into(), text: text.to_owned() }]) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>()),
    }
}

/// The first lines of parts that are only illustrations, with the section that contains them.
const ILLUSTRATIONS: [(&str, &str); 5] = [
    ("  # mybot:", ""),
    ("  # quick:", "model_aliases: {}"),
    ("  # local/coder:", "models: {}"),
    ("  # local:", "providers: {}"),
    ("    # anthropic:", "  accounts: {}"),
];

/// Takes the comment signs off what is only an illustration.
fn with_illustrations(text: &str) -> String {
    let mut restored = text.to_owned();
    for (first, empty) in ILLUSTRATIONS {
        let sign = &first[..first.find("# ").expect("a comment") + 2];
        let own = text.lines().skip_while(|line| !line.starts_with(first)).take_while(|line| line.starts_with(sign));
        let own: Vec<&str> = own.collect();
        assert!(!own.is_empty(), "the example {first} is gone");
        let plain: String = own.iter().map(|line| format!("{}\n", line.replacen("# ", "", 1))).collect();
        restored = restored.replace(&format!("{}\n", own.join("\n")), &plain);
        if !empty.is_empty() {
            assert!(restored.contains(empty), "{empty} is gone");
            restored = restored.replace(empty, empty.trim_end_matches(" {}"));
        }
    }
    restored
}

/// Dotted keys of a schema, with `*` for names of the person's choice. An open mapping counts as one key.
fn schema_keys(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let open = &schema["additionalProperties"];
    if let Some(properties) = schema["properties"].as_object() {
        properties.iter().for_each(|(name, inner)| schema_keys(inner, &join(name), found));
    } else if open["properties"].is_object() {
        schema_keys(open, &join("*"), found);
    } else {
        found.insert(path.to_owned());
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its own switch and writes a file of the repository")]
fn the_example_is_what_the_types_say() {
    if std::env::var_os("ORCH_BLESS").is_some() {
        std::fs::write(PATH, example_text()).expect("the example can be written");
    }
    let text = std::fs::read_to_string(PATH).expect("config.example.yml is there");
    assert!(text == example_text(), "config.example.yml is out of date: run ORCH_BLESS=1 cargo test config_example");
}

#[test]
fn reading_the_example_gives_exactly_the_defaults() {
    let loaded = read(&example_text());
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.warnings.is_empty());
}

#[test]
fn every_key_of_the_schema_is_in_the_example_with_a_line_about_it() {
    let text = with_illustrations(&example_text());
    let mut expected = BTreeSet::new();
    schema_keys(&json_schema(FileKind::Global), "", &mut expected);
    assert!(expected.len() > 30, "{expected:?}");

    let lines: Vec<&str> = text.lines().collect();
    for (key, line) in keys_by_indentation(&lines) {
        let pattern = find(&key).unwrap_or_else(|| panic!("{key} is no key")).pattern;
        let explained = lines[line - 1].trim_start().starts_with("# ");
        assert!(!expected.remove(&pattern) || explained, "{key} is not explained");
    }
    assert!(expected.is_empty(), "not in the example: {expected:?}");
}

/// Dotted key and index of every line that sets one.
fn keys_by_indentation(lines: &[&str]) -> Vec<(String, usize)> {
    let mut path: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some((name, _)) = trimmed.split_once(':').filter(|_| !trimmed.starts_with('#')) else { continue };
        path.truncate((line.len() - trimmed.len()) / 2);
        path.push(name);
        found.push((path.join("."), index));
    }
    found
}

#[test]
fn what_the_example_illustrates_is_valid() {
    let loaded = read(&with_illustrations(&example_text()));
    let agent = loaded.config.agent("mybot").expect("it was declared");
    assert!(agent.command.ends_with("/bot.sh"), "{}", agent.command);
    assert_eq!((loaded.config.models.len(), loaded.config.providers.len()), (1, 1));
    assert_eq!(loaded.config.model_aliases["quick"], "auto:fast");
    assert_eq!(loaded.config.budget.accounts.len(), 2);
}
