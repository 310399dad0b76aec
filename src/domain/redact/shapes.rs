//! The shapes of well-known tokens: what they begin with, and what must follow.

use std::ops::Range;

/// The name under which a private key is masked.
pub(super) const PRIVATE_KEY: &str = "private-key";

/// Which bytes a token is made of.
#[derive(Debug, Clone, Copy)]
enum Alphabet {
    /// Letters and digits.
    Alnum,
    /// And `_`, `-`.
    Word,
    /// And `.`, `/`, `+`, `=`, `~`.
    Token,
    /// `A`–`Z`, `0`–`9`.
    Upper,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-',
            Self::Token => byte.is_ascii_alphanumeric() || b"_-./+=~".contains(&byte),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        }
    }
}

/// How the text after the lead is read.
#[derive(Debug, Clone, Copy)]
enum Body {
    /// At least `least` bytes of an alphabet, `digits` of them digits at least; the lead is masked with it.
    Whole { alphabet: Alphabet, least: usize, digits: usize },
    /// The same, but the lead stays readable.
    Tail { alphabet: Alphabet, least: usize },
    /// Exactly this many bytes.
    Exact { alphabet: Alphabet, count: usize },
    /// Three parts with dots between them.
    Jwt,
    /// `user:password@` of a URL: the password.
    UrlPassword,
    /// The bot token behind its numeric id and a colon.
    BotToken,
    /// Armour of a private key: up to the end of its first line.
    PrivateKey,
}

/// One kind of token.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) lead: &'static str,
    body: Body,
}

const fn word(name: &'static str, lead: &'static str, least: usize) -> Shape {
    Shape { name, lead, body: Body::Whole { alphabet: Alphabet::Word, least, digits: 0 } }
}

const fn alnum(name: &'static str, lead: &'static str, least: usize) -> Shape {
    Shape { name, lead, body: Body::Whole { alphabet: Alphabet::Alnum, least, digits: 0 } }
}

const fn tail(name: &'static str, lead: &'static str, least: usize) -> Shape {
    Shape { name, lead, body: Body::Tail { alphabet: Alphabet::Token, least } }
}

const fn aws(lead: &'static str) -> Shape {
    Shape { name: "aws-key-id", lead, body: Body::Exact { alphabet: Alphabet::Upper, count: 16 } }
}

const fn special(name: &'static str, lead: &'static str, body: Body) -> Shape {
    Shape { name, lead, body }
}

/// Every kind that is known.
pub(super) const SHAPES: &[Shape] = &[
    special(PRIVATE_KEY, "-----BEGIN ", Body::PrivateKey),
    word("anthropic-key", "sk-ant-", 16),
    // Covers many providers. Digits are asked for, because class names in style sheets look alike.
    special("api-key", "sk-", Body::Whole { alphabet: Alphabet::Word, least: 20, digits: 3 }),
    word("github-token", "github_pat_", 20),
    alnum("github-token", "ghp_", 30),
    alnum("github-token", "gho_", 30),
    alnum("github-token", "ghu_", 30),
    alnum("github-token", "ghs_", 30),
    alnum("github-token", "ghr_", 30),
    word("gitlab-token", "glpat-", 20),
    word("gitlab-token", "glrt-", 20),
    word("slack-token", "xoxb-", 16),
    word("slack-token", "xoxp-", 16),
    word("slack-token", "xoxa-", 16),
    word("slack-token", "xoxe-", 16),
    word("slack-token", "xoxs-", 16),
    word("slack-token", "xapp-", 16),
    tail("slack-webhook", "hooks.slack.com/services/", 16),
    tail("discord-webhook", "discord.com/api/webhooks/", 16),
    special("telegram-token", ":AA", Body::BotToken),
    aws("AKIA"),
    aws("ASIA"),
    word("google-key", "AIza", 35),
    word("google-token", "ya29.", 20),
    word("google-secret", "GOCSPX-", 20),
    alnum("npm-token", "npm_", 36),
    word("pypi-token", "pypi-AgE", 30),
    alnum("huggingface-token", "hf_", 30),
    alnum("stripe-key", "sk_live_", 16),
    alnum("stripe-key", "rk_live_", 16),
    alnum("stripe-key", "sk_test_", 16),
    alnum("groq-key", "gsk_", 30),
    word("xai-key", "xai-", 40),
    alnum("perplexity-key", "pplx-", 30),
    alnum("replicate-token", "r8_", 30),
    word("vault-token", "hvs.", 20),
    word("tailscale-key", "tskey-", 16),
    word("docker-token", "dckr_pat_", 20),
    alnum("digitalocean-token", "dop_v1_", 40),
    alnum("linear-key", "lin_api_", 30),
    special("sendgrid-key", "SG.", Body::Whole { alphabet: Alphabet::Token, least: 60, digits: 3 }),
    alnum("age-key", "AGE-SECRET-KEY-1", 40),
    special("jwt", "eyJ", Body::Jwt),
    tail("bearer-token", "Bearer ", 16),
    tail("bearer-token", "bearer ", 16),
    tail("basic-credentials", "Authorization: Basic ", 8),
    tail("basic-credentials", "authorization: basic ", 8),
    special("url-password", "://", Body::UrlPassword),
];

