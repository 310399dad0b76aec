//! Which files running tasks have changed so far, read from their worktrees. Decides nothing.

use crate::deps::Deps;
use crate::settings::directory_of;
use orch_core::planning::overlap::Touched;
use orch_core::tasks::task::Task;
use orch_store::journal::Project;
use std::sync::Arc;

/// The most files that are kept of one task.
const MOST: usize = 500;

/// Returns the files that these tasks have changed; one that cannot be read has none.
pub(crate) async fn touched(deps: &Deps, projects: &[Project], tasks: &[Arc<Task>]) -> Touched {
    let mut all = Touched::new();
    for task in tasks {
        match of_task(deps, projects, task).await {
            Ok(files) => drop(all.insert(task.id, files)),
            Err(error) => tracing::debug!(task = %task.id, error, "what a task has changed cannot be told now"),
        }
    }
    all
}

async fn of_task(deps: &Deps, projects: &[Project], task: &Task) -> Result<Arc<[String]>, String> {
    let place = task.place.as_ref().ok_or("it has no worktree")?;
    let repo = deps.repository(&directory_of(task, projects)?).await.map_err(|error| error.to_string())?;
    let checkout = repo.open_worktree(&place.worktree).map_err(|error| error.to_string())?.ok_or("it is gone")?;
    let files = repo.touched(&checkout, &place.base).await.map_err(|error| error.to_string())?;
    Ok(files.into_iter().take(MOST).map(|path| path.to_string_lossy().into_owned()).collect())
}
