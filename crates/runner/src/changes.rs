//! Renders changes of files as a few lines: name and counts, then removed and added lines. PURE.

use super::fit::{Rendered, Style, more};
use orch_core::tasks::edit::FileEdit;

/// The most lines of changes that one result shows.
const LINES: usize = 12;
/// The most characters of one such line.
const WIDTH: usize = 200;

/// Renders a result that changed files. `head` precedes the first name; `clean` makes text safe for the transcript.
pub(super) fn changes(
    mark: &str,
    head: &[String],
    edits: &[FileEdit],
    clean: impl Fn(&str) -> String,
) -> Vec<Rendered> {
    let indent = " ".repeat(4);
    let mut lines: Vec<Rendered> = Vec::new();
    let (mut shown, mut left_out) = (0_usize, 0_u64);
    for (index, edit) in edits.iter().enumerate() {
        let name = edit.describe(&clean);
        let lead = if index == 0 {
            format!("{mark}{}", head.iter().map(|part| format!("{part} · ")).collect::<String>())
        } else {
            indent.clone()
        };
        let name = Rendered::plain(Style::Result, format!("{lead}{}", name.lines().next().unwrap_or_default()));
        if index > 0 && shown >= LINES {
            left_out += 1 + edit.added.unwrap_or(0) + edit.removed.unwrap_or(0);
            continue;
        }
        shown += usize::from(index > 0);
        lines.push(name);
        let mut rendered = 0;
        // Masked as a whole: a secret may span several lines.
        for line in changed(&clean(edit.diff.as_deref().unwrap_or_default())) {
            if shown >= LINES {
                break;
            }
            rendered += u64::from(line.style != Style::Result);
            shown += 1;
            lines.push(Rendered { text: format!("{indent}{}", line.text), ..line });
        }
        left_out += (edit.added.unwrap_or(0) + edit.removed.unwrap_or(0)).saturating_sub(rendered);
    }
    if left_out > 0 {
        lines.push(more(Style::Result, &indent, usize::try_from(left_out).unwrap_or(usize::MAX)));
    }
    lines
}

/// Returns removed and added lines, with a separator between places that are not adjacent.
fn changed(diff: &str) -> Vec<Rendered> {
    let mut lines: Vec<Rendered> = Vec::new();
    let mut is_gap = false;
    for line in diff.lines() {
        let (style, sign) = match line.as_bytes().first() {
            Some(b'+') => (Style::Added, "+ "),
            Some(b'-') => (Style::Removed, "- "),
            Some(_) | None => {
                is_gap = !lines.is_empty();
                continue;
            }
        };
        if std::mem::take(&mut is_gap) {
            lines.push(Rendered::plain(Style::Result, "⋮"));
        }
        let text: String = line[1..].trim_end().chars().take(WIDTH).collect();
        lines.push(Rendered::plain(style, format!("{sign}{text}").trim_end()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use orch_core::tasks::edit::EditKind;

    fn edit(path: &str, added: u64, removed: u64, diff: &str) -> FileEdit {
        FileEdit {
            added: Some(added),
            removed: Some(removed),
            diff: Some(diff.to_owned()),
            ..FileEdit::unknown(path, EditKind::Update)
        }
    }

    fn shown(head: &[&str], edits: &[FileEdit]) -> Vec<String> {
        let head: Vec<String> = head.iter().map(|part| (*part).to_owned()).collect();
        changes("  ✓ ", &head, edits, str::to_owned).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_change_is_its_name_its_counts_and_its_lines() {
        let one = edit("src/lib.rs", 2, 1, "@@ -1,5 +1,6 @@\n same\n-two\n+2\n same\n@@ -90 +91 @@\n+more\n");
        let other = FileEdit { moved_to: Some("b.txt".into()), ..FileEdit::unknown("a.txt", EditKind::Update) };
        assert_eq!(
            shown(&["1.5 s"], &[one, other]),
            [
                "  ✓ 1.5 s · src/lib.rs +2 −1",
                "    - two",
                "    + 2",
                "    ⋮",
                "    + more",
                "    a.txt (update, now b.txt)",
            ]
        );
    }

    #[test]
    fn a_long_change_is_cut_and_says_by_how_much() {
        let big = edit("big", 500, 0, &"+x\n".repeat(200));
        let lines = shown(&[], &[big, edit("next", 1, 1, "-a\n+b\n")]);
        assert_eq!(lines.len(), 1 + LINES + 1);
        assert_eq!(lines.last().map(String::as_str), Some("    … 491 more lines"));
    }
}
