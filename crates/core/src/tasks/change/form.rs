//! Whether a change differs in anything but white space and comments.

use super::patch::{Line, Mark};
use super::{ChangedFile, Finding, FindingKind};

/// File extensions, and how a comment line starts there.
const COMMENTS: &[(&[&str], &[&str])] = &[
    (
        &[
            "rs", "c", "h", "cc", "cpp", "hpp", "js", "jsx", "mjs", "cjs", "ts", "tsx", "go", "java", "kt", "kts",
            "swift", "cs", "scala", "php", "dart", "groovy", "gradle",
        ],
        &["//", "/*", "*/", "* "],
    ),
    (&["py", "sh", "bash", "rb", "pl", "r", "toml", "yml", "yaml", "mk", "bats"], &["#"]),
    (&["sql", "lua", "hs"], &["--"]),
];
/// Extensions of files in which white space has a meaning.
const INDENTED: &[&str] = &["py", "yml", "yaml", "mk", "md", "hs", "coffee", "nim", "haml", "pug"];

fn ending(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(_, ending)| ending)
}

/// Returns whether a line is only a comment, in a file of this name.
pub(super) fn is_comment(path: &str, text: &str) -> bool {
    let (ending, text) = (ending(path), text.trim());
    let begins = |words: &&[&str]| words.iter().any(|word| text.starts_with(word) || text == word.trim_end());
    COMMENTS.iter().filter(|(endings, _)| endings.contains(&ending)).map(|(_, words)| words).any(begins)
}

/// Reports a change in which only white space and comments differ.
pub(super) fn only_form(files: &[ChangedFile], lines: &[Line<'_>]) -> Option<Finding> {
    let found = !files.is_empty() && files.iter().all(|file| is_only_form(file, lines));
    found.then(|| Finding::new(FindingKind::OnlyForm, "", "only blank space and comments differ"))
}

/// Returns whether only white space and comments differ in a file.
pub(super) fn is_only_form(file: &ChangedFile, lines: &[Line<'_>]) -> bool {
    let side = |mark: Mark| -> String {
        let of_side = lines.iter().filter(|line| line.mark == mark && line.path == file.path);
        of_side.filter(|line| !is_comment(&file.path, line.text)).map(|line| meaning(&file.path, line.text)).collect()
    };
    let is_seen = lines.iter().any(|line| line.path == file.path);
    file.old_mode == file.new_mode && is_seen && side(Mark::Removed) == side(Mark::Added)
}

/// Returns a line without insignificant white space. Within quotes a space may be the fix.
fn meaning(path: &str, text: &str) -> String {
    if INDENTED.contains(&ending(path)) || path.ends_with("Makefile") {
        return if text.trim().is_empty() { String::new() } else { format!("{}\n", text.trim_end()) };
    }
    let words = text.split_whitespace();
    if text.contains(['"', '\'', '`']) { words.collect::<Vec<_>>().join(" ") } else { words.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str, mark: Mark, text: &'static str) -> Line<'static> {
        Line { path: path.to_owned(), number: 1, mark, text }
    }

    fn is_form(path: &str, removed: &[&'static str], added: &[&'static str]) -> bool {
        let files = [ChangedFile { path: path.to_owned(), old_mode: 1, new_mode: 1 }];
        let removed = removed.iter().map(|text| line(path, Mark::Removed, text));
        let lines: Vec<Line<'_>> = removed.chain(added.iter().map(|text| line(path, Mark::Added, text))).collect();
        only_form(&files, &lines).is_some()
    }

    #[test]
    fn blank_space_and_comments_say_nothing() {
        assert!(is_form("a.rs", &["fn a() {}"], &["fn a() {", "", "}"]));
        assert!(is_form("a.rs", &[], &["// It is mended now."]));
        assert!(is_form("a.py", &["# old"], &["# new"]));
        assert!(is_form("a.sh", &["a"], &["  a"]));
    }

    #[test]
    fn code_says_something_and_so_does_blank_space_where_it_has_a_meaning() {
        assert!(!is_form("a.rs", &["let a = 1;"], &["let a = 2;"]));
        assert!(!is_form("a.py", &["    return 1"], &["  return 1"]));
        assert!(!is_form("a.c", &[], &["#include <stdio.h>"]));
        assert!(!is_form("a.md", &[], &["# A heading"]));
        assert!(!is_form("a.rs", &["say(\"onefile\");"], &["say(\"one file\");"]), "the blank was missing");
        // Another mode, or nothing that could be read.
        assert!(!is_form("a.sh", &[], &[]));
    }
}
