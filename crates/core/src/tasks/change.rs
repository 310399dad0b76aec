//! What a change contains that the verdict must consider, found in the difference between base and branch. PURE: git's
//! output is the input, findings are the output.

mod deciders;
mod form;
mod names;
mod patch;
mod tampering;

pub use deciders::{commands_in, is_for_checking, scripts};
pub use names::{Collision, NewPath, collisions};
pub use patch::Lines;
pub use tampering::is_test_file;

use super::task_type::TaskType;
use globset::GlobSet;
use patch::{Line, Mark};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The most findings reported of one kind.
const MAX_OF_A_KIND: usize = 20;
/// The same for kinds whose files are restored from the base: files beyond the limit are not checked again.
const MAX_PUT_BACK: usize = 500;
/// orch's own configuration of a project.
pub(super) const PROJECT_FILE: &str = ".orch.yml";
/// git's mode of a submodule.
const SUBMODULE: u32 = 0o160_000;
/// git's mode of a symbolic link.
const LINK: u32 = 0o120_000;

/// A file that differs between base and branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// The path from the repository's root.
    pub path: String,
    /// git's mode on the base; 0 if the file did not exist.
    pub old_mode: u32,
    /// git's mode on the branch; 0 if the file was deleted.
    pub new_mode: u32,
}

/// All examined parts of a change.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The changed files.
    pub files: &'a [ChangedFile],
    /// The difference between base and branch, in the format of `git diff`.
    pub patch: &'a str,
    /// The patches of the single commits, if there are several: content that was removed again is still in the history.
    pub history: &'a str,
    /// Files added at any commit, with their sizes in bytes.
    pub blobs: &'a [(String, u64)],
    /// Paths added at any commit.
    pub names: &'a [NewPath],
    /// Paths that are the same on some machines, in the tree of any commit.
    pub collisions: &'a [Collision],
}

/// The rules for findings.
pub struct Rules<'a> {
    /// The paths that may change; all if empty.
    pub allowed: &'a GlobSet,
    /// The largest accepted file, in bytes; `None` means no limit.
    pub max_file: Option<u64>,
    /// `workflow.checks`.
    pub checks: &'a [String],
    /// The commands of the scripts that the checks run on the base, and of the checking scripts that those run.
    pub followed: &'a [String],
    /// Returns whether a line contains a secret.
    pub is_secret: &'a dyn Fn(&str) -> bool,
}

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The branch does not contain the commit that it started from.
    RewroteHistory,
    /// An unresolved conflict was committed.
    ConflictMarkers,
    /// A secret, possibly in a commit whose file was removed later.
    Secret,
    /// A file larger than `workflow.max_file_mb`.
    HugeFile,
    /// A file that the task may not change.
    NotAllowed,
    /// A symbolic link that leads out of the repository.
    LinkOutside,
    /// A repository inside the repository.
    Submodule,
    /// A path that some machines read as git's own directory or as another path, in any commit.
    UnsafePath,
    /// A file with tests was removed.
    TestsDeleted,
    /// Fewer tests than before, in a file that still exists.
    TestsRemoved,
    /// A test was disabled.
    TestsSkipped,
    /// A test file expects less than before.
    TestsWeakened,
    /// Nothing but tests and expected values was changed.
    OnlyExpectations,
    /// Nothing but white space and comments differs.
    OnlyForm,
    /// A file that decides about the work was changed: the checks' own files, or orch's configuration of the project.
    ChecksChanged,
    /// A file of the project's CI was changed.
    CiChanged,
    /// Newer commits of the base are in the branch, but their changes are not in the result.
    Undone,
}

impl FindingKind {
    /// Returns whether work with this finding is rejected; otherwise the finding is reported and decides nothing by
    /// itself.
    pub fn is_rejected(self) -> bool {
        match self {
            Self::RewroteHistory
            | Self::ConflictMarkers
            | Self::Secret
            | Self::HugeFile
            | Self::NotAllowed
            | Self::LinkOutside
            | Self::Submodule
            | Self::UnsafePath
            | Self::TestsDeleted
            | Self::TestsRemoved
            | Self::TestsSkipped => true,
            Self::TestsWeakened
            | Self::OnlyExpectations
            | Self::OnlyForm
            | Self::ChecksChanged
            | Self::CiChanged
            | Self::Undone => false,
        }
    }

