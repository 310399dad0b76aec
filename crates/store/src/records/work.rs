//! The records of a task's work: where it is stored, what was observed about it, and how it was reviewed and integrated.

use super::records;
use orch_core::base::ids::TaskId;
use orch_core::tasks::change::{Finding, FindingKind};
use orch_core::tasks::evidence::{Check, CheckState, Evidence, IntegrateMode, Integration, IntegrationState};
use orch_core::tasks::review::{Decision, Issue, Review, ReviewMode, Severity};
use orch_core::tasks::task::{BeganFrom, WorkTerms, Workplace, WorkspaceTerms};
use orch_core::tasks::workspace::Variable;
use std::collections::BTreeMap;
use std::path::PathBuf;

records! {
    struct WorkplaceRecord = Workplace {
        branch: String,
        worktree: PathBuf,
        base_branch: String,
        base: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        began_from: Vec<BeganFrom>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Box<WorkTerms>>,
    }

    struct BeganFromRecord = BeganFrom {
        task: TaskId,
        commit: String,
    }

    #[derive(Default)]
    #[serde(default)]
    struct WorkTermsRecord = WorkTerms {
        integrate: IntegrateMode,
        checks: Vec<String>,
        checks_in_worktree: bool,
        check_timeout_ms: u64,
        verify_after_merge: bool,
        review: ReviewMode,
        #[serde(skip_serializing_if = "Option::is_none")]
        workspace: Option<WorkspaceTerms>,
    }

    #[derive(Default)]
    #[serde(default)]
    struct WorkspaceTermsRecord = WorkspaceTerms {
        copy: Vec<String>,
        link: Vec<String>,
        setup: Vec<String>,
        env: BTreeMap<String, Variable>,
    }

    enum VariableRecord = Variable {
        Port(label: String) = "port",
        Slug(label: String) = "slug",
    }

    #[derive(Default)]
    enum IntegrateModeRecord = IntegrateMode {
        #[default]
        Branch = "branch",
        Merge = "merge",
    }

    #[derive(Default)]
    enum ReviewModeRecord = ReviewMode {
        #[default]
        Auto = "auto",
        Off = "off",
        Agent = "agent",
        Human = "human",
        AgentHuman = "agent+human",
    }

    #[derive(Default)]
    #[serde(default)]
    struct EvidenceRecord = Evidence {
        base: String,
        head: String,
        commits: Vec<String>,
        files: u64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        changed: Vec<String>,
        insertions: u64,
        deletions: u64,
        checks: Vec<Check>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        unapproved: Vec<String>,
        violations: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        take_back: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        uncommitted: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
        #[serde(skip_serializing_if = "Option::is_none")]
        review: Option<Review>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tree: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        accepted: Option<String>,
        notes: Vec<String>,
    }

    struct CheckRecord = Check {
        command: String,
        state: CheckState,
        exit_code: Option<i32>,
        duration_ms: u64,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        output_tail: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        flaky: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_base: Option<CheckState>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_setup: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_base_rules: Option<CheckState>,
    }

    enum CheckStateRecord = CheckState {
        Passed = "passed",
        Failed = "failed",
        TimedOut = "timed_out",
        NotStarted = "not_started",
    }

    struct FindingRecord = Finding {
        kind: FindingKind,
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        detail: String,
    }

    enum FindingKindRecord = FindingKind {
        RewroteHistory = "rewrote_history",
        ConflictMarkers = "conflict_markers",
        Secret = "secret",
        HugeFile = "huge_file",
        NotAllowed = "not_allowed",
        LinkOutside = "link_outside",
        Submodule = "submodule",
        UnsafePath = "unsafe_path",
        TestsDeleted = "tests_deleted",
        TestsRemoved = "tests_removed",
        TestsSkipped = "tests_skipped",
        TestsWeakened = "tests_weakened",
        OnlyExpectations = "only_expectations",
        OnlyForm = "only_form",
        ChecksChanged = "checks_changed",
        CiChanged = "ci_changed",
        Undone = "undone",
    }

    struct ReviewRecord = Review {
        decision: Decision,
        commit: String,
        agent: Option<String>,
        model: Option<String>,
        notes: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        test_results: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        issues: Vec<Issue>,
    }

    enum DecisionRecord = Decision {
        Approve = "approve",
        RequestChanges = "request_changes",
    }

    struct IssueRecord = Issue {
        severity: Severity,
        #[serde(default)]
        file: String,
        #[serde(default)]
        line: u64,
        text: String,
    }

    enum SeverityRecord = Severity {
        Error = "error",
        Warning = "warning",
    }

    struct IntegrationRecord = Integration {
        mode: IntegrateMode,
        state: IntegrationState,
        commit: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restored: Option<String>,
    }

    enum IntegrationStateRecord = IntegrationState {
        Kept = "kept",
        Merged = "merged",
        Reverted = "reverted",
    }
}
