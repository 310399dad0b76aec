//! The routing question: a run like any other, by the router's agent, in an empty directory, without tools.

use crate::catalog::credentials::endpoint;
use crate::catalog::known_models::{book, read};
use crate::catalog::strategies::{given, routing_of};
use crate::deps::Deps;
use crate::deps::task_context::TaskContext;
use crate::launch::run_limits::RunLimits;
use crate::launch::run_start::{Started, agent_program, failed, launch_request, project_name};
use crate::launch::session::{Opening, not_started};
use crate::launch::{prepare_run, prompt_inputs};
use crate::settings::routing::OwnedRouting;
use crate::verify::ending::ended;
use orch_config::resolved_agent::AgentConfig;
use orch_core::base::ids::RunId;
use orch_core::base::names;
use orch_core::economics::track_record;
use orch_core::models::agents::api::Endpoint;
use orch_core::models::agents::{DialectKind, LaunchRequest};
use orch_core::models::availability::Probes;
use orch_core::prompts::prompt::route_prompt;
use orch_core::prompts::router::Decision;
use orch_core::tasks::answer::{Answer, AnswerStatus};
use orch_core::tasks::event::LaunchProblem;
use orch_core::tasks::outcome::{Failure, FailureClass, Outcome, RunKind};
use orch_core::tasks::route::RouteResult;
use orch_core::tasks::task::Run;
use orch_core::tasks::task_type::TaskType;
use orch_runner::RunReport;
use orch_sys::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Asks the routing question as `run`.
pub async fn start(cx: &TaskContext, run: &Run) -> Result<Started, LaunchProblem> {
    let TaskContext { deps, projects, task, .. } = cx;
    let dir = cx.dir().ok();
    let run_dir = deps.run_dir(&run.id);
    if not_started(&run_dir)? {
        let (project, root) = match &dir {
            Some(dir) => (project_name(dir, projects), dir.as_path()),
            None => ("orch".to_owned(), deps.home.root()),
        };
        let name = format!("{}-route-{}", names::session_name(&project, root, task.id, task.runs), run.id);
        let opening = Opening::begin(deps, name, run_dir)?;
        let routing = routing(cx).await;
        let prepared = match who(cx, run).await {
            Ok(who) => prepare(cx, run, &routing, dir.as_deref(), who),
            Err(failure) => Err(LaunchProblem::Failed(failure)),
        };
        opening.finish(prepared).await?;
    }
    Ok(Started { place: None, session_id: None })
}

/// Who answers: the program of an agent, or a provider's API.
struct Who {
    agent: AgentConfig,
    command: PathBuf,
    endpoint: Option<Endpoint>,
}

async fn who(cx: &TaskContext, run: &Run) -> Result<Who, Failure> {
    let config = cx.config();
    let agent = match config.agents.answerer(&run.agent) {
        Some(agent) if agent.kind == DialectKind::Api => agent.clone(),
        agent => {
            let (agent, command) = agent_program(&cx.deps, &run.agent, agent)?;
            return Ok(Who { agent: agent.clone(), command, endpoint: None });
        }
    };
    let (at, with, model) = (Arc::clone(&cx.deps), Arc::clone(&cx.settings), run.model.clone().unwrap_or_default());
    // The person's own word on providers, whatever a repository says.
    let found = tokio::task::spawn_blocking(move || {
        let book = book(&at, &with, &Probes::new(), at.clock.now());
        endpoint(&at.environment, &with.config.providers, &book.catalog, &model)
    });
    let found = found.await.map_err(|error| Failure::new(FailureClass::AgentMissing, error.to_string()))?;
    Ok(Who { agent, command: cx.deps.program(), endpoint: Some(found?) })
}

fn prepare(
    cx: &TaskContext,
    run: &Run,
    routing: &OwnedRouting,
    dir: Option<&Path>,
    who: Who,
) -> Result<(), LaunchProblem> {
    let (TaskContext { deps, projects, .. }, config) = (cx, cx.config());
    let Who { agent, command, endpoint } = who;
    let templates = prompt_inputs::templates(&deps.home, dir.map(|dir| project_name(dir, projects)).as_deref())
        .map_err(LaunchProblem::Ask)?;
    let catalogue = prompt_inputs::catalogue(&deps.home, dir);
    let prompt = route_prompt(&routing.rules(), &catalogue, &templates);
    let schema = routing.rules().schema(&catalogue);
    let cwd = deps.run_dir(&run.id).path().join("cwd");
    fs::create_dir_private(&cwd).map_err(|e| failed(e, None))?;
    let title = format!("orch routes task {}", run.task);
    let request = LaunchRequest { endpoint, ..launch_request(deps, run, &agent, command, cwd, title, schema) };
    let terms = RunLimits::for_question(&config, config.router.timeout);
    prepare_run(deps, run, &agent, &request, terms, &prompt, Vec::new())
}

