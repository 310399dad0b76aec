//! Keeps secrets out of everything that a person, a log or another program sees: the values of secret variables, also
//! encoded, wrapped or interleaved with colours; texts in the form of a known token (`redact/rules.txt`); and matches
//! of a person's own patterns. It masks; it never decides who may read.

mod alphabet;
mod chunk_boundary;
mod encodings;
mod index;
mod matching;
mod needles;
mod notation;
mod pattern;
mod special;
mod visible;

pub use chunk_boundary::{Chunk, ChunkRedactor, Thread};
pub use pattern::{Pattern, PatternError, PatternText};

use index::{Filter, Known, RULES, Spot};
use needles::Needles;
use notation::How;
use serde_json::Value;
use special::Special;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use visible::Visible;

/// The shortest value that is masked, in bytes: shorter ones would hide ordinary words.
const SHORTEST: usize = 8;

/// Parts of a variable's name that mark its value as a secret.
const SECRET_NAMES: [&str; 8] =
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "AUTHORIZATION"];

/// Whether the value of a variable with this name is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Whether the value of this variable, or one of its lines, is masked.
pub fn is_masked(name: &str, value: &str) -> bool {
    is_secret_name(name) && value.lines().any(|line| line.trim().len() >= SHORTEST)
}

/// Masks given secrets and well-known tokens. Its `Debug` shows no value.
pub struct Redactor {
    needles: Needles,
    patterns: Vec<Pattern>,
    /// The places where any needle or rule may start.
    filter: Filter,
}

/// The state at the end of a text that continues in the next text of the same stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carry {
    inside_private_key: bool,
}

impl Default for Redactor {
    /// Creates a redactor without values, which knows only the forms of tokens.
    fn default() -> Self {
        Self::new(std::iter::empty::<(&str, &str)>())
    }
}

