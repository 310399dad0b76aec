//! What an agent changed in a file, told the same way for every agent. PURE.

use serde::{Deserialize, Serialize};

/// What became of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditKind {
    /// It is new.
    Add,
    /// It was there, and is otherwise now.
    Update,
    /// It is gone.
    Delete,
}

/// A change of one file, by the agent's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEdit {
    /// The file, as the agent names it.
    pub path: String,
    /// What became of it.
    pub kind: EditKind,
    /// Its new place, when it was moved as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// Lines that are new; `None`: the agent did not say.
    pub added: Option<u64>,
    /// Lines that are gone; `None`: the agent did not say.
    pub removed: Option<u64>,
    /// The changed lines with some around them, in the unified format without the names of files. `None`: unknown.
    pub diff: Option<String>,
}

impl FileEdit {
    /// A change of which only the place is known.
    pub fn unknown(path: impl Into<String>, kind: EditKind) -> Self {
        Self { path: path.into(), kind, moved_to: None, added: None, removed: None, diff: None }
    }

    /// One line for a person: `src/lib.rs +3 −1`, or `src/lib.rs (update)` where the lines are unknown. `name` says how a
    /// file is named.
    pub fn told(&self, name: impl Fn(&str) -> String) -> String {
        let path = name(&self.path);
        let moved = self.moved_to.as_ref().map(|to| format!(", now {}", name(to))).unwrap_or_default();
        match (self.added, self.removed) {
            (Some(added), Some(removed)) => format!("{path} +{added} −{removed}{moved}"),
            (Some(_) | None, _) => format!("{path} ({}{moved})", self.kind.as_str()),
        }
    }
}

impl EditKind {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}