impl Shape {
    /// The range to mask when this kind of token begins at `at`.
    pub(super) fn find_at(&self, text: &str, at: usize) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let rest = bytes[at..].strip_prefix(self.lead.as_bytes())?;
        let body = at + self.lead.len();
        let starts_a_word = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        match self.body {
            Body::Whole { alphabet, least, digits } => {
                let count = run(rest, alphabet);
                let enough = count >= least && rest[..count].iter().filter(|b| b.is_ascii_digit()).count() >= digits;
                (starts_a_word && enough).then_some(at..body + count)
            }
            Body::Tail { alphabet, least } => {
                let count = run(rest, alphabet);
                (count >= least).then_some(body..body + count)
            }
            Body::Exact { alphabet, count } => {
                (starts_a_word && run(rest, Alphabet::Word) == count && run(rest, alphabet) == count)
                    .then_some(at..body + count)
            }
            Body::Jwt => jwt(rest).filter(|_| starts_a_word).map(|count| at..body + count),
            Body::UrlPassword => url_password(rest).map(|range| body + range.start..body + range.end),
            Body::BotToken => {
                let digits = bytes[..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
                let count = run(rest, Alphabet::Word);
                ((8..=12).contains(&digits) && (30..=40).contains(&count)).then_some(at + 1..body + count)
            }
            Body::PrivateKey => private_key_armour(rest).map(|count| at..body + count),
        }
    }
}

/// How many bytes of the alphabet stand at the beginning.
fn run(bytes: &[u8], alphabet: Alphabet) -> usize {
    bytes.iter().take_while(|&&byte| alphabet.has(byte)).count()
}

/// The length of three parts with dots between them, each long enough to be no accident.
fn jwt(rest: &[u8]) -> Option<usize> {
    let part = |from: usize| rest.get(from..).map(|bytes| run(bytes, Alphabet::Word)).filter(|&count| count >= 8);
    let dot = |at: usize| (rest.get(at) == Some(&b'.')).then_some(at + 1);
    let claims = dot(part(0)?)?;
    let signature = dot(claims + part(claims)?)?;
    Some(signature + part(signature)?)
}

/// The password in `user:password@host`, or all of `token@host` when it is long.
fn url_password(rest: &[u8]) -> Option<Range<usize>> {
    let authority =
        rest.iter().take(512).position(|byte| b"/?# \t\r\n\"'<>".contains(byte)).unwrap_or(rest.len().min(512));
    let at = rest[..authority].iter().rposition(|&byte| byte == b'@')?;
    let start = match rest[..at].iter().position(|&byte| byte == b':') {
        Some(colon) => colon + 1,
        None if at >= 16 => 0,
        None => return None,
    };
    (start < at && !rest[start..at].starts_with(b"[REDACTED")).then_some(start..at)
}

/// The length of `… PRIVATE KEY-----`; for a key on one line, up to its end.
fn private_key_armour(rest: &[u8]) -> Option<usize> {
    let line = rest.iter().take(64).position(|&byte| byte == b'\n').unwrap_or(rest.len().min(64));
    let end = rest[..line].windows(11).position(|window| window == b"PRIVATE KEY")?;
    rest[..end].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ').then_some(end + 11)
}

/// Where the body of a private key ends that goes on at `from`, and whether the text ends before it. `armour` says
/// that the rest of the first line still belongs to the opening.
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
            return (at, false);
        }
        at += line.len();
    }
    (text.len(), true)
}

fn is_key_line(line: &str) -> bool {
    let line = line.trim();
    let is_header = line.starts_with("Proc-Type:") || line.starts_with("DEK-Info:");
    is_header || line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}
