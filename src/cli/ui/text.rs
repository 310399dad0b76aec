//! Makes text safe to print: titles, questions and names come from anywhere, and a terminal interprets control
//! characters. PURE.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Escapes everything that a terminal would interpret or a reader would not see (`\u{1b}`), including line feeds and
/// tabs: the result is one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Escapes a text, but keeps its lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n')
}

/// Escapes the output of an agent: keeps lines and tabs.
pub fn output(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// Escapes a JSON document. JSON itself escapes only the control characters of ASCII; the others occur only in strings,
/// and mean the same when they are escaped.
pub fn json(document: &[u8]) -> Cow<'_, [u8]> {
    let is_control = |at: usize| match document[at] {
        0x7f => 1,
        0xc2 if document.get(at + 1).is_some_and(|next| (0x80..0xa0).contains(next)) => 2,
        _ => 0,
    };
    if (0..document.len()).all(|at| is_control(at) == 0) {
        return Cow::Borrowed(document);
    }
    let mut safe = Vec::with_capacity(document.len() + 16);
    let mut at = 0;
    while at < document.len() {
        match is_control(at) {
            0 => safe.push(document[at]),
            length => safe.extend_from_slice(format!("\\u{:04x}", document[at + length - 1]).as_bytes()),
        }
        at += is_control(at).max(1);
    }
    Cow::Owned(safe)
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) && !keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_hidden(c) || keep(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            // Writing to a string cannot fail.
            c => drop(write!(safe, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(safe)
}

/// Returns whether a character is a control character, changes the writing direction, joins lines, or is an invisible
/// tag.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns the width of a text on a terminal.
pub fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { clusters(text).map(cluster_width).sum() }
}

/// Returns whether every byte is one visible character. Most texts are, and there may be ten thousand of them.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Splits a text into what a terminal shows as one: a character with its combining marks, or an emoji sequence.
fn clusters(text: &str) -> impl Iterator<Item = &str> {
    text.graphemes(true)
}

/// Returns the width of one of [`clusters`]: at most two, however many characters it has.
fn cluster_width(cluster: &str) -> usize {
    let mut chars = cluster.chars();
    match (chars.next(), chars.next()) {
        (Some(alone), None) => alone.width().unwrap_or(0),
        _ => cluster.width().min(2),
    }
}

/// The largest width of a tab.
const TAB: usize = 8;

/// Breaks a line into parts, none of which takes more than `columns` after [`output`] has escaped it: between
/// characters, at the last space if there is one in the last third. `used` columns of the first part are occupied.
/// Parts are never empty; a single cluster wider than `columns` stays whole.
pub fn broken(line: &str, columns: usize, used: usize) -> Vec<Range<usize>> {
    if is_plain(line) && line.len() + used <= columns {
        return std::iter::once(0..line.len()).collect();
    }
    let mut parts = Vec::new();
    let (mut begin, mut at, mut taken) = (0, 0, used);
    let mut blank = None;
    for cluster in clusters(line) {
        let wide = if cluster == "\t" { TAB } else { width(&output(cluster)) };
        if taken + wide > columns && (at > begin || used > 0 && begin == 0) {
            // After the space, if that does not waste too much.
            let end = blank.filter(|(_, left)| *left <= columns / 3).map_or(at, |(end, _)| end);
            parts.push(begin..end);
            (begin, blank) = (end, None);
            taken = width(&output(&line[begin..at]));
        }
        at += cluster.len();
        taken += wide;
        match (&mut blank, cluster) {
            (_, " ") => blank = Some((at, 0)),
            (Some((_, left)), _) => *left += wide,
            (None, _) => {}
        }
    }
    parts.push(begin..line.len());
    parts
}

/// Renders a text as one safe line of at most `columns`, cut with `…`.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if is_plain(text) {
        return fit_plain(text, columns);
    }
    // No character takes fewer bytes than half its columns, so that a long text is cut at once.
    let head =
        text.char_indices().nth(columns.saturating_mul(2).saturating_add(64)).map_or(text, |(end, _)| &text[..end]);
    let safe = line(head);
    if head.len() == text.len() && width(&safe) <= columns {
        return safe;
    }
    let mut kept = String::new();
    let mut used = 0;
    for cluster in clusters(&safe) {
        let wide = cluster_width(cluster);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        kept.push_str(cluster);
    }
    if columns > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

fn fit_plain(text: &str, columns: usize) -> Cow<'_, str> {
    match columns.checked_sub(1) {
        _ if text.len() <= columns => Cow::Borrowed(text),
        Some(kept) => Cow::Owned(format!("{}…", &text[..kept])),
        None => Cow::Borrowed(""),
    }
}

/// Returns the width that [`fit`] would use.
pub fn shown_width(text: &str, columns: usize) -> usize {
    if is_plain(text) { text.len().min(columns) } else { width(&fit(text, columns)) }
}

