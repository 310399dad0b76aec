//! Reads one layer into a list of settings: key, typed value, and origin. Reports all problems of a layer at once.
//! Texts from the environment and from flags follow the same rules.

use super::origin::Origin;
use super::problem::{ConfigProblem, did_you_mean, similar};
use super::renamed::{Renamed, renamed};
use super::shape::{self, Field, FileKind, Shape};
use super::tree::{Node, Value};
use orch_core::base::money::Usd;
use serde_json::Value as Json;
use std::path::Path;

/// A value that was set.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Path of keys.
    pub key: Vec<String>,
    /// Typed value; `null` restores the default. An empty mapping only says that the name exists.
    pub value: Json,
    /// Where it was set.
    pub origin: Origin,
}

impl Setting {
    /// Returns the dotted key.
    pub fn dotted(&self) -> String {
        self.key.join(".")
    }
}

/// Reads a file's tree. Returns the valid settings and the problems.
pub fn parse_file(tree: &Node, file: FileKind, path: &Path) -> (Vec<Setting>, Vec<ConfigProblem>) {
    let mut reader = Reader { file, path, key: Vec::new(), settings: Vec::new(), problems: Vec::new() };
    reader.visit(tree, shape::root());
    (reader.settings, reader.problems)
}

/// Parses a text as the value of a key of this shape: `null`, a scalar, or a list (`[a, b]`, or items with the key's
/// separator).
///
/// # Errors
/// Describes the problem as a fragment that follows the key.
pub fn parse_text(text: &str, shape: &Shape) -> Result<Json, String> {
    let list = match shape {
        Shape::List { .. } if text.trim() == "null" => return Ok(Json::Null),
        Shape::List { separator } if !text.trim_start().starts_with('[') => {
            return Ok(text.split(*separator).map(str::trim).filter(|item| !item.is_empty()).map(Json::from).collect());
        }
        Shape::List { .. } => {
            super::tree::parse(text).map_err(|error| format!("not a YAML list: {}", error.message))?
        }
        Shape::Section(_) | Shape::Map(_) => {
            return Err("a mapping cannot be given as one text; set its keys one by one".to_owned());
        }
        Shape::Text | Shape::Flag | Shape::Number { .. } | Shape::Dollars | Shape::Choice(_) => {
            return if text == "null" { Ok(Json::Null) } else { scalar(text, shape) };
        }
    };
    let Value::List(items) = &list.value else { return Err(expected(shape, &list.value)) };
    items.iter().map(|item| item_text(item).ok_or_else(|| expected(&Shape::Text, &item.value))).collect()
}

struct Reader<'a> {
    file: FileKind,
    path: &'a Path,
    key: Vec<String>,
    settings: Vec<Setting>,
    problems: Vec<ConfigProblem>,
}

