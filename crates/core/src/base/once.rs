//! Idempotent requests: the sender gives a request a key, and the answer is stored under it. Pure.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The longest key, in characters.
pub const LONGEST_KEY: usize = 255;
/// How long an answer is stored.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// A request that is to be carried out only once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The key chosen by the sender.
    pub key: String,
    /// A digest of the request, which detects another request with the same key.
    pub digest: String,
}

/// A stored answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The digest of the request.
    pub digest: String,
    /// The answer that was given.
    pub answer: Value,
    /// When it was given.
    pub at: Timestamp,
}

/// How a request relates to an earlier one with the same key.
#[derive(Debug, Clone, PartialEq)]
pub enum Repeated {
    /// The same request: this is its answer.
    Same(Value),
    /// A different request.
    Other,
}

impl Answered {
    /// Compares a request with the answered one; both have the same key.
    pub fn repeats(self, once: &Once) -> Repeated {
        if self.digest == once.digest { Repeated::Same(self.answer) } else { Repeated::Other }
    }
}

/// Whether a text may be a key: visible ASCII of limited length.
pub fn is_key(text: &str) -> bool {
    (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_request_has_its_answer_and_another_one_has_none() {
        let answered = Answered { digest: "a".into(), answer: json!({"id": 7}), at: Timestamp::UNIX_EPOCH };
        let once = |digest: &str| Once { key: "k".into(), digest: digest.into() };
        assert_eq!(answered.clone().repeats(&once("a")), Repeated::Same(json!({"id": 7})));
        assert_eq!(answered.repeats(&once("b")), Repeated::Other);
    }

    #[test]
    fn a_key_is_visible_text() {
        assert!(is_key("8e03978e-40d5-43e8-bc93-6894a57f9324") && is_key("\"quoted\""));
        for bad in ["", "a b", "ü", "a\n", &"x".repeat(256)] {
            assert!(!is_key(bad), "{bad:?}");
        }
    }
}