impl Redactor {
    /// Masks the values of variables whose names look secret ([`is_secret_name`]).
    pub fn from_environment<'a>(variables: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        Self::new(variables.into_iter().filter(|(name, _)| is_secret_name(name)))
    }

    /// Masks these values, given as name and value. Of a value with several lines each line is masked separately.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(secrets: impl IntoIterator<Item = (N, V)>) -> Self {
        let needles = Needles::new(secrets);
        let mut filter = RULES.filter.clone();
        needles.index.mark(&mut filter);
        Self { needles, patterns: Vec::new(), filter }
    }

    /// Also masks the matches of these patterns.
    #[must_use]
    pub fn with_patterns(mut self, patterns: &[Pattern]) -> Self {
        self.patterns.extend_from_slice(patterns);
        self
    }

    /// Returns the text with every secret replaced by `[REDACTED:NAME]`.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.next_text(&mut Carry::default(), text)
    }

    /// Like [`Self::text`], for a text whose start may be cut off, so that it may begin with the rest of a known value.
    /// Slower than the others: for single texts, not for streams.
    pub fn rest_of_text(&self, text: &str) -> String {
        let begin = text.len() - text.trim_start().len();
        match self.needles.rest_at_start(&text[begin..]) {
            Some((needle, count)) => {
                let rest = self.text(&text[begin + count..]);
                format!("{}[REDACTED:{}]{rest}", &text[..begin], needle.name)
            }
            None => self.text(text).into_owned(),
        }
    }

    /// Like [`Self::text`], for the next chunk of a stream of whole lines: a private key may span several chunks.
    pub fn next_text<'a>(&self, carry: &mut Carry, text: &'a str) -> Cow<'a, str> {
        let visible = Visible::new(text);
        let before = *carry;
        let mut found = self.search(carry, &visible);
        if visible.hides() {
            // A viewer that is not a terminal also shows the hidden text.
            let mut all = before;
            found.extend(self.search(&mut all, &Visible::all_of(text)));
            carry.inside_private_key |= all.inside_private_key;
            merge(&mut found);
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut copied = 0;
        for Found { range, name } in found {
            masked.push_str(&text[copied..range.start]);
            masked.push_str("[REDACTED:");
            masked.push_str(name);
            masked.push(']');
            copied = range.end;
        }
        masked.push_str(&text[copied..]);
        Cow::Owned(masked)
    }

    /// Masks every text inside a JSON value, including keys.
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

    /// Returns the ranges of the real text that must be masked, in order.
    fn search(&self, carry: &mut Carry, visible: &Visible<'_>) -> Vec<Found<'_>> {
        let mut found = self.found(carry, visible);
        self.add_patterns(&visible.text, &mut found);
        found.iter_mut().for_each(|found| found.range = visible.real(&found.range));
        found
    }

    /// Returns the matches of values and rules, in order.
    fn found(&self, carry: &mut Carry, visible: &Visible<'_>) -> Vec<Found<'_>> {
        let text: &str = &visible.text;
        let mut all = Vec::new();
        let mut at = 0;
        if carry.inside_private_key {
            let (end, open) = special::private_key_rest(text, 0, false);
            carry.inside_private_key = open;
            if end > 0 {
                all.push(Found { range: 0..end, name: special::PRIVATE_KEY });
            }
            at = end;
        }
        while let Some(mut found) = self.next(visible, at) {
            if found.name == special::PRIVATE_KEY {
                (found.range.end, carry.inside_private_key) = special::private_key_rest(text, found.range.end, true);
            }
            at = found.range.end;
            all.push(found);
        }
        all
    }

    fn next(&self, visible: &Visible<'_>, from: usize) -> Option<Found<'_>> {
        let bytes = visible.text.as_bytes();
        let mut at = from;
        while let Some(spot) = self.filter.next(bytes, at) {
            if let Some(found) = self.at(visible, spot, from) {
                return Some(found);
            }
            at = spot.at + 1;
        }
        None
    }

    /// Returns the match at this place. Values come before rules, so that they keep their names.
    fn at(&self, visible: &Visible<'_>, spot: Spot, from: usize) -> Option<Found<'_>> {
        let place = spot.at;
        let text: &str = &visible.text;
        let value = |number: u32| {
            let needle = self.needles.get(number);
            needle.find(text, place).map(|range| Found { range, name: &needle.name })
        };
        let cut = |number: u32| {
            let needle = self.needles.get(number);
            let count = text.get(place..).and_then(|rest| needle.cut_at(rest))?;
            Some(Found { range: place..place + count, name: &needle.name })
        };
        let whole = self.needles.index.at(spot).find_map(value);
        let rule = || RULES.index.at(spot).find_map(|known| self.rule(visible, known, place, from));
        whole.or_else(rule).or_else(|| self.needles.index.at(spot).find_map(cut))
    }

    fn rule(&self, visible: &Visible<'_>, known: Known, place: usize, from: usize) -> Option<Found<'_>> {
        let (range, name, is_exact) = match known {
            Known::Special(special) => {
                let range = special.find(visible, place)?;
                (range, special.name(), !matches!(special, Special::UrlPassword | Special::CurlUser))
            }
            Known::Rule(number, lead) => {
                let rule = &RULES.rules[usize::from(number)];
                let range = matching::find(rule, lead, visible, place)?;
                (range, rule.name, matches!(rule.how, How::Token(_)))
            }
        };
        if range.start < from {
            return None;
        }
        if is_exact {
            return Some(Found { range, name });
        }
        // A value that is recognized only by the words before it may have a better name of its own.
        let inner = self.exact(visible, range.start);
        Some(match inner {
            Some(inner) => Found { range: range.start..range.end.max(inner.range.end), name: inner.name },
            None => Found { range, name },
        })
    }

    /// Returns a value, or a token that is recognizable on its own, that starts at `place`.
    fn exact(&self, visible: &Visible<'_>, place: usize) -> Option<Found<'_>> {
        let text: &str = &visible.text;
        let spot = self.filter.next(text.as_bytes(), place).filter(|spot| spot.at == place)?;
        let needle = self.needles.index.at(spot).map(|number| self.needles.get(number));
        let value =
            needle.filter_map(|needle| Some(Found { range: needle.find(text, place)?, name: &needle.name })).next();
        value.or_else(|| {
            RULES.index.at(spot).find_map(|known| {
                let Known::Rule(number, lead) = known else { return None };
                let rule = &RULES.rules[usize::from(number)];
                let token = matches!(rule.how, How::Token(_)).then(|| matching::find(rule, lead, visible, place))??;
                (token.start == place).then_some(Found { range: token, name: rule.name })
            })
        })
    }

    /// Adds the matches of the person's patterns; overlapping ranges are joined.
    fn add_patterns<'a>(&'a self, text: &str, found: &mut Vec<Found<'a>>) {
        if self.patterns.is_empty() {
            return;
        }
        for pattern in &self.patterns {
            let matches = pattern.regex().find_iter(text).filter(|found| !found.is_empty());
            found.extend(matches.map(|hit| Found { range: hit.range(), name: pattern.name() }));
        }
        merge(found);
    }
}

/// Sorts the ranges and joins overlapping ones.
fn merge(found: &mut Vec<Found<'_>>) {
    found.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    found.dedup_by(|next, kept| {
        let overlaps = next.range.start < kept.range.end;
        if overlaps {
            kept.range.end = kept.range.end.max(next.range.end);
        }
        overlaps
    });
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: BTreeSet<&str> = self.needles.iter().map(|(_, needle)| needle.name.as_str()).collect();
        f.debug_struct("Redactor").field("names", &names).finish_non_exhaustive()
    }
}

/// A range to mask.
struct Found<'a> {
    range: Range<usize>,
    name: &'a str,
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
