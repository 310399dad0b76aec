//! Tasks and projects: reading and asking.

use super::ApiState;
use super::error::ApiError;
use super::messages;
use crate::api::types::{ErrorCode, NewProject, NewTask, RunView, StatusView, TaskContext, TaskRow, TaskView, WhyView};
use crate::domain::ids::TaskId;
use crate::domain::plan::{Hold, HoldReason, directory, slot_holders, told};
use crate::domain::route::RouteResult;
use crate::domain::task::{Run, Spec, State as TaskState, Task};
use crate::engine::handle::{Project, Request, View};
use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;

type Answer<T> = Result<Json<T>, ApiError>;

pub(super) fn task_id(text: &str) -> Result<TaskId, ApiError> {
    text.parse().map_err(|e: crate::domain::ids::BadTaskId| ApiError::new(ErrorCode::Usage, e.to_string(), None))
}

/// How things stand.
pub async fn status(State(state): State<ApiState>) -> Answer<StatusView> {
    let view = state.engine.look().await?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for task in view.tasks.values() {
        *counts.entry(task.status().as_str().to_owned()).or_default() += 1;
    }
    Ok(Json(StatusView {
        version: state.process.version.clone(),
        pid: state.process.pid,
        mode: state.process.mode.clone(),
        counts,
        idle: view.live_runs.is_empty() && view.plan.actions.is_empty(),
        problems: view.problems,
    }))
}

/// All tasks.
pub async fn list(State(state): State<ApiState>) -> Answer<Vec<TaskView>> {
    let view = state.engine.look().await?;
    let (children, slots) = (children(&view), slots_text(&view));
    Ok(Json(view.tasks.values().map(|task| task_view(&view, task, &children, &slots)).collect()))
}

/// All tasks, as small rows.
pub async fn rows(State(state): State<ApiState>) -> Answer<Vec<TaskRow>> {
    let view = state.engine.look().await?;
    let slots = slots_text(&view);
    let rows = view.tasks.values().map(|task| TaskRow {
        id: task.id,
        status: task.status(),
        agent: task.route.as_ref().map(|r| r.agent.clone()),
        model: task.route.as_ref().and_then(|r| r.model.clone()),
        title: task.spec.title.clone(),
        created_at: task.created_at,
        why: short_why(&view, task, &slots),
    });
    Ok(Json(rows.collect()))
}

fn short_why(view: &View, task: &Task, slots: &str) -> Option<String> {
    if let TaskState::NeedsReview { question, .. } = &task.state {
        return Some(question.lines().next().unwrap_or_default().to_owned());
    }
    let hold = view.plan.hold(task.id)?;
    Some(told(hold, task, &view.tasks, slots).detail)
}

/// Fills in what planning leaves out because it would be the same for thousands.
fn slots_text(view: &View) -> String {
    let holders: Vec<String> = slot_holders(&view.tasks).iter().map(ToString::to_string).collect();
    let max = view.settings.config.engine.max_parallel;
    format!("{} of {max} slots are busy (tasks {})", holders.len(), holders.join(" "))
}

fn children(view: &View) -> BTreeMap<TaskId, Vec<TaskId>> {
    let mut children: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
    for task in view.tasks.values() {
        if let Some(parent) = task.spec.parent {
            children.entry(parent).or_default().push(task.id);
        }
    }
    children
}

fn task_view(view: &View, task: &Task, children: &BTreeMap<TaskId, Vec<TaskId>>, slots: &str) -> TaskView {
    let dirs: Vec<PathBuf> = view.projects.iter().map(|p| p.dir.clone()).collect();
    let dir = directory(task, &dirs).ok();
    let project = dir.and_then(|dir| view.projects.iter().find(|p| p.dir == dir));
    let hold = view.plan.hold(task.id).map(|hold| told(hold, task, &view.tasks, slots));
    let context = TaskContext {
        dir,
        project: project.map(|p| p.name.as_str()),
        hold: hold.as_ref(),
        children: children.get(&task.id).cloned().unwrap_or_default(),
    };
    TaskView::of(task, &context)
}

/// One task with everything.
pub async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Answer<TaskView> {
    full_view(&state, task_id(&id)?).await.map(Json)
}

async fn full_view(state: &ApiState, id: TaskId) -> Result<TaskView, ApiError> {
    look_at(state, id).await.map(|(task, _)| task)
}

/// One task with everything, and when that was.
pub(super) async fn look_at(state: &ApiState, id: TaskId) -> Result<(TaskView, Timestamp), ApiError> {
    let view = state.engine.look().await?;
    let task = view.tasks.get(&id).ok_or(crate::engine::handle::EngineError::NoTask(id))?;
    let runs: Vec<Run> = state.engine.runs_of(id).await?;
    let runs = runs.iter().map(|run| RunView::of(run, state.engine.run_dir(run).join("transcript.log"))).collect();
    let messages = messages::views(state.engine.messages_of(id).await?, &view, id);
    Ok((task_view(&view, task, &children(&view), &slots_text(&view)).with_details(task, runs, messages), view.now))
}