impl Reader<'_> {
    fn visit(&mut self, node: &Node, shape: &Shape) {
        match (shape, &node.value) {
            (Shape::Section(_) | Shape::Map(_), Value::Null) => {}
            (Shape::Section(_) | Shape::Map(_), Value::Map(entries)) => {
                entries.iter().enumerate().for_each(|(at, (key, value))| {
                    match earlier_spelling(&entries[..at], key, shape) {
                        Some(before) => self.duplicate(before, key),
                        None => self.entry(key, value, shape),
                    }
                });
            }
            (Shape::Section(_) | Shape::Map(_), other) => self.wrong(node, expected(shape, other)),
            (_, Value::Null) => self.set(node, Json::Null),
            (Shape::List { .. }, Value::List(items)) => self.list(node, items),
            (Shape::Number { percent: false, .. } | Shape::Dollars | Shape::Flag, Value::Text(_)) => {
                self.wrong(node, expected(shape, &node.value))
            }
            (Shape::Flag, Value::Bool(value, _)) => self.set(node, Json::from(*value)),
            (_, other) => match other.scalar().map(|text| scalar(text, shape)) {
                Some(Ok(value)) => self.set(node, value),
                Some(Err(message)) => self.wrong(node, message),
                None => self.wrong(node, expected(shape, other)),
            },
        }
    }

    fn entry(&mut self, key: &Node, value: &Node, shape: &Shape) {
        let Some(name) = key.value.scalar() else {
            return self.wrong(key, format!("a key must be a text, found {}", key.value.describe()));
        };
        let name = name.to_owned();
        if let Shape::Map(inner) = shape {
            self.key.push(name);
            if inner.is_mapping() {
                // A free name exists even if its section is empty.
                self.set(key, Json::Object(serde_json::Map::new()));
            }
            self.visit(value, inner);
            self.key.pop();
            return;
        }
        match shape.field(&name) {
            None => self.unknown(key, &name, shape),
            Some(field) if !field.allowed_in(self.file) => self.misplaced(key, field),
            Some(field) => {
                self.key.push(field.name.clone());
                self.visit(value, &field.shape);
                self.key.pop();
            }
        }
    }

    fn duplicate(&mut self, before: &Node, key: &Node) {
        let (first, second) = (before.value.scalar().unwrap_or_default(), key.value.scalar().unwrap_or_default());
        let message = format!("{second} is the same key as {first} in line {}", before.line);
        self.problems.push(ConfigProblem::new(self.at(key), message).hint("keep one of them"));
    }

    fn list(&mut self, node: &Node, items: &[Node]) {
        let mut texts = Vec::new();
        for item in items {
            match item_text(item) {
                Some(text) => texts.push(text),
                None => self.wrong(item, expected(&Shape::Text, &item.value)),
            }
        }
        self.set(node, Json::Array(texts));
    }

    fn set(&mut self, node: &Node, value: Json) {
        self.settings.push(Setting { key: self.key.clone(), value, origin: self.at(node) });
    }

    fn at(&self, node: &Node) -> Origin {
        Origin::file(self.path, node.line, node.column)
    }

    fn wrong(&mut self, node: &Node, message: String) {
        let message = if self.key.is_empty() { message } else { format!("{}: {message}", self.key.join(".")) };
        self.problems.push(ConfigProblem::new(self.at(node), message));
    }

    fn unknown(&mut self, key: &Node, name: &str, shape: &Shape) {
        let place = if self.key.is_empty() { String::new() } else { format!(" in {}", self.key.join(".")) };
        let here =
            || shape.fields().iter().filter(|field| field.allowed_in(self.file)).map(|field| field.name.as_str());
        let problem =
            |suggestion: String| ConfigProblem::new(self.at(key), format!("unknown key {name:?}{place}{suggestion}"));
        let problem = match (renamed(name), similar(name, here()), shape::find_in_other_section(name)) {
            (Some(Renamed::Key(new)), ..) => problem(format!(", did you mean {new:?}?")),
            (Some(Renamed::Advice(what)), ..) => problem(String::new()).hint(what),
            (None, Some(_), _) => problem(did_you_mean(name, here())),
            (None, None, Some(full)) => problem(format!(", did you mean {full:?}?")),
            (None, None, None) => {
                problem(String::new()).hint(format!("known here: {}", here().collect::<Vec<_>>().join(", ")))
            }
        };
        self.problems.push(problem);
    }

    fn misplaced(&mut self, key: &Node, field: &Field) {
        let full = self.key.iter().map(String::as_str).chain([field.name.as_str()]).collect::<Vec<_>>().join(".");
        let problem = match self.file {
            FileKind::Project => ConfigProblem::new(self.at(key), format!("{full} cannot be set by a project"))
                .hint("a project file may come from strangers; set this in config.yml under ORCH_HOME"),
            FileKind::Global => ConfigProblem::new(self.at(key), format!("{full} belongs in a project's .orch.yml")),
        };
        self.problems.push(problem);
    }
}

/// Returns an earlier key that is the same in another spelling.
fn earlier_spelling<'a>(before: &'a [(Node, Node)], key: &Node, shape: &Shape) -> Option<&'a Node> {
    let field = |key: &Node| shape.field(key.value.scalar()?);
    let meant = field(key).filter(|field| field.alias.is_some())?;
    before.iter().map(|(key, _)| key).find(|key| field(key) == Some(meant))
}

fn item_text(item: &Node) -> Option<Json> {
    item.value.scalar().map(Json::from)
}

/// Describes a mismatch. Where a mapping or a list is expected, the text found is not shown: it may be a secret.
fn expected(shape: &Shape, found: &Value) -> String {
    let found = if let Shape::Section(_) | Shape::Map(_) | Shape::List { .. } = shape {
        found.kind().to_owned()
    } else {
        found.describe()
    };
    format!("expected {}, found {found}", shape.expected())
}

