//! A search pattern for output: a text or a regular expression, matched line by line, and the texts that must occur for
//! a match, so that an index can skip most output. Pure.

use crate::text::output::line_at;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::ops::Range;

/// The options of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether the pattern is a regular expression and not a text.
    pub is_regex: bool,
    /// Whether upper and lower case match each other.
    pub ignore_case: bool,
}

/// Why a pattern is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It is not a valid regular expression.
    #[error("{0}")]
    Regex(String),
    /// It spans several lines.
    #[error("a pattern cannot hold a line feed: every line is looked at by itself")]
    Lines,
    /// It is empty.
    #[error("an empty pattern matches every line")]
    Empty,
}

/// A search pattern. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    need: Need,
    /// Whether lines must be matched one by one: the pattern has anchors for the start or end of a text.
    by_line: bool,
}

/// What a text must contain for a pattern to match. The texts are [`fold`]ed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// This text, of at least three characters.
    Text(String),
    /// Every one of these.
    All(Vec<Need>),
    /// At least one of these.
    OneOf(Vec<Need>),
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Returns an error if it is empty, spans lines, or is not a valid regular expression.
    pub fn new(text: &str, options: Options) -> Result<Self, BadPattern> {
        if text.is_empty() {
            return Err(BadPattern::Empty);
        }
        let source = if options.is_regex { text.to_owned() } else { regex::escape(text) };
        if !options.is_regex && text.contains('\n') {
            return Err(BadPattern::Lines);
        }
        let bad = |error: &dyn std::fmt::Display| BadPattern::Regex(error.to_string());
        let regex = RegexBuilder::new(&source).multi_line(true).case_insensitive(options.ignore_case).build();
        let hir = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .multi_line(true)
            .case_insensitive(options.ignore_case)
            .build()
            .parse(&source);
        let hir = hir.map_err(|error| bad(&error))?;
        let looks = hir.properties().look_set();
        let by_line = looks.contains(Look::Start) || looks.contains(Look::End);
        Ok(Self { regex: regex.map_err(|error| bad(&error))?, need: need_of(&hir), by_line })
    }

    /// Returns what a text must contain.
    pub fn need(&self) -> &Need {
        &self.need
    }

    /// Returns the first matching line at or after `from`, which must be the start of a line.
    pub fn next_line(&self, text: &[u8], mut from: usize) -> Option<Range<usize>> {
        while from < text.len() {
            let at = if self.by_line { from } else { self.regex.find_at(text, from)?.start() };
            if at >= text.len() {
                return None;
            }
            let line = line_at(text, at);
            // The match may have crossed the end of its line.
            if self.regex.is_match(&text[line.clone()]) {
                return Some(line);
            }
            from = line.end + 1;
        }
        None
    }

    /// Returns the first match in a line.
    pub fn first(&self, line: &[u8]) -> Option<Range<usize>> {
        self.regex.find(line).map(|found| found.range())
    }

    /// Returns all matches in a line, without empty ones.
    pub fn spans(&self, line: &[u8]) -> Vec<Range<usize>> {
        self.regex.find_iter(line).map(|found| found.range()).filter(|range| !range.is_empty()).collect()
    }
}

/// Folds a character to the form in which an index compares texts: ASCII characters that a pattern may treat as the
/// same are the same in it. It works by character, so that a part of a text is a part of its form.
pub fn fold(c: char) -> char {
    match c {
        // Some indexes treat it as the end of a text.
        '\0' => '\u{1}',
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    }
}

/// The shortest text that narrows a search, in characters.
const MIN_TEXT: usize = 3;

impl Need {
    fn text(text: &str) -> Self {
        if text.chars().count() < MIN_TEXT { Self::Nothing } else { Self::Text(text.to_owned()) }
    }

    fn all(mut needs: Vec<Self>) -> Self {
        needs.retain(|need| *need != Self::Nothing);
        match needs.len() {
            0 => Self::Nothing,
            1 => needs.remove(0),
            _ => Self::All(needs),
        }
    }
}

fn need_of(hir: &Hir) -> Need {
    if let Some(text) = exact(hir) {
        return Need::text(&text);
    }
    match hir.kind() {
        HirKind::Capture(capture) => need_of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => need_of(&repetition.sub),
        HirKind::Concat(parts) => {
            let (mut needs, mut text) = (Vec::new(), String::new());
            for part in parts {
                match exact(part) {
                    Some(more) => text.push_str(&more),
                    None => {
                        needs.extend([Need::text(&text), need_of(part)]);
                        text.clear();
                    }
                }
            }
            needs.push(Need::text(&text));
            Need::all(needs)
        }
        HirKind::Alternation(ways) => {
            let needs: Vec<Need> = ways.iter().map(need_of).collect();
            if needs.contains(&Need::Nothing) { Need::Nothing } else { Need::OneOf(needs) }
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => {
            Need::Nothing
        }
    }
}

/// Returns the only folded text that this matches, if there is only one.
fn exact(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty => Some(String::new()),
        // It has no width: its neighbours are adjacent.
        HirKind::Look(_) => Some(String::new()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            // No line contains a line feed.
            (!text.contains('\n')).then(|| text.chars().map(fold).collect())
        }
        HirKind::Class(class) => one_character(class).map(String::from),
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(exact).collect(),
        HirKind::Repetition(_) | HirKind::Alternation(_) => None,
    }
}

