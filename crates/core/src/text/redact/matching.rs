//! Decides whether a rule of `rules.txt` matches at a place in a text, and what to mask there.

use super::alphabet::{ANY, TOKEN, digits, entropy};
use super::notation::{Certainty, Form, How, Part, Rule};
use super::visible::Visible;
use std::ops::Range;

/// The largest distance between a word and its assignment, in bytes.
const NAME_REST: usize = 24;
/// The longest password, in bytes.
const LONGEST_PASSWORD: usize = 128;
/// How much of a value is examined before it is accepted, in bytes.
const ENOUGH: usize = 1 << 10;
/// Words that occur in placeholder values and not in real ones.
const MADE_UP: [&[u8]; 26] = [
    b"example",
    b"test",
    b"token",
    b"secret",
    b"password",
    b"value",
    b"your",
    b"xxxx",
    b"abcd",
    b"0000",
    b"null",
    b"none",
    b"true",
    b"false",
    b"http",
    b"config",
    b"default",
    b"change",
    b"dummy",
    b"fake",
    b"sample",
    b"holder",
    b"redacted",
    b"function",
    b"string",
    b"user",
];

/// Returns what `rule` matches where its `lead` was found at `at`.
pub(super) fn find(rule: &Rule, lead: &str, text: &Visible<'_>, at: usize) -> Option<Range<usize>> {
    let bytes = text.text.as_bytes();
    let range = match &rule.how {
        How::Token(form) => {
            let start = form.backward(bytes, at, form.anchor)?;
            // This check is cheap and rejects most places.
            begins_a_word(text, start).then_some(())?;
            start..form.forward(bytes, at, form.anchor)?
        }
        How::After(form) => {
            same(&bytes[at..], lead).then_some(())?;
            let start = at + lead.len();
            start..form.forward(bytes, start, 1)?
        }
        How::Near(_, form) => {
            same(&bytes[at..], lead).then_some(())?;
            let start = assigned(bytes, at + lead.len())?.start;
            let end = form.forward(bytes, start, 0)?;
            let end = end + rule.how.goes_on(&bytes[end..]);
            ends_a_word(bytes, end).then_some(start..end)?
        }
        How::Random(_, certainty) => {
            same(&bytes[at..], lead).then_some(())?;
            random(bytes, at, lead, *certainty)?
        }
        How::Password(_) => {
            same(&bytes[at..], lead).then_some(())?;
            password(bytes, &assigned(bytes, at + lead.len())?)?
        }
    };
    let found = near(&bytes[range.clone()], ENOUGH);
    let made = digits(found) >= rule.digits || (rule.digits == 1 && is_mixed(found));
    let fits = made && (rule.entropy == 0.0 || entropy(found) >= rule.entropy);
    fits.then(|| range.start..range.end + rule.how.goes_on(&bytes[range.end..]))
}

impl How {
    /// Returns the length of the rest of a value of which only a part was examined.
    fn goes_on(&self, rest: &[u8]) -> usize {
        match self {
            Self::Token(form) | Self::After(form) | Self::Near(_, form) => match form.parts.last() {
                Some(Part::Run { alphabet, most: None, .. }) => alphabet.run(rest),
                Some(Part::Run { .. } | Part::Literal(_)) | None => 0,
            },
            Self::Random(..) | Self::Password(_) => 0,
        }
    }
}

impl Form {
    /// Returns where the parts before `anchor` start.
    fn backward(&self, bytes: &[u8], mut at: usize, anchor: usize) -> Option<usize> {
        for part in self.parts[..anchor].iter().rev() {
            at = match part {
                Part::Literal(text) => {
                    let start = at.checked_sub(text.len())?;
                    same(&bytes[start..], text).then_some(start)?
                }
                Part::Run { alphabet, least, most } => {
                    let all = bytes[..at].iter().rev().take(most.unwrap_or(usize::MAX));
                    let count = all.take_while(|&&byte| alphabet.has(byte)).count();
                    (count >= *least).then(|| at - count)?
                }
            };
        }
        Some(at)
    }

