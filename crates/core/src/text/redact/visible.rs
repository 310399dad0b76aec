//! A text as a person sees it: without colours, control characters and zero-width marks, also where they are written as
//! escapes. The search for secrets uses it and maps its ranges back to the real text.

use std::borrow::Cow;
use std::ops::Range;

/// The escapes by which programs write the bell that ends a string.
const WRITTEN_BELLS: [&[u8]; 6] = [b"\\x07", b"\\u0007", b"\\u{7}", b"\\u{07}", b"\\007", b"\\a"];

/// The visible part of a text.
#[derive(Debug)]
pub(super) struct Visible<'a> {
    pub(super) text: Cow<'a, str>,
    /// The start of each chunk in the visible text and in the real text.
    pieces: Vec<(usize, usize)>,
}

impl<'a> Visible<'a> {
    /// Treats the whole text as visible.
    pub(super) fn all_of(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), pieces: Vec::new() }
    }

    pub(super) fn new(text: &'a str) -> Self {
        if !is_suspect(text.as_bytes()) {
            return Self::all_of(text);
        }
        let (mut seen, mut pieces, mut copied) = (String::new(), Vec::new(), 0);
        let mut at = 0;
        while at < text.len() {
            match hidden(&text[at..]) {
                0 => at += text[at..].chars().next().map_or(1, char::len_utf8),
                count => {
                    if copied < at {
                        pieces.push((seen.len(), copied));
                        seen.push_str(&text[copied..at]);
                    }
                    at += count;
                    copied = at;
                }
            }
        }
        if copied == 0 {
            return Self::all_of(text);
        }
        pieces.push((seen.len(), copied));
        seen.push_str(&text[copied..]);
        Self { text: Cow::Owned(seen), pieces }
    }

    /// Whether anything of the text is hidden.
    pub(super) fn hides(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Whether hidden text is right before this place. A word may start there.
    pub(super) fn is_joint(&self, at: usize) -> bool {
        self.pieces.binary_search_by_key(&at, |(begin, _)| *begin).is_ok()
    }

    /// Maps a range of the visible text to the real text, including what is hidden in it.
    pub(super) fn real(&self, seen: &Range<usize>) -> Range<usize> {
        let place = |at: usize| match self.pieces.partition_point(|(begin, _)| *begin <= at).checked_sub(1) {
            Some(piece) => self.pieces[piece].1 + (at - self.pieces[piece].0),
            None => at,
        };
        // The end belongs to the chunk of the last byte, not to the next one.
        place(seen.start)..seen.end.checked_sub(1).map_or(0, |last| place(last) + 1).max(place(seen.start))
    }
}

/// Whether the text may hide anything: a quick check without false negatives.
fn is_suspect(bytes: &[u8]) -> bool {
    let odd = |byte: u8| {
        (byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t')) || byte == 0x7f || matches!(byte, 0xc2 | 0xe2 | 0xef)
    };
    // Without a branch per byte, the compiler vectorizes this.
    let any = bytes.chunks(64).any(|chunk| chunk.iter().fold(false, |found, &byte| found | odd(byte)));
    any || memchr::memchr_iter(b'\\', bytes).any(|at| escaped(&bytes[at..]) > 0)
}

/// Returns how many bytes at the start of `text` are hidden.
fn hidden(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes[0] {
        b'\n' | b'\r' | b'\t' => 0,
        0x1b => 1 + sequence(&bytes[1..], string),
        b'\\' => match escaped(bytes) {
            0 => 0,
            count if is_escape(&bytes[..count]) => count + sequence(&bytes[count..], written_string),
            count => count,
        },
        0x20..=0x7e => 0,
        0x00..=0x1f | 0x7f => 1,
        0x80..=0xff => text.chars().next().filter(|&c| is_hidden(c)).map_or(0, char::len_utf8),
    }
}

/// Returns the length of the rest of a terminal sequence after its ESC. `string` measures what only a terminal reads.
fn sequence(rest: &[u8], string: fn(&[u8]) -> usize) -> usize {
    match rest.first() {
        Some(b'[') => {
            let parameters = rest[1..].iter().take_while(|byte| (0x20..0x40).contains(*byte)).count();
            1 + parameters + usize::from(rest.get(1 + parameters).is_some_and(|byte| (0x40..0x7f).contains(byte)))
        }
        Some(b']' | b'P' | b'X' | b'^' | b'_') => 1 + string(&rest[1..]),
        Some(b'(' | b')') => rest.len().min(2),
        Some(b'7' | b'8' | b'=' | b'>') => 1,
        Some(_) | None => 0,
    }
}

/// Returns the length of a title, a link, or another string that only a terminal reads, including its end.
fn string(rest: &[u8]) -> usize {
    let length = rest.iter().take_while(|byte| !matches!(byte, 0x07 | 0x1b | b'\n')).count();
    match rest[length..] {
        [0x07, ..] => length + 1,
        [0x1b, b'\\', ..] => length + 2,
        _ => length,
    }
}

/// Returns the same for an escaped sequence, whose end is escaped too. No terminal reads it, so that an unterminated
/// one hides nothing.
fn written_string(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b'\\', 0x07, b'\n', &rest[at..]) {
        at += found;
        let end = &rest[at..];
        match end {
            [0x07, ..] => return at + 1,
            [b'\n', ..] | [b'\\', b'n', ..] => return 0,
            _ => {}
        }
        if let Some(bell) = WRITTEN_BELLS.iter().find(|bell| end.starts_with(bell)) {
            return at + bell.len();
        }
        let count = escaped(end);
        if is_escape(&end[..count]) {
            // The backslash of `ESC \` is usually escaped; any other ESC starts the next sequence.
            return match &end[count..] {
                [b'\\', b'\\', ..] => at + count + 2,
                next @ [b'\\', ..] if escaped(next) == 0 => at + count + 1,
                _ => at,
            };
        }
        at += 1;
    }
    0
}

