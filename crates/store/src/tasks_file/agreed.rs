//! A content of `tasks.yml` that the journal and the person agree on: nothing is to be learned from it any more, so a
//! file that holds it need not be parsed, and new tasks can be put at its end unread.

use super::{NewEntry, Outline, TASKS};
use orch_config::yaml::MAX_BYTES;
use orch_config::yaml::edit::Tail;
use orch_sys::fs::Digest;
use serde::{Deserialize, Serialize};

/// Tells the content, and how tasks are appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    digest: Digest,
    /// `None`: only the whole text shows where new tasks belong.
    tail: Option<Tail>,
}

impl Outline {
    /// Returns the mark by which the text of this outline is recognized.
    pub fn agreed(&self, text: &str) -> Agreed {
        Agreed { digest: self.digest(), tail: Tail::find(text, self.tree(), TASKS) }
    }
}

impl Agreed {
    /// Returns the digest of the content.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What is to be appended for these tasks; `None` when that takes the whole text.
    pub fn lines(&self, new: &[NewEntry]) -> Option<String> {
        let items: Vec<_> = new.iter().map(NewEntry::to_value).collect();
        let lines = self.tail?.lines(&items)?;
        (self.digest.length() + lines.len() as u64 <= MAX_BYTES as u64).then_some(lines)
    }

    /// The content with such lines at its end.
    pub fn appended(&self, digest: Digest) -> Self {
        Self { digest, tail: self.tail }
    }
}