/// Parses a scalar's text as the type of the key.
fn scalar(text: &str, shape: &Shape) -> Result<Json, String> {
    let refused = || expected(shape, &Value::Text(text.to_owned()));
    match shape {
        Shape::Text => Ok(text.into()),
        Shape::Flag => text.parse::<bool>().map(Json::from).map_err(|_| refused()),
        Shape::Number { min, max, percent } => match number(text, *percent) {
            Some(number) if (min..=max).contains(&&number) => Ok(number.into()),
            Some(_) | None => {
                Err(format!("expected {}, found {}", shape.expected(), Value::Number(text.to_owned()).describe()))
            }
        },
        Shape::Dollars => match text.parse::<f64>().ok().and_then(Usd::from_dollars) {
            Some(amount) if amount >= Usd::ZERO => Ok(amount.dollars().into()),
            Some(_) | None => {
                Err(format!("expected {}, found {}", shape.expected(), Value::Number(text.to_owned()).describe()))
            }
        },
        Shape::Choice(words) if words.iter().any(|word| word == text) => Ok(text.into()),
        Shape::Choice(words) => Err(format!("{}{}", refused(), did_you_mean(text, words.iter().map(String::as_str)))),
        Shape::List { .. } | Shape::Section(_) | Shape::Map(_) => Err(refused()),
    }
}

