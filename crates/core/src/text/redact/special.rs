//! The kinds of secrets whose form is more than a sequence of alphabets.

use super::alphabet::{Alphabet, NAMED};
use super::matching::{begins_a_word, near};
use super::visible::Visible;
use std::ops::Range;

/// The name under which a private key is masked.
pub(super) const PRIVATE_KEY: &str = "private-key";

/// The longest first part of a JWT. It bounds the work where a JWT may start at many places of a long line.
const HEADER: usize = 2 << 10;
/// The largest distance of an option from the name of its program, in bytes.
const COMMAND: usize = 1 << 10;

/// A special kind of secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// The armour of a private key, up to the end of its first line.
    PrivateKey,
    /// A JWT: three parts with dots between them, recognized by the second.
    Jwt,
    /// A JWE: recognized by the first part only.
    Jwe,
    /// The password in `user:password@` of a URL.
    UrlPassword,
    /// The password in `curl -u user:password`.
    CurlUser,
}

impl Special {
    pub(super) const ALL: [Self; 5] = [Self::PrivateKey, Self::Jwe, Self::Jwt, Self::UrlPassword, Self::CurlUser];

    /// Returns the text by which it is found.
    pub(super) fn lead(self) -> &'static str {
        match self {
            Self::PrivateKey => "-----BEGIN ",
            Self::Jwt => ".ey",
            Self::Jwe => "eyJ",
            Self::UrlPassword => "://",
            Self::CurlUser => "-u ",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => PRIVATE_KEY,
            Self::Jwt | Self::Jwe => "jwt",
            Self::UrlPassword => "url-password",
            Self::CurlUser => "curl-auth-user",
        }
    }

    /// Returns what to mask when it starts at `at`.
    pub(super) fn find(self, text: &Visible<'_>, at: usize) -> Option<Range<usize>> {
        let bytes = text.text.as_bytes();
        let lead = self.lead();
        let rest = bytes[at..].strip_prefix(lead.as_bytes())?;
        let body = at + lead.len();
        match self {
            Self::PrivateKey => private_key_armour(rest).map(|count| at..body + count),
            Self::Jwt => jwt_around(text, at),
            // In base64 of JSON this lead is frequent, but seldom at the start of a word.
            Self::Jwe => begins_a_word(text, at).then(|| jwt(rest))?.map(|count| at..body + count),
            Self::UrlPassword => url_password(rest).map(|range| body + range.start..body + range.end),
            Self::CurlUser => curl_user(&bytes[..at], rest).map(|range| body + range.start..body + range.end),
        }
    }
}

fn word(bytes: &[u8]) -> usize {
    const WORD: Alphabet = NAMED[5].1;
    WORD.run(bytes)
}

/// Returns the length of three parts with dots between them, each long enough not to be a coincidence.
fn jwt(rest: &[u8]) -> Option<usize> {
    let long = |count: &usize| *count >= 8;
    let part = |from: usize| rest.get(from..).map(word).filter(long);
    let dot = |at: usize| (rest.get(at) == Some(&b'.')).then_some(at + 1);
    let claims = dot(Some(word(near(rest, HEADER))).filter(long)?)?;
    let signature = dot(claims + part(claims)?)?;
    Some(signature + part(signature)?)
}

/// Returns the three parts, of which the second starts after the dot at `at`. The third may be missing.
fn jwt_around(text: &Visible<'_>, at: usize) -> Option<Range<usize>> {
    let bytes = text.text.as_bytes();
    let before = bytes[..at].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let start = at - before;
    let claims = at + 1 + word(&bytes[at + 1..]);
    let fits = before > 16 && claims - at > 16 && bytes[start..].starts_with(b"ey") && bytes.get(claims) == Some(&b'.');
    (fits && begins_a_word(text, start)).then(|| start..claims + 1 + word(&bytes[claims + 1..]))
}

/// Returns the password in `user:password@host`, or the whole of `token@host` when it is long.
fn url_password(rest: &[u8]) -> Option<Range<usize>> {
    let authority =
        rest.iter().take(512).position(|byte| b"/?# \t\r\n\"'<>`\\".contains(byte)).unwrap_or(rest.len().min(512));
    let at = rest[..authority].iter().rposition(|&byte| byte == b'@')?;
    let start = match rest[..at].iter().position(|&byte| byte == b':') {
        Some(colon) => colon + 1,
        None if at >= 16 => 0,
        None => return None,
    };
    let reference = matches!(rest[start..at], [b'$' | b'{' | b'[' | b'%', ..]);
    (start < at && !reference).then_some(start..at)
}

/// Returns the password in `curl … -u user:password`.
fn curl_user(before: &[u8], rest: &[u8]) -> Option<Range<usize>> {
    let before = &before[before.len().saturating_sub(COMMAND)..];
    let line = memchr::memrchr(b'\n', before).map_or(before, |feed| &before[feed + 1..]);
    memchr::memmem::find(line, b"curl ")?;
    let open = rest.iter().take_while(|byte| b" \"'\\".contains(byte)).count();
    let end = open + rest[open..].iter().position(|byte| b" \t\r\n\"'\\".contains(byte)).unwrap_or(rest.len() - open);
    let start = open + rest[open..end].iter().position(|&byte| byte == b':')? + 1;
    let reference = matches!(rest[start..end], [b'$' | b'{' | b'[' | b'<', ..]);
    (end - start >= 3 && !reference).then_some(start..end)
}

/// Returns the length of `… PRIVATE KEY-----`; for a key on one line, up to its end.
fn private_key_armour(rest: &[u8]) -> Option<usize> {
    let line = rest.iter().take(64).position(|&byte| byte == b'\n').unwrap_or(rest.len().min(64));
    let end = rest[..line].windows(11).position(|window| window == b"PRIVATE KEY")?;
    rest[..end].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ').then_some(end + 11)
}

/// Returns where the body of a private key that continues at `from` ends, and whether the text ends before it.
/// `armour`: the rest of the first line still belongs to the opening.
pub(super) fn private_key_rest(text: &str, from: usize, armour: bool) -> (usize, bool) {
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        if let Some(end) = line.find("-----END") {
            let after = end + "-----END".len();
            let close = line[after..].find("-----").map_or(line.trim_end().len(), |dashes| after + dashes + 5);
            return (at + close, false);
        }
        let opening = armour && at == from;
        if !opening && !is_key_line(line) {
            // The end of the last line is not part of the key.
            return (from + text[from..at].trim_end().len(), false);
        }
        at += line.len();
    }
    (text.len(), true)
}

fn is_key_line(line: &str) -> bool {
    let line = unnumbered(line).trim();
    let is_header = line.starts_with("Proc-Type:") || line.starts_with("DEK-Info:");
    is_header || line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

/// Removes what tools put before a line: the signs of diffs and quotations, line numbers, frames.
fn unnumbered(line: &str) -> &str {
    let mut line = line;
    // Numbered lines of a diff, or a diff of numbered lines.
    for _ in 0..2 {
        line = line.trim_start().trim_start_matches(['-', '+', ' ', '\t', '>', '|', '│']);
        let text = line.trim_start_matches(|c: char| c.is_ascii_digit());
        if text.len() < line.len() && text.starts_with(['→', ':', '-', '\t', ' ', '│', '|']) {
            line = &text[text.chars().next().map_or(0, char::len_utf8)..];
        }
    }
    line
}
