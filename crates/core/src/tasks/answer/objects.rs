//! Finds where JSON objects end in a text that is mostly prose. Results found inside broken objects are remembered, so
//! that the work is linear in the text.

use std::collections::HashMap;

/// The deepest nesting that the JSON parser accepts.
const MAX_DEPTH: usize = 127;

/// Finds the ends of objects.
pub(super) struct Objects<'a> {
    bytes: &'a [u8],
    /// The ends of objects found inside broken ones; `None` if broken as well.
    known: HashMap<usize, Option<usize>>,
    /// The number of bytes examined so far.
    examined: usize,
}

/// What the grammar allows next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    KeyOrEnd,
    Key,
    Colon,
    ValueOrEnd,
    Value,
    CommaOrEnd,
}

/// A collection that is not closed yet.
struct Open {
    at: usize,
    is_object: bool,
    wants: Wants,
    /// The nesting depth of the collection, itself included.
    height: usize,
}

impl<'a> Objects<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), known: HashMap::new(), examined: 0 }
    }

    /// Returns the offset after the object that starts at `at`; `None` if it is not complete.
    pub(super) fn end(&mut self, at: usize) -> Option<usize> {
        if let Some(known) = self.known.remove(&at) {
            return known;
        }
        let mut open = vec![Open::at(at, b'{')];
        let mut whole = Vec::new();
        let mut next = at + 1;
        while let Some(after) = self.step(next, &mut open, &mut whole) {
            next = after;
            if open.is_empty() {
                return whole.last().and_then(|(_, end)| *end);
            }
        }
        self.examined += self.bytes.len().min(next + 1) - at;
        // Objects that are still open when the text breaks are broken as well.
        let broken = open.iter().skip(1).filter(|open| open.is_object).map(|open| (open.at, None));
        self.known.extend(whole.into_iter().chain(broken));
        None
    }

    /// Reads the next token. Returns the offset after it; `None` if it does not fit.
    fn step(&self, from: usize, open: &mut Vec<Open>, whole: &mut Vec<(usize, Option<usize>)>) -> Option<usize> {
        let at = from + self.bytes[from..].iter().position(|byte| !b" \t\r\n".contains(byte))?;
        let innermost = open.last_mut()?;
        let (wants, is_object) = (innermost.wants, innermost.is_object);
        let byte = self.bytes[at];
        innermost.wants = match (wants, byte) {
            (Wants::KeyOrEnd | Wants::Key, b'"') => Wants::Colon,
            (Wants::Colon, b':') => Wants::Value,
            (Wants::CommaOrEnd, b',') if is_object => Wants::Key,
            (Wants::CommaOrEnd, b',') => Wants::Value,
            (Wants::CommaOrEnd | Wants::KeyOrEnd, b'}') if is_object => {
                close(open, whole, at + 1);
                return Some(at + 1);
            }
            (Wants::CommaOrEnd | Wants::ValueOrEnd, b']') if !is_object => {
                close(open, whole, at + 1);
                return Some(at + 1);
            }
            (Wants::Value | Wants::ValueOrEnd, b'{' | b'[') => {
                innermost.wants = Wants::CommaOrEnd;
                open.push(Open::at(at, byte));
                return Some(at + 1);
            }
            (Wants::Value | Wants::ValueOrEnd, b':' | b',') => return None,
            (Wants::Value | Wants::ValueOrEnd, _) => Wants::CommaOrEnd,
            (Wants::KeyOrEnd | Wants::Key | Wants::Colon | Wants::CommaOrEnd, _) => return None,
        };
        match byte {
            b':' | b',' => Some(at + 1),
            b'"' => self.after_string(at + 1),
            _ => self.after_word(at),
        }
    }

    fn after_string(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            at = match *self.bytes.get(at)? {
                b'"' => return Some(at + 1),
                b'\\' if b"\"\\/bfnrtu".contains(self.bytes.get(at + 1)?) => at + 2,
                b'\\' | 0..0x20 => return None,
                _ => at + 1,
            };
        }
    }

    fn after_word(&self, from: usize) -> Option<usize> {
        let rest = &self.bytes[from..];
        if let Some(word) = [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word)) {
            return Some(from + word.len());
        }
        let digits = |at: usize| rest.iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count();
        let at = usize::from(rest.starts_with(b"-"));
        let mut length = match rest.get(at)? {
            b'0' => at + 1,
            b'1'..=b'9' => at + digits(at),
            _ => return None,
        };
        if rest.get(length) == Some(&b'.') {
            length += 1 + Some(digits(length + 1)).filter(|count| *count > 0)?;
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            length += 1 + usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            length += Some(digits(length)).filter(|count| *count > 0)?;
        }
        Some(from + length)
    }
}

