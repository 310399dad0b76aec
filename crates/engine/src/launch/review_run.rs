//! A review by an agent: a run like any other, of another agent where there is one, in a checkout of its own at the commit
//! that is reviewed, with tools that read. What it writes there is thrown away with the checkout.

use crate::deps::Deps;
use crate::deps::task_context::TaskContext;
use crate::launch::run_limits::RunLimits;
use crate::launch::run_start::{Started, agent_program, ask, launch_request, project_name};
use crate::launch::session::{Opening, not_started};
use crate::launch::{prepare_run, prompt_inputs};
use orch_core::base::external::StepProblem;
use orch_core::base::ids::RunId;
use orch_core::base::names;
use orch_core::prompts::prompt::{ReviewContext, Templates, review_prompt};
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::evidence::Evidence;
use orch_core::tasks::review::ReviewAnswer;
use orch_core::tasks::task::Run;
use orch_sys::git::{Checkout, Repo};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most of the difference that a reviewer is shown, in bytes; the rest is in the checkout.
const SHOWN: usize = 256 << 10;

/// Returns where a review reads its commit.
fn checkout_of(deps: &Deps, run: &RunId) -> PathBuf {
    deps.home.merges().join(format!("{run}-review"))
}

/// Begins the review `run` of what the task's last judgement saw.
pub async fn start(cx: &TaskContext, run: &Run) -> Result<Started, LaunchProblem> {
    let TaskContext { deps, projects, task, .. } = cx;
    let dir = cx.dir().map_err(LaunchProblem::Ask)?;
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
            prepare(cx, run, &repo, &at, evidence, &templates).await
        };
        opening.finish(prepared.await).await?;
    }
    Ok(Started { place: None, session_id: None })
}

async fn prepare(
    cx: &TaskContext,
    run: &Run,
    repo: &Repo,
    at: &Checkout,
    evidence: &Evidence,
    templates: &Templates,
) -> Result<(), LaunchProblem> {
    let (TaskContext { deps, task, .. }, config) = (cx, cx.config());
    let found = agent_program(deps, &run.agent, config.agent(&run.agent));
    let (agent, command) = found.map_err(LaunchProblem::Failed)?;
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
    let title = format!("orch reviews task {}", task.id);
    let request = launch_request(deps, run, agent, command, at.work_tree.clone(), title, ReviewAnswer::json_schema());
    let terms = RunLimits::for_question(&config, config.review.timeout);
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
