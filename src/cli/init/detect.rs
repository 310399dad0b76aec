//! Suggests checks and workspace settings for a repository, by the files at its root, and returns the texts of the
//! files that `orch init` writes.

use globset::Glob;
use orch_config::resolved::Config;
use orch_sys::fs;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// The first `config.yml`: it sets nothing, and refers to the documentation.
pub const CONFIG_FILE: &str = "\
# orch's settings. `orch config show` prints those in force, `orch config set KEY VALUE` changes one,
# `orch config schema` lists every key. Edits apply without a restart.
";

/// Returns commands that probably check the repository at `root`.
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
    let is_python = ["pyproject.toml", "pytest.ini", "conftest.py", "requirements.txt", "setup.py", "setup.cfg"];
    let is_other = ["Cargo.toml", "package.json", "go.mod"];
    // Python tests in a project of another language may be run by that language's tool.
    if is_python.into_iter().any(there) || !is_other.into_iter().any(there) {
        python_tests(root).iter().for_each(|command| suggest(true, command));
    }
    suggest(has_make_test(&text("Makefile")), "make test");
    checks
}

/// Returns the command for the tests of a Python project: pytest if a file names it, else unittest if there are tests;
/// run by the tool of the environment, or from the environment itself.
fn python_tests(root: &Path) -> Option<String> {
    let there = |name: &str| root.join(name).exists();
    let text = |name: &str| fs::read_text(&root.join(name), LARGEST).unwrap_or_default();
    let requirements = text("requirements.txt") + &text("requirements-dev.txt");
    let names_pytest = requirements.lines().any(|line| line.trim_start().starts_with("pytest"));
    let module = if names_pytest || ["pyproject.toml", "pytest.ini", "conftest.py"].into_iter().any(there) {
        "pytest".to_owned()
    } else if let Some(dir) = ["tests", "test"].into_iter().find(|dir| has_python_tests(&root.join(dir))) {
        let top = if there(&format!("{dir}/__init__.py")) { " -t ." } else { "" };
        format!("unittest discover -s {dir}{top}")
    } else if has_python_tests(root) {
        "unittest".to_owned()
    } else {
        return None;
    };
    let python = if there("uv.lock") {
        "uv run python -m"
    } else if there("poetry.lock") {
        "poetry run python -m"
    } else if there(".venv") || there("requirements.txt") {
        ".venv/bin/python -m"
    } else {
        "python3 -m"
    };
    Some(format!("{python} {module}"))
}

fn has_python_tests(dir: &Path) -> bool {
    let names = fs::names(dir).unwrap_or_default();
    names.iter().filter_map(|name| name.to_str()).any(|name| name.starts_with("test") && name.ends_with(".py"))
}

/// What a fresh checkout of a repository probably needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Workspace {
    /// Patterns of untracked files to copy.
    pub copy: Vec<String>,
    /// Untracked directories to link.
    pub link: Vec<String>,
    /// Commands to run.
    pub setup: Vec<String>,
}