/// Returns the question, with the record of such tasks.
async fn routing(cx: &TaskContext) -> OwnedRouting {
    let mut routing = cx.settings.routing(&cx.task, &cx.projects);
    let (cx, asked) = (cx.clone(), routing.clone());
    let read = tokio::task::spawn_blocking(move || proven(&cx, &asked));
    routing.settings.proven = read.await.unwrap_or_default();
    routing
}

/// Returns the agents that did well on such tasks. Without the record the router is asked all the same. Blocking.
fn proven(cx: &TaskContext, routing: &OwnedRouting) -> Option<String> {
    let mut samples = match cx.deps.journal.samples() {
        Ok(samples) => samples,
        Err(error) => {
            tracing::warn!(%error, "the router is asked without the record of the past");
            return None;
        }
    };
    // A task that names no directory belongs to the only project.
    if let [only] = cx.projects.as_slice() {
        samples.iter_mut().filter(|one| one.project.is_none()).for_each(|one| one.project = Some(only.dir.clone()));
    }
    let agents = routing.rules().candidates().ok()?;
    let task_type = TaskType::from_spec(&cx.task.spec);
    track_record::proven(&samples, &task_type, cx.dir().ok().as_deref(), &agents, cx.deps.clock.now())
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

/// Returns the record of a routing question that was answered.
pub fn finished(route: &RouteResult) -> Outcome {
    let model = route.model.as_deref().map(|m| format!("/{m}")).unwrap_or_default();
    answered(format!("{}{model}, {}: {}", route.agent, route.complexity, route.reason))
}

/// Returns the record of a question that was answered.
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
pub async fn try_route(cx: &TaskContext, run: &RunId, obstacle: Option<String>) -> Result<RouteResult, String> {
    let result = route_without_record(cx, run, obstacle).await;
    let dir = cx.deps.run_dir(run).path().to_owned();
    // A question that was never asked has left nothing.
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
    if let Ok(Err(error)) = removed.map(|gone| gone.or_else(|e| if e.kind() == NotFound { Ok(()) } else { Err(e) })) {
        tracing::warn!(%run, %error, "what a question to the router left behind could not be removed");
    }
    result
}

async fn route_without_record(cx: &TaskContext, run: &RunId, obstacle: Option<String>) -> Result<RouteResult, String> {
    let (routing, model) = {
        let cx = cx.clone();
        let read = tokio::task::spawn_blocking(move || {
            let TaskContext { deps, settings, .. } = &cx;
            let (now, samples) = (deps.clock.now(), read(deps.journal.samples()));
            let mut book = book(deps, settings, &Probes::new(), now);
            book.remember(&settings.config, &deps.environment, &samples, now);
            let config = cx.config();
            let router = &config.router;
            let model = given(&settings.config, &book, &router.agent, router.model.clone(), &deps.environment);
            (routing_of(&cx, &book, &samples), model)
        });
        read.await.map_err(|error| error.to_string())?
    };
    match routing.decide(0) {
        Decision::Resolved(route) => return Ok(route),
        Decision::Impossible(problem) => return Err(format!("{}; {}", problem.reason, problem.hint)),
        Decision::AskLlm => {}
    }
    let (deps, agent) = (&cx.deps, cx.config().router.agent.clone());
    let asked = Run::new(run.clone(), cx.task.id, RunKind::Route, agent, deps.clock.now());
    let run = Run { attempt: 0, model, ..asked };
    let fallback = |error: String| {
        routing.after_failure(1, &error).map_err(|problem| format!("{error}; {}; {}", problem.reason, problem.hint))
    };
    if let Some(obstacle) = obstacle {
        return fallback(obstacle);
    }
    if let Err(problem) = start(cx, &run).await {
        return fallback(match problem {
            LaunchProblem::Ask(text) | LaunchProblem::Setup(text) | LaunchProblem::PutBack(text) => text,
            LaunchProblem::Failed(failure) => failure.detail,
            LaunchProblem::External(failure) | LaunchProblem::BaseAway(failure) => failure.detail,
            LaunchProblem::MissingDir(dir) => format!("{} is not there", dir.display()),
        });
    }
    let report = loop {
        let (at, with, id) = (Arc::clone(deps), Arc::clone(&cx.settings), run.id.clone());
        // The runner holds the time limit; a runner that dies is found dead here.
        match tokio::task::spawn_blocking(move || ended(&at, &with, &id)).await {
            Ok(Ok(Some(over))) => break over.report,
            Ok(Ok(None) | Err(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => return Err(error.to_string()),
        }
    };
    read_answer(deps, &routing, &report).or_else(fallback)
}
