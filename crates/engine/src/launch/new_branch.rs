//! The name of a task's branch, chosen when its first run begins: one that no branch of the repository has yet. Another
//! home, or an older journal of this one, may have a task with the same number and title there, whose branch is never
//! taken over.

use crate::deps::Deps;
use crate::launch::run_start::ask;
use orch_core::base::ids::TaskId;
use orch_core::base::names::{self, BranchName};
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::task::Task;
use orch_runner::RunDir;
use orch_store::journal::JournalError;
use orch_sys::fs::{self, Durability};
use orch_sys::git::Repo;
use std::path::PathBuf;
use std::sync::Arc;

/// Names that are tried before a person is asked.
const TRIED: u32 = 20;
/// The longest note, in bytes.
const LONGEST: usize = 4096;

/// Returns the note in a run's directory of the branch that is about to be made. A second try, after a death of the
/// daemon, takes that.
fn note(run_dir: &RunDir) -> PathBuf {
    run_dir.path().join("branch")
}

/// Returns the name, noted before the branch is made.
pub(crate) async fn name(
    deps: &Arc<Deps>,
    repo: &Repo,
    task: &Task,
    project: &str,
    run_dir: &RunDir,
) -> Result<BranchName, LaunchProblem> {
    if let Some(noted) = noted_before(deps, task.id).await? {
        return Ok(noted);
    }
    let home = names::short_hash(deps.home.root().as_os_str().as_encoded_bytes());
    for number in 0..TRIED {
        let branch = match number {
            0 => names::branch(task.id, &task.spec.title),
            number => names::branch_of_home(task.id, &task.spec.title, &home, number),
        };
        let worktree = deps.home.worktrees().join(names::worktree_dir(project, &branch));
        // A worktree of this home's with that name was made for this task, by a start that died.
        let is_own = repo.open_worktree(&worktree).map_err(|error| ask(&error, error.hint()))?.is_some();
        let is_taken = repo.tip(&branch).await.map_err(|error| ask(&error, error.hint()))?.is_some();
        if is_own || !is_taken {
            fs::create_dir_private(run_dir.path())
                .and_then(|()| fs::write_private(&note(run_dir), branch.as_str().as_bytes(), Durability::Cached))
                .map_err(|error| ask(&error, None))?;
            return Ok(branch);
        }
    }
    let branch = names::branch(task.id, &task.spec.title);
    let hint = format!("another orch home uses this repository as well; `git branch --list '{branch}*'` shows them");
    Err(ask(&format!("the branch {branch} exists already, and so do {} names like it", TRIED - 1), Some(hint)))
}

/// Returns what an earlier start of the task was about to make.
async fn noted_before(deps: &Arc<Deps>, task: TaskId) -> Result<Option<BranchName>, LaunchProblem> {
    let deps = Arc::clone(deps);
    let read = move || -> Result<Option<BranchName>, JournalError> {
        let runs = deps.journal.runs_of(task)?;
        let noted = runs.iter().filter_map(|run| fs::read_text(&note(&deps.run_dir(&run.id)), LONGEST).ok());
        Ok(noted.filter_map(|name| BranchName::parse(name.trim()).ok()).next_back())
    };
    let noted = tokio::task::spawn_blocking(read).await.map_err(|error| ask(&error, None))?;
    noted.map_err(|error| ask(&error, None))
}
