//! A review by an agent: a run like any other, of another agent where there is one, in a checkout of its own at the commit
//! that is reviewed, with tools that read. What it writes there is thrown away with the checkout.

use crate::deps::Deps;
use crate::launch::run_limits::{self, RunLimits};
use crate::launch::run_start::{Started, ask, project_name};
use crate::launch::session::{Opening, not_started};
use crate::launch::{prepare_run, prompt_inputs};
use crate::settings::{Settings, directory_of};
use orch_config::resolved::Config;
use orch_core::base::external::StepProblem;
use orch_core::base::ids::RunId;
use orch_core::base::names;
use orch_core::models::agents::{LaunchRequest, Session};
use orch_core::prompts::prompt::{ReviewContext, Templates, review_prompt};
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::evidence::Evidence;
use orch_core::tasks::outcome::{Failure, FailureClass, RunKind};
use orch_core::tasks::review::ReviewAnswer;
use orch_core::tasks::task::{Run, Task};
use orch_runner::Limits;
use orch_store::journal::Project;
use orch_sys::git::{Checkout, Repo};
use orch_sys::process::which;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
/// The most of the difference that a reviewer is shown, in bytes; the rest is in the checkout.
const SHOWN: usize = 256 << 10;

/// Where a review reads its commit.
fn checkout_of(deps: &Deps, run: &RunId) -> PathBuf {
    deps.home.merges().join(format!("{run}-review"))
}

/// Begins the review `run` of what the task's last judgement saw.
pub async fn start(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Arc<Task>,
    run: &Run,
) -> Result<Started, LaunchProblem> {
    let dir = directory_of(task, projects).map_err(LaunchProblem::Ask)?;
    if !dir.is_dir() {
        return Err(LaunchProblem::MissingDir(dir));
    }
    let evidence = task.evidence.as_deref().ok_or_else(|| ask(&"there is nothing to review", None))?;
    let run_dir = deps.run_dir(&run.id);
    if not_started(&run_dir)? {
        let project = project_name(&dir, projects);
        let name = names::session_name(&project, &dir, task.id, task.runs);
        let opening = Opening::begin(deps, format!("{name}-review-{}", run.id), run_dir)?;
        let prepared = async {
            let repo = deps.repository(&dir).await.map_err(StepProblem::from)?;
            let at = repo.checkout_aside(&checkout_of(deps, &run.id), &evidence.head).await;
            let at = at.map_err(StepProblem::from)?;
            let templates = prompt_inputs::templates(&deps.home, Some(&project)).map_err(LaunchProblem::Ask)?;
            prepare(deps, &settings.for_task(task, projects), &templates, (task, run), (&repo, &at, evidence)).await
        };
        if let Err(problem) = prepared.await {
            opening.close().await;
            return Err(problem);
        }
        opening.taken().await?;
    }
    Ok(Started { place: None, session_id: None })
}

async fn prepare(
    deps: &Deps,
    config: &Config,
    templates: &Templates,
    (task, run): (&Task, &Run),
    (repo, at, evidence): (&Repo, &Checkout, &Evidence),
) -> Result<(), LaunchProblem> {
    let missing = |detail: String| LaunchProblem::Failed(Failure::new(FailureClass::AgentMissing, detail));
    let agent = config.agent(&run.agent).ok_or_else(|| missing(format!("there is no agent {}", run.agent)))?;
    let path = deps.environment.get("PATH").map_or("", String::as_str);
    let command = which(&agent.command, path).ok_or_else(|| missing(format!("{} is not installed", agent.command)))?;
    // The author has written what is checked out there: no reviewer takes its settings from it.
    repo.hide(at, agent.kind.dialect().unstoppable_settings()).await.map_err(StepProblem::from)?;
    let shown = repo.diff(at, &evidence.base, &evidence.head, SHOWN).await.map_err(StepProblem::from)?;
    let redactor = config.redactor(&deps.environment);
    let omitted: Vec<String> = shown.omitted.iter().map(|path| path.display().to_string()).collect();
    let context = ReviewContext {
        task_id: task.id,
        title: &task.spec.title,
        body: &task.spec.body,
        labels: &task.spec.labels,
        checkout: &at.work_tree.to_string_lossy(),
        summary: task.summary.as_deref().unwrap_or_default(),
        evidence,
        diff: &redactor.text(&shown.text),
        omitted: &omitted,
    };
    let prompt = review_prompt(&context, templates);
    let run_dir = deps.run_dir(&run.id);
    let request = LaunchRequest {
        task_id: task.id,
        run_id: run.id.clone(),
        kind: RunKind::Review,
        command,
        extra_args: agent.args.clone(),
        model: run.model.clone(),
        session: Session::New { id: uuid::Uuid::new_v4().to_string() },
        worktree: at.work_tree.clone(),
        main_dir: None,
        git_dirs: None,
        run_dir: run_dir.path().to_owned(),
        prompt_file: run_dir.prompt(),
        title: format!("orch reviews task {}", task.id),
        answer_schema: ReviewAnswer::json_schema(),
        sandbox: true,
        codex_sandbox: agent.sandbox,
        trust_repository: false,
        prompt: agent.prompt,
        mode: agent.mode,
        orch: deps.program(),
        live: false,
        endpoint: None,
    };
    let timeout_ms = u64::try_from(config.review.timeout.as_millis()).unwrap_or(u64::MAX);
    let limits = Limits { timeout_ms, silence_ms: timeout_ms, health: run_limits::health(config), ..Limits::default() };
    let terms = RunLimits { limits, redact: config.redact.compiled(), env: BTreeMap::new() };
    prepare_run(deps, run, agent, &request, terms, &prompt, Vec::new())
}

/// Throws the checkout of a review away.
pub async fn clear(deps: &Arc<Deps>, dir: &Path, run: &RunId) {
    let removed = match deps.repository(dir).await {
        Ok(repo) => repo.remove_scratch(&checkout_of(deps, run)).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = removed {
        tracing::warn!(%run, error, "the checkout of a review is left behind");
    }
}
