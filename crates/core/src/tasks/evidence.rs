//! What orch itself observed about a task's result, and how it was integrated.

use super::change::Finding;
use super::review::Review;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One check of `workflow.checks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The shell command.
    pub command: String,
    /// The result.
    pub state: CheckState,
    /// The exit code, if the command exited by itself.
    pub exit_code: Option<i32>,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// The end of the command's output, redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output_tail: String,
    /// Whether it failed and then passed on the same files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky: bool,
    /// Its result on the commit that the branch started from, if it was run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_base: Option<CheckState>,
    /// Whether this is a command of `workspace.setup`, which prepares the checkout for the checks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_setup: bool,
    /// Its result when changed files that decide about it are replaced by the base's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_base_rules: Option<CheckState>,
}

impl Check {
    /// Creates a check with its result and without details.
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

    /// Returns whether the check also fails on the base.
    pub fn fails_on_base(&self) -> bool {
        self.on_base.is_some_and(|state| state != CheckState::Passed)
    }

    /// Returns whether the checkout cannot be prepared on the base either, which says nothing about the work.
    pub fn is_broken_setup(&self) -> bool {
        self.is_setup && self.state != CheckState::Passed && self.fails_on_base()
    }

    /// Returns whether the check passes, but fails with the base's own files in place of the changed ones.
    pub fn passes_only_with_changed_files(&self) -> bool {
        let by_base_rules = self.by_base_rules.is_some_and(|state| state != CheckState::Passed);
        self.state == CheckState::Passed && by_base_rules
    }

    /// Describes the result, to follow the command: "failed with exit code 1, as it does on the base".
    pub fn describe_result(&self) -> String {
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
        if self.fails_on_base() {
            more.push_str(", as it does on the base");
        }
        if self.passes_only_with_changed_files() {
            more.push_str(", but not with the base's own files");
        }
        how + &more
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Exit code 0.
    Passed,
    /// Another exit code, or a signal.
    Failed,
    /// Stopped at orch's time limit.
    TimedOut,
    /// Could not be started.
    NotStarted,
}

/// What orch itself observed about a run's work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The commit the branch started from.
    pub base: String,
    /// The commit that was judged.
    pub head: String,
    /// Commits ahead of the base, oldest first.
    pub commits: Vec<String>,
    /// The number of changed files.
    pub files: u64,
    /// The first changed paths, at most 100, relative to the repository's root.
    pub changed: Vec<String>,
    /// The number of added lines.
    pub insertions: u64,
    /// The number of removed lines.
    pub deletions: u64,
    /// The checks, in the order of the configuration.
    pub checks: Vec<Check>,
    /// Commands of the project's checks that did not run because the person has not approved them.
    pub unapproved: Vec<String>,
    /// Changes outside the worktree that the run is held responsible for.
    pub violations: Vec<String>,
    /// If the run moved the base branch itself: the commands with which a person inspects and reverts that.
    pub take_back: Option<String>,
    /// Paths in the worktree that are neither committed nor ignored and could not be committed, at most 20.
    pub uncommitted: Vec<String>,
    /// Findings in the change that the verdict must consider.
    pub findings: Vec<Finding>,
    /// The reviewer's statement on this commit.
    pub review: Option<Review>,
    /// The git tree of the judged files.
    pub tree: Option<String>,
    /// The reason for acceptance, as text, where the evidence is good. It counts once the reviewers have accepted the
    /// work ([`Task::is_accepted`](super::task::Task::is_accepted)).
    pub accepted: Option<String>,
    /// Remarks that decide nothing.
    pub notes: Vec<String>,
}

/// The integration of an accepted branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// The mode that was used.
    pub mode: IntegrateMode,
    /// The result.
    pub state: IntegrationState,
    /// The commit that holds the work.
    pub commit: Option<String>,
    /// After a revert: the commit with which orch restored the work on the task's branch.
    pub restored: Option<String>,
}

/// `workflow.integrate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntegrateMode {
    /// Leave the branch for the person.
    #[default]
    Branch,
    /// Merge it locally when the checks pass on the result.
    Merge,
}

/// The result of an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegrationState {
    /// The branch is kept for the person.
    Kept,
    /// The base branch contains the work.
    Merged,
    /// The work was merged and reverted; `commit` is the reverting one.
    Reverted,
}
