//! What the starts of all kinds of runs share: the request, the result, and what may be wrong.

use crate::deps::Deps;
use orch_config::resolved_agent::AgentConfig;
use orch_core::base::external::{External, StepProblem};
use orch_core::models::agents::{LaunchRequest, Session};
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::outcome::{Failure, FailureClass};
use orch_core::tasks::task::{Run, Workplace};
use orch_store::journal::Project;
use orch_sys::git::GitError;
use orch_sys::process::which;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

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

/// Something that a person must fix, with the hint that the error brings.
pub fn ask(error: &impl std::fmt::Display, hint: Option<String>) -> LaunchProblem {
    StepProblem::Ask(error.to_string()).with_hint(hint).into()
}

/// Returns what a failed call amounts to: something that passes, or something that a person must fix.
pub fn failed(error: impl External, hint: Option<String>) -> LaunchProblem {
    StepProblem::from(error).with_hint(hint).into()
}

pub(crate) fn git_problem(error: GitError) -> LaunchProblem {
    let hint = error.hint();
    failed(error, hint)
}

/// Returns the agent `name` as it is configured, with its program; or what is missing.
pub fn agent_program<'a>(
    deps: &Deps,
    name: &str,
    agent: Option<&'a AgentConfig>,
) -> Result<(&'a AgentConfig, PathBuf), Failure> {
    let missing = |detail: String| Failure::new(FailureClass::AgentMissing, detail);
    let agent = agent.ok_or_else(|| missing(format!("there is no agent {name}")))?;
    let path = deps.environment.get("PATH").map_or("", String::as_str);
    let program = which(&agent.command, path)
        .ok_or_else(|| missing(format!("agent {name} is not installed: {} is not in PATH", agent.command)))?;
    Ok((agent, program))
}

/// A request for `run` that opens a new conversation in `worktree` and protects everything outside of the run's own
/// directories: a routing question and a review change nothing else of it.
pub fn launch_request(
    deps: &Deps,
    run: &Run,
    agent: &AgentConfig,
    command: PathBuf,
    worktree: PathBuf,
    title: String,
    answer_schema: serde_json::Value,
) -> LaunchRequest {
    let run_dir = deps.run_dir(&run.id);
    LaunchRequest {
        task_id: run.task,
        run_id: run.id.clone(),
        kind: run.kind,
        command,
        extra_args: agent.args.clone(),
        model: run.model.clone(),
        session: Session::New { id: uuid::Uuid::new_v4().to_string() },
        worktree,
        main_dir: None,
        git_dirs: None,
        run_dir: run_dir.path().to_owned(),
        prompt_file: run_dir.prompt(),
        title,
        answer_schema,
        sandbox: true,
        codex_sandbox: agent.sandbox,
        trust_repository: false,
        prompt: agent.prompt,
        mode: agent.mode,
        orch: deps.program(),
        live: false,
        endpoint: None,
    }
}

/// Returns the project's name: registered, or that of its directory.
pub fn project_name(dir: &Path, projects: &[Project]) -> String {
    let registered = projects.iter().find(|p| p.dir == dir).map(|p| p.name.clone());
    registered.unwrap_or_else(|| dir.file_name().map_or_else(|| "project".into(), |n| n.to_string_lossy().into_owned()))
}
