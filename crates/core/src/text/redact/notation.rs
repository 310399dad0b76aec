//! Parses `rules.txt`. The file is part of the program, so that an invalid line is a bug, which a test finds, and never
//! a user's mistake.

use super::alphabet::{Alphabet, NAMED, TOKEN};

/// The embedded file.
const TEXT: &str = include_str!("rules.txt");
const UUID: &str = "<hex 8>-<hex 4>-<hex 4>-<hex 4>-<hex 12>";

/// A line of the file.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// The least entropy of the masked text, in bits per byte.
    pub(super) entropy: f32,
    /// The least number of digits in it.
    pub(super) digits: usize,
    pub(super) how: How,
}

/// How a rule is found.
#[derive(Debug)]
pub(super) enum How {
    /// By its own form, starting from the literal text `form.parts[form.anchor]`.
    Token(Form),
    /// After one of these words and an assignment.
    Near(Vec<&'static str>, Form),
    /// After one of these words and an assignment: anything that looks random.
    Random(Vec<&'static str>, Certainty),
    /// After one of these words and an assignment: anything that may be a password.
    Password(Vec<&'static str>),
    /// After a literal text, ignoring case.
    After(Form),
}

/// How random a value has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// The word before it says that it is a secret.
    Likely,
    /// The word before it may say so.
    Sure,
}

/// The form of a token.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) parts: Vec<Part>,
    /// The part to search for: the first literal text that is long enough to be rare.
    pub(super) anchor: usize,
}

/// A part of a form.
#[derive(Debug)]
pub(super) enum Part {
    /// A literal text.
    Literal(&'static str),
    /// A run of bytes of an alphabet.
    Run {
        /// The alphabet of the run.
        alphabet: Alphabet,
        /// The least length.
        least: usize,
        /// The most length; `None`: unlimited.
        most: Option<usize>,
    },
}

/// Returns every rule of the file.
pub(super) fn rules() -> Vec<Rule> {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| rule(line).expect("rules.txt is checked by a test")).collect()
}

fn rule(line: &'static str) -> Option<Rule> {
    let (kind, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once(' ')?;
    let words = |text: &'static str| text.split('|').collect();
    let plain = |how| Rule { name, entropy: 0.0, digits: 0, how };
    let bounded = |rest: &'static str| {
        let (bounds, rest) = rest.split_once(' ')?;
        let (entropy, digits) = bounds.split_once('/').unwrap_or((bounds, "0"));
        Some((entropy.parse().ok()?, digits.parse().ok()?, rest))
    };
    Some(match kind {
        "token" => {
            let (entropy, digits, rest) = bounded(rest)?;
            Rule { name, entropy, digits, how: How::Token(form(rest)?) }
        }
        "near" => {
            let (entropy, digits, rest) = bounded(rest)?;
            // The words may contain spaces; a form has spaces only within its brackets.
            let begin = rest[..rest.find('<')?].rfind(' ')?;
            Rule { name, entropy, digits, how: How::Near(words(&rest[..begin]), form(&rest[begin + 1..])?) }
        }
        "any" => plain(How::Random(words(rest), Certainty::Likely)),
        "word" => plain(How::Random(words(rest), Certainty::Sure)),
        "pass" => plain(How::Password(words(rest))),
        "after" => plain(How::After(form(rest)?)),
        _ => return None,
    })
}

fn form(text: &'static str) -> Option<Form> {
    let mut parts = Vec::new();
    read(text, &mut parts)?;
    let literal =
        |least: usize| parts.iter().position(|part| matches!(part, Part::Literal(text) if text.len() >= least));
    let anchor = literal(3).or_else(|| literal(1)).unwrap_or(0);
    Some(Form { parts, anchor })
}

fn read(mut text: &'static str, parts: &mut Vec<Part>) -> Option<()> {
    while let Some(open) = text.find('<') {
        if open > 0 {
            parts.push(Part::Literal(&text[..open]));
        }
        let close = text.find('>')?;
        match &text[open + 1..close] {
            "uuid" => read(UUID, parts)?,
            run => parts.push(self::run(run)?),
        }
        text = &text[close + 1..];
    }
    if !text.is_empty() {
        parts.push(Part::Literal(text));
    }
    Some(())
}

fn run(text: &str) -> Option<Part> {
    let (name, count) = text.split_once(' ')?;
    let alphabet = NAMED.iter().find(|(known, _)| *known == name)?.1;
    let (least, most) = match count.split_once('-') {
        None => (count.parse().ok()?, Some(count.parse().ok()?)),
        Some((least, "")) => (least.parse().ok()?, None),
        Some((least, most)) => (least.parse().ok()?, Some(most.parse().ok()?)),
    };
    Some(Part::Run { alphabet, least, most })
}

impl Form {
    /// Returns the text of the anchor; empty when the form has no literal text.
    pub(super) fn lead(&self) -> &'static str {
        match self.parts.get(self.anchor) {
            Some(Part::Literal(text)) => text,
            Some(Part::Run { .. }) | None => "",
        }
    }

    /// Returns the bytes that may follow the anchor.
    pub(super) fn follows(&self) -> Alphabet {
        match self.parts.get(self.anchor + 1) {
            Some(Part::Run { alphabet, .. }) => *alphabet,
            Some(Part::Literal(_)) | None => TOKEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_file_reads() {
        let bad: Vec<&str> =
            TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && rule(line).is_none()).collect();
        assert_eq!(bad, [""; 0]);
        let rules = rules();
        assert!(rules.len() > 250, "{}", rules.len());
        for rule in &rules {
            if let How::Token(form) | How::After(form) = &rule.how {
                assert!(form.lead().len() >= 2, "{}: nothing rare to look for", rule.name);
            }
        }
    }
}
