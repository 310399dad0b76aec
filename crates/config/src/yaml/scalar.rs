//! Scalars: their meaning, as a comparable mark, and how to write them so that they read back as intended.

use serde_json::Value;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The mark of a value that is `null` or not written.
pub(super) const MARK_NULL: u32 = 1;
/// The mark of the end of a collection.
pub(super) const MARK_END: u32 = 2;
const MARK_SEQUENCE: u32 = 3;
const MARK_MAPPING: u32 = 4;
/// The bit that all hashed marks have, so that they never equal the ones above.
const HASHED: u32 = 0x8000_0000;

/// Words that some YAML reader does not read as text.
const RESERVED: [&str; 14] =
    ["null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "<<", "="];

/// Hashes the meaning of a plain or quoted scalar: the same value has the same hash in every spelling.
pub(super) fn hash(text: &str, plain: bool, tag: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match tag {
        Some(tag) => ("tagged", tag, text).hash(&mut hasher),
        None if plain && is_null_word(text) => return u64::from(MARK_NULL),
        None => (!plain || !may_be_no_text(text), text).hash(&mut hasher),
    }
    hasher.finish()
}

/// Converts a hash to a mark.
pub(super) fn mark(hash: u64) -> u32 {
    if hash == u64::from(MARK_NULL) { MARK_NULL } else { (hash ^ (hash >> 32)) as u32 | HASHED }
}

/// Returns the mark of a string.
pub(super) fn mark_of_str(text: &str) -> u32 {
    mark(hash(text, false, None))
}

pub(super) fn mark_of_start(mapping: bool, tag: Option<&str>) -> u32 {
    match (tag, mapping) {
        (None, false) => MARK_SEQUENCE,
        (None, true) => MARK_MAPPING,
        (Some(tag), _) => {
            let mut hasher = DefaultHasher::new();
            ("collection", mapping, tag).hash(&mut hasher);
            mark(hasher.finish())
        }
    }
}

/// Returns the mark of an alias, which has the meaning of its target.
pub(super) fn mark_of_alias(whole: u32) -> u32 {
    mix_marks(HASHED, whole)
}

pub(super) fn mix_marks(sum: u32, mark: u32) -> u32 {
    (sum.rotate_left(5) ^ mark).wrapping_mul(0x9e37_79b1) | HASHED
}

/// Returns the marks that a value has in an outline, in order.
pub(super) fn marks_of(value: &Value) -> Vec<u32> {
    let mut marks = Vec::new();
    collect_marks(value, &mut marks);
    marks
}

fn collect_marks(value: &Value, marks: &mut Vec<u32>) {
    match value {
        Value::Null => marks.push(MARK_NULL),
        Value::Bool(flag) => marks.push(mark(hash(if *flag { "true" } else { "false" }, true, None))),
        Value::Number(number) => marks.push(mark(hash(&number.to_string(), true, None))),
        Value::String(text) => marks.push(mark_of_str(text)),
        Value::Array(items) => {
            marks.push(MARK_SEQUENCE);
            items.iter().for_each(|item| collect_marks(item, marks));
            marks.push(MARK_END);
        }
        Value::Object(pairs) => {
            marks.push(MARK_MAPPING);
            for (key, value) in pairs {
                marks.push(mark_of_str(key));
                collect_marks(value, marks);
            }
            marks.push(MARK_END);
        }
    }
}

/// How strings are quoted in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// No quotes where that is safe, else double quotes.
    AsNeeded,
    /// Single quotes where that is safe, else double quotes.
    Single,
    /// Always double quotes.
    Double,
}

/// Writes a value on one line. `in_flow` means inside of brackets or braces.
pub(super) fn inline(value: &Value, quoting: Quoting, in_flow: bool) -> String {
    // Values inside of brackets follow the stricter rules and do not keep single quotes.
    let inner = if quoting == Quoting::Double { Quoting::Double } else { Quoting::AsNeeded };
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text, quoting, in_flow),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| inline(item, inner, true)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(pairs) => {
            let pair = |(key, value): (&String, &Value)| {
                format!("{}: {}", string(key, inner, true), inline(value, inner, true))
            };
            let pairs: Vec<String> = pairs.iter().map(pair).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

fn string(text: &str, quoting: Quoting, in_flow: bool) -> String {
    match quoting {
        Quoting::AsNeeded if plain_is_safe(text, in_flow) => text.to_owned(),
        Quoting::Single if text.chars().all(is_harmless) => format!("'{}'", text.replace('\'', "''")),
        Quoting::AsNeeded | Quoting::Single | Quoting::Double => double_quoted(text),
    }
}

/// Writes a text of several lines as a literal block: the header and the lines, without the last line end. The header
/// comes after the key; the lines are indented by `indent`, two more than the key. `None` when a block cannot hold it.
pub(super) fn literal(text: &str, indent: usize, line_end: &str) -> Option<String> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let fits =
        body.contains('\n') && !body.ends_with('\n') && body.chars().all(|c| c == '\n' || c == '\t' || is_harmless(c));
    if !fits {
        return None;
    }
    // Without the indentation indicator, the first line would set the indentation.
    let explicit = if body.starts_with([' ', '\t', '\n']) { "2" } else { "" };
    let chomp = if text.len() == body.len() { "-" } else { "" };
    let mut written = format!("|{explicit}{chomp}");
    for line in body.split('\n') {
        written.push_str(line_end);
        if !line.is_empty() {
            written.extend(std::iter::repeat_n(' ', indent));
            written.push_str(line);
        }
    }
    Some(written)
}

fn double_quoted(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            '\r' => written.push_str("\\r"),
            '\0' => written.push_str("\\0"),
            c if is_harmless(c) => written.push(c),
            c => escape(c, &mut written),
        }
    }
    written.push('"');
    written
}

fn escape(c: char, written: &mut String) {
    let code = u32::from(c);
    // Writing into a string does not fail.
    let _ = match code {
        0..=0xff => write!(written, "\\x{code:02x}"),
        0x100..=0xffff => write!(written, "\\u{code:04x}"),
        _ => write!(written, "\\U{code:08x}"),
    };
}

/// Returns whether YAML keeps a character unchanged, no editor drops it, and it does not change the text direction.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{85}' | '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        && !matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        && !matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
        && u32::from(c) & 0xfffe != 0xfffe
}

fn plain_is_safe(text: &str, in_flow: bool) -> bool {
    let starts_well = text.chars().next().is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '/' | '$' | '('));
    starts_well
        && !is_reserved(text)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_harmless)
        && !(in_flow && has_flow_indicator(text))
}

/// Returns whether a text has characters with a meaning inside of brackets; a colon within a word has none.
fn has_flow_indicator(text: &str) -> bool {
    let bytes = text.as_bytes();
    let in_word = |at: usize| bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b':' => !in_word(at),
        byte => b",[]{}\"'#&*!|>?".contains(byte),
    })
}

fn is_null_word(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn is_reserved(text: &str) -> bool {
    text.len() <= 5 && RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Returns whether a plain scalar might be a number, a boolean or a date: everything that begins like one counts.
fn may_be_no_text(text: &str) -> bool {
    is_reserved(text) || text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
}