/// Parses a whole number; a percentage may end with `%`.
fn number(text: &str, percent: bool) -> Option<u64> {
    let plain = if percent { text.strip_suffix('%').map_or(text, str::trim_end) } else { text };
    plain.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(file: FileKind, text: &str) -> String {
        let tree = super::super::tree::parse(text).unwrap();
        let (_, problems) = parse_file(&tree, file, Path::new(file.name()));
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(problems(FileKind::Global, text), expected, "{text}");
    }

    #[test]
    fn an_unknown_key_is_reported_with_its_place_and_what_was_meant() {
        check("router:\n  modle: x\n", "config.yml:2:3: unknown key \"modle\" in router, did you mean \"model\"?");
        check("worklfow: {}\n", "config.yml:1:1: unknown key \"worklfow\", did you mean \"workflow\"?");
        check(
            "agents: {claude: {comand: x}}\n",
            "config.yml:1:19: unknown key \"comand\" in agents.claude, did you mean \"command\"?",
        );
        check(
            "tick_seconds: 3\n",
            "config.yml:1:1: unknown key \"tick_seconds\", did you mean \"engine.tick_seconds\"?",
        );
        check(
            "engine:\n  colour: red\n",
            "config.yml:2:3: unknown key \"colour\" in engine\n  hint: known here: tick_seconds, max_parallel, adaptive, max_parallel_ceiling, min_free_disk_mb, self_memory_limit_mb, on_signal",
        );
    }

    #[test]
    fn a_key_in_its_other_spelling_is_the_same_key_and_stands_there_once() {
        let text = "healthCheck:\n  enabled: false\n  intervalMs: 20000\n  timeout_ms: 5\n";
        let tree = super::super::tree::parse(text).unwrap();
        let (settings, problems) = parse_file(&tree, FileKind::Global, Path::new("c"));
        assert_eq!(problems, []);
        let read: Vec<String> = settings.iter().map(|s| format!("{}={} {}", s.dotted(), s.value, s.origin)).collect();
        let expected = [
            "health_check.enabled=false c:2:12",
            "health_check.interval_ms=20000 c:3:15",
            "health_check.timeout_ms=5 c:4:15",
        ];
        assert_eq!(read, expected);
        check(
            "health_check: {enabled: true}\nhealthCheck: {enabled: false}\n",
            "config.yml:2:1: healthCheck is the same key as health_check in line 1\n  hint: keep one of them",
        );
        check(
            "healthCheck: {maxRetries: 1, max_retries: 2}\n",
            "config.yml:1:30: max_retries is the same key as maxRetries in line 1\n  hint: keep one of them",
        );
        check(
            "healthCheck: {intervalMs: 9999}\n",
            "config.yml:1:27: health_check.interval_ms: expected a whole number from 10000 to 3600000, found 9999",
        );
        check("healthcheck: {}\n", "config.yml:1:1: unknown key \"healthcheck\", did you mean \"health_check\"?");
    }

    #[test]
    fn a_wrong_type_is_reported_with_what_was_expected() {
        check(
            "engine: {max_parallel: four}\n",
            "config.yml:1:24: engine.max_parallel: expected a whole number from 1 to 1000, found the text \"four\"",
        );
        check(
            "engine: {max_parallel: '4'}\n",
            "config.yml:1:24: engine.max_parallel: expected a whole number from 1 to 1000, found the text \"4\"",
        );
        check(
            "engine: {max_parallel: 0}\n",
            "config.yml:1:24: engine.max_parallel: expected a whole number from 1 to 1000, found 0",
        );
        check(
            "engine: {tick_seconds: 1.5}\n",
            "config.yml:1:24: engine.tick_seconds: expected a whole number from 1 to 3600, found 1.5",
        );
        check(
            "workflow:\n  sandbox: maybe\n",
            "config.yml:2:12: workflow.sandbox: expected true or false, found the text \"maybe\"",
        );
        check("workflow: {checks: cargo test}\n", "config.yml:1:20: workflow.checks: expected a list, found a text");
        check("router: [llm]\n", "config.yml:1:9: router: expected a mapping, found a list");
        check("router: {model: [a]}\n", "config.yml:1:17: router.model: expected a text, found a list");
        check("router: {agents: [a, {b: c}]}\n", "config.yml:1:22: router.agents: expected a text, found a mapping");
        check("- a\n", "config.yml:1:1: expected a mapping, found a list");
    }

    #[test]
    fn a_wrong_word_is_reported_with_the_right_ones() {
        check(
            "router: {mode: llmm}\n",
            "config.yml:1:16: router.mode: expected one of llm, round_robin, found the text \"llmm\", did you mean \"llm\"?",
        );
        check(
            "agents: {codex: {sandbox: read-only}}\n",
            "config.yml:1:27: agents.codex.sandbox: expected one of full-auto, workspace-write, danger-full-access, none, \
             found the text \"read-only\"",
        );
    }

    #[test]
    fn all_that_is_wrong_is_reported_at_once() {
        check(
            "rooter: 1\nengine:\n  tick: 3\n  max_parallel: x\n",
            "config.yml:1:1: unknown key \"rooter\", did you mean \"router\"?\n\
             config.yml:3:3: unknown key \"tick\" in engine\n  hint: known here: tick_seconds, max_parallel, adaptive, max_parallel_ceiling, min_free_disk_mb, self_memory_limit_mb, on_signal\n\
             config.yml:4:17: engine.max_parallel: expected a whole number from 1 to 1000, found the text \"x\"",
        );
    }

    #[test]
    fn a_key_in_the_wrong_file_is_reported_where_it_belongs() {
        check("name: shop\n", "config.yml:1:1: name belongs in a project's .orch.yml");
        let project = "agents: {claude: {command: ./evil}}\nworkflow: {sandbox: false, checks: [x]}\nengine: {}\n";
        let hint = "  hint: a project file may come from strangers; set this in config.yml under ORCH_HOME";
        assert_eq!(
            problems(FileKind::Project, project),
            format!(
                ".orch.yml:1:1: agents cannot be set by a project\n{hint}\n\
                 .orch.yml:2:12: workflow.sandbox cannot be set by a project\n{hint}\n\
                 .orch.yml:3:1: engine cannot be set by a project\n{hint}"
            )
        );
    }

    #[test]
    fn the_value_of_a_variable_for_an_agent_is_never_shown() {
        let text = "agents: {claude: {env: {KEY: [sk-secret]}}}\n";
        check(text, "config.yml:1:30: agents.claude.env.KEY: expected a text, found a list");
        check(
            "agents: {claude: {env: sk-secret}}\n",
            "config.yml:1:24: agents.claude.env: expected a mapping, found a text",
        );
    }

    #[test]
    fn numbers_are_fine_where_text_is_wanted() {
        let tree = super::super::tree::parse("router: {model: 5.10}\n").unwrap();
        let (settings, problems) = parse_file(&tree, FileKind::Global, Path::new("c"));
        assert!(problems.is_empty());
        assert_eq!((settings[0].dotted().as_str(), &settings[0].value), ("router.model", &Json::from("5.10")));
    }

    #[test]
    fn one_text_is_read_as_the_key_wants_it() {
        let names = Shape::List { separator: ',' };
        let commands = Shape::List { separator: '\n' };
        assert_eq!(parse_text("claude, codex,", &names), Ok(serde_json::json!(["claude", "codex"])));
        assert_eq!(parse_text("make a,b", &commands), Ok(serde_json::json!(["make a,b"])));
        assert_eq!(parse_text("['a, b', c]", &names), Ok(serde_json::json!(["a, b", "c"])));
        assert_eq!(parse_text("[a", &names), Err("not a YAML list: unclosed bracket '['".to_owned()));
        assert_eq!(parse_text("true", &Shape::Flag), Ok(true.into()));
        assert_eq!(parse_text("null", &Shape::Text), Ok(Json::Null));
        assert_eq!(parse_text("", &names), Ok(serde_json::json!([])));
    }
}
