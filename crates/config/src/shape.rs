//! The structure of the configuration as data, derived from the JSON Schema of the raw types: which keys exist, what
//! values they accept, and which file may contain them. All lookups of keys use it; no key is listed a second time.

use super::json_schema;
use super::problem::similar;
use serde_json::Value;
use std::sync::LazyLock;

/// The two files that hold configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `$ORCH_HOME/config.yml`: the person's own.
    Global,
    /// `.orch.yml` in a project: comes with the repository, hence untrusted.
    Project,
}

impl FileKind {
    /// Returns the file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "config.yml",
            Self::Project => ".orch.yml",
        }
    }

    /// Returns the other kind.
    pub fn other(self) -> Self {
        match self {
            Self::Global => Self::Project,
            Self::Project => Self::Global,
        }
    }
}

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A mapping with these keys and no others.
    Section(Vec<Field>),
    /// A mapping with free names.
    Map(Box<Shape>),
    /// A list of texts; `separator` separates them where only a single text can be given.
    List {
        /// A comma or a line feed.
        separator: char,
    },
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number between two bounds, both included.
    Number {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
        /// Whether a `%` may follow it.
        percent: bool,
    },
    /// An amount of US dollars: zero or more, with or without decimals.
    Dollars,
    /// One of these words.
    Choice(Vec<String>),
}

/// One key of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name of the key.
    pub name: String,
    /// Another spelling that files and flags may use.
    pub alias: Option<String>,
    /// Documentation, in one line.
    pub doc: String,
    /// The only file that may contain the key; `None`: both may.
    pub only_in: Option<FileKind>,
    /// Type of its value.
    pub shape: Shape,
}

impl Field {
    /// Returns whether that file may contain the key.
    pub fn allowed_in(&self, file: FileKind) -> bool {
        self.only_in.is_none_or(|only| only == file)
    }
}

/// A key that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The dotted key with `*` for free names.
    pub pattern: String,
    /// Type of its value.
    pub shape: &'static Shape,
    /// The key of a section; `None` for a free name.
    pub field: Option<&'static Field>,
}

/// Looks up a dotted key of a value or a mapping.
pub fn find(key: &str) -> Option<Found> {
    let start = Found { pattern: String::new(), shape: root(), field: None };
    key.split('.').try_fold(start, |at, part| {
        let (name, shape, field) = match at.shape.map_value() {
            Some(inner) => (!part.is_empty()).then_some(("*", inner, None))?,
            None => at.shape.field(part).map(|field| (field.name.as_str(), &field.shape, Some(field)))?,
        };
        let pattern = if at.pattern.is_empty() { name.to_owned() } else { format!("{}.{name}", at.pattern) };
        Some(Found { pattern, shape, field })
    })
}

/// Returns a dotted key in orch's own spelling; an unknown key is returned unchanged.
pub fn canonical(key: &str) -> String {
    let mut shape = Some(root());
    let part = |part| {
        let field = shape.and_then(|shape| shape.field(part));
        shape = shape.and_then(|shape| shape.map_value().or(field.map(|field| &field.shape)));
        field.map_or(part, |field| field.name.as_str())
    };
    key.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// Returns whether that file may contain an existing key and all its parent sections.
pub fn allowed_in(key: &str, file: FileKind) -> bool {
    let ends = key.match_indices('.').map(|(at, _)| at).chain([key.len()]);
    let mut fields = ends.filter_map(|end| find(&key[..end])?.field);
    fields.all(|field| field.allowed_in(file))
}

/// Returns the key that was probably meant by one that does not exist.
pub fn suggest(key: &str) -> Option<String> {
    let mut shape = root();
    let mut meant = Vec::new();
    for part in key.split('.') {
        if let Some(inner) = shape.map_value() {
            meant.push(part);
            shape = inner;
            continue;
        }
        let names = || shape.fields().iter().map(|field| field.name.as_str());
        match shape.field(part).or_else(|| shape.field(similar(part, names())?)) {
            Some(field) => {
                meant.push(field.name.as_str());
                shape = &field.shape;
            }
            None => return find_in_other_section(key),
        }
    }
    Some(meant.join("."))
}

/// Returns the key of that name in another section, if there is exactly one.
pub fn find_in_other_section(name: &str) -> Option<String> {
    let ending = format!(".{name}");
    let mut found = fixed_keys().into_iter().filter(|key| key.ends_with(&ending));
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        (None | Some(_), _) => None,
    }
}

