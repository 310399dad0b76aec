//! What a run did outside of its worktree when it is not judged: it crashed, came to a limit, or was stopped. That is
//! looked at before the task's next run begins, whose own record would include it.

use super::outside::{Before, OwnRefs, Scene, inspect_outside, read_record, write_record};
use super::{mask, take_over};
use crate::deps::Deps;
use orch_core::base::external::StepProblem;
use orch_core::base::ids::RunId;
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::evidence::Evidence;
use orch_core::tasks::outcome::{FailureClass, Outcome, RunKind};
use orch_core::tasks::task::{Run, Task};
use orch_core::text::redact::Redactor;
use orch_runner::RunDir;
use orch_store::journal::JournalError;
use orch_sys::fs::FsError;
use orch_sys::git::{Checkout, Repo};
use std::path::PathBuf;
use std::sync::Arc;

/// The largest list of refs, in bytes.
const OWN_REFS: usize = 16 << 20;

/// Returns where the refs are kept that a task's runs made. That it is there says that the run's end was examined.
fn file(dir: &RunDir) -> PathBuf {
    dir.path().join("own-refs.json")
}

/// Keeps what the examination of the end of a run has found.
pub fn keep(dir: &RunDir, own_refs: &OwnRefs) -> Result<(), FsError> {
    write_record(&file(dir), own_refs)
}

fn kept(dir: &RunDir) -> Option<OwnRefs> {
    read_record(&file(dir), OWN_REFS)
}

/// Where a task's next run is about to begin.
pub struct Beginning<'a> {
    /// The repository of the task.
    pub repo: &'a Repo,
    /// The checkout in which the runs of the task work.
    pub checkout: &'a Checkout,
    /// The task that the run works on.
    pub task: &'a Task,
    /// The run that is about to begin.
    pub run: &'a RunId,
    /// `workflow.sandbox`: the main checkout is closed to agents.
    pub sandbox: bool,
    /// The secrets that must not be shown.
    pub redactor: Redactor,
}

/// Examines the end of the task's last run, unless that was done. Returns the refs that the task's runs made.
///
/// # Errors
/// That run did what no run may, and no person knows of it; or git gives no answer.
pub async fn inspect_last_run(deps: &Arc<Deps>, beginning: &Beginning<'_>) -> Result<OwnRefs, LaunchProblem> {
    let Beginning { repo, checkout, task, .. } = *beginning;
    let Some(place) = task.place.as_deref().filter(|_| task.runs > 1) else { return Ok(OwnRefs::new()) };
    let Some(last) = last_run(deps, task, beginning.run).await? else { return Ok(OwnRefs::new()) };
    if let Some(own_refs) = kept(&last.dir) {
        return Ok(own_refs);
    }
    let mut evidence = Evidence::default();
    take_over(repo.evidence(checkout, &place.base).await.map_err(StepProblem::from)?, &mut evidence);
    let scene = Scene { repo, checkout, place, run: &last.run, sandbox: beginning.sandbox };
    let own_refs = inspect_outside(deps, &scene, &mut evidence).await?;
    mask(&beginning.redactor, &mut evidence);
    for note in &evidence.notes {
        tracing::info!(run = %last.run, note, "after a run that nobody judged");
    }
    if !evidence.violations.is_empty() && !last.is_reported {
        return Err(LaunchProblem::PutBack(question(&evidence)));
    }
    if let Err(error) = keep(&last.dir, &own_refs) {
        tracing::warn!(run = %last.run, %error, "the refs that a run made are not kept");
    }
    Ok(own_refs)
}

fn question(evidence: &Evidence) -> String {
    let lead = "the last run ended without a result, and it had changed what is outside of its worktree: put back what is \
                not to stay";
    let paragraphs =
        [lead].into_iter().chain(evidence.take_back.as_deref()).chain(evidence.violations.iter().map(String::as_str));
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// The last work run of a task before this one that worked in the repository.
struct Last {
    run: RunId,
    dir: RunDir,
    /// Whether a person knows what it did.
    is_reported: bool,
}

async fn last_run(deps: &Arc<Deps>, task: &Task, next: &RunId) -> Result<Option<Last>, StepProblem> {
    let (at, id, next) = (Arc::clone(deps), task.id, next.clone());
    let read = move || {
        let runs = at.journal.runs_of(id)?;
        let earlier: Vec<&Run> = runs.iter().filter(|run| run.kind == RunKind::Work && run.id != next).collect();
        let last = earlier.iter().rposition(|run| Before::load(&at.run_dir(&run.id)).is_some());
        let reports = |run: &&Run| matches!(&run.outcome, Some(Outcome::Failed(failure)) if failure.class == FailureClass::SandboxViolation);
        Ok::<_, JournalError>(last.map(|last| {
            let run = earlier[last].id.clone();
            Last { dir: at.run_dir(&run), run, is_reported: earlier[last + 1..].iter().any(reports) }
        }))
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(|e| StepProblem::Ask(e.to_string()))?;
    Ok(read?)
}
