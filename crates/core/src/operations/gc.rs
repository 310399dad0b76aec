//! Which worktrees of finished tasks may be removed, and their branches with them. A worktree is removed only if
//! everything in it exists elsewhere and no process uses it; unknown facts keep it. PURE: others gather the facts, and
//! again right before a removal.

#[cfg(test)]
mod tests;

use crate::base::ids::TaskId;
use crate::base::names::{BRANCH_PREFIX, BranchName};
use crate::tasks::task::{Status, Task};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use strum::IntoStaticStr;

/// The person's settings for cleaning up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a worktree is kept after its task finished.
    pub after: SignedDuration,
    /// Whether the worktree of a task cancelled after a failure is kept.
    pub keep_failed: bool,
    /// Whether a branch is deleted with its worktree once its base contains it.
    pub delete_merged_branches: bool,
}

/// What is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// The task's branch.
    Own,
    /// Another branch, or a branch without a commit.
    Other(String),
    /// A commit without a branch.
    Detached {
        /// Whether a branch, a tag or a remote contains it.
        reachable: bool,
    },
}

/// Processes that use the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// None.
    Nobody,
    /// These processes.
    Processes(Vec<u32>),
    /// It cannot be determined on this system.
    Unknown,
}

/// The facts about one worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether orch created it: its mark exists, and the registration matches its path.
    pub made_by_orch: bool,
    /// The reason for its lock, if it is locked.
    pub locked: Option<String>,
    /// What is checked out.
    pub head: Head,
    /// The merge, rebase or similar operation in progress.
    pub operation: Option<String>,
    /// Files that differ from the commit, or that are untracked and not ignored.
    pub changed: Vec<PathBuf>,
    /// Files whose changes git was told to ignore.
    pub concealed: Vec<PathBuf>,
    /// Repositories inside, including submodules: their commits exist only there.
    pub nested: Vec<PathBuf>,
    /// Mount points inside.
    pub mounted: Vec<PathBuf>,
    /// The number of stashes made here.
    pub stashes: usize,
    /// The number of references that only this worktree has.
    pub own_refs: usize,
    /// Whether another branch, a tag or a remote contains all commits of the task's branch.
    pub kept_elsewhere: bool,
    /// Whether the base branch contains them.
    pub merged: bool,
    /// Processes that use the directory.
    pub presence: Presence,
    /// The bytes that its removal frees.
    pub bytes: u64,
}

/// Why a worktree is kept, as a stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// No task refers to it.
    NoTask,
    /// The task is not finished.
    Open,
    /// The task finished a short time ago.
    Recent,
    /// The task was cancelled after a failure.
    Failed,
    /// orch did not create it.
    NotOurs,
    /// It is locked.
    Locked,
    /// Another branch is checked out.
    OtherBranch,
    /// A commit that no branch contains is checked out.
    Detached,
    /// A merge or a rebase is in progress.
    InProgress,
    /// There are uncommitted changes.
    Changed,
    /// Changes may be hidden from git.
    Concealed,
    /// It contains a repository.
    Nested,
    /// It contains a mount point.
    Mounted,
    /// A stash was made there.
    Stash,
    /// It has references of its own.
    OwnRefs,
    /// Its branch has commits that no other branch, tag or remote contains.
    Unmerged,
    /// A process uses it.
    Busy,
    /// It could not be examined.
    Unknown,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::NoTask,
        Self::Open,
        Self::Recent,
        Self::Failed,
        Self::NotOurs,
        Self::Locked,
        Self::OtherBranch,
        Self::Detached,
        Self::InProgress,
        Self::Changed,
        Self::Concealed,
        Self::Nested,
        Self::Mounted,
        Self::Stash,
        Self::OwnRefs,
        Self::Unmerged,
        Self::Busy,
        Self::Unknown,
    ];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why a worktree is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The reason as a stable name.
    pub reason: Reason,
    /// The reason as a sentence.
    pub detail: String,
}

impl Keep {
    /// Creates a reason to keep a worktree.
    pub fn because(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// What happens to the branch of a removed worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// It is kept.
    Stays,
    /// It is deleted: its base contains all of it.
    Goes,
}

/// The decision about one worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is removed.
    Remove(Branch),
    /// It is kept.
    Keep(Keep),
}

