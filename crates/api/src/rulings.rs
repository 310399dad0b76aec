//! A person's word on the work of a task, and what they look at before: shapes on the wire.

use orch_core::base::ids::TaskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who a person is, where a request from inside this process says so: it cannot be set from outside, for it is no part
/// of what goes over a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBehalf(pub String);

/// What a task's branch would change, or has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffView {
    /// The id of the task.
    pub task_id: TaskId,
    /// The branch of the task.
    pub branch: String,
    /// The branch that the work goes to.
    pub base_branch: String,
    /// The commit from which it differs: the newest that both have, or what the base was before the merge.
    pub base: String,
    /// The commit that differs: the tip of the branch, or the merge.
    pub head: String,
    /// How many commits lie between.
    pub commits: usize,
    /// The changed files.
    pub files: Vec<FileView>,
    /// The number of added lines.
    pub insertions: u64,
    /// The number of removed lines.
    pub deletions: u64,
    /// The diff, masked; `null` where only the figures were asked for.
    pub patch: Option<String>,
    /// Files that were left out of the diff because it would have been too large.
    pub omitted: Vec<String>,
    /// The commit of the branch that orch has judged; `null`: none.
    #[serde(default)]
    pub judged: Option<String>,
    /// What came to the branch since it was judged; `null`: it has not moved.
    #[serde(default)]
    pub moved: Option<String>,
}

/// A changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileView {
    /// Its path in the repository.
    pub path: String,
    /// Added lines; 0 of a binary file.
    pub insertions: u64,
    /// Removed lines; 0 of a binary file.
    pub deletions: u64,
}

/// The work of a task is accepted, or to be merged now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The commit that was seen, or the beginning of its hash; without it, the one that orch has judged. It is refused when
    /// the branch is not at the judged commit any more.
    #[serde(default)]
    pub commit: Option<String>,
}

/// The work of a task is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// Why: its author reads it.
    pub reason: String,
    /// The commit that was seen; it is refused when the branch is at another one. Without it, whatever is there.
    #[serde(default)]
    pub commit: Option<String>,
}
