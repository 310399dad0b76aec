//! Requests that may come twice: their sender gives them a key, and whoever carries them out keeps what was answered. PURE.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest key, in characters.
pub const LONGEST_KEY: usize = 255;
/// How long an answer is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// A request that is to be carried out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The key that its sender gave it.
    pub key: String,
    /// A digest of what it asks for, by which another request with the same key is told from it.
    pub digest: String,
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The digest of what it asked for.
    pub digest: String,
    /// What was made.
    pub answer: Value,
    /// When.
    pub at: Timestamp,
}

/// What becomes of a request whose key was used before.
#[derive(Debug, Clone, PartialEq)]
pub enum Repeated {
    /// It is the same request: this is its answer.
    Same(Value),
    /// It asks for something else.
    Other,
}

impl Answered {
    /// Compares a request with the one that was answered; both have the same key.
    pub fn repeats(self, once: &Once) -> Repeated {
        if self.digest == once.digest { Repeated::Same(self.answer) } else { Repeated::Other }
    }
}

/// Whether a text may be a key: visible ASCII, not too long.
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