/// Returns all keys of values that the file may contain, with `*` for free names.
pub fn patterns(file: FileKind) -> Vec<String> {
    fn walk(shape: &Shape, path: &str, file: FileKind, found: &mut Vec<String>) {
        match shape {
            Shape::Section(fields) => fields.iter().filter(|field| field.allowed_in(file)).for_each(|field| {
                let dot = if path.is_empty() { "" } else { "." };
                walk(&field.shape, &format!("{path}{dot}{}", field.name), file, found);
            }),
            Shape::Map(inner) => walk(inner, &format!("{path}.*"), file, found),
            Shape::List { .. }
            | Shape::Text
            | Shape::Flag
            | Shape::Number { .. }
            | Shape::Dollars
            | Shape::Choice(_) => {
                found.push(path.to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), "", file, &mut found);
    found
}

/// Returns all keys of values, except those under free names.
pub fn fixed_keys() -> Vec<String> {
    let mut keys = patterns(FileKind::Project);
    keys.retain(|key| !find(key).is_some_and(|found| found.field.is_some_and(|f| f.allowed_in(FileKind::Global))));
    keys.extend(patterns(FileKind::Global));
    keys.retain(|key| !key.contains('*'));
    keys
}

/// Returns the structure of the whole configuration.
pub fn root() -> &'static Shape {
    static ROOT: LazyLock<Shape> = LazyLock::new(|| from_schema(&json_schema::complete()));
    &ROOT
}

impl Shape {
    /// Returns the keys of a section; empty for anything else.
    pub fn fields(&self) -> &[Field] {
        if let Self::Section(fields) = self { fields } else { &[] }
    }

    /// Returns the key of that name in a section, in either spelling.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| field.name == name || field.alias.as_deref() == Some(name))
    }

    /// Returns the type of the entries of a mapping with free names.
    pub fn map_value(&self) -> Option<&Shape> {
        if let Self::Map(inner) = self { Some(inner) } else { None }
    }

    /// Returns whether this is a section or a mapping with free names.
    pub fn is_mapping(&self) -> bool {
        matches!(self, Self::Section(_) | Self::Map(_))
    }

    /// Describes the expected value, for messages.
    pub fn expected(&self) -> String {
        match self {
            Self::Section(_) | Self::Map(_) => "a mapping".to_owned(),
            Self::List { .. } => "a list".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Number { min, max, percent: false } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max, percent: true } => format!("percent from {min} to {max}, as 20 or 20%"),
            Self::Dollars => "an amount in dollars such as 2.50".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }
}

fn from_schema(schema: &Value) -> Shape {
    if let Some([inner, others @ ..]) = schema["anyOf"].as_array().map(Vec::as_slice) {
        return match from_schema(inner) {
            // Among numbers, only a percentage may also be a text.
            Shape::Number { min, max, .. } => {
                Shape::Number { min, max, percent: others.iter().any(|other| other["type"] == "string") }
            }
            shape @ (Shape::Section(_)
            | Shape::Map(_)
            | Shape::List { .. }
            | Shape::Text
            | Shape::Flag
            | Shape::Dollars
            | Shape::Choice(_)) => shape,
        };
    }
    if let Some(options) = schema["oneOf"].as_array() {
        return Shape::Choice(options.iter().filter_map(|o| o["const"].as_str()).map(str::to_owned).collect());
    }
    let is = |name: &str| {
        let kind = &schema["type"];
        kind == name || kind.as_array().is_some_and(|kinds| kinds.iter().any(|k| k == name))
    };
    if let Some(properties) = schema["properties"].as_object() {
        return Shape::Section(properties.iter().map(|(name, schema)| field(name, schema)).collect());
    }
    if is("object") {
        return Shape::Map(Box::new(from_schema(&schema["additionalProperties"])));
    }
    if is("array") {
        return Shape::List { separator: if schema[SEPARATOR] == "line" { '\n' } else { ',' } };
    }
    if is("boolean") {
        return Shape::Flag;
    }
    if is("integer") {
        let bound = |name: &str, otherwise| schema[name].as_u64().unwrap_or(otherwise);
        return Shape::Number { min: bound("minimum", 0), max: bound("maximum", u64::MAX), percent: false };
    }
    if is("number") {
        return Shape::Dollars;
    }
    Shape::Text
}

/// Extension of the schema: another spelling of a key.
pub const ALIAS: &str = "x-orch-alias";
/// Extension of the schema: how items of a list are separated in a single text.
pub const SEPARATOR: &str = "x-orch-separator";
/// Extension of the schema: the only file that may contain a key.
pub const ONLY_IN: &str = "x-orch-file";

