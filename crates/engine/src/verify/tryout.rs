//! Trying a project's checks on its base branch, in a fresh checkout that is made ready as one for a task is.

use crate::deps::{Deps, leases};
use crate::error::EngineError;
use crate::settings::Settings;
use crate::verify::checks::Checking;
use orch_core::base::ids::{RunId, TaskId};
use orch_core::tasks::evidence::Check;
use orch_sys::git::GitError;
use std::path::Path;
use std::sync::Arc;

/// The id that replaces that of a task.
const NO_TASK: TaskId = TaskId(0);

/// A name for the tryout, as runs have it.
pub fn name(salt: u32) -> RunId {
    RunId::new(NO_TASK, 0, salt)
}

/// Runs every check once, whatever becomes of the others. A workspace that cannot be made ready is the only answer then.
pub async fn checks(deps: &Arc<Deps>, settings: &Settings, dir: &Path, run: &RunId) -> Result<Vec<Check>, EngineError> {
    let failed = |error: GitError| EngineError::Invalid { hint: error.hint(), message: error.to_string() };
    let invalid = |message: String| EngineError::Invalid { message, hint: None };
    let config = settings.for_dir(dir);
    if config.workflow.checks.is_empty() {
        return Ok(Vec::new());
    }
    let repo = deps.repository(dir).await.map_err(failed)?;
    let base = repo.default_branch(config.workflow.base_branch.as_deref()).await.map_err(failed)?;
    let tip = repo.base(&base, false).await.map_err(failed)?.sha;
    let env = leases::values(deps, &config.workspace.env, NO_TASK).await.map_err(invalid)?;
    let output_dir = deps.home.state().join("tryout");
    let checking = Checking {
        deps,
        config: &config,
        run,
        repo: &repo,
        base: &tip,
        output_dir: &output_dir,
        mends: false,
        env: &env,
    };
    let scratch = checking.scratch("try");
    let at = repo.checkout_aside(&scratch, &tip).await.map_err(|error| invalid(error.to_string()))?;
    let checks = checking.run_each(&at.work_tree).await;
    checking.drop_scratch(&scratch).await;
    Ok(checks)
}