impl Open {
    fn at(at: usize, byte: u8) -> Self {
        let is_object = byte == b'{';
        Self { at, is_object, wants: if is_object { Wants::KeyOrEnd } else { Wants::ValueOrEnd }, height: 1 }
    }
}

/// Closes the innermost collection. One that is nested too deeply counts as broken.
fn close(open: &mut Vec<Open>, whole: &mut Vec<(usize, Option<usize>)>, end: usize) {
    let Some(closed) = open.pop() else { return };
    if let Some(around) = open.last_mut() {
        around.height = around.height.max(closed.height + 1);
    }
    if closed.is_object {
        whole.push((closed.at, (closed.height <= MAX_DEPTH).then_some(end)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::answer::object_in_text;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    /// Bytes that are examined at in vain until all of a text is through.
    fn count_rescanned(text: &str) -> usize {
        let mut objects = Objects::new(text);
        let mut at = 0;
        while let Some(offset) = text[at..].find('{') {
            at += offset;
            at = objects.end(at).unwrap_or(at + 1);
        }
        objects.examined
    }

    /// The same, beginning anew at each brace.
    fn begun_anew(text: &str, key: &str) -> Option<Map<String, Value>> {
        let (mut found, mut at) = (None, 0);
        while let Some(offset) = text[at..].find('{') {
            at += offset;
            let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Map<String, Value>>();
            match stream.next() {
                Some(Ok(object)) => {
                    at += stream.byte_offset();
                    found = if object.contains_key(key) { Some(object) } else { found };
                }
                Some(Err(_)) | None => at += 1,
            }
        }
        found
    }

    #[test]
    fn megabytes_of_braces_are_looked_at_three_times_at_most() {
        for pattern in ["{", "{\"a\":", "{\"a\":[", "{\":", "[\"{\",", "{\"{\":[", "{ ", "{\"\\\"", "{\"a\":{}, "] {
            let text = pattern.repeat(3_000_000 / pattern.len());
            let examined = count_rescanned(&text);
            assert!(examined <= 3 * text.len(), "{examined} bytes for {} of {pattern:?}", text.len());
        }
    }

    #[test]
    fn the_answer_after_megabytes_of_open_objects_is_found() {
        let text = format!("{}{{\"status\":\"done\"}}", "{\"a\":[".repeat(500_000));
        assert_eq!(object_in_text(&text, "status").expect("it is there")["status"], "done");
        let deep = format!("{}{{\"status\":1}}{}", "{\"a\":".repeat(400), "}".repeat(400));
        assert_eq!(object_in_text(&deep, "a").ok(), begun_anew(&deep, "a"), "deeper than JSON is read");
    }

    #[test]
    fn a_list_that_is_none_hides_nothing_behind_it() {
        let text = "{\"a\":[:,{\"k\":2}]}";
        assert_eq!(object_in_text(text, "k").ok(), begun_anew(text, "k"));
        assert!(count_rescanned(text) <= 3 * text.len(), "{} of {}", count_rescanned(text), text.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_same_is_found_as_by_beginning_anew_at_each_brace(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", "\"", ":", ",", "{\"k\":", "\"k\":1", "{\"k\":2}", "{}", "\\", " ", "null", "-1", "0.5e+1", "é", "\n",
                    "{\"a\":[", "]}", "\"{\"",
                ]),
                0..40,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(object_in_text(&text, "k").ok(), begun_anew(&text, "k"));
            prop_assert!(count_rescanned(&text) <= 3 * text.len());
        }
    }
}
