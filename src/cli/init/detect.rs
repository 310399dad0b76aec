//! Which checks fit a repository, by the files at its root, and the texts of the files that `orch init` writes.

use crate::adapters::fs;
use serde_json::Value;
use std::path::Path;

/// The largest file that is looked into, in bytes.
const LARGEST: usize = 1 << 20;

/// A first `config.yml`: nothing is set, and it says where to look.
pub const CONFIG_FILE: &str = "\
# orch's settings. `orch config show` prints those in force, `orch config set KEY VALUE` changes one,
# `orch config schema` tells every key. Edits apply without a restart.
";

/// Commands that probably check the repository at `root`.
pub fn checks(root: &Path) -> Vec<String> {
    let there = |name: &str| root.join(name).is_file();
    let text = |name: &str| fs::read_text(&root.join(name), LARGEST).unwrap_or_default();
    let mut checks = Vec::new();
    let mut suggest = |fits: bool, command: &str| {
        if fits {
            checks.push(command.to_owned());
        }
    };
    suggest(there("Cargo.toml"), "cargo test");
    suggest(has_npm_test(&text("package.json")), "npm test");
    suggest(there("go.mod"), "go test ./...");
    suggest(there("pyproject.toml"), "pytest");
    suggest(has_make_test(&text("Makefile")), "make test");
    checks
}

/// A test script that somebody wrote: npm's own placeholder only fails.
fn has_npm_test(text: &str) -> bool {
    let package: Value = serde_json::from_str(text).unwrap_or_default();
    package["scripts"]["test"].as_str().is_some_and(|script| !script.contains("no test specified"))
}

fn has_make_test(text: &str) -> bool {
    text.lines().any(|line| {
        line.strip_prefix("test").is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.starts_with(':') && !rest.starts_with(":=") && !rest.starts_with("::=")
        })
    })
}

/// The text of a new `.orch.yml`. `active`: checks that hold at once; without them the suggested ones are a comment.
pub fn project_file(name: Option<&str>, base: Option<&str>, active: Option<&[String]>, suggested: &[String]) -> String {
    let mut text = String::from(
        "# How orch works on this repository: `orch config schema --project` tells every key.\n\
         # Checks run as you. They count once `orch init` has approved this very file: run it again after an edit.\n",
    );
    if let Some(name) = name {
        text.push_str(&format!("name: {}\n", quoted(name)));
    }
    text.push_str("workflow:\n");
    match active {
        Some(checks) if !checks.is_empty() => text.push_str(&format!("  checks: [{}]\n", list(checks))),
        Some(_) | None => {
            let example = if suggested.is_empty() { quoted("make test") } else { list(suggested) };
            text.push_str(&format!("  # checks: [{example}]\n"));
        }
    }
    if let Some(base) = base {
        text.push_str(&format!("  base_branch: {}\n", quoted(base)));
    }
    text.push_str("  # integrate: merge           # merge accepted work locally when the checks pass on the result\n");
    text
}

fn list(checks: &[String]) -> String {
    checks.iter().map(|check| quoted(check)).collect::<Vec<_>>().join(", ")
}

/// A text in YAML's double quotes, which are JSON's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::{Layer, load};

    fn write(path: &Path, text: &str) {
        fs::write_private(path, text.as_bytes(), fs::Durability::Cached).expect("written");
    }

    #[test]
    fn checks_are_suggested_by_what_lies_at_the_root() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| write(&dir.path().join(name), text);
        assert_eq!(checks(dir.path()), Vec::<String>::new());
        file("package.json", r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#);
        file("Makefile", "testing:\n\ttrue\ntest := 1\n");
        assert_eq!(checks(dir.path()), Vec::<String>::new());
        file("package.json", r#"{"scripts": {"test": "vitest"}}"#);
        file("Makefile", "build:\n\ttrue\ntest: build\n\ttrue\n");
        for name in ["Cargo.toml", "go.mod", "pyproject.toml"] {
            file(name, "");
        }
        assert_eq!(checks(dir.path()), ["cargo test", "npm test", "go test ./...", "pytest", "make test"]);
    }

    #[test]
    fn the_written_files_are_valid_and_say_what_was_asked_for() {
        let read = |text: String| {
            let layer = Layer::Project { path: ".orch.yml".into(), text, trusted: true };
            load(&[layer]).expect("valid").config
        };
        let suggested = ["cargo test".to_owned(), "make \"test\"".to_owned()];
        let quiet = read(project_file(None, None, None, &suggested));
        assert_eq!((quiet.name, quiet.workflow.checks, quiet.workflow.base_branch), (None, vec![], None));
        let loud = read(project_file(Some("a: \"b\" # c"), Some("release/1"), Some(&suggested), &suggested));
        assert_eq!(loud.name.as_deref(), Some("a: \"b\" # c"));
        assert_eq!(loud.workflow.checks, suggested);
        assert_eq!(loud.workflow.base_branch.as_deref(), Some("release/1"));
        read(project_file(None, None, Some(&[]), &[]));
        load(&[Layer::Global { path: "config.yml".into(), text: CONFIG_FILE.to_owned() }]).expect("valid");
    }
}
