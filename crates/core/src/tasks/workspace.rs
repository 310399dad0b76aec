//! What a fresh checkout of a project gets besides git's files: copied files, variables, and the lock files that say
//! whether an earlier setup can be reused. Pure.

use crate::base::ids::TaskId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Files whose content decides what a setup installs.
pub const LOCK_FILES: [&str; 14] = [
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "uv.lock",
    "poetry.lock",
    "requirements.txt",
    "Cargo.lock",
    "go.sum",
    "Gemfile.lock",
    "composer.lock",
    "mix.lock",
];

/// The first port that is assigned: below the range from which systems assign ports.
const FIRST_PORT: u16 = 21_000;
/// The last port that is assigned.
const LAST_PORT: u16 = 30_999;

/// A variable with a value per task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variable {
    /// A free port; variables with the same label share it.
    Port(String),
    /// The label and the task's number.
    Slug(String),
}

/// Commands that only install what a lock file in their directory names.
const INSTALLERS: [&str; 8] = [
    "npm ci",
    "npm install",
    "yarn install",
    "pnpm install",
    "bun install",
    "composer install",
    "bundle install",
    "yarn",
];

/// Whether a command only installs: its result can be reused while the lock file is the same.
pub fn is_installer(command: &str) -> bool {
    let command = command.trim();
    let is_plain = !command.contains(['$', '`', ';', '&', '|', '<', '>', '(', '\n']);
    let begins =
        |with: &&str| command.strip_prefix(*with).is_some_and(|rest| rest.is_empty() || rest.starts_with(" -"));
    is_plain && INSTALLERS.iter().any(begins)
}

/// Whether a text can be a pattern of `workspace.copy` and `workspace.link`: it stays below the root and has no
/// negation.
pub fn is_pattern(text: &str) -> bool {
    let is_plain = !text.trim().is_empty() && !text.contains(['\0', '\n', '\\']);
    is_plain && !text.starts_with(['!', '/', '#', '~']) && !text.split('/').any(|part| part == "..")
}

/// Whether a text can be an entry of `workspace.link`: a path below the root, without a pattern.
pub fn is_path(text: &str) -> bool {
    is_pattern(text) && !text.contains(['*', '?', '['])
}

/// Whether a text can be the label of a port or part of a slug.
pub fn is_label(text: &str) -> bool {
    let is_fitting = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=40).contains(&text.len()) && text.chars().all(is_fitting)
}

/// The ports of tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leases {
    /// The ports by task and label.
    pub ports: BTreeMap<TaskId, BTreeMap<String, u16>>,
}

impl Leases {
    /// Releases the ports of all tasks for which `is_open` is false.
    pub fn keep_only(&mut self, is_open: impl Fn(TaskId) -> bool) {
        self.ports.retain(|task, _| is_open(*task));
    }

    /// Returns the values of a task's variables. It keeps its ports, and missing ones are assigned from the free ports.
    /// `None`: no port is left.
    pub fn values(
        &mut self,
        task: TaskId,
        variables: &BTreeMap<String, Variable>,
        is_free: impl Fn(u16) -> bool,
    ) -> Option<BTreeMap<String, String>> {
        let mut values = BTreeMap::new();
        for (name, variable) in variables {
            let value = match variable {
                Variable::Port(label) => self.port(task, label, &is_free)?.to_string(),
                Variable::Slug(label) => format!("{label}_{task}"),
            };
            values.insert(name.clone(), value);
        }
        Some(values)
    }

    fn port(&mut self, task: TaskId, label: &str, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        if let Some(port) = self.ports.get(&task).and_then(|own| own.get(label)) {
            return Some(*port);
        }
        let taken: BTreeSet<u16> = self.ports.values().flat_map(|own| own.values().copied()).collect();
        let port = (FIRST_PORT..=LAST_PORT).find(|port| !taken.contains(port) && is_free(*port))?;
        self.ports.entry(task).or_default().insert(label.to_owned(), port);
        Some(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, Variable> {
        let port = |label: &str| Variable::Port(label.to_owned());
        [
            ("PORT", port("web")),
            ("WEB_PORT", port("web")),
            ("API_PORT", port("api")),
            ("DB_NAME", Variable::Slug("app".to_owned())),
        ]
        .map(|(name, variable)| (name.to_owned(), variable))
        .into()
    }

    #[test]
    fn a_task_keeps_its_ports_and_no_other_open_task_gets_them() {
        let mut leases = Leases::default();
        let first = leases.values(TaskId(1), &variables(), |_| true).expect("free ports");
        assert_eq!((first["PORT"].as_str(), first["DB_NAME"].as_str()), ("21001", "app_1"));
        assert_eq!(first["PORT"], first["WEB_PORT"]);
        assert_ne!(first["PORT"], first["API_PORT"]);
        let second = leases.values(TaskId(2), &variables(), |port| port != 21_002).expect("free ports");
        assert_eq!((second["API_PORT"].as_str(), second["PORT"].as_str()), ("21003", "21004"), "one is in use");
        assert_eq!(leases.values(TaskId(1), &variables(), |_| false), Some(first), "what it holds it keeps");
        leases.keep_only(|task| task == TaskId(2));
        let third = leases.values(TaskId(3), &variables(), |_| true).expect("free ports");
        assert_eq!(third["API_PORT"], "21000", "released at the end of its task");
        assert_eq!(leases.values(TaskId(4), &variables(), |_| false), None);
    }

    #[test]
    fn only_plain_installers_can_be_reused() {
        for good in ["npm ci", " npm ci --no-audit ", "pnpm install --frozen-lockfile", "yarn"] {
            assert!(is_installer(good), "{good}");
        }
        for bad in
            ["npm test", "npm cinema", "npm ci && createdb $DB_NAME", "npm ci; ./prepare", "uv sync", "yarn start"]
        {
            assert!(!is_installer(bad), "{bad}");
        }
    }

    #[test]
    fn patterns_stay_below_the_root() {
        for good in [".env", "config/*.local", "node_modules", "a b.txt"] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in ["", " ", "/etc/passwd", "../x", "a/../../x", "!x", "~/x", "a\\b", "#x"] {
            assert!(!is_pattern(bad), "{bad}");
        }
        assert!(is_path("node_modules") && !is_path("node_*"));
        assert!(is_label("app_2") && !is_label("App") && !is_label("a-b") && !is_label(""));
    }
}
