//! Prepares external text for a prompt: makes it visible, cuts it to size, and fences it so that it cannot pose as
//! orch's own words. It has no wording of prompts and never interprets the text.

/// The longest run of backquotes in data; longer ones are shortened, which bounds the length of a fence.
const LONGEST_RUN: usize = 64;
/// The longest value quoted within a line, in characters: no path is longer.
const MAX_SPAN: usize = 4_096;

/// Whether a reader does not see this character while a model may obey it: controls, direction overrides, Unicode tags
/// and other carriers of hidden text. The joiners of scripts and emoji are kept.
fn is_hidden(c: char) -> bool {
    let layout = matches!(c, '\n' | '\t');
    let carrier = matches!(c,
        '\u{200b}' | '\u{2060}' | '\u{feff}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}');
    !layout && (c.is_control() || carrier)
}

/// Unifies line ends and removes hidden characters.
pub fn clean(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(|c| if c == '\r' { '\n' } else { c }).filter(|c| !is_hidden(*c)).collect()
}

/// Returns the text as one clean line of at most `max` characters with collapsed blanks; `…` marks a cut.
pub fn one_line(text: &str, max: usize) -> String {
    // A huge text is cut before it is processed.
    let head: String = text.chars().take(max.saturating_mul(4).saturating_add(64)).collect();
    let whole = head.len() == text.len();
    let line = clean(&head).split_whitespace().collect::<Vec<_>>().join(" ");
    if whole && line.chars().count() <= max {
        return line;
    }
    let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Returns the first `max` characters, with a note of how many are missing.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => {
            let missing = text[end..].chars().count();
            format!("{}\n[cut here: {missing} more characters]", &text[..end])
        }
    }
}

/// Returns at most `max` characters from both ends. The end gets three times as many as the start, because that is
/// where a failing program says why.
pub fn cut_middle(text: &str, max: usize) -> String {
    let total = text.chars().count();
    if total <= max {
        return text.to_owned();
    }
    let head = max / 4;
    let tail = max - head;
    let beginning: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(total - tail).collect();
    format!("{beginning}\n[{} characters left out here]\n{end}", total - max)
}

/// Cleans the text and puts it between two lines of backquotes longer than any run of backquotes in it.
///
/// Backquotes, because an agent CLI that replaces `@path` by a file's content leaves quoted text unchanged.
pub fn fence(text: &str) -> String {
    let text = shorten_runs(&clean(text));
    let text = text.trim_matches('\n');
    let mark = "`".repeat(longest_run(text).saturating_add(1).max(3));
    let text = if text.trim().is_empty() { "(empty)" } else { text };
    format!("{mark}text\n{text}\n{mark}")
}

/// Quotes a short value, such as a path or a branch, within a line.
pub fn code_span(text: &str) -> String {
    let head: String = text.chars().take(MAX_SPAN).collect();
    let line = shorten_runs(&clean(&head).replace(['\n', '\t'], " "));
    let mark = "`".repeat(longest_run(&line).saturating_add(1));
    let pad = if line.is_empty() || line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{mark}{pad}{line}{pad}{mark}")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn shorten_runs(text: &str) -> String {
    let mut run = 0;
    let keep = |c: char| {
        run = if c == '`' { run + 1 } else { 0 };
        (run <= LONGEST_RUN).then_some(c)
    };
    text.chars().filter_map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hidden_text_is_removed_and_visible_text_of_any_script_stays() {
        assert_eq!(clean("a\u{202e}b\u{e0041}\u{1b}[31mc\0"), "ab[31mc");
        assert_eq!(clean("a\r\nb\rc\td"), "a\nb\nc\td");
        assert_eq!(clean("שלום 👩‍💻 ça"), "שלום 👩‍💻 ça");
    }

    #[test]
    fn a_cut_says_how_much_is_missing_and_never_splits_a_character() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 2), "äö\n[cut here: 2 more characters]");
        assert_eq!(cut_middle("abcdefghij", 4), "a\n[6 characters left out here]\nhij");
        assert_eq!(one_line("  a \n b  c ", 10), "a b c");
        assert_eq!(one_line("ääääää", 4), "äää…");
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(fence("x ``` y"), "````text\nx ``` y\n````");
        assert_eq!(fence("\n"), "```text\n(empty)\n```");
        assert!(fence(&"`".repeat(1_000_000)).len() < 500);
        assert_eq!(code_span("a`b"), "``a`b``");
        assert_eq!(code_span("`"), "`` ` ``");
    }

    proptest! {
        #[test]
        fn the_closing_fence_never_occurs_in_the_data(text in "[`~a\n \r]{0,400}") {
            let fenced = fence(&text);
            let lines: Vec<&str> = fenced.split('\n').collect();
            let mark = lines[lines.len() - 1];
            prop_assert!(mark.len() >= 3 && mark.chars().all(|c| c == '`'));
            for line in &lines[1..lines.len() - 1] {
                prop_assert!(!line.contains(mark));
            }
        }

        #[test]
        fn cutting_and_cleaning_never_panic(text in any::<String>(), max in 0usize..40) {
            prop_assert!(one_line(&text, max).chars().count() <= max.max(1));
            prop_assert!(!one_line(&text, max).contains('\n'));
            cut(&text, max);
            cut_middle(&text, max);
            prop_assert!(!code_span(&text).contains('\n'));
        }
    }
}