fn field(name: &str, schema: &Value) -> Field {
    let only_in = [FileKind::Global, FileKind::Project].into_iter().find(|file| schema[ONLY_IN] == file.name());
    let alias = schema[ALIAS].as_str().map(str::to_owned);
    let doc = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
    Field { name: name.to_owned(), alias, doc, only_in, shape: from_schema(schema) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: &str) -> &'static Shape {
        find(key).expect("a key").shape
    }

    #[test]
    fn every_kind_of_value_is_recognized_in_the_schema() {
        assert_eq!(at("router.mode"), &Shape::Choice(vec!["llm".to_owned(), "round_robin".to_owned()]));
        assert_eq!(at("router.timeout_seconds"), &Shape::Number { min: 1, max: 3600, percent: false });
        assert_eq!(at("budget.accounts.any.reserve"), &Shape::Number { min: 0, max: 99, percent: true });
        assert_eq!(at("budget.degrade_percent"), &Shape::Number { min: 1, max: 100, percent: true });
        assert_eq!(at("router.agents"), &Shape::List { separator: ',' });
        assert_eq!(at("workflow.checks"), &Shape::List { separator: '\n' });
        assert_eq!(at("workflow.base_branch"), &Shape::Text);
        assert_eq!(at("agents.any.trust_repository"), &Shape::Flag);
        assert_eq!(at("model_map.simple"), &Shape::Map(Box::new(Shape::Text)));
        assert_eq!(at("agents.any.env"), &Shape::Map(Box::new(Shape::Text)));
        assert_eq!(
            at("agents.any").field("sandbox").map(|f| f.shape.expected()).as_deref(),
            Some("one of full-auto, workspace-write, danger-full-access, none")
        );
    }

    #[test]
    fn a_key_is_found_under_any_name() {
        let found = find("agents.mybot.env.KEY").expect("a key");
        assert_eq!((found.pattern.as_str(), found.field), ("agents.*.env.*", None));
        assert_eq!(
            find("workflow.checks").and_then(|found| found.field).map(|field| field.name.as_str()),
            Some("checks")
        );
        for bad in ["", "router.modle", "router.model.x", "agents..command", "agents."] {
            assert_eq!(find(bad), None, "{bad}");
        }
        let keys = fixed_keys();
        assert!(["name", "router.mode", "log.keep"].iter().all(|key| keys.iter().any(|k| k == key)), "{keys:?}");
    }

    #[test]
    fn a_key_with_two_spellings_is_one_key() {
        for key in ["health_check.interval_ms", "healthCheck.intervalMs", "healthCheck.interval_ms"] {
            assert_eq!(find(key).map(|found| found.pattern).as_deref(), Some("health_check.interval_ms"), "{key}");
            assert_eq!(canonical(key), "health_check.interval_ms");
        }
        assert_eq!(canonical("agents.healthCheck.args"), "agents.healthCheck.args");
        assert_eq!(canonical("no.such.key"), "no.such.key");
    }

    #[test]
    fn the_meant_key_is_found_segment_by_segment() {
        for (key, meant) in [
            ("engin.max_paralel", Some("engine.max_parallel")),
            ("agents.nobody.comand", Some("agents.nobody.command")),
            ("tick_seconds", Some("engine.tick_seconds")),
            ("max_parallel", None),
            ("timeout_seconds", None),
            ("engine.max_parallel.x", None),
            ("colour", None),
        ] {
            assert_eq!(suggest(key).as_deref(), meant, "{key}");
        }
    }

    #[test]
    fn what_widens_permissions_may_not_stand_in_a_project_file() {
        for section in ["router", "agents", "engine", "breaker", "retention", "log"] {
            assert!(!root().field(section).expect("a section").allowed_in(FileKind::Project), "{section}");
        }
        assert!(!at("workflow").field("sandbox").expect("a key").allowed_in(FileKind::Project));
        assert!(at("workflow").field("checks").expect("a key").allowed_in(FileKind::Project));
    }

    #[test]
    fn every_key_is_documented_in_one_short_line() {
        fn walk(shape: &Shape, path: &str) {
            for field in shape.fields() {
                assert!(!field.doc.is_empty() && field.doc.len() <= 125, "{path}{}: {:?}", field.name, field.doc);
                assert!(!field.doc.contains("\n"), "{path}{}", field.name);
                walk(&field.shape, &format!("{path}{}.", field.name));
            }
            if let Shape::Map(inner) = shape {
                walk(inner, &format!("{path}*."));
            }
        }
        walk(root(), "");
    }
}
