//! Text that is safe to print: titles, questions and names come from anywhere, and a terminal acts on what it reads.
//! PURE.

use std::borrow::Cow;
use std::fmt::Write;
use unicode_width::UnicodeWidthChar;

/// The text with everything a terminal would act on, or a reader would not see, written out (`\u{1b}`). Line feeds and
/// tabs too: the result is one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The same, but the text keeps its lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n')
}

/// The same, and it keeps its tabs: what an agent printed.
pub fn output(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// A JSON document in which nothing is left that a terminal acts on. JSON itself escapes only the control characters of
/// ASCII; the others mean the same when they are escaped, and can stand in texts alone.
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

/// Control characters, marks that turn the direction of writing or join lines, and tags that nobody sees.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that the text takes on a terminal.
pub fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { text.chars().map(char_width).sum() }
}

/// Whether every byte is one visible character. Most texts are, and there may be ten thousand of them.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The text as one safe line of at most `columns`; what is cut off is shown by `…`.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if is_plain(text) {
        return fit_plain(text, columns);
    }
    // No character takes fewer bytes than half its columns, so that a text of ten thousand characters is cut at once.
    let head =
        text.char_indices().nth(columns.saturating_mul(2).saturating_add(64)).map_or(text, |(end, _)| &text[..end]);
    let safe = line(head);
    if head.len() == text.len() && width(&safe) <= columns {
        return safe;
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in safe.chars() {
        if used + char_width(c) + 1 > columns {
            break;
        }
        used += char_width(c);
        kept.push(c);
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

/// Columns that [`fit`] would use.
pub fn shown_width(text: &str, columns: usize) -> usize {
    if is_plain(text) { text.len().min(columns) } else { width(&fit(text, columns)) }
}

/// The lines of a text, safe, each after `indent`. Empty lines stay empty.
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
    fn lines_are_indented_and_empty_ones_have_no_blanks() {
        assert_eq!(indented("a\n\nb\n\n", "  "), "  a\n\n  b\n");
    }

    proptest! {
        #[test]
        fn a_fitted_text_fits(text in "\\PC{0,40}|[\\x00-\\x7f日🙂é\\u{202e}]{0,40}", columns in 0usize..30) {
            let fitted = fit(&text, columns);
            prop_assert!(width(&fitted) <= columns, "{:?}", fitted);
            prop_assert_eq!(shown_width(&text, columns), width(&fitted));
            prop_assert!(!fitted.chars().any(is_hidden), "{:?}", fitted);
        }
    }
}
