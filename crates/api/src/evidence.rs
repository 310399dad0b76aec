//! What orch has seen of a task's work for itself, on the wire. Stable: documented in `docs/reference/json.md`.

use super::mirror::{mirror, words};
use orch_core::tasks::change::{Finding, FindingKind};
use orch_core::tasks::evidence::{self, Check, CheckState};
use orch_core::tasks::review::{Decision, Issue, Review, Severity};
use orch_core::tasks::task::Task;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What orch saw for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    /// The commit that the branch started from.
    pub base: String,
    /// The commit that was judged.
    pub head: String,
    /// The commits ahead of the base.
    pub commits: Vec<String>,
    /// The number of changed files.
    pub files: u64,
    /// The number of added lines.
    pub insertions: u64,
    /// The number of removed lines.
    pub deletions: u64,
    /// The checks, in the order of the configuration.
    pub checks: Vec<CheckView>,
    /// Commands of the project's checks that did not run, because the file that names them is not approved.
    #[serde(default)]
    pub unapproved: Vec<String>,
    /// What the change holds that no verdict should overlook.
    #[serde(default)]
    pub findings: Vec<FindingView>,
    /// The verdict of the reviewer.
    pub review: Option<ReviewView>,
    /// Why it was accepted; `null` as long as it is not.
    #[serde(default)]
    pub accepted: Option<String>,
    /// Changes outside the worktree.
    pub violations: Vec<String>,
    /// Remarks that decide nothing.
    pub notes: Vec<String>,
}

impl EvidenceView {
    /// Returns what orch saw of the task's work; `None`: nothing was judged yet.
    pub fn from_task(task: &Task) -> Option<Self> {
        let evidence::Evidence {
            base,
            head,
            commits,
            files,
            changed: _,
            insertions,
            deletions,
            checks,
            unapproved,
            violations,
            take_back: _,
            uncommitted: _,
            findings,
            review,
            tree: _,
            accepted,
            notes,
        } = task.evidence.as_deref()?;
        Some(Self {
            base: base.clone(),
            head: head.clone(),
            commits: commits.clone(),
            files: *files,
            insertions: *insertions,
            deletions: *deletions,
            checks: checks.iter().map(CheckView::from).collect(),
            unapproved: unapproved.clone(),
            findings: findings.iter().map(FindingView::from).collect(),
            review: review.as_ref().map(ReviewView::from),
            accepted: accepted.clone().filter(|_| task.is_accepted()),
            violations: violations.clone(),
            notes: notes.clone(),
        })
    }

    /// Returns what the checks leave open, one line each: those that do not pass, and those that did not run.
    pub fn unproved(&self) -> Vec<String> {
        let red = self.checks.iter().filter(|check| check.state != CheckState::Passed);
        let red = red.map(|check| format!("`{}` {}", check.command, Check::from(check).describe_result()));
        let not_run = self.unapproved.iter().map(|command| format!("`{command}` did not run: it is not approved"));
        red.chain(not_run).collect()
    }
}

mirror! {
    /// One check of `workflow.checks`.
    #[schemars(rename = "Check")]
    pub struct CheckView for Check {
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
}

mirror! {
    /// Something in a change that no verdict should overlook.
    #[schemars(rename = "Finding")]
    pub struct FindingView for Finding {
        /// The kind.
        pub kind: FindingKind,
        /// The path from the repository's root; empty for the branch as a whole.
        pub path: String,
        /// The line number in the branch's version of the file, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub line: Option<u64>,
        /// The description, never the secret itself.
        pub detail: String,
    }
}

mirror! {
    /// A review of a commit.
    #[schemars(rename = "Review")]
    pub struct ReviewView for Review {
        /// The decision of the reviewer.
        pub decision: Decision,
        /// The reviewed commit.
        pub commit: String,
        /// The reviewing agent; `null`: a person.
        pub agent: Option<String>,
        /// The model of the reviewing agent.
        pub model: Option<String>,
        /// The summary of the review.
        pub notes: String,
        /// What the tests showed the reviewer.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        pub test_results: String,
        /// The issues that were found.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub issues: Vec<IssueView> as each,
    }
}

mirror! {
    /// An issue that a reviewer found.
    #[schemars(rename = "Issue")]
    pub struct IssueView for Issue {
        /// How severe the issue is.
        pub severity: Severity,
        /// The file, relative to the repository.
        #[serde(default)]
        pub file: String,
        /// The line in it, from 1; 0: the file as a whole.
        #[serde(default)]
        pub line: u64,
        /// What is wrong, and what would be right.
        pub text: String,
    }
}

/// What became of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationView {
    /// What was to become of it.
    pub mode: IntegrateMode,
    /// What became of it.
    pub state: IntegrationState,
    /// The commit that holds the result.
    pub commit: Option<String>,
    /// The pull request.
    pub pr: Option<String>,
}

impl From<&evidence::Integration> for IntegrationView {
    fn from(of: &evidence::Integration) -> Self {
        let evidence::Integration { mode, state, commit, restored: _ } = of;
        Self { mode: (*mode).into(), state: (*state).into(), commit: commit.clone(), pr: None }
    }
}

words! {
    /// What becomes of accepted work.
    pub enum IntegrateMode for evidence::IntegrateMode {
        /// It stays on its branch.
        Branch = "branch",
        /// It is merged into the base branch.
        Merge = "merge",
    }
}

words! {
    /// What became of a branch.
    pub enum IntegrationState for evidence::IntegrationState {
        /// The branch is kept for the person.
        Kept = "kept",
        /// The base branch contains the work.
        Merged = "merged",
        /// The work was merged and reverted; `commit` is the reverting one.
        Reverted = "reverted",
    }
}
