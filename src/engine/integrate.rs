//! Bringing an accepted branch to its base: kept as it is, or merged after the checks pass on the merge result. The
//! user's own checkout is never touched while it is dirty.

use super::doors::Doors;
use super::settings::{Settings, directory_of};
use super::verify::run_checks;
use crate::adapters::git::{AdvanceError, Candidate, MergeError, MergeRequest, Merged, MoveProgress, RefMove, Repo};
use crate::config::raw::Integrate;
use crate::config::resolved::Config;
use crate::domain::event::IntegrationProblem;
use crate::domain::evidence::{IntegrateMode, Integration, IntegrationState};
use crate::domain::ids::RunId;
use crate::domain::judge::{Verdict, failed_checks};
use crate::domain::names::BranchName;
use crate::domain::outcome::{Failure, FailureClass};
use crate::domain::task::{IntegrationWait, Task};
use crate::store::journal::Project;
use jiff::SignedDuration;
use std::path::Path;
use std::sync::Arc;

/// How often a base that moves under the merge is followed before it is left for later.
const MOVES_FOLLOWED: u32 = 5;
/// When a dirty checkout is looked at again.
const WAIT: SignedDuration = SignedDuration::from_secs(30);

/// Integrates the accepted work of `task`.
pub async fn integrate(
    doors: &Arc<Doors>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Arc<Task>,
    run: &RunId,
) -> Result<Integration, IntegrationProblem> {
    let config = settings.for_task(task, projects);
    let head = task.evidence.as_ref().map(|e| e.head.clone());
    match config.workflow.integrate {
        Integrate::Branch => {
            Ok(Integration { mode: IntegrateMode::Branch, state: IntegrationState::Kept, commit: head })
        }
        Integrate::Merge => {
            let dir = directory_of(task, projects).map_err(IntegrationProblem::Ask)?;
            merge(doors, &config, &dir, task, run).await
        }
    }
}

fn ask(error: &impl std::fmt::Display, hint: Option<String>) -> IntegrationProblem {
    IntegrationProblem::Ask(hint.map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})")))
}

async fn merge(
    doors: &Doors,
    config: &Config,
    dir: &Path,
    task: &Task,
    run: &RunId,
) -> Result<Integration, IntegrationProblem> {
    let repo = doors.repository(dir).await.map_err(|e| ask(&e, e.hint()))?;
    let place = task.place.as_ref().ok_or_else(|| ask(&"the task has no branch", None))?;
    let branch = BranchName::parse(&place.branch).map_err(|e| ask(&e, None))?;
    let base = BranchName::parse(&place.base_branch).map_err(|e| ask(&e, None))?;
    let scratch = doors.home.state().join("merge").join(run.as_str());
    let message = message(task);
    let request = MergeRequest { branch: &branch, base: &base, scratch: &scratch, message: &message };
    let mut result = Err(later(doors, format!("{base} keeps moving")));
    for _ in 0..MOVES_FOLLOWED {
        match attempt(doors, config, &repo, &request, run).await {
            Err(Attempt::Moved) => {}
            Err(Attempt::Problem(problem)) => {
                result = Err(problem);
                break;
            }
            Ok(sha) => {
                result = Ok(sha);
                break;
            }
        }
    }
    if let Err(error) = repo.remove_scratch(&scratch).await {
        tracing::warn!(%run, %error, "a scratch worktree is left behind");
    }
    let commit = result?;
    Ok(Integration { mode: IntegrateMode::Merge, state: IntegrationState::Merged, commit: Some(commit) })
}

fn message(task: &Task) -> String {
    let title = crate::domain::prompt::data::one_line(&task.spec.title, 200);
    let summary = task.summary.as_deref().unwrap_or_default();
    let route = task.route.as_ref().map(|r| r.agent.as_str()).unwrap_or_default();
    format!("{title}\n\n{summary}\n\nOrch-Task: {}\nOrch-Agent: {route}\n", task.id)
}

fn later(doors: &Doors, detail: String) -> IntegrationProblem {
    let now = doors.clock.now();
    IntegrationProblem::Wait(IntegrationWait { detail, until: now.checked_add(WAIT).unwrap_or(now) })
}

enum Attempt {
    /// The base moved meanwhile.
    Moved,
    Problem(IntegrationProblem),
}

async fn attempt(
    doors: &Doors,
    config: &Config,
    repo: &Repo,
    request: &MergeRequest<'_>,
    run: &RunId,
) -> Result<String, Attempt> {
    let candidate = match repo.merge_candidate(request).await {
        Ok(Merged::Already { base_sha }) => return Ok(base_sha),
        Ok(Merged::Ready(candidate)) => candidate,
        Err(MergeError::Conflict { files, .. }) => {
            let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
            let failure = Failure::new(FailureClass::Conflict, files.join("\n"));
            return Err(Attempt::Problem(IntegrationProblem::Work(failure)));
        }
        Err(error) => return Err(Attempt::Problem(ask(&error, error.hint()))),
    };
    check(doors, config, &candidate, run).await?;
    advance(doors, repo, request.base, &candidate).await
}

/// The checks on the merge result: what passes on a branch may still break the base.
async fn check(doors: &Doors, config: &Config, candidate: &Candidate, run: &RunId) -> Result<(), Attempt> {
    let output_dir = doors.run_dir(run).evidence().join("merge");
    let checks = run_checks(doors, config, run, &candidate.checkout.work_tree, &output_dir).await;
    match failed_checks(&checks) {
        Some(Verdict::Fail(failure)) => {
            let detail = format!("after merging with the base: {}", failure.detail);
            let failure = Failure { detail, ..failure };
            Err(Attempt::Problem(IntegrationProblem::Work(failure)))
        }
        Some(Verdict::Accept | Verdict::Ask { .. }) | None => Ok(()),
    }
}

async fn advance(doors: &Doors, repo: &Repo, base: &BranchName, candidate: &Candidate) -> Result<String, Attempt> {
    // Noted first: a run that ends right after the move must already find it in the ledger.
    let (name, old, new) = (base.full_ref(), candidate.base_sha.clone(), candidate.merge_sha.clone());
    doors.ledger.begin(RefMove { name, old, new, progress: MoveProgress::UnderWay });
    let advanced = repo.advance_base(base, &candidate.base_sha, &candidate.merge_sha).await;
    doors.ledger.end(&candidate.merge_sha, advanced.is_ok());
    match advanced {
        Ok(advanced) => Ok(advanced.sha),
        Err(AdvanceError::Moved { .. }) => Err(Attempt::Moved),
        Err(error @ (AdvanceError::BaseDirty { .. } | AdvanceError::CheckoutMissing { .. })) => {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            Err(Attempt::Problem(later(doors, format!("{error}{hint}"))))
        }
        Err(error) => Err(Attempt::Problem(ask(&error, error.hint()))),
    }
}
