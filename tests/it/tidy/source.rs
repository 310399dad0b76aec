//! Rust sources cut into tokens: just enough grammar to tell code from comments and strings. No macro is expanded.

use std::fs;
use std::path::Path;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, a keyword or a number.
    Word,
    /// `::`, or one character of punctuation.
    Mark,
    /// A string or character literal with its quotes.
    Text,
    /// A comment with its slashes.
    Comment,
}

/// A piece of a source.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// As it is written.
    pub text: &'static str,
    /// The line it begins in, from 1.
    pub line: usize,
}

impl Token {
    /// The word or mark `text`; never a literal or a comment that looks like it.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text == text
    }

    /// The line it ends in.
    pub fn last_line(&self) -> usize {
        self.line + self.text.matches('\n').count()
    }
}

/// One file.
#[derive(Debug)]
pub struct Source {
    /// From the package's root, with `/`.
    pub path: String,
    /// Its text.
    pub text: &'static str,
    /// All of its tokens but comments.
    pub code: Vec<Token>,
    /// Its comments.
    pub comments: Vec<Token>,
}

impl Source {
    /// A source from its text. The text is kept for as long as the tests run.
    pub fn new(path: &str, text: String) -> Self {
        let text: &'static str = text.leak();
        let (comments, code) = lex(text).into_iter().partition(|token| token.kind == Kind::Comment);
        Self { path: path.to_owned(), text, code, comments }
    }

    /// How messages name a line of it.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }

    /// The tokens from `at` on are the words and marks of `pattern`, which are separated by blanks.
    pub fn matches(&self, at: usize, pattern: &str) -> bool {
        let mut tokens = self.code[at..].iter();
        pattern.split(' ').all(|wanted| tokens.next().is_some_and(|token| token.is(wanted)))
    }

    /// The index of the mark that closes the one at `open`; the last token where it is never closed.
    pub fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (offset, token) in self.code[open..].iter().enumerate() {
            if token.is("{") || token.is("(") || token.is("[") {
                depth += 1;
            } else if token.is("}") || token.is(")") || token.is("]") {
                depth -= 1;
            }
            if depth == 0 {
                return open + offset;
            }
        }
        self.code.len() - 1
    }
}

/// All `.rs` files below the folder `dir` of the package, in the order of their names. None where there is no folder.
pub fn below(root: &Path, dir: &str) -> Vec<Source> {
    let Ok(entries) = fs::read_dir(root.join(dir)) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|e| e.expect(dir).file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut sources = Vec::new();
    for name in names {
        let path = format!("{dir}/{name}");
        if root.join(&path).is_dir() {
            sources.extend(below(root, &path));
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(root.join(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
            sources.push(Source::new(&path, text));
        }
    }
    sources
}

/// Cuts a text into tokens.
fn lex(text: &'static str) -> Vec<Token> {
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    loop {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        line += rest[..blank].matches('\n').count();
        at += blank;
        let Some((kind, length)) = first(&text[at..]) else { return tokens };
        let token = Token { kind, text: &text[at..at + length], line };
        line = token.last_line();
        at += length;
        tokens.push(token);
    }
}

/// The kind and length of the token that `rest` begins with.
fn first(rest: &str) -> Option<(Kind, usize)> {
    let char = rest.chars().next()?;
    if rest.starts_with("//") {
        return Some((Kind::Comment, rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return Some((Kind::Comment, block_comment(rest)));
    }
    if let Some(length) = string(rest).or_else(|| character(rest)) {
        return Some((Kind::Text, length));
    }
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    if of_word(char) {
        return Some((Kind::Word, rest.find(|c| !of_word(c)).unwrap_or(rest.len())));
    }
    Some((Kind::Mark, if rest.starts_with("::") { 2 } else { char.len_utf8() }))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let step = match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of the string literal that `rest` begins with, raw and byte strings too.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let Some(after) = rest.strip_prefix(prefix) else { return false };
        let hashes = if prefix.ends_with('r') { after.trim_start_matches('#') } else { after };
        hashes.starts_with('"')
    })?;
    if prefix.ends_with('r') {
        let after = &rest[prefix.len()..];
        let hashes = after.len() - after.trim_start_matches('#').len();
        let open = prefix.len() + hashes + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len()));
    }
    Some(up_to_quote(rest, prefix.len() + 1, b'"'))
}

/// The length of the character literal that `rest` begins with; `None` for a lifetime or a label.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let char = inner.chars().next()?;
    if char == '\\' {
        return Some(up_to_quote(rest, 1, b'\''));
    }
    inner[char.len_utf8()..].starts_with('\'').then(|| char.len_utf8() + 2)
}

/// Where the literal ends whose content begins at `at`.
fn up_to_quote(rest: &str, mut at: usize, quote: u8) -> usize {
    let bytes = rest.as_bytes();
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

#[test]
fn code_is_distinguished_from_comments_strings_characters_and_lifetimes() {
    let text = r##"
        // use crate::a;
        /* use crate::b /* nested */ */ fn f<'a>(x: &'a str) -> char { '"' }
        const T: &str = r#"use crate::"c";"#; const E: [char; 2] = ['\'', '{']; b"\"crate::d";
    "##;
    let source = Source::new("t.rs", text.to_owned());
    assert_eq!(source.comments.len(), 2);
    assert!(!source.code.iter().any(|token| token.is("crate")), "{:?}", source.code);
    let texts: Vec<&str> = source.code.iter().filter(|t| t.kind == Kind::Text).map(|t| t.text).collect();
    assert_eq!(texts, ["'\"'", "r#\"use crate::\"c\";\"#", "'\\''", "'{'", "b\"\\\"crate::d\""]);
    assert_eq!(source.code.last().map(|t| t.line), Some(4));
}
