//! `orch config set`: changes one value of a file in place and keeps every other byte. A change that would make the
//! file invalid is refused. PURE: text in, text out.

use super::layers::{Layer, load};
use super::problem::ConfigProblem;
use super::settings;
use super::shape::{self, FileKind};
use super::show::UnknownKey;
use super::yaml;
use std::path::Path;

/// A change that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no such setting.
    #[error(transparent)]
    Unknown(#[from] UnknownKey),
    /// The setting belongs in the other file.
    #[error("{key} cannot be set in {}: it belongs in {}", .file.name(), .file.other().name())]
    Misplaced {
        /// The setting.
        key: String,
        /// The file that it cannot be written to.
        file: FileKind,
    },
    /// The value is not valid for the setting.
    #[error("{key}: {message}")]
    Value {
        /// The setting.
        key: String,
        /// What is wrong, as a message.
        message: String,
    },
    /// The file's text does not allow the change.
    #[error("{0}")]
    Text(#[from] yaml::EditError),
    /// The file would be invalid, or already is.
    #[error("the file would not be valid:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<ConfigProblem>),
}

/// Returns the file's text with one setting changed. `path` names the file in messages; `value` is parsed by the type of
/// the setting: `null` restores its default, a list is `[a, b]` or `a,b` (for commands and arguments: one per line).
///
/// # Errors
/// The setting does not exist or not in this file, the value is invalid for it, or the file would be invalid.
pub fn set(text: &str, file: FileKind, path: &Path, key: &str, value: &str) -> Result<String, SetError> {
    set_all(text, file, path, &[(key, value)])
}

/// Changes several settings, which only together need to make a valid file.
///
/// # Errors
/// The same as for [`set`].
pub fn set_all(text: &str, file: FileKind, path: &Path, changes: &[(&str, &str)]) -> Result<String, SetError> {
    let mut changed = text.to_owned();
    for (key, value) in changes {
        changed = set_one(&changed, file, key, value)?;
    }
    match load(&[single_layer(file, path, &changed)]) {
        Ok(_) => Ok(changed),
        Err(problems) => Err(SetError::Invalid(problems)),
    }
}

fn set_one(text: &str, file: FileKind, key: &str, value: &str) -> Result<String, SetError> {
    let key = &*shape::canonical(key);
    let found = shape::find(key).ok_or_else(|| UnknownKey::new(key, shape::suggest(key)))?;
    let parts: Vec<&str> = key.split('.').collect();
    if !shape::allowed_in(key, file) {
        return Err(SetError::Misplaced { key: key.to_owned(), file });
    }
    let value =
        settings::parse_text(value, found.shape).map_err(|message| SetError::Value { key: key.to_owned(), message })?;
    Ok(yaml::set_path(text, &parts, &value)?)
}

/// Returns the file as the only layer. Approval does not matter for its validity.
fn single_layer(file: FileKind, path: &Path, text: &str) -> Layer {
    let (path, text) = (path.to_owned(), text.to_owned());
    match file {
        FileKind::Global => Layer::Global { path, text },
        FileKind::Project => Layer::Project { path, text, trusted: true },
    }
}

#[cfg(test)]
mod tests {
    use super::super::render;
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn global(text: &str, key: &str, value: &str) -> String {
        match set(text, FileKind::Global, Path::new("config.yml"), key, value) {
            Ok(text) => text,
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_value_is_changed_where_it_stands_and_nothing_else() {
        let text = "# mine\nrouter:   # routing\n  model: haiku   # cheap\n\nengine: {max_parallel: 4}\n";
        let changed = global(text, "router.model", "opus");
        assert_eq!(changed, text.replace("haiku", "opus"));
        assert_eq!(global(text, "engine.max_parallel", "8"), text.replace("4}", "8}"));
    }

    #[test]
    fn a_key_with_two_spellings_is_written_in_orchs_own() {
        let set = |text: &str| global(text, "healthCheck.intervalMs", "20000");
        assert_eq!(set(""), "health_check:\n  interval_ms: 20000\n");
        let error = set("healthCheck:\n  enabled: true\n");
        assert!(error.contains("health_check is the same key as healthCheck in line 1"), "{error}");
    }

    #[test]
    fn a_missing_key_is_added_with_its_parents() {
        assert_eq!(global("", "workflow.integrate", "merge"), "workflow:\n  integrate: merge\n");
        let text = "router:\n  model: opus\n";
        assert_eq!(
            global(text, "router.agents", "claude, codex"),
            "router:\n  model: opus\n  agents: [claude, codex]\n"
        );
        let checks = global(text, "workflow.checks", "['cargo test', 'make a,b']");
        let loaded = load(&[single_layer(FileKind::Global, Path::new("c"), &checks)]).unwrap();
        assert_eq!(loaded.config.workflow.checks, ["cargo test", "make a,b"]);
        assert!(checks.starts_with(text), "{checks}");
    }

    #[test]
    fn an_invalid_change_is_not_written() {
        for (key, value, message) in [
            ("router.modle", "x", "no setting is called \"router.modle\", did you mean \"router.model\"?"),
            ("name", "shop", "name cannot be set in config.yml: it belongs in .orch.yml"),
            ("engine.max_parallel", "lots", "engine.max_parallel: expected a whole number from 1 to 1000, found lots"),
            ("router", "x", "router: a mapping cannot be given as one text; set its keys one by one"),
            (
                "router.agent",
                "clade",
                "the file would not be valid:\nconfig.yml:2:10: router.agent: no agent is called \
              \"clade\", did you mean \"claude\"?",
            ),
        ] {
            assert_eq!(global("", key, value), format!("error: {message}"), "{key}");
        }
        assert_eq!(global("router: [\n", "router.model", "x"), "error: line 1, column 9: unclosed bracket '['");
        assert_eq!(
            global("rooter: {}\n", "router.model", "x"),
            "error: the file would not be valid:\nconfig.yml:1:1: \
            unknown key \"rooter\", did you mean \"router\"?"
        );
        let project =
            |key, value| set("", FileKind::Project, Path::new(".orch.yml"), key, value).unwrap_err().to_string();
        for key in ["agents.claude.command", "workflow.sandbox", "engine.max_parallel"] {
            assert_eq!(project(key, "1"), format!("{key} cannot be set in .orch.yml: it belongs in config.yml"));
        }
    }

    proptest! {
        #[test]
        fn what_was_set_is_read_back(commands in proptest::collection::vec("[a-z][^\\x00]*", 1..4)) {
            let value = render::yaml(&commands.clone().into(), &|_| render::Note::default());
            let text = set(&super::super::example_text(), FileKind::Global, Path::new("c"), "workflow.checks", &value);
            let text = text.expect("a list of commands");
            let loaded = load(&[single_layer(FileKind::Global, Path::new("c"), &text)]).expect("valid");
            prop_assert_eq!(loaded.config.workflow.checks, commands);
        }
    }
}