/// Returns the length of an escape, as programs write it, of a hidden character; 0: there is none.
fn escaped(bytes: &[u8]) -> usize {
    let code = |digits: Option<&[u8]>| {
        let digits = std::str::from_utf8(digits?).ok()?;
        u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
    };
    let shown = |c: Option<char>| !c.is_some_and(is_hidden);
    let hidden = |digits: usize, from: usize| !shown(code(bytes.get(from..from + digits)));
    match bytes {
        [b'\\', b'u', b'{', rest @ ..] => {
            let digits = rest.iter().take(7).position(|&byte| byte == b'}');
            digits.filter(|&digits| hidden(digits, 3)).map_or(0, |digits| digits + 4)
        }
        [b'\\', b'u', ..] if hidden(4, 2) => 6,
        [b'\\', b'x', ..] if hidden(2, 2) => 4,
        [b'\\', b'0', b'3', b'3', ..] => 4,
        [b'\\', b'e', b'[', ..] => 2,
        _ => 0,
    }
}

/// Whether an escape stands for ESC.
fn is_escape(escape: &[u8]) -> bool {
    escape == b"\\e"
        || escape == b"\\033"
        || escape.eq_ignore_ascii_case(b"\\u{1b}")
        || escape.ends_with(b"1b")
        || escape.ends_with(b"1B")
}

fn is_hidden(c: char) -> bool {
    let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    control
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_passed_over_and_its_place_is_known() {
        for text in [
            "ca\u{1b}[31mna\u{0}ry",
            "ca\u{200b}na\u{feff}ry",
            "ca\\u001b[1;31mna\\u0000ry",
            "ca\\u{1b}[1;31mna\\u{200b}ry",
            "ca\\x1b[0mna\\e[1mry",
            "ca\u{1b}]0;title\u{7}na\u{1b}(Bry",
            "\u{1b}[2Kcana\u{8}ry\u{ad}",
            "ca\\u001b]0;title\\u0007na\\x1b]0;title\\x07ry",
            "ca\\033]0;title\\007na\\u{1B}]0;title\\u{7}ry",
            "ca\\x1b]0;title\\ana\\x1b]0;title\u{7}ry",
            "ca\\u001b]8;;x\\u001b\\\\na\\033]8;;\\033\\ry",
            "ca\\x1b]0;title\\x1b[1mnary",
        ] {
            let text = format!("x {text} y");
            let visible = Visible::new(&text);
            assert_eq!(visible.text, "x canary y", "{text:?}");
            let real = visible.real(&(2..8));
            assert!(text[real.clone()].starts_with('c') && text[real].ends_with('y'), "{text:?}");
        }
        assert_eq!(Visible::new("a\\x1b]0;b\\ncanary").text, "a0;b\\ncanary", "what is never ended hides nothing");
        for plain in ["a\nb\tc", "C:\\users\\x0 \\u0041 \\n", "“naïve” – 日本 🙂"] {
            assert!(matches!(Visible::new(plain).text, Cow::Borrowed(_)), "{plain}");
        }
    }
}
