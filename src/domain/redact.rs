//! Keeps secrets out of everything that a person, a log or another program gets to see: the values of secret
//! variables, also encoded, and texts with the shape of a well-known token. It masks; it never decides who may read.

mod encodings;
mod shapes;

use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

/// Values shorter than this are not masked: they would hide ordinary words.
const SHORTEST: usize = 8;

/// Parts of a variable's name that make its value a secret.
const SECRET_NAMES: [&str; 8] =
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "AUTHORIZATION"];

/// Whether the value of a variable of this name is to be kept secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// A text to look for, and the name to put in its place.
struct Needle {
    text: String,
    name: String,
}

impl Needle {
    /// What is left of it at the beginning of a text that was cut there.
    fn cut_at(&self, text: &str) -> Option<usize> {
        let same = text.bytes().zip(self.text.bytes()).take_while(|(a, b)| a == b).count();
        let rest = text.get(same..).filter(|_| same >= SHORTEST)?;
        (rest.is_empty() || rest.starts_with('…')).then_some(same)
    }
}

/// What may begin at a given pair of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// A known value; longer ones are tried first.
    Needle(usize),
    /// A well-known kind of token.
    Shape(usize),
    /// The beginning of a known value, where the text was cut: tried after everything that is whole.
    Cut(usize),
}

/// Masks the secrets it was made with, and well-known tokens. Its `Debug` shows no value.
pub struct Redactor {
    needles: Vec<Needle>,
    /// One bit for each pair of bytes that some rule begins with: nearly every position is passed with one look.
    pairs: Box<[u64; 1024]>,
    rules: BTreeMap<u16, Vec<Rule>>,
}

/// What is left open at the end of one text and goes on in the next of the same stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carry {
    inside_private_key: bool,
}

impl Default for Redactor {
    /// Knows no values, only the shapes of tokens.
    fn default() -> Self {
        Self::new(std::iter::empty::<(&str, &str)>())
    }
}

impl Redactor {
    /// Masks the values of those variables whose names look secret ([`is_secret_name`]).
    pub fn from_environment<'a>(variables: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        Self::new(variables.into_iter().filter(|(name, _)| is_secret_name(name)))
    }

    /// Masks these values, given as name and value. Of a value with several lines each line counts by itself.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(secrets: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut forms: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in secrets {
            let parts = value.as_ref().lines().map(str::trim).filter(|part| part.len() >= SHORTEST);
            for form in parts.flat_map(encodings::forms).filter(|form| form.len() >= SHORTEST) {
                forms.entry(form).or_insert_with(|| name.as_ref().to_owned());
            }
        }
        let mut needles: Vec<Needle> = forms.into_iter().map(|(text, name)| Needle { text, name }).collect();
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.text.len()));
        let mut this = Self { needles, pairs: Box::new([0; 1024]), rules: BTreeMap::new() };
        this.index();
        this
    }

    fn index(&mut self) {
        let needles = self.needles.iter().enumerate().flat_map(|(index, needle)| {
            let start = pair(needle.text.as_bytes(), 0);
            [(start, Rule::Needle(index)), (start, Rule::Cut(index))]
        });
        let shapes = shapes::SHAPES.iter().enumerate();
        let shapes = shapes.map(|(index, shape)| (pair(shape.lead.as_bytes(), 0), Rule::Shape(index)));
        for (start, rule) in needles.chain(shapes).collect::<BTreeSet<_>>() {
            let Some(start) = start else { continue };
            self.pairs[usize::from(start >> 6)] |= 1 << (start & 63);
            self.rules.entry(start).or_default().push(rule);
        }
    }

    /// The text with every secret replaced by `[REDACTED:NAME]`.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.next_text(&mut Carry::default(), text)
    }

    /// As [`Self::text`], for the next piece of a stream of whole lines: a private key may go over several pieces.
    pub fn next_text<'a>(&self, carry: &mut Carry, text: &'a str) -> Cow<'a, str> {
        let mut masked = String::new();
        let mut copied = 0;
        let mut mask = |range: Range<usize>, name: &str| {
            masked.push_str(&text[copied..range.start]);
            masked.push_str("[REDACTED:");
            masked.push_str(name);
            masked.push(']');
            copied = range.end;
            range.end
        };
        let mut at = 0;
        if carry.inside_private_key {
            let (end, open) = shapes::private_key_rest(text, 0, false);
            carry.inside_private_key = open;
            at = if end == 0 { 0 } else { mask(0..end, shapes::PRIVATE_KEY) };
        }
        while let Some(mut found) = self.find(text, at) {
            if found.name == shapes::PRIVATE_KEY {
                (found.range.end, carry.inside_private_key) = shapes::private_key_rest(text, found.range.end, true);
            }
            at = mask(found.range, found.name);
        }
        if copied == 0 && masked.is_empty() {
            return Cow::Borrowed(text);
        }
        masked.push_str(&text[copied..]);
        Cow::Owned(masked)
    }

    /// Masks every text inside a JSON value, keys included.
    pub fn json(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.text(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(fields) => {
                let old = std::mem::take(fields);
                fields.extend(old.into_iter().map(|(name, mut field)| {
                    self.json(&mut field);
                    (self.text(&name).into_owned(), field)
                }));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn find(&self, text: &str, from: usize) -> Option<Found<'_>> {
        let bytes = text.as_bytes();
        let mut at = from;
        while let Some(start) = pair(bytes, at) {
            if self.pairs[usize::from(start >> 6)] & (1 << (start & 63)) != 0
                && let Some(found) =
                    self.rules.get(&start).into_iter().flatten().find_map(|&rule| self.try_rule(rule, text, at))
            {
                return Some(found);
            }
            at += 1;
        }
        None
    }

    fn try_rule(&self, rule: Rule, text: &str, at: usize) -> Option<Found<'_>> {
        match rule {
            Rule::Needle(index) => {
                let needle = &self.needles[index];
                let hit = text.as_bytes()[at..].starts_with(needle.text.as_bytes());
                hit.then(|| Found { range: at..at + needle.text.len(), name: &needle.name })
            }
            Rule::Cut(index) => {
                let needle = &self.needles[index];
                Some(Found { range: at..at + needle.cut_at(&text[at..])?, name: &needle.name })
            }
            Rule::Shape(index) => {
                let shape = &shapes::SHAPES[index];
                Some(Found { range: shape.find_at(text, at)?, name: shape.name })
            }
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: BTreeSet<&str> = self.needles.iter().map(|needle| needle.name.as_str()).collect();
        f.debug_struct("Redactor").field("names", &names).finish_non_exhaustive()
    }
}

struct Found<'a> {
    range: Range<usize>,
    name: &'a str,
}

/// Two bytes as one number.
fn pair(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
mod tests;