/// Adds a task.
pub async fn add(State(state): State<ApiState>, Json(new): Json<NewTask>) -> Answer<TaskView> {
    let spec = Spec {
        title: new.title,
        body: new.body,
        labels: new.labels,
        priority: new.priority,
        depends_on: new.depends_on,
        parent: new.parent,
        dir: new.dir,
        kind: new.kind,
        agent: new.agent,
        model: new.model,
        complexity: new.complexity,
        assignee: None,
    };
    let task = state.engine.add(spec).await?;
    Ok(Json(TaskView::of(&task, &TaskContext::default())))
}

/// Run, retry, interrupt, cancel, unblock.
pub async fn ask(State(state): State<ApiState>, Path((id, verb)): Path<(String, String)>) -> Answer<TaskView> {
    let request = match verb.as_str() {
        "run" => Request::Run,
        "retry" => Request::Retry,
        "interrupt" => Request::Interrupt,
        "cancel" => Request::Cancel,
        "unblock" => Request::Unblock,
        other => return Err(ApiError::new(ErrorCode::NotFound, format!("there is no request {other:?}"), None)),
    };
    let id = task_id(&id)?;
    state.engine.ask(id, request).await?;
    full_view(&state, id).await.map(Json)
}

/// Sends everything that waits on.
pub async fn unblock_all(State(state): State<ApiState>) -> Answer<Vec<TaskId>> {
    Ok(Json(state.engine.unblock_all().await?))
}

/// Asks the router, changes nothing.
pub async fn route(State(state): State<ApiState>, Path(id): Path<String>) -> Answer<RouteResult> {
    Ok(Json(state.engine.try_route(task_id(&id)?).await?))
}

/// Why a task does not move.
pub async fn why(State(state): State<ApiState>, Path(id): Path<String>) -> Answer<WhyView> {
    let id = task_id(&id)?;
    let view = state.engine.look().await?;
    let task = view.tasks.get(&id).ok_or(crate::engine::handle::EngineError::NoTask(id))?;
    let hold = view.plan.hold(id).map(|hold| told(hold, task, &view.tasks, &slots_text(&view)));
    let (because, next) = explain(task, hold.as_ref());
    Ok(Json(WhyView { id, status: task.status(), hold, because, next }))
}

fn explain(task: &Task, hold: Option<&Hold>) -> (String, String) {
    let id = task.id;
    if let Some(hold) = hold {
        let next = match (hold.until, hold.reason) {
            (Some(until), _) => format!("orch looks again at {until}; `orch task run {id}` does not wait"),
            (None, HoldReason::NoDaemon) => format!("`orch serve`, or `orch task run {id}`"),
            (None, HoldReason::NoProject) => "`orch init` in its repository, or a `dir:` in tasks.yml".to_owned(),
            (None, HoldReason::InvalidEntry) => "mend the entry in tasks.yml".to_owned(),
            (None, HoldReason::Slots) => "it starts when one of them ends; `orch task run` does not wait".to_owned(),
            (None, HoldReason::MissingDir) => "it goes on when the directory is back".to_owned(),
            (None, HoldReason::Dependency | HoldReason::Children) => "it goes on when they are done".to_owned(),
            (
                None,
                HoldReason::Routing
                | HoldReason::Backoff
                | HoldReason::RateLimited
                | HoldReason::Overloaded
                | HoldReason::Network
                | HoldReason::Auth
                | HoldReason::Budget
                | HoldReason::Agent
                | HoldReason::BaseDirty
                | HoldReason::Stopping,
            ) => "it goes on by itself".to_owned(),
        };
        return (hold.detail.clone(), next);
    }
    match &task.state {
        TaskState::New { .. } | TaskState::Routed { .. } => ("nothing holds it".to_owned(), "it starts now".to_owned()),
        TaskState::InProgress { run, .. } => {
            (format!("run {run} is under way"), "it moves when the agent ends".to_owned())
        }
        TaskState::InReview { run, .. } => {
            (format!("the result of run {run} is checked and integrated"), "it moves when that ends".to_owned())
        }
        TaskState::Done => ("it is done".to_owned(), format!("`orch task retry {id}` does it again")),
        TaskState::Blocked(_) => ("it waits on other work".to_owned(), "it goes on when that is done".to_owned()),
        TaskState::NeedsReview { question, choices } => (question.clone(), choices.join(" | ")),
        TaskState::Cancelled { reason } => (reason.clone(), format!("`orch task retry {id}` takes it up again")),
    }
}

/// Registered repositories.
pub async fn projects(State(state): State<ApiState>) -> Answer<Vec<NewProject>> {
    let view = state.engine.look().await?;
    let of = |p: Project| NewProject { dir: p.dir, name: p.name, approved: p.approved };
    Ok(Json(view.projects.into_iter().map(of).collect()))
}

/// Registers a repository.
pub async fn register(State(state): State<ApiState>, Json(new): Json<NewProject>) -> Answer<NewProject> {
    if !new.dir.is_absolute() {
        return Err(ApiError::new(ErrorCode::Usage, "the directory of a project must be absolute", None));
    }
    let project = Project { dir: new.dir.clone(), name: new.name.clone(), approved: new.approved.clone() };
    state.engine.register(project).await?;
    Ok(Json(new))
}