/// Lock files, and the commands that install what they list.
const INSTALL: [(&str, &str); 9] = [
    ("package-lock.json", "npm ci"),
    ("yarn.lock", "yarn install --frozen-lockfile"),
    ("pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
    ("bun.lock", "bun install --frozen-lockfile"),
    ("uv.lock", "uv sync --frozen"),
    ("poetry.lock", "poetry install"),
    ("requirements.txt", "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"),
    ("Gemfile.lock", "bundle install"),
    ("composer.lock", "composer install"),
];

/// Directories of installed dependencies, for projects without a lock file.
const INSTALLED: [&str; 3] = ["node_modules", ".venv", "vendor"];

/// Returns what a fresh checkout of the repository at `root` probably needs. `untracked` are the untracked files, with
/// whole directories.
pub fn workspace(root: &Path, untracked: &[PathBuf]) -> Workspace {
    let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    let is_env = |name: &String| name == ".env" || (name.starts_with(".env.") && !name.ends_with(".example"));
    let copy: BTreeSet<String> = untracked.iter().filter_map(name).filter(is_env).collect();
    // One tool installs the dependencies of one language: the first that is found.
    let of = |names: &[&str]| {
        INSTALL
            .iter()
            .find(|(file, _)| names.contains(file) && root.join(file).is_file())
            .map(|(_, run)| (*run).to_owned())
    };
    let scripts = of(&["package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"]);
    let python = of(&["uv.lock", "poetry.lock", "requirements.txt"]);
    let php = of(&["composer.lock"]);
    let is_covered = |dir: &str| match dir {
        "node_modules" => scripts.is_some(),
        ".venv" => python.is_some(),
        _php => php.is_some(),
    };
    let lies = |dir: &&str| untracked.iter().any(|path| path.as_path() == Path::new(dir));
    let link = INSTALLED.iter().copied().filter(|dir| lies(dir) && !is_covered(dir)).map(str::to_owned).collect();
    let setup = [scripts.clone(), python.clone(), of(&["Gemfile.lock"]), php.clone()].into_iter().flatten().collect();
    Workspace { copy: copy.into_iter().collect(), link, setup }
}

/// Returns whether there is a real test script: npm's placeholder only fails.
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

/// Returns the text of a new `.orch.yml`. `active` are enabled checks; without them the suggested checks and the
/// workspace are comments.
pub fn project_file(
    name: Option<&str>,
    base: Option<&str>,
    active: Option<&[String]>,
    suggested: &[String],
    workspace: &Workspace,
) -> String {
    let mut text = String::from(
        "# How orch works on this repository: `orch config schema --project` lists every key.\n\
         # Checks run as you. They count once `orch init` has approved this very file: run it again after an edit.\n\
         # orch reads it in your checkout, committed or not; everyone who clones it approves it for themselves.\n",
    );
    if let Some(name) = name {
        text.push_str(&format!("name: {}\n", quoted(name)));
    }
    text.push_str("workflow:\n");
    match active {
        Some(checks) if !checks.is_empty() => text.push_str(&format!("  checks: [{}]\n", list(checks))),
        Some(_) | None => {
            let what = "  # shell lines that must pass on every result";
            text.push_str(&format!(
                "  # checks: [{}]{}\n",
                list(suggested),
                if suggested.is_empty() { what } else { "" }
            ));
        }
    }
    if let Some(base) = base {
        text.push_str(&format!("  base_branch: {}\n", quoted(base)));
    }
    text.push_str("  # integrate: merge           # merge accepted work locally when the checks pass on the result\n");
    text.push_str(&workspace_lines(workspace, active.is_some()));
    text
}

/// Returns what a fresh checkout probably needs and the settings lack: files that nothing copies and, if neither is
/// set, commands that link or install dependencies.
pub fn lacking(present: &Config, wanted: &Workspace) -> Workspace {
    let set = &present.workspace;
    let is_copied = |name: &String| {
        let covers = |pattern: &String| Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name));
        set.copy.iter().any(covers)
    };
    let copy = wanted.copy.iter().filter(|name| !is_copied(name)).cloned().collect();
    let installs = !set.setup.is_empty() || !set.link.is_empty();
    match installs {
        true => Workspace { copy, ..Workspace::default() },
        false => Workspace { copy, ..wanted.clone() },
    }
}

/// Returns the suggested settings that are not set yet, by dotted key, as YAML.
pub fn proposed(present: &Config, suggested: &[String], workspace: &Workspace) -> Vec<(&'static str, String)> {
    let Workspace { copy, link, setup } = lacking(present, workspace);
    let with_present = |copy: Vec<String>| [present.workspace.copy.clone(), copy].concat();
    let checks = if present.workflow.checks.is_empty() { suggested.to_vec() } else { Vec::new() };
    let lists = [
        ("workflow.checks", checks),
        ("workspace.copy", if copy.is_empty() { copy } else { with_present(copy) }),
        ("workspace.link", link),
        ("workspace.setup", setup),
    ];
    let lists = lists.into_iter().filter(|(_, items)| !items.is_empty());
    lists.map(|(key, items)| (key, format!("[{}]", list(&items)))).collect()
}

/// Returns the section `workspace`, as a comment unless it is active.
fn workspace_lines(workspace: &Workspace, is_active: bool) -> String {
    let lists = [("copy", &workspace.copy), ("link", &workspace.link), ("setup", &workspace.setup)];
    let lists = lists.iter().filter(|(_, items)| !items.is_empty());
    let lines: String = lists.map(|(key, items)| format!("  {key}: [{}]\n", list(items))).collect();
    if lines.is_empty() {
        return String::new();
    }
    let text = "# What a fresh checkout needs that git does not bring; setup runs as you, like checks (docs/how-to/workspace.md).\n";
    let section = format!("workspace:\n{lines}");
    if is_active {
        return format!("{text}{section}");
    }
    text.to_owned() + &section.lines().map(|line| format!("# {line}\n")).collect::<String>()
}

fn list(checks: &[String]) -> String {
    checks.iter().map(|check| quoted(check)).collect::<Vec<_>>().join(", ")
}

