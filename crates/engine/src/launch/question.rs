//! The routing question: a run like any other, by the router's agent, in an empty directory, without tools.

use crate::catalog::credentials::endpoint;
use crate::catalog::known_models::{book, read};
use crate::catalog::strategies::{given, routing_of};
use crate::deps::Deps;
use crate::launch::run_limits::{self, RunLimits};
use crate::launch::run_start::{Started, failed, project_name};
use crate::launch::session::{Opening, not_started};
use crate::launch::{prepare_run, prompt_inputs};
use crate::settings::routing::OwnedRouting;
use crate::settings::{Settings, directory_of};
use crate::verify::ending::ended;
use orch_config::resolved_agent::AgentConfig;
use orch_core::base::ids::RunId;
use orch_core::base::names;
use orch_core::economics::track_record;
use orch_core::models::agents::api::Endpoint;
use orch_core::models::agents::{DialectKind, LaunchRequest, Session};
use orch_core::models::availability::Probes;
use orch_core::prompts::prompt::route_prompt;
use orch_core::prompts::router::Decision;
use orch_core::tasks::answer::{Answer, AnswerStatus};
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::outcome::{Failure, FailureClass, Outcome, RunKind};
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::{Run, Task};
use orch_core::tasks::task_type::TaskType;
use orch_runner::{Limits, RunReport};
use orch_store::journal::Project;
use orch_sys::fs;
use orch_sys::process::which;
use std::collections::BTreeMap;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Asks the routing question as `run`.
pub async fn start(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Arc<Task>,
    run: &Run,
) -> Result<Started, LaunchProblem> {
    let dir = directory_of(task, projects).ok();
    let run_dir = deps.run_dir(&run.id);
    let session_id = uuid::Uuid::new_v4().to_string();
    if not_started(&run_dir)? {
        let (project, root) = match &dir {
            Some(dir) => (project_name(dir, projects), dir.as_path()),
            None => ("orch".to_owned(), deps.home.root()),
        };
        let name = format!("{}-route-{}", names::session_name(&project, root, task.id, task.runs), run.id);
        let opening = Opening::begin(deps, name, run_dir)?;
        let routing = routing(deps, settings, projects, task).await;
        let prepared = match who(deps, settings, projects, task, run).await {
            Ok(who) => prepare(deps, settings, &routing, (task, run), projects, dir.as_deref(), (who, &session_id)),
            Err(failure) => Err(LaunchProblem::Failed(failure)),
        };
        if let Err(problem) = prepared {
            opening.close().await;
            return Err(problem);
        }
        opening.taken().await?;
    }
    Ok(Started { place: None, session_id: None })
}

/// Who answers: the program of an agent, or a provider's API.
struct Who {
    agent: AgentConfig,
    command: PathBuf,
    endpoint: Option<Endpoint>,
}

async fn who(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Task,
    run: &Run,
) -> Result<Who, Failure> {
    let missing = |detail: String| Failure::new(FailureClass::AgentMissing, detail);
    let config = settings.for_task(task, projects);
    let agent = config.agents.answerer(&run.agent).cloned();
    let agent = agent.ok_or_else(|| missing(format!("there is no agent {}", run.agent)))?;
    if agent.kind != DialectKind::Api {
        let path = deps.environment.get("PATH").map_or("", String::as_str);
        let command = which(&agent.command, path);
        let command = command.ok_or_else(|| missing(format!("{} is not installed", agent.command)))?;
        return Ok(Who { agent, command, endpoint: None });
    }
    let (at, with, model) = (Arc::clone(deps), Arc::clone(settings), run.model.clone().unwrap_or_default());
    // The person's own word on providers, whatever a repository says.
    let found = tokio::task::spawn_blocking(move || {
        let book = book(&at, &with, &Probes::new(), at.clock.now());
        endpoint(&at.environment, &with.config.providers, &book.catalog, &model)
    });
    let endpoint = found.await.map_err(|error| missing(error.to_string()))??;
    Ok(Who { agent, command: deps.program(), endpoint: Some(endpoint) })
}