    /// Returns what the agent should do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::RewroteHistory => "put your commits on top of the base again, without changing it",
            Self::ConflictMarkers => "resolve the conflict",
            Self::Secret => "take it out of every commit of the branch, not only of the last one",
            Self::HugeFile => "take it out of every commit of the branch; ignore it, or generate it",
            Self::NotAllowed => "leave files alone that the task does not name",
            Self::LinkOutside => "links may lead only to what is in the repository",
            Self::Submodule => "do not add or move repositories inside the repository",
            Self::UnsafePath => {
                "take it out of every commit of the branch, not only of the last one, and name it otherwise"
            }
            Self::TestsDeleted | Self::TestsRemoved | Self::TestsSkipped => {
                "put the tests back, or answer needs_review and say why they must go"
            }
            Self::TestsWeakened
            | Self::OnlyExpectations
            | Self::OnlyForm
            | Self::ChecksChanged
            | Self::CiChanged
            | Self::Undone => "say why it had to be changed",
        }
    }
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
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

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.is_empty(), self.line) {
            (true, _) => f.write_str(&self.detail),
            (false, Some(line)) => write!(f, "{}:{line}: {}", self.path, self.detail),
            (false, None) => write!(f, "{}: {}", self.path, self.detail),
        }
    }
}

impl Finding {
    /// Creates a finding without a line.
    pub fn new(kind: FindingKind, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind, path: path.into(), line: None, detail: detail.into() }
    }

    /// Returns whether the checks run once more with the base's version of this file, because it decides how the checks
    /// go or what they expect. The checks themselves are never taken from the branch.
    pub fn uses_base_version(&self, task_type: &TaskType) -> bool {
        match self.kind {
            FindingKind::TestsWeakened | FindingKind::ChecksChanged => self.path != PROJECT_FILE,
            // A task that writes tests changes nothing else.
            FindingKind::OnlyExpectations => *task_type != TaskType::Test,
            FindingKind::RewroteHistory
            | FindingKind::ConflictMarkers
            | FindingKind::Secret
            | FindingKind::HugeFile
            | FindingKind::NotAllowed
            | FindingKind::LinkOutside
            | FindingKind::Submodule
            | FindingKind::UnsafePath
            | FindingKind::TestsDeleted
            | FindingKind::TestsRemoved
            | FindingKind::TestsSkipped
            | FindingKind::OnlyForm
            | FindingKind::CiChanged
            | FindingKind::Undone => false,
        }
    }

    fn at(kind: FindingKind, line: &Line<'_>, detail: &str) -> Self {
        Self { line: Some(line.number), ..Self::new(kind, line.path.as_str(), detail) }
    }
}

/// Examines a change. The findings are ordered by kind, with a limited number of each.
pub fn findings(change: &Change<'_>, rules: &Rules<'_>) -> Vec<Finding> {
    let lines: Vec<Line<'_>> = Lines::new(change.patch).collect();
    let mut found = file_findings(change.files, &lines, rules);
    found.extend(outside_links(change.files, &lines));
    found.extend(conflict_markers(&lines));
    found.extend(secrets(&lines, change.history, rules));
    found.extend(names::unsafe_names(change.names, change.collisions));
    found.extend(tampering::weakened_tests(change.files, &lines));
    found.extend(tampering::only_expectations(change.files, &lines));
    found.extend(form::only_form(change.files, &lines));
    let huge = |size: u64| rules.max_file.is_some_and(|max| size > max);
    found.extend(change.blobs.iter().filter(|(_, size)| huge(*size)).map(|(path, size)| {
        Finding::new(FindingKind::HugeFile, path.as_str(), format!("{:.1} MB", *size as f64 / 1e6))
    }));
    found.sort_by(|a, b| (a.kind, &a.path, a.line).cmp(&(b.kind, &b.path, b.line)));
    found.dedup();
    let mut count = (FindingKind::RewroteHistory, 0);
    found.retain(|finding| {
        count = if finding.kind == count.0 { (count.0, count.1 + 1) } else { (finding.kind, 1) };
        count.1 <= if finding.uses_base_version(&TaskType::Feature) { MAX_PUT_BACK } else { MAX_OF_A_KIND }
    });
    found
}