/// Quotes a text for YAML, in the way of JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_config::layers::{Layer, load};

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
        assert_eq!(checks(dir.path()), ["cargo test", "npm test", "go test ./...", "python3 -m pytest", "make test"]);
    }

    #[test]
    fn a_python_project_without_pytest_has_the_tests_that_it_has() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str| write(&dir.path().join(name), "");
        file("test_shop.py");
        assert_eq!(checks(dir.path()), ["python3 -m unittest"]);
        file("go.mod");
        assert_eq!(checks(dir.path()), ["go test ./..."], "nothing says that Python is more than a helper here");
        std::fs::remove_file(dir.path().join("go.mod")).expect("it was there");
        file("requirements.txt");
        assert_eq!(checks(dir.path()), [".venv/bin/python -m unittest"]);
        std::fs::create_dir(dir.path().join("tests")).expect("a directory");
        file("tests/test_shop.py");
        assert_eq!(checks(dir.path()), [".venv/bin/python -m unittest discover -s tests"]);
        file("tests/__init__.py");
        assert_eq!(checks(dir.path()), [".venv/bin/python -m unittest discover -s tests -t ."]);
        file("conftest.py");
        assert_eq!(checks(dir.path()), [".venv/bin/python -m pytest"]);
    }

    #[test]
    fn what_is_set_already_is_not_proposed() {
        let mut present = Config::default();
        let needed = Workspace { copy: vec![".env".to_owned()], link: vec![], setup: vec!["npm ci".to_owned()] };
        let suggested = ["npm test".to_owned()];
        let keys = |present: &Config| -> Vec<&str> {
            proposed(present, &suggested, &needed).into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys(&present), ["workflow.checks", "workspace.copy", "workspace.setup"]);
        present.workflow.checks = vec!["make".to_owned()];
        assert_eq!(keys(&present), ["workspace.copy", "workspace.setup"]);
        present.workspace.link = vec!["vendor".to_owned()];
        assert_eq!(keys(&present), ["workspace.copy"]);
        present.workspace.copy = vec!["config.local".to_owned()];
        let copied = proposed(&present, &suggested, &needed);
        assert_eq!(copied, [("workspace.copy", "[\"config.local\", \".env\"]".to_owned())]);
        present.workspace.copy = vec![".env*".to_owned()];
        assert!(keys(&present).is_empty());
    }

    #[test]
    fn a_workspace_is_proposed_by_lock_files_and_by_what_git_does_not_track() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str| write(&dir.path().join(name), "pytest\n");
        let lies = |names: &[&str]| {
            let paths: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
            workspace(dir.path(), &paths)
        };
        assert_eq!(lies(&[]), Workspace::default());
        let linked = lies(&["node_modules", ".venv", ".env", "api/.env.local", ".env.example"]);
        assert_eq!(
            (linked.link, linked.copy),
            (vec!["node_modules".to_owned(), ".venv".to_owned()], vec![".env".to_owned(), ".env.local".to_owned()])
        );
        file("package-lock.json");
        file("requirements.txt");
        let installed = lies(&["node_modules", ".venv"]);
        assert!(installed.link.is_empty());
        assert_eq!(installed.setup[0], "npm ci");
        assert!(installed.setup[1].contains("venv"));
        assert_eq!(checks(dir.path()), [".venv/bin/python -m pytest"]);
        file("uv.lock");
        assert_eq!(
            (lies(&[]).setup[1].as_str(), checks(dir.path())),
            ("uv sync --frozen", vec!["uv run python -m pytest".to_owned()])
        );
    }

    #[test]
    fn the_written_files_are_valid_and_say_what_was_asked_for() {
        let read = |text: String| {
            let layer = Layer::Project { path: ".orch.yml".into(), text, trusted: true };
            load(&[layer]).expect("valid").config
        };
        let suggested = ["cargo test".to_owned(), "make \"test\"".to_owned()];
        let needed = Workspace { copy: vec![".env".to_owned()], link: vec![], setup: vec!["npm ci".to_owned()] };
        let quiet = read(project_file(None, None, None, &suggested, &Workspace::default()));
        assert_eq!((quiet.name, quiet.workflow.checks, quiet.workflow.base_branch), (None, vec![], None));
        let loud = read(project_file(Some("a: \"b\" # c"), Some("release/1"), Some(&suggested), &suggested, &needed));
        assert_eq!(loud.name.as_deref(), Some("a: \"b\" # c"));
        assert_eq!(loud.workflow.checks, suggested);
        assert_eq!(loud.workflow.base_branch.as_deref(), Some("release/1"));
        assert_eq!(loud.workspace.setup, ["npm ci"]);
        assert_eq!(loud.workspace.copy, [".env"]);
        let commented = read(project_file(None, None, None, &suggested, &needed));
        assert_eq!(commented.workspace, orch_config::resolved::Workspace::default());
        read(project_file(None, None, Some(&[]), &[], &Workspace::default()));
        load(&[Layer::Global { path: "config.yml".into(), text: CONFIG_FILE.to_owned() }]).expect("valid");
    }
}
