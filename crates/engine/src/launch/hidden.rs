//! Settings of a checkout that an agent's CLI would take for its own, though the person does not trust the repository: they
//! are hidden while the agent is at work, and put back when its run is over, before the work is judged.

use crate::deps::Deps;
use crate::launch::run_start::ask;
use orch_config::resolved_agent::AgentConfig;
use orch_core::base::external::StepProblem;
use orch_core::tasks::event::LaunchProblem;
use orch_runner::RunDir;
use orch_sys::fs::{self, Durability};
use orch_sys::git::{Checkout, Repo};
use std::path::PathBuf;

/// Names the checkout in which something is hidden for a run.
fn note_of(run_dir: &RunDir) -> PathBuf {
    run_dir.path().join("hidden.json")
}

/// Hides in a checkout what the agent must not take its settings from. Returns the names.
pub(crate) async fn hide(
    repo: &Repo,
    at: &Checkout,
    run_dir: &RunDir,
    agent: &AgentConfig,
) -> Result<Vec<String>, LaunchProblem> {
    let names: &'static [&'static str] =
        if agent.trust_repository { &[] } else { agent.kind.dialect().unstoppable_settings() };
    let refused = |problem: StepProblem| match problem {
        StepProblem::External(_) => LaunchProblem::from(problem),
        StepProblem::Ask(why) => {
            let what = names.join(", ");
            let hint = "mend that, choose another agent, or set agents.NAME.trust_repository: true".to_owned();
            ask(&format!("the repository's {what} cannot be hidden from {}: {why}", agent.command), Some(hint))
        }
    };
    let hiding = async {
        // Without names as well: an agent that may see everything sees what was hidden from the one before.
        let hidden = repo.hide(at, names).await?;
        if !hidden.is_empty() {
            let note = serde_json::to_vec(at).map_err(|error| StepProblem::Ask(error.to_string()))?;
            fs::write_private(&note_of(run_dir), &note, Durability::Cached)?;
        }
        Ok::<_, StepProblem>(hidden)
    };
    match hiding.await {
        Ok(hidden) => Ok(hidden),
        Err(why) => {
            if let Err(error) = repo.reveal(at).await {
                tracing::warn!(run = %run_dir.path().display(), %error, "files that were hidden are not back");
            }
            Err(refused(why))
        }
    }
}

/// Puts back what was hidden for a run that is over.
///
/// # Errors
/// It cannot be put back now, and why.
pub(crate) async fn reveal(deps: &Deps, run_dir: &RunDir) -> Result<(), String> {
    let note = match fs::read_limited(&note_of(run_dir), 64 << 10) {
        Ok(note) => note,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let at: Checkout = serde_json::from_slice(&note).map_err(|error| error.to_string())?;
    if !at.work_tree.is_dir() {
        return Ok(());
    }
    let repo = deps.repository(&at.work_tree).await.map_err(|error| error.to_string())?;
    repo.reveal(&at).await.map_err(|error| error.to_string())?;
    fs::remove_file(&note_of(run_dir)).map(drop).map_err(|error| error.to_string())
}

/// Returns what the prompt says of files that are hidden from the agent; empty where none are.
pub(crate) fn describe(hidden: &[String]) -> String {
    if hidden.is_empty() {
        return String::new();
    }
    let names = hidden.join("`, `");
    format!(
        "\n\nThese entries at the top of the repository are not in your worktree while you work, because the program that \
         you run in would take its settings from them: `{names}`. They come back when you end. Do not make them anew and \
         do not remove them; `git show HEAD:PATH` shows what is committed in them.\n"
    )
}