fn file_findings(files: &[ChangedFile], lines: &[Line<'_>], rules: &Rules<'_>) -> Vec<Finding> {
    let deciding: BTreeSet<String> =
        deciders::deciding_files(rules.checks, rules.followed, files, lines).into_iter().collect();
    let mut found = Vec::new();
    for file in files {
        let path = file.path.as_str();
        if !rules.allowed.is_empty() && !rules.allowed.is_match(path) {
            found.push(Finding::new(FindingKind::NotAllowed, path, "the task may not touch this file"));
        }
        if [file.old_mode, file.new_mode].contains(&SUBMODULE) {
            found.push(Finding::new(FindingKind::Submodule, path, "a repository inside the repository was changed"));
        }
        if path == PROJECT_FILE || deciding.contains(path) {
            found.push(Finding::new(FindingKind::ChecksChanged, path, "it decides whether the work is accepted"));
        }
        if tampering::is_ci_file(path) {
            found.push(Finding::new(FindingKind::CiChanged, path, "it belongs to the project's CI"));
        }
    }
    found
}

fn outside_links(files: &[ChangedFile], lines: &[Line<'_>]) -> Vec<Finding> {
    let links = files.iter().filter(|file| file.new_mode == LINK);
    let target = |path: &str| lines.iter().find(|line| line.mark == Mark::Added && line.path == path);
    let found = links.filter_map(|file| Some((file, target(&file.path)?)));
    let outside = found.filter(|(file, target)| leads_outside(&file.path, target.text));
    outside
        .map(|(file, target)| {
            let to: String = target.text.chars().filter(|c| !c.is_control()).take(200).collect();
            Finding::new(FindingKind::LinkOutside, file.path.as_str(), format!("a link to {to}"))
        })
        .collect()
}

/// Returns whether a link at `path` to `target` leads out of the repository.
fn leads_outside(path: &str, target: &str) -> bool {
    let mut depth = path.matches('/').count();
    target.starts_with('/')
        || target.split('/').any(|part| match part {
            "" | "." => false,
            ".." => match depth.checked_sub(1) {
                Some(up) => {
                    depth = up;
                    false
                }
                None => true,
            },
            _into => {
                depth += 1;
                false
            }
        })
}

/// Finds conflicts written by git: all three conflict markers in one file.
fn conflict_markers(lines: &[Line<'_>]) -> Vec<Finding> {
    let added = |line: &&Line<'_>| line.mark == Mark::Added;
    let begins = |line: &Line<'_>| line.text.starts_with("<<<<<<< ");
    let ends = |path: &str| {
        let of_file = || lines.iter().filter(added).filter(|line| line.path == path);
        of_file().any(|line| line.text.starts_with(">>>>>>> "))
            && of_file().any(|line| line.text.trim_end() == "=======")
    };
    let opened = lines.iter().filter(added).filter(|line| begins(line) && ends(&line.path));
    opened.map(|line| Finding::at(FindingKind::ConflictMarkers, line, "a conflict that nobody resolved")).collect()
}

fn secrets(lines: &[Line<'_>], history: &str, rules: &Rules<'_>) -> Vec<Finding> {
    let is_new = |line: &&Line<'_>| line.mark == Mark::Added && (rules.is_secret)(line.text);
    let mut found: Vec<Finding> = lines
        .iter()
        .filter(is_new)
        .map(|line| Finding::at(FindingKind::Secret, line, "it looks like a secret"))
        .collect();
    let known: BTreeSet<String> = found.iter().map(|finding| finding.path.clone()).collect();
    let gone = Lines::new(history).filter(|line| is_new(&line)).filter(|line| !known.contains(&line.path));
    let paths: BTreeSet<String> = gone.map(|line| line.path).collect();
    found.extend(paths.into_iter().map(|path| {
        Finding::new(FindingKind::Secret, path, "what looks like a secret is still in a commit of the branch")
    }));
    found
}

#[cfg(test)]
mod tests;
