//! A file change reported by an agent, in one form for every agent. PURE.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// The kind of a file change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EditKind {
    /// The file was created.
    Add,
    /// The file was changed.
    Update,
    /// The file was deleted.
    Delete,
}

/// A change of one file, as reported by the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEdit {
    /// The path, as the agent names it.
    pub path: String,
    /// The kind of the change.
    pub kind: EditKind,
    /// The new path, if the file was moved as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// The number of added lines, if the agent reported it.
    pub added: Option<u64>,
    /// The number of removed lines, if the agent reported it.
    pub removed: Option<u64>,
    /// The changed lines with context, in the unified format without file names; `None` if unknown.
    pub diff: Option<String>,
}

impl FileEdit {
    /// Creates a change of which only the path and the kind are known.
    pub fn unknown(path: impl Into<String>, kind: EditKind) -> Self {
        Self { path: path.into(), kind, moved_to: None, added: None, removed: None, diff: None }
    }

    /// Describes the change in one line: `src/lib.rs +3 −1`, or `src/lib.rs (update)` where the lines are unknown.
    /// `name` renders a path.
    pub fn describe(&self, name: impl Fn(&str) -> String) -> String {
        let path = name(&self.path);
        let moved = self.moved_to.as_ref().map(|to| format!(", now {}", name(to))).unwrap_or_default();
        match (self.added, self.removed) {
            (Some(added), Some(removed)) => format!("{path} +{added} −{removed}{moved}"),
            (Some(_) | None, _) => format!("{path} ({}{moved})", self.kind.as_str()),
        }
    }
}

impl EditKind {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