/// Checks whether the task allows to remove its worktree: finished, and for long enough.
///
/// # Errors
/// The reason to keep it.
pub fn at_rest(task: &Task, policy: &Policy, now: Timestamp) -> Result<(), Keep> {
    let status = task.status();
    if !status.is_final() {
        return Err(Keep::because(Reason::Open, format!("task {} is {}", task.id, status.as_str())));
    }
    if policy.keep_failed && status == Status::Cancelled && task.last_failure.is_some() {
        let detail = format!("task {} was given up after a failure, and gc.keep_failed is on", task.id);
        return Err(Keep::because(Reason::Failed, detail));
    }
    let rested = now.duration_since(task.updated_at);
    if rested < policy.after {
        let hours = policy.after.as_hours();
        return Err(Keep::because(Reason::Recent, format!("it is kept for {hours} hours after task {}", task.id)));
    }
    Ok(())
}

/// Decides whether the worktree may be removed, and its branch with it.
pub fn decide(facts: &Facts, policy: &Policy) -> Verdict {
    match reason_to_keep(facts) {
        Some(keep) => Verdict::Keep(keep),
        None if policy.delete_merged_branches && facts.merged && facts.head == Head::Own => {
            Verdict::Remove(Branch::Goes)
        }
        None => Verdict::Remove(Branch::Stays),
    }
}

/// Returns the first reason to keep the worktree.
fn reason_to_keep(facts: &Facts) -> Option<Keep> {
    let keep = |reason, detail: String| Some(Keep { reason, detail });
    if !facts.made_by_orch {
        return keep(Reason::NotOurs, "orch did not make it".to_owned());
    }
    if let Some(why) = &facts.locked {
        return keep(Reason::Locked, format!("it is locked: {why}"));
    }
    if let Presence::Processes(pids) = &facts.presence {
        let pids: Vec<String> = pids.iter().take(5).map(u32::to_string).collect();
        return keep(Reason::Busy, format!("process {} works there", pids.join(", ")));
    }
    if facts.presence == Presence::Unknown {
        return keep(Reason::Busy, "whether a process works there cannot be told".to_owned());
    }
    if let Some(operation) = &facts.operation {
        return keep(Reason::InProgress, format!("a {operation} is in progress"));
    }
    match &facts.head {
        Head::Own | Head::Detached { reachable: true } => {}
        Head::Other(name) => return keep(Reason::OtherBranch, format!("{name} is checked out")),
        Head::Detached { reachable: false } => {
            return keep(Reason::Detached, "a commit that no branch has is checked out".to_owned());
        }
    }
    files_to_keep(facts).or_else(|| refs_to_keep(facts))
}

fn files_to_keep(facts: &Facts) -> Option<Keep> {
    let lists = [
        (Reason::Changed, &facts.changed, "no commit has"),
        (Reason::Concealed, &facts.concealed, "git was told to ignore"),
        (Reason::Nested, &facts.nested, "a repository of its own is at"),
        (Reason::Mounted, &facts.mounted, "another file system is mounted at"),
    ];
    lists.into_iter().find(|(_, paths, _)| !paths.is_empty()).map(|(reason, paths, phrase)| {
        let first: Vec<String> = paths.iter().take(3).map(|path| path.display().to_string()).collect();
        let more = paths.len().saturating_sub(first.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Keep::because(reason, format!("{phrase} {}{more}", first.join(", ")))
    })
}

fn refs_to_keep(facts: &Facts) -> Option<Keep> {
    let keep = |reason, detail: &str| Some(Keep::because(reason, detail));
    if facts.stashes > 0 {
        return keep(Reason::Stash, "a stash was made there");
    }
    if facts.own_refs > 0 {
        return keep(Reason::OwnRefs, "there are references that only it has");
    }
    if !facts.kept_elsewhere {
        return keep(Reason::Unmerged, "its branch has commits that no other branch, tag or remote has");
    }
    None
}

/// Returns the task that a branch, or the directory of its worktree, is named after.
pub fn task_of_branch(name: &str) -> Option<TaskId> {
    let rest = name.strip_prefix(BRANCH_PREFIX)?;
    let id = rest.split('-').next()?;
    let canonical = !id.is_empty() && !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
    id.parse().ok().filter(|_| canonical && BranchName::parse(name).is_ok()).map(TaskId)
}
