//! Converts the CLIs' reports of changed files into one form: unified hunks without names, cut to a readable length, with
//! the number of added and removed lines.

use super::text::{str_at, string_at};
use crate::tasks::edit::{EditKind, FileEdit};
use serde_json::Value;
use similar::TextDiff;

/// The most lines of a diff that an event carries.
const MAX_LINES: usize = 200;
/// The most characters of one such line.
const MAX_WIDTH: usize = 400;
/// The most lines of two texts that are compared.
const MAX_COMPARED: usize = 4000;
/// The number of unchanged lines around a change.
const CONTEXT: usize = 2;

/// Creates an edit from lines of hunks, which begin with ` `, `+`, `-` or `@@`. Other lines are skipped.
pub(super) fn from_lines<'a>(path: String, kind: EditKind, lines: impl Iterator<Item = &'a str>) -> FileEdit {
    let (mut added, mut removed, mut count) = (0, 0, 0_usize);
    let mut diff = String::new();
    for line in lines {
        match line.as_bytes().first() {
            Some(b'+') => added += 1,
            Some(b'-') => removed += 1,
            Some(b' ') => {}
            Some(b'@') if line.starts_with("@@") => {}
            Some(_) | None => continue,
        }
        count += 1;
        if count <= MAX_LINES {
            let end = line.char_indices().nth(MAX_WIDTH).map_or(line.len(), |(end, _)| end);
            diff.push_str(line[..end].trim_end_matches(['\r', '\n']));
            diff.push_str(if end < line.len() { "…\n" } else { "\n" });
        }
    }
    FileEdit { path, kind, moved_to: None, added: Some(added), removed: Some(removed), diff: Some(diff) }
}

/// Creates an edit from a unified diff, with or without the names of the files.
pub(super) fn from_unified(path: String, kind: EditKind, diff: &str) -> FileEdit {
    let names = |line: &&str| line.starts_with("--- ") || line.starts_with("+++ ");
    // Only the lines before the first hunk are headers.
    let begin = diff.lines().take_while(|line| !line.starts_with("@@")).count();
    let hunks = diff.lines().skip(if begin < diff.lines().count() { begin } else { 0 });
    from_lines(path, kind, hunks.skip_while(names))
}

/// Creates an edit for a file that was added or deleted as a whole.
pub(super) fn from_whole(path: String, kind: EditKind, text: &str) -> FileEdit {
    let sign = if kind == EditKind::Delete { '-' } else { '+' };
    let lines: Vec<String> = text.lines().map(|line| format!("{sign}{line}")).collect();
    from_lines(path, kind, lines.iter().map(String::as_str))
}

/// Creates an edit from pairs of old and new texts, in order.
pub(super) fn from_replacements<'a>(path: String, passages: impl Iterator<Item = (&'a str, &'a str)>) -> FileEdit {
    let mut lines: Vec<String> = Vec::new();
    for (old, new) in passages {
        if old.lines().count() + new.lines().count() > MAX_COMPARED {
            return FileEdit::unknown(path, EditKind::Update);
        }
        let diff = TextDiff::from_lines(old, new);
        let hunks = diff.unified_diff().context_radius(CONTEXT).missing_newline_hint(false).to_string();
        // Line numbers within the text say nothing about the file.
        lines.extend(hunks.lines().map(|line| if line.starts_with("@@") { "@@".to_owned() } else { line.to_owned() }));
    }
    from_lines(path, EditKind::Update, lines.iter().map(String::as_str))
}

/// Creates an edit from the input of a tool with the fields of Claude Code's `Edit`, `MultiEdit` or `Write`. `None` when
/// the tool changes no file.
pub(super) fn from_input(name: &str, input: &Value) -> Option<FileEdit> {
    let path = ["/file_path", "/filePath", "/notebook_path"].iter().find_map(|at| string_at(input, at));
    let pair = |edit: &Value| {
        let text = |names: [&str; 2]| names.iter().find_map(|name| string_or_empty(edit, name));
        Some((text(["/old_string", "/oldString"])?, text(["/new_string", "/newString"])?))
    };
    match name.to_ascii_lowercase().as_str() {
        "edit" => {
            let (old, new) = pair(input)?;
            Some(from_replacements(path?, [(old.as_str(), new.as_str())].into_iter()))
        }
        "multiedit" => {
            let edits = input.get("edits").and_then(Value::as_array)?;
            let pairs: Vec<(String, String)> = edits.iter().filter_map(pair).collect();
            Some(from_replacements(path?, pairs.iter().map(|(old, new)| (old.as_str(), new.as_str()))))
        }
        "write" => Some(from_whole(path?, EditKind::Add, str_at(input, "/content")?)),
        "notebookedit" => Some(FileEdit::unknown(path?, EditKind::Update)),
        _ => None,
    }
}

fn string_or_empty(value: &Value, pointer: &str) -> Option<String> {
    str_at(value, pointer).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn summary(edit: &FileEdit) -> (Option<u64>, Option<u64>, &str) {
        (edit.added, edit.removed, edit.diff.as_deref().unwrap_or("-"))
    }

    #[test]
    fn a_replaced_passage_becomes_a_small_diff() {
        let input = json!({"file_path": "a.rs", "old_string": "one\ntwo\nthree", "new_string": "one\n2\nthree"});
        let edit = from_input("Edit", &input).expect("an edit");
        assert_eq!(summary(&edit), (Some(1), Some(1), "@@\n one\n-two\n+2\n three\n"));
        let input = json!({"file_path": "a.rs", "edits": [
            {"old_string": "a", "new_string": "b"}, {"old_string": "c", "new_string": ""}]});
        let edit = from_input("MultiEdit", &input).expect("an edit");
        assert_eq!(summary(&edit), (Some(1), Some(2), "@@\n-a\n+b\n@@\n-c\n"));
    }

    #[test]
    fn a_unified_diff_loses_its_names_and_nothing_that_looks_like_one() {
        let diff =
            "Index: x\n====\n--- a\n+++ b\n@@ -1,2 +1,2 @@\n-- gone\n+++ came\n same\n\\ No newline at end of file\n";
        let edit = from_unified("x".into(), EditKind::Update, diff);
        assert_eq!(summary(&edit), (Some(1), Some(1), "@@ -1,2 +1,2 @@\n-- gone\n+++ came\n same\n"));
    }

    #[test]
    fn counts_are_of_all_lines_and_the_diff_of_the_first() {
        let edit = from_whole("big".into(), EditKind::Add, &"line\n".repeat(10_000));
        assert_eq!((edit.added, edit.removed), (Some(10_000), Some(0)));
        assert_eq!(edit.diff.expect("a diff").lines().count(), MAX_LINES);
        let many = "x\n".repeat(MAX_COMPARED);
        let input = json!({"file_path": "a", "old_string": many, "new_string": "y"});
        assert_eq!(from_input("Edit", &input).expect("an edit").added, None);
    }

    #[test]
    fn a_tool_that_changes_no_file_has_no_edit() {
        assert_eq!(from_input("Bash", &json!({"command": "ls"})), None);
        assert_eq!(from_input("Edit", &json!({"file_path": 7})), None);
    }
}