fn prepare(
    deps: &Deps,
    settings: &Settings,
    routing: &OwnedRouting,
    (task, run): (&Task, &Run),
    projects: &[Project],
    dir: Option<&Path>,
    (Who { agent, command, endpoint }, session_id): (Who, &str),
) -> Result<(), LaunchProblem> {
    let config = settings.for_task(task, projects);
    let templates = prompt_inputs::templates(&deps.home, dir.map(|dir| project_name(dir, projects)).as_deref())
        .map_err(LaunchProblem::Ask)?;
    let catalogue = prompt_inputs::catalogue(&deps.home, dir);
    let prompt = route_prompt(&routing.rules(), &catalogue, &templates);
    let schema = routing.rules().schema(&catalogue);
    let run_dir = deps.run_dir(&run.id);
    let cwd = run_dir.path().join("cwd");
    fs::create_dir_private(&cwd).map_err(|e| failed(e, None))?;
    let request = LaunchRequest {
        task_id: task.id,
        run_id: run.id.clone(),
        kind: RunKind::Route,
        command,
        extra_args: agent.args.clone(),
        model: run.model.clone(),
        session: Session::New { id: session_id.to_owned() },
        worktree: cwd,
        main_dir: None,
        git_dirs: None,
        run_dir: run_dir.path().to_owned(),
        prompt_file: run_dir.prompt(),
        title: format!("orch routes task {}", task.id),
        answer_schema: schema,
        sandbox: true,
        codex_sandbox: agent.sandbox,
        trust_repository: false,
        prompt: agent.prompt,
        mode: agent.mode,
        orch: deps.program(),
        live: false,
        endpoint,
    };
    let timeout_ms = u64::try_from(config.router.timeout.as_millis()).unwrap_or(u64::MAX);
    let limits =
        Limits { timeout_ms, silence_ms: timeout_ms, health: run_limits::health(&config), ..Limits::default() };
    let terms = RunLimits { limits, redact: config.redact.compiled(), env: BTreeMap::new() };
    prepare_run(deps, run, &agent, &request, terms, &prompt, Vec::new())
}

/// The question, with the record of such tasks.
async fn routing(deps: &Arc<Deps>, settings: &Settings, projects: &[Project], task: &Arc<Task>) -> OwnedRouting {
    let mut routing = settings.routing(task, projects);
    let (deps, task, projects, asked) = (Arc::clone(deps), Arc::clone(task), projects.to_vec(), routing.clone());
    let read = tokio::task::spawn_blocking(move || proven(&deps, &asked, &task, &projects));
    routing.settings.proven = read.await.unwrap_or_default();
    routing
}

/// Whom the record of such tasks speaks for. Without it the router is asked all the same. Blocking.
fn proven(deps: &Deps, routing: &OwnedRouting, task: &Task, projects: &[Project]) -> Option<String> {
    let mut samples = match deps.journal.samples() {
        Ok(samples) => samples,
        Err(error) => {
            tracing::warn!(%error, "the router is asked without the record of the past");
            return None;
        }
    };
    // A task that names no directory belongs to the only project.
    if let [only] = projects {
        samples.iter_mut().filter(|one| one.project.is_none()).for_each(|one| one.project = Some(only.dir.clone()));
    }
    let agents = routing.rules().candidates().ok()?;
    let dir = directory_of(task, projects).ok();
    track_record::proven(&samples, &TaskType::from_spec(&task.spec), dir.as_deref(), &agents, deps.clock.now())
}

/// Reads the router's answer out of its report; an error is returned as text.
pub fn read_answer(deps: &Deps, routing: &OwnedRouting, report: &RunReport) -> Result<RouteResult, String> {
    match report.failure() {
        Some(Outcome::Failed(failure)) => return Err(format!("{}: {}", failure.class, failure.detail)),
        Some(Outcome::Cancelled { detail }) => return Err(detail),
        Some(Outcome::Finished { .. }) | None => {}
    }
    let catalogue = prompt_inputs::catalogue(&deps.home, None);
    let ending = &report.ending;
    routing
        .rules()
        .parse(ending.structured.as_ref(), ending.final_text.as_deref(), &catalogue)
        .map(|route| routing.under_strategy(route))
        .map_err(|e| e.to_string())
}

