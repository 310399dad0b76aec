//! What every beginning of a run shares: what it amounts to, and what may be wrong with it.

use orch_core::base::external::{External, StepProblem};
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::task::Workplace;
use orch_store::journal::Project;
use orch_sys::git::GitError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A run that the runner has. Kept in the run's directory before its runner can take it, so that a daemon that finds
/// the run under way knows the same.
#[derive(Debug, Serialize, Deserialize)]
pub struct Started {
    /// Where it works; none for a routing question.
    #[serde(default, with = "orch_store::records::as_record")]
    pub place: Option<Workplace>,
    /// The conversation that orch chose.
    pub session_id: Option<String>,
}

/// Something to mend for a person, with the hint that the error brings.
pub fn ask(error: &impl std::fmt::Display, hint: Option<String>) -> LaunchProblem {
    match hint {
        Some(hint) => LaunchProblem::Ask(format!("{error} ({hint})")),
        None => LaunchProblem::Ask(error.to_string()),
    }
}

/// What a failed call amounts to: something that passes, or something to mend for a person.
pub fn failed(error: impl External, hint: Option<String>) -> LaunchProblem {
    match StepProblem::from(error) {
        StepProblem::External(failure) => LaunchProblem::External(failure),
        StepProblem::Ask(question) => ask(&question, hint),
    }
}

pub(crate) fn git_problem(error: GitError) -> LaunchProblem {
    let hint = error.hint();
    failed(error, hint)
}

/// The project's name: registered, or that of its directory.
pub fn project_name(dir: &Path, projects: &[Project]) -> String {
    let registered = projects.iter().find(|p| p.dir == dir).map(|p| p.name.clone());
    registered.unwrap_or_else(|| dir.file_name().map_or_else(|| "project".into(), |n| n.to_string_lossy().into_owned()))
}
