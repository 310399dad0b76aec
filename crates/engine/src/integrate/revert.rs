//! Taking back what a task has merged: a commit of its own, tried aside, checked, and brought to the base like a merge.
//! Nothing is rewritten, and nothing is lost: the branch gets its work anew on top of that, for the next run.

use crate::integrate::{Attempt, MOVES_FOLLOWED, Queue, ask, git_failed, later};
use orch_core::prompts::prompt::data::one_line;
use orch_core::tasks::event::IntegrationProblem;
use orch_core::tasks::evidence::{IntegrateMode, Integration, IntegrationState};
use orch_sys::crash::point;
use orch_sys::git::{Merged, RevertRequest};

/// Takes the merge back that was ordered.
pub(crate) async fn take_back(queue: &Queue<'_>) -> Result<Integration, IntegrationProblem> {
    let order = queue.task.order().ok_or_else(|| ask(&"nobody has ordered that", None))?;
    let mut result = Err(later(queue.deps, format!("{} keeps moving", queue.base)));
    for _ in 0..MOVES_FOLLOWED {
        match attempt(queue, &order.commit).await {
            Err(Attempt::Moved) => {}
            Err(Attempt::Problem(problem)) => {
                result = Err(problem);
                break;
            }
            Ok(commit) => {
                point!("revert.brought");
                let restored = restore(queue, &commit).await;
                point!("revert.restored");
                let (mode, state) = (IntegrateMode::Merge, IntegrationState::Reverted);
                // It is taken back already, and is found so when the rest is tried again.
                result = restored.map(|restored| Integration { mode, state, commit: Some(commit), restored });
                break;
            }
        }
    }
    queue.clear().await;
    point!("revert.after");
    result
}

async fn attempt(queue: &Queue<'_>, merge: &str) -> Result<String, Attempt> {
    let (title, id) = (one_line(&queue.task.spec.title, 200), queue.task.id);
    let message = format!("Revert \"{title}\"\n\nThis takes {merge} back.\n\nOrch-Task: {id}");
    let request = RevertRequest { merge, base: &queue.base, scratch: &queue.scratch, message: &message };
    match queue.repo.revert_candidate(&request).await {
        Ok(Merged::Already { commit, .. }) => Ok(commit),
        Ok(Merged::Ready(candidate)) => {
            point!("revert.before");
            Ok(queue.bring(&candidate, "without it").await?.commit)
        }
        Err(error) => Err(queue.problem(error, &[]).await.into()),
    }
}

/// Puts the work back onto the task's branch, which git takes for merged otherwise. Where the branch is gone, or another program is
/// at work there, it stays as it is: a merge of it then says so. Returns the commit that puts it back.
///
/// # Errors
/// An external call failed, and may succeed later.
async fn restore(queue: &Queue<'_>, revert: &str) -> Result<Option<String>, IntegrationProblem> {
    let (title, id) = (one_line(&queue.task.spec.title, 200), queue.task.id);
    let message = format!("{title}\n\nThe work that {revert} took back.\n\nOrch-Task: {id}\n");
    let restored = async {
        let Some(tip) = queue.repo.tip(&queue.branch).await.map_err(git_failed)? else { return Ok(None) };
        let has_it = queue.repo.is_ancestor(revert, &tip).await.map_err(git_failed)?;
        if has_it {
            return Ok(Some(tip));
        }
        let work = match queue.repo.restored(revert, &tip, &queue.scratch, &message).await {
            Ok(work) => work,
            Err(error) => return Err(queue.problem(error, &[]).await.into()),
        };
        queue.advance(&queue.branch, &work).await.map(Some)
    };
    match restored.await {
        Ok::<Option<String>, Attempt>(restored) => Ok(restored),
        Err(Attempt::Problem(problem @ IntegrationProblem::External(_))) => Err(problem),
        Err(attempt) => {
            tracing::warn!(task = %id, branch = %queue.branch, ?attempt, "the branch does not get its work back");
            Ok(None)
        }
    }
}