/// The record of a routing question that was answered.
pub fn finished(route: &RouteResult) -> Outcome {
    let model = route.model.as_deref().map(|m| format!("/{m}")).unwrap_or_default();
    answered(format!("{}{model}, {}: {}", route.agent, route.complexity, route.reason))
}

/// The record of a question that was answered.
pub fn answered(summary: String) -> Outcome {
    Outcome::Finished {
        answer: Answer {
            status: AnswerStatus::Done,
            summary,
            accomplished: Vec::new(),
            remaining: Vec::new(),
            files_changed: Vec::new(),
            blockers: Vec::new(),
            reason: String::new(),
            learnings: Vec::new(),
            delegations: Vec::new(),
            result: String::new(),
        },
    }
}

/// Routes for a person who only wants to know: nothing is recorded, and nothing stays behind.
pub async fn try_route(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Arc<Task>,
    run: &RunId,
    obstacle: Option<String>,
) -> Result<RouteResult, String> {
    let result = route_without_record(deps, settings, projects, task, run, obstacle).await;
    let dir = deps.run_dir(run).path().to_owned();
    // A question that was never asked has left nothing.
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
    if let Ok(Err(error)) = removed.map(|gone| gone.or_else(|e| if e.kind() == NotFound { Ok(()) } else { Err(e) })) {
        tracing::warn!(%run, %error, "what a question to the router left behind could not be removed");
    }
    result
}

async fn route_without_record(
    deps: &Arc<Deps>,
    settings: &Arc<Settings>,
    projects: &[Project],
    task: &Arc<Task>,
    run: &RunId,
    obstacle: Option<String>,
) -> Result<RouteResult, String> {
    let (routing, model) = {
        let (deps, settings, task, projects) =
            (Arc::clone(deps), Arc::clone(settings), Arc::clone(task), projects.to_vec());
        let read = tokio::task::spawn_blocking(move || {
            let (now, samples) = (deps.clock.now(), read(deps.journal.samples()));
            let mut book = book(&deps, &settings, &Probes::new(), now);
            book.remember(&settings.config, &deps.environment, &samples, now);
            let router = &settings.for_task(&task, &projects).router;
            let model = given(&settings.config, &book, &router.agent, router.model.clone(), &deps.environment);
            (routing_of(&deps, &settings, &projects, &task, &book, &samples), model)
        });
        read.await.map_err(|error| error.to_string())?
    };
    match routing.decide(0) {
        Decision::Resolved(route) => return Ok(route),
        Decision::Impossible(problem) => return Err(format!("{}; {}", problem.reason, problem.hint)),
        Decision::AskLlm => {}
    }
    let config = settings.for_task(task, projects);
    let asked = Run::new(run.clone(), task.id, RunKind::Route, config.router.agent.clone(), deps.clock.now());
    let run = Run { attempt: 0, model, ..asked };
    let fallback = |error: String| {
        routing.after_failure(1, &error).map_err(|problem| format!("{error}; {}; {}", problem.reason, problem.hint))
    };
    if let Some(obstacle) = obstacle {
        return fallback(obstacle);
    }
    if let Err(problem) = start(deps, settings, projects, task, &run).await {
        return fallback(match problem {
            LaunchProblem::Ask(text) | LaunchProblem::Setup(text) | LaunchProblem::PutBack(text) => text,
            LaunchProblem::Failed(failure) => failure.detail,
            LaunchProblem::External(failure) | LaunchProblem::BaseAway(failure) => failure.detail,
            LaunchProblem::MissingDir(dir) => format!("{} is not there", dir.display()),
        });
    }
    let report = loop {
        let (at, with, id) = (Arc::clone(deps), Arc::clone(settings), run.id.clone());
        // The runner holds the time limit; a runner that dies is found dead here.
        match tokio::task::spawn_blocking(move || ended(&at, &with, &id)).await {
            Ok(Ok(Some(over))) => break over.report,
            Ok(Ok(None) | Err(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => return Err(error.to_string()),
        }
    };
    read_answer(deps, &routing, &report).or_else(fallback)
}