/// Returns the folded character that all members of a class share: `[Kk]`, or a letter in either case.
fn one_character(class: &Class) -> Option<char> {
    const MOST: u32 = 4;
    let mut members = Vec::new();
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                if u32::from(range.end()) - u32::from(range.start()) >= MOST {
                    return None;
                }
                members.extend((range.start()..=range.end()).map(fold));
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                if !range.end().is_ascii() || u32::from(range.end() - range.start()) >= MOST {
                    return None;
                }
                members.extend((range.start()..=range.end()).map(|byte| fold(char::from(byte))));
            }
        }
    }
    let first = *members.first()?;
    members.iter().all(|other| *other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str, is_regex: bool, ignore_case: bool) -> Pattern {
        Pattern::new(text, Options { is_regex, ignore_case }).expect("a pattern")
    }

    fn lines(pattern: &Pattern, text: &[u8]) -> Vec<String> {
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(line) = pattern.next_line(text, from) {
            from = line.end + 1;
            found.push(String::from_utf8_lossy(&text[line]).into_owned());
        }
        found
    }

    #[test]
    fn every_line_is_looked_at_by_itself() {
        let text = b"one\ntwo words\n\nthree\xff\0 words\nlast";
        assert_eq!(lines(&pattern("words", false, false), text), ["two words", "three\u{fffd}\0 words"]);
        assert_eq!(lines(&pattern("o.*w", true, false), text), ["two words"]);
        assert_eq!(lines(&pattern("^t", true, false), text), ["two words", "three\u{fffd}\0 words"]);
        assert_eq!(lines(&pattern(r"\Alast\z", true, false), text), ["last"]);
        assert_eq!(lines(&pattern(r"o\s+t|words$", true, false), text), ["two words", "three\u{fffd}\0 words"]);
        assert_eq!(lines(&pattern("LAST", false, true), text), ["last"]);
        assert_eq!(lines(&pattern("x*", true, false), b"a\n\nb\n"), ["a", "", "b"]);
        assert_eq!(lines(&pattern("a.c", false, false), b"abc\na.c\n"), ["a.c"]);
        assert_eq!(pattern("wo", false, false).spans(b"two wo"), [1..3, 4..6]);
        assert!(Pattern::new("(", Options { is_regex: true, ..Options::default() }).is_err());
        assert_eq!(Pattern::new("a\nb", Options::default()).err(), Some(BadPattern::Lines));
        assert_eq!(Pattern::new("", Options::default()).err(), Some(BadPattern::Empty));
    }

    #[test]
    fn what_a_match_needs_is_read_off_the_pattern() {
        let text = |text: &str| Need::Text(text.to_owned());
        let need = |source: &str, ignore_case| pattern(source, true, ignore_case).need().clone();
        assert_eq!(need("Panic in", false), text("panic in"));
        assert_eq!(need("Kiss", true), text("kiss"));
        assert_eq!(need("ab", false), Need::Nothing);
        assert_eq!(need(r"error\[E\d+\]: mis", false), Need::All(vec![text("error[e"), text("]: mis")]));
        assert_eq!(need("(foobar|bazz)+x", false), Need::OneOf(vec![text("foobar"), text("bazz")]));
        assert_eq!(need("(foobar|b)", false), Need::Nothing);
        assert_eq!(need(".*", false), Need::Nothing);
        assert_eq!(need("(foo)?bar", false), text("bar"));
    }

    fn holds(text: &str, need: &Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::Text(part) => text.contains(part.as_str()),
            Need::All(parts) => parts.iter().all(|part| holds(text, part)),
            Need::OneOf(parts) => parts.iter().any(|part| holds(text, part)),
        }
    }

    proptest! {
        #[test]
        fn whatever_matches_holds_what_is_needed(
            source in r"[abkKſé]{1,4}|\([abk]{1,3}\|[abk]{3,4}\)[abc]{0,3}|[ab]{1,3}\.[bc]{1,3}|\(\?i\)[kéÉs]{3,4}",
            text in "[abckKſséÉK\u{0} \n]{0,40}",
            ignore_case: bool,
        ) {
            let pattern = pattern(&source, true, ignore_case);
            let folded: String = text.chars().map(fold).collect();
            if pattern.next_line(text.as_bytes(), 0).is_some() {
                prop_assert!(holds(&folded, pattern.need()), "{:?} {:?} {:?}", source, text, pattern.need());
            }
        }

        #[test]
        fn the_same_lines_are_found_as_one_by_one(source in r"[ab]{1,2}|a\.\*b|\[\^c\]\+|b\$|\\s", text in "[abc\n]{0,30}") {
            let pattern = pattern(&source, true, false);
            let alone = |line: &&str| regex::bytes::Regex::new(&source).expect("valid").is_match(line.as_bytes());
            let expected: Vec<String> = text.split_terminator('\n').filter(alone).map(str::to_owned).collect();
            prop_assert_eq!(lines(&pattern, text.as_bytes()), expected);
        }
    }
}
