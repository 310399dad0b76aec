//! What orch saw for itself of a task's result, and what became of it.

use super::change::Finding;
use super::review::Review;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One check of `workflow.checks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// The shell line.
    pub command: String,
    /// How it went.
    pub state: CheckState,
    /// Exit code, when it exited by itself.
    pub exit_code: Option<i32>,
    /// Wall time.
    pub duration_ms: u64,
    /// The end of its output, redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output_tail: String,
    /// It failed, and passed when it was run once more on the same files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky: bool,
    /// How it goes on the commit that the branch began from, where that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_base: Option<CheckState>,
    /// It is a command of `workspace.setup`, which makes the checkout ready for the checks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_setup: bool,
    /// How it goes with the base's own files in place of those that decide about it and were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_base_rules: Option<CheckState>,
}

impl Check {
    /// A check as it went.
    pub fn new(command: impl Into<String>, state: CheckState) -> Self {
        let (command, output_tail) = (command.into(), String::new());
        Self {
            command,
            state,
            exit_code: None,
            duration_ms: 0,
            output_tail,
            flaky: false,
            on_base: None,
            is_setup: false,
            by_base_rules: None,
        }
    }

    /// It did not pass on the base either.
    pub fn was_red(&self) -> bool {
        self.on_base.is_some_and(|state| state != CheckState::Passed)
    }

    /// The checkout cannot be made ready, on the base neither: that says nothing of the work.
    pub fn is_fault_of_setup(&self) -> bool {
        self.is_setup && self.state != CheckState::Passed && self.was_red()
    }

    /// It passes, and does not with the base's own files in place of those that were changed.
    pub fn passes_by_its_own_rules(&self) -> bool {
        let by_base_rules = self.by_base_rules.is_some_and(|state| state != CheckState::Passed);
        self.state == CheckState::Passed && by_base_rules
    }

    /// How it went, to stand behind its command: "failed with exit code 1, as it does on the base".
    pub fn went(&self) -> String {
        let how = match (self.state, self.exit_code) {
            (CheckState::Passed, _) => "passed".to_owned(),
            (CheckState::Failed, Some(code)) => format!("failed with exit code {code}"),
            (CheckState::Failed, None) => "was ended by a signal".to_owned(),
            (CheckState::TimedOut, _) => "did not end in time".to_owned(),
            (CheckState::NotStarted, _) => "could not be started".to_owned(),
        };
        let mut more = String::new();
        if self.flaky {
            more.push_str(" when it was run once more (flaky)");
        }
        if self.was_red() {
            more.push_str(", as it does on the base");
        }
        if self.passes_by_its_own_rules() {
            more.push_str(", but not with the base's own files");
        }
        how + &more
    }
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Exit code 0.
    Passed,
    /// Another exit code, or a signal.
    Failed,
    /// Ended by orch's time limit.
    TimedOut,
    /// Could not be started.
    NotStarted,
}

/// What orch saw for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Commit the branch started from.
    pub base: String,
    /// Commit that was judged.
    pub head: String,
    /// Commits ahead of the base, oldest first.
    pub commits: Vec<String>,
    /// Changed files.
    pub files: u64,
    /// The first of them, at most 100, from the repository's root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Added lines.
    pub insertions: u64,
    /// Removed lines.
    pub deletions: u64,
    /// Checks, in the order of the configuration.
    pub checks: Vec<Check>,
    /// Commands of the project's checks that did not run, because the person has not approved them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unapproved: Vec<String>,
    /// Changes outside the worktree that the run is held responsible for.
    pub violations: Vec<String>,
    /// Where the run moved the base branch itself: what a person types to see that and to take it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take_back: Option<String>,
    /// What the worktree holds that is neither committed nor ignored and could not be committed, at most 20 paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncommitted: Vec<String>,
    /// What the change holds that no verdict should overlook.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What the reviewer said of this commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// The files as they were judged: git's name for all of them together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// What speaks for the work where the evidence is good, in words: the reason why it is accepted, once whoever is to look at
    /// it has accepted it ([`Task::is_accepted`](super::task::Task::is_accepted)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
    /// Things worth knowing that decide nothing.
    pub notes: Vec<String>,
}

/// What became of an accepted branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    /// By which mode.
    pub mode: IntegrateMode,
    /// How far.
    pub state: IntegrationState,
    /// The commit that holds the result.
    pub commit: Option<String>,
    /// After a revert: the commit by which orch has put the work back onto the task's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<String>,
}

/// `workflow.integrate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrateMode {
    /// Leave the branch for the person.
    #[default]
    Branch,
    /// Merge it locally when the checks pass on the result.
    Merge,
}

/// How far integration came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationState {
    /// The branch is there for the person.
    Kept,
    /// The base branch holds it.
    Merged,
    /// It was merged and taken back; `commit` is the one that took it back.
    Reverted,
}
