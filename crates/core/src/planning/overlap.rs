//! Which files a task will probably change, and whether two tasks overlap in one. The guess is based on the task's text
//! and labels, on the changes of its earlier runs, and on what a running task has changed so far; a wrong guess costs a
//! wait or a line in the history. Pure.

use crate::base::ids::TaskId;
use crate::tasks::task::{Spec, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happens with a task that will probably change files which a running task of its project changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The overlap is ignored.
    Off,
    /// The task starts, and the history records the overlap.
    #[default]
    Warn,
    /// The task waits until the other one ends.
    Hold,
}

/// The files that running tasks have changed so far.
pub type Touched = BTreeMap<TaskId, Arc<[String]>>;

/// The prefix of a label that names files: `files:src/parser.rs,docs/`.
const LABEL: &str = "files:";
/// The number of characters of a body that are read.
const MAX_BODY_CHARS: usize = 16_000;
/// The number of files that are taken from a task's text.
const MAX_FILES: usize = 64;
/// The longest word that can be a path, in bytes.
const MAX_PATH: usize = 300;

/// A set of files: paths, bare file names, and directories (ending in `/`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint(Vec<String>);

impl Footprint {
    /// Returns the files that the text and labels of a task name.
    pub fn from_spec(spec: &Spec) -> Self {
        let labelled = spec.labels.iter().filter_map(|label| label.strip_prefix(LABEL)).flat_map(|l| l.split(','));
        let mut files: Vec<String> = labelled.filter_map(normal).collect();
        let body: String = spec.body.chars().take(MAX_BODY_CHARS).collect();
        let named = words(&spec.title).chain(words(&body)).filter(|word| looks_like_a_path(word)).filter_map(normal);
        for file in named {
            if files.len() >= MAX_FILES {
                break;
            }
            if !files.contains(&file) {
                files.push(file);
            }
        }
        Self(files)
    }

    /// Returns the files of the task's spec, and those that its earlier runs changed: the next run probably changes
    /// them again.
    pub fn from_task(task: &Task) -> Self {
        let mut files = Self::from_spec(&task.spec);
        for file in task.evidence.iter().flat_map(|evidence| &evidence.changed).filter_map(|path| normal(path)) {
            if !files.0.contains(&file) {
                files.0.push(file);
            }
        }
        files
    }

    /// Whether no file is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the first file that overlaps with one of the other's, as the longer of the two names.
    pub fn first_overlap<'a>(&'a self, other: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let mine = || self.0.iter().map(String::as_str);
        other.into_iter().find_map(|theirs| {
            let found = mine().find(|mine| overlaps(mine, theirs))?;
            Some(if found.len() >= theirs.len() { found } else { theirs })
        })
    }

    /// Returns the files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Splits a text at characters that end a path.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "\"'`()[]{}<>|,;:!?*=".contains(c);
    text.split(ends).map(|word| word.trim_end_matches('.')).filter(|word| !word.is_empty())
}

/// Whether a word looks like a path: it has a directory, or a name with an extension: `src/parser`, `docs/`,
/// `Cargo.toml`.
fn looks_like_a_path(word: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "._-/+@#~".contains(c);
    if word.len() > MAX_PATH || !word.chars().all(is_plain) || word.starts_with("//") || word.starts_with("www.") {
        return false;
    }
    if let Some((dir, name)) = word.split_once('/') {
        // "and/or", "1/2" and "Linux/macOS" are not paths: a path has a second slash or an extension.
        return !dir.is_empty() && (name.is_empty() || name.contains('/') || has_extension(name));
    }
    has_extension(word)
}

/// Whether a name has the form `name.ext`: the extension starts with a letter, and it is not an abbreviation such as
/// "e.g".
fn has_extension(name: &str) -> bool {
    let Some((stem, extension)) = name.trim_end_matches('/').rsplit_once('.') else { return false };
    let is_extension = (1..=8).contains(&extension.len()) && extension.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_abbreviation = stem.chars().count() < 2 && extension.len() < 2;
    is_extension && !is_abbreviation && extension.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Normalizes a path: relative to the repository's root, without trailing `*` and `**`.
fn normal(path: &str) -> Option<String> {
    let path = path.trim().trim_start_matches("./").trim_start_matches('/');
    let path = path.trim_end_matches("**").trim_end_matches('*');
    let is_bad = path.is_empty() || path == "/" || path.len() > MAX_PATH || path.split('/').any(|part| part == "..");
    (!is_bad).then(|| path.to_owned())
}

/// Whether one path names the other: they are equal, one is a directory above the other, or one is the other's last
/// components.
fn overlaps(one: &str, other: &str) -> bool {
    let above = |dir: &str, file: &str| dir.ends_with('/') && file.starts_with(dir);
    let tail = |short: &str, long: &str| {
        !short.ends_with('/') && long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    above(one, other) || above(other, one) || tail(one, other) || tail(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn footprint(title: &str, body: &str, labels: &[&str]) -> Vec<String> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let spec = Spec { title: title.into(), body: body.into(), labels, ..Spec::default() };
        Footprint::from_spec(&spec).files().map(str::to_owned).collect()
    }

    #[test]
    fn files_are_read_from_words_and_labels() {
        let body = "Change `src/parser.rs`, (see ./docs/grammar.md) and everything in tests/it/.\nCargo.toml too.";
        let found = footprint("Redo parser.rs", body, &["files:src/lexer.rs,benches/**", "urgent"]);
        let expected =
            ["src/lexer.rs", "benches/", "parser.rs", "src/parser.rs", "docs/grammar.md", "tests/it/", "Cargo.toml"];
        assert_eq!(found, expected);
    }

    #[test]
    fn prose_is_no_path() {
        let body = "E.g. and/or, i.e. version 1.2.3 at https://example.com/x.html?y=1; 3/4 of Linux/macOS. Done... ../etc/passwd \
                    10.0.0.1 a.b";
        // Text behind a colon that begins with slashes is an address.
        assert_eq!(footprint("Fix it", body, &[]), Vec::<String>::new());
    }

    #[test]
    fn two_tasks_meet_in_a_file_however_each_names_it() {
        let meets = |mine: &str, theirs: &str| {
            let mine = Footprint(vec![mine.to_owned()]);
            mine.first_overlap([theirs]).map(str::to_owned)
        };
        for (one, other, met) in [
            ("src/parser.rs", "src/parser.rs", Some("src/parser.rs")),
            ("parser.rs", "src/parser.rs", Some("src/parser.rs")),
            ("src/", "src/parser.rs", Some("src/parser.rs")),
            ("src/parser.rs", "src/parser_tests.rs", None),
            ("arser.rs", "src/parser.rs", None),
            ("src/a.rs", "b/src/a.rs", Some("b/src/a.rs")),
            ("docs/", "src/docs/x.md", None),
        ] {
            assert_eq!(meets(one, other).as_deref(), met, "{one} {other}");
            assert_eq!(meets(other, one).as_deref(), met, "{other} {one}");
        }
        assert_eq!(Footprint::default().first_overlap(["a.rs"]), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_what_it_finds_is_bounded_and_meets_itself(title in any::<String>(), body in ".{0,600}") {
            let found = footprint(&title, &body, &[&format!("files:{title}")]);
            prop_assert!(found.len() <= MAX_FILES + title.split(',').count());
            for file in &found {
                prop_assert!(!file.is_empty() && file.len() <= MAX_PATH);
                prop_assert!(overlaps(file, file));
            }
        }
    }
}