/// Renders the lines of a text, safe, each after `indent`. Empty lines stay empty.
pub fn indented(text: &str, indent: &str) -> String {
    let lines = lines(text.trim_end());
    lines.split('\n').map(|l| if l.is_empty() { "\n".to_owned() } else { format!("{indent}{l}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        assert_eq!(line("plain ü 日本 🙂"), "plain ü 日本 🙂");
        assert_eq!(line("\u{1b}[2J\u{7}a\nb\tc\r"), "\\u{1b}[2J\\u{7}a\\nb\\tc\\r");
        assert_eq!(line("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(line("user\u{202e}txt.exe"), "user\\u{202e}txt.exe");
        assert_eq!(lines("a\nb\u{1b}"), "a\nb\\u{1b}");
    }

    #[test]
    fn a_json_document_says_the_same_without_control_characters() {
        let hostile = serde_json::json!({ "title": "\u{9b}2J\u{7f}\u{80}\u{9f}\u{a0}ü日\u{1b}" });
        let safe = json(hostile.to_string().as_bytes()).into_owned();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&safe).expect("still JSON"), hostile);
        assert!(!String::from_utf8(safe).expect("still text").contains(char::is_control));
        assert!(matches!(json("{\"ü\":1}".as_bytes()), Cow::Borrowed(_)));
    }

    #[test]
    fn a_long_text_is_cut_by_the_columns_it_takes() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("longer", 5), "long…");
        assert_eq!(fit("日本語です", 5), "日本…");
        assert_eq!(fit("日本語です", 6), "日本…");
        assert_eq!(fit("שלום עולם", 6), "שלום …");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit(&"x".repeat(10_000), 4), "xxx…");
    }

    #[test]
    fn emoji_of_several_characters_take_two_columns_and_stay_whole() {
        let family = "👩\u{200d}👩\u{200d}👧";
        for (text, columns) in [(family, 2), ("👍🏽", 2), ("🇩🇪🇫🇷", 4), ("❤\u{fe0f}", 2), ("한국", 4), ("e\u{301}", 1)]
        {
            assert_eq!(width(text), columns, "{text}");
        }
        assert_eq!(fit(&format!("{family}{family}"), 3), format!("{family}…"));
        assert_eq!(fit("🇩🇪🇫🇷x", 4), "🇩🇪…");
    }

    #[test]
    fn a_long_line_is_broken_at_blanks_or_between_characters() {
        let parts = |line, columns, used| -> Vec<&str> {
            broken(line, columns, used).into_iter().map(|part: Range<usize>| &line[part]).collect()
        };
        assert_eq!(parts("short", 10, 0), ["short"]);
        assert_eq!(parts("", 10, 0), [""]);
        assert_eq!(parts("some words here", 12, 0), ["some words ", "here"]);
        assert_eq!(parts("a longwordwithout", 8, 0), ["a longwo", "rdwithou", "t"]);
        assert_eq!(parts("日本語です", 5, 0), ["日本", "語で", "す"]);
        assert_eq!(parts("abcdef", 4, 3), ["a", "bcde", "f"]);
        assert_eq!(parts("abcdef", 4, 4), ["", "abcd", "ef"]);
    }

    #[test]
    fn lines_are_indented_and_empty_ones_have_no_blanks() {
        assert_eq!(indented("a\n\nb\n\n", "  "), "  a\n\n  b\n");
    }

    #[test]
    fn a_joiner_between_controls_joins_nothing() {
        assert_eq!(broken("\u{e}\u{200d}\u{b}", 9, 0).len(), 2);
    }

    proptest! {
        #[test]
        fn a_broken_line_is_whole_and_its_parts_fit(
            line in "\\PC{0,40}|[\\x00-\\x09\\x0b-\\x7f日🙂é\u{200d}\u{fe0f}]{0,40}", columns in 9usize..30, used in 0usize..9,
        ) {
            let parts = broken(&line, columns, used);
            prop_assert_eq!(parts.iter().map(|part| &line[part.clone()]).collect::<String>(), line.clone());
            for (index, part) in parts.into_iter().enumerate() {
                let taken = width(&output(&line[part]).replace('\t', "")) + if index == 0 { used } else { 0 };
                prop_assert!(taken <= columns, "{}", taken);
            }
        }

        #[test]
        fn a_fitted_text_fits(text in "\\PC{0,40}|[\\x00-\\x7f日🙂é\\u{202e}]{0,40}", columns in 0usize..30) {
            let fitted = fit(&text, columns);
            prop_assert!(width(&fitted) <= columns, "{:?}", fitted);
            prop_assert_eq!(shown_width(&text, columns), width(&fitted));
            prop_assert!(!fitted.chars().any(is_hidden), "{:?}", fitted);
        }
    }
}