    /// Returns where the parts from `anchor` on end.
    fn forward(&self, bytes: &[u8], mut at: usize, anchor: usize) -> Option<usize> {
        let parts = &self.parts[anchor..];
        for (index, part) in parts.iter().enumerate() {
            let rest = bytes.get(at..)?;
            let last = index + 1 == parts.len();
            at += match part {
                Part::Literal(text) => {
                    (same(rest, text) && !(last && continues(rest, text.len()))).then_some(text.len())?
                }
                Part::Run { alphabet, least, most } => {
                    let fixed = *most == Some(*least) && !last;
                    // One more than allowed shows that there are too many.
                    let bound = most.map_or(ENOUGH, |most| most + usize::from(!fixed));
                    let count = alphabet.run(near(rest, bound));
                    let fits = count >= *least && most.is_none_or(|most| count <= most);
                    let ends = !last || most.is_none() || !continues(rest, count);
                    (fits && ends).then_some(count)?
                }
            };
        }
        Some(at)
    }
}

/// Returns the first bytes, at most `most`: this bounds the work per place in a long line.
pub(super) fn near(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

/// Whether a word continues at `at`.
fn continues(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether no byte at `at` could continue the value.
fn ends_a_word(bytes: &[u8], at: usize) -> bool {
    let next = bytes.get(at..at + 2).map(|next| next[1]);
    match bytes.get(at) {
        Some(b'.') => !next.is_some_and(|byte| byte.is_ascii_alphanumeric()),
        Some(byte) => !(byte.is_ascii_alphanumeric() || b"_-/+(".contains(byte)),
        None => true,
    }
}

/// Whether a word may start at `at`, also after an escape such as `\n` or `%3D`, whose letters belong to the escape.
pub(super) fn begins_a_word(text: &Visible<'_>, at: usize) -> bool {
    let before = &text.text.as_bytes()[..at];
    let Some(&last) = before.last() else { return true };
    let escape = matches!(before, [.., b'\\', b'n' | b'r' | b't'])
        || matches!(before, [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    escape || !last.is_ascii_alphanumeric() || text.is_joint(at)
}

/// Whether `bytes` start with `word`, ignoring case.
fn same(bytes: &[u8], word: &str) -> bool {
    bytes.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

/// An assigned value.
struct Assigned {
    start: usize,
    /// The quote before the value.
    quote: Option<u8>,
    /// Whether it is a list item or follows an arrow: many such texts are not values.
    loose: bool,
}

/// Returns the value of an assignment whose name continues at `at`, in any of the usual notations: `NAME=…`, `"name":
/// "…"`, `name => '…'`, `<name>…`, `("name", "…")`.
fn assigned(bytes: &[u8], at: usize) -> Option<Assigned> {
    let spot = |at: usize, most: usize, among: &[u8]| {
        let rest = bytes.get(at..).unwrap_or_default();
        rest.iter().take(most).take_while(|byte| among.contains(byte)).count()
    };
    let rest = bytes.get(at..)?.iter().take(NAME_REST);
    let name = rest.take_while(|&&byte| byte.is_ascii_alphanumeric() || b"_-. \t".contains(&byte)).count();
    let mut at = at + name;
    let arrow = bytes[..at].ends_with(b"-") && bytes.get(at) == Some(&b'>');
    at += spot(at, 4, b" \t\\'\"]");
    let sign = spot(at, 3, b"=:>|?");
    let comma = sign == 0 && bytes.get(at) == Some(&b',');
    if arrow || (sign == 0 && !comma) {
        return None;
    }
    at += sign.max(1);
    let gap = spot(at, 6, b" \t\\'\"`=");
    let quote = bytes[at..at + gap].iter().rev().find(|byte| b"'\"`".contains(byte)).copied();
    Some(Assigned { start: at + gap, quote, loose: comma })
}

/// Returns a value that looks random after a word for a secret.
fn random(bytes: &[u8], at: usize, word: &str, certainty: Certainty) -> Option<Range<usize>> {
    let end = at + word.len();
    if certainty == Certainty::Sure {
        let inside =
            at > 0 && bytes[at - 1].is_ascii_alphabetic() || bytes.get(end).is_some_and(u8::is_ascii_alphabetic);
        (!inside).then_some(())?;
    }
    let Assigned { start, quote, loose } = assigned(bytes, end)?;
    let value = &bytes[start..start + TOKEN.run(near(&bytes[start..], 400))];
    let closed =
        ends_a_word(bytes, start + value.len()) && (quote.is_some() || !(loose || is_type(bytes, start + value.len())));
    (closed && looks_random(value, certainty)).then_some(start..start + value.len())
}

/// Whether a value was probably made by a generator and not by a person.
fn looks_random(value: &[u8], certainty: Certainty) -> bool {
    let digits = digits(value);
    let (least, bits, enough) = match certainty {
        Certainty::Likely => (12, 3.1, digits >= 2 || (digits == 1 && is_mixed(value))),
        Certainty::Sure => (20, 3.8, digits >= 3 && is_mixed(value)),
    };
    let letters = value.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let plausible = value.len() >= least && letters >= 3 && enough && changes(value) * 5 >= value.len();
    plausible && !is_path(value) && !made_up(value) && entropy(value) >= bits
}

/// Whether small letters, capitals and digits are mixed as people do not mix them.
fn is_mixed(value: &[u8]) -> bool {
    let cased = value.iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase);
    cased && changes(value) * 5 >= value.len() * 2
}

/// Counts the changes between small letters, capitals and digits; they are rare in words.
fn changes(value: &[u8]) -> usize {
    let kind = |byte: u8| (byte.is_ascii_uppercase(), byte.is_ascii_digit(), byte.is_ascii_lowercase());
    value.windows(2).filter(|pair| pair.iter().all(u8::is_ascii_alphanumeric) && kind(pair[0]) != kind(pair[1])).count()
}

/// Whether this is the type in a declaration: `KEY: Type = …`.
fn is_type(bytes: &[u8], end: usize) -> bool {
    bytes.get(end..).is_some_and(|rest| rest.starts_with(b" = "))
}

fn is_path(value: &[u8]) -> bool {
    let slashes = value.iter().filter(|&&byte| byte == b'/').count();
    let rooted = value.starts_with(b"/") || value.starts_with(b"~") || value.starts_with(b".");
    (rooted && slashes > 0) || (slashes > 1 && slashes * 10 >= value.len())
}

fn made_up(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    MADE_UP.iter().any(|word| memchr::memmem::find(&lower, word).is_some())
}

/// Returns a password: the text between quotes, or up to the next space.
fn password(bytes: &[u8], value: &Assigned) -> Option<Range<usize>> {
    let rest = near(&bytes[value.start..], LONGEST_PASSWORD + 1);
    let count = match value.quote {
        Some(_) => ANY.run(rest).min(rest.iter().position(|&byte| byte == b'\\').unwrap_or(rest.len())),
        None => rest.iter().position(|&byte| !ANY.has(byte) || b";,&)<>]}".contains(&byte)).unwrap_or(rest.len()),
    };
    let found = &rest[..count];
    let letters = found.iter().any(u8::is_ascii_alphabetic);
    let code = found.iter().any(|byte| b"({[$<".contains(byte)) && value.quote.is_none();
    let reference = matches!(found, [b'$' | b'{' | b'<' | b'%' | b'[' | b'@', ..]);
    let fits = (6..=LONGEST_PASSWORD).contains(&count) && letters && digits(found) > 0;
    let plain =
        !code && !reference && !is_path(found) && !made_up(found) && memchr::memmem::find(found, b"::").is_none();
    let end = value.start + count;
    let meant = value.quote.is_some() || !(value.loose || is_type(bytes, end));
    (fits && plain && meant).then_some(value.start..end)
}
