//! Which files a task will likely change, and whether two tasks will meet there. A guess from words, from labels, from what
//! earlier runs of the task have changed, and from what a running one has changed already; wrong guesses cost a wait or a line in the history. PURE.

use super::ids::TaskId;
use super::task::{Spec, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happens with a task that will likely change files which a running one of its project changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Nothing.
    Off,
    /// It starts, and the history says so.
    #[default]
    Warn,
    /// It waits until the other ends.
    Hold,
}

/// Files that running tasks have changed so far.
pub type Touched = BTreeMap<TaskId, Arc<[String]>>;

/// A label that names files: `files:src/parser.rs,docs/`.
const LABEL: &str = "files:";
/// How much of a body is read, in characters, and how many files are taken from it.
const READ: usize = 16_000;
const MOST: usize = 64;
/// The longest path that is believed to be one.
const LONGEST: usize = 300;

/// Files, by path: whole ones, names alone, and directories (with a `/` at their end).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint(Vec<String>);

impl Footprint {
    /// What the words of a task name.
    pub fn of(spec: &Spec) -> Self {
        let labelled = spec.labels.iter().filter_map(|label| label.strip_prefix(LABEL)).flat_map(|l| l.split(','));
        let mut files: Vec<String> = labelled.filter_map(normal).collect();
        let body: String = spec.body.chars().take(READ).collect();
        let named = words(&spec.title).chain(words(&body)).filter(|word| looks_like_a_path(word)).filter_map(normal);
        for file in named {
            if files.len() >= MOST {
                break;
            }
            if !files.contains(&file) {
                files.push(file);
            }
        }
        Self(files)
    }

    /// The same, and what earlier runs of the task have changed: who does it again will come there again.
    pub fn of_task(task: &Task) -> Self {
        let mut files = Self::of(&task.spec);
        for file in task.evidence.iter().flat_map(|evidence| &evidence.changed).filter_map(|path| normal(path)) {
            if !files.0.contains(&file) {
                files.0.push(file);
            }
        }
        files
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of its files that is also one of the other's, by the longer of the two names.
    pub fn meets<'a>(&'a self, other: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let mine = || self.0.iter().map(String::as_str);
        other.into_iter().find_map(|theirs| {
            let met = mine().find(|mine| same(mine, theirs))?;
            Some(if met.len() >= theirs.len() { met } else { theirs })
        })
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Pieces of a text between which no path goes on.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "\"'`()[]{}<>|,;:!?*=".contains(c);
    text.split(ends).map(|word| word.trim_end_matches('.')).filter(|word| !word.is_empty())
}

/// A path has a directory, or a name with an ending: `src/parser`, `docs/`, `Cargo.toml`.
fn looks_like_a_path(word: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "._-/+@#~".contains(c);
    if word.len() > LONGEST || !word.chars().all(is_plain) || word.starts_with("//") || word.starts_with("www.") {
        return false;
    }
    if let Some((dir, name)) = word.split_once('/') {
        // "and/or", "1/2" and "Linux/macOS" are no paths; "src/lib" is: one more part or an ending tells.
        return !dir.is_empty() && (name.is_empty() || name.contains('/') || has_ending(name));
    }
    has_ending(word)
}

/// `name.ext`: what stands behind the dot begins with a letter, and neither part is a single letter, as in "e.g".
fn has_ending(name: &str) -> bool {
    let Some((stem, ending)) = name.trim_end_matches('/').rsplit_once('.') else { return false };
    let is_ending = (1..=8).contains(&ending.len()) && ending.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_abbreviation = stem.chars().count() < 2 && ending.len() < 2;
    is_ending && !is_abbreviation && ending.chars().all(|c| c.is_ascii_alphanumeric())
}

/// From the repository's root, without what stands for "all below".
fn normal(path: &str) -> Option<String> {
    let path = path.trim().trim_start_matches("./").trim_start_matches('/');
    let path = path.trim_end_matches("**").trim_end_matches('*');
    let is_bad = path.is_empty() || path == "/" || path.len() > LONGEST || path.split('/').any(|part| part == "..");
    (!is_bad).then(|| path.to_owned())
}

/// One names the other: the same, a directory above it, or its last parts.
fn same(one: &str, other: &str) -> bool {
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
        Footprint::of(&spec).files().map(str::to_owned).collect()
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
        // What stands behind a colon goes on with slashes, and is an address.
        assert_eq!(footprint("Fix it", body, &[]), Vec::<String>::new());
    }

    #[test]
    fn two_tasks_meet_in_a_file_however_each_names_it() {
        let meets = |mine: &str, theirs: &str| {
            let mine = Footprint(vec![mine.to_owned()]);
            mine.meets([theirs]).map(str::to_owned)
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
        assert_eq!(Footprint::default().meets(["a.rs"]), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_what_it_finds_is_bounded_and_meets_itself(title in any::<String>(), body in ".{0,600}") {
            let found = footprint(&title, &body, &[&format!("files:{title}")]);
            prop_assert!(found.len() <= MOST + title.split(',').count());
            for file in &found {
                prop_assert!(!file.is_empty() && file.len() <= LONGEST);
                prop_assert!(same(file, file));
            }
        }
    }
}
