//! Answers requests about tasks and projects.

mod list;

pub use list::list;

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::messages;
use super::once::Repeatable;
use super::read::{Body, Params, Segment};
use super::task_warnings::task_warnings;
use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use orch_api::error::ErrorCode;
use orch_api::evidence::{CheckView, IntegrateMode};
use orch_api::health::HealthView;
use orch_api::last_worker::LastWorker;
use orch_api::queries::{RowsQuery, RunQuery, SeenQuery};
use orch_api::route::RouteResultView;
use orch_api::types::{
    HoldView, NewProject, NewTask, RemoveProject, RowsView, RunView, TaskContext, TaskRow, TaskView, TryChecks, WhyView,
};
use orch_config::Integrate;
use orch_core::base::health::format_span;
use orch_core::base::ids::TaskId;
use orch_core::economics::track_record::Worker;
use orch_core::models::resolve::parse;
use orch_core::planning::plan::{Hold, Occupancy, describe, describe_end, directory};
use orch_core::tasks::task::{Run, Spec, State as TaskState, Task};
use orch_engine::Mode;
use orch_engine::handle::{Project, Request, SettledRow, View};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

type Answer<T> = Result<Json<T>, ApiError>;

/// Lists tasks as small rows: all unsettled ones, and as many settled ones as the query asks for.
pub async fn rows(State(state): State<ApiState>, Params(wanted): Params<RowsQuery>) -> Answer<RowsView> {
    let before = state.engine.snapshot().await?;
    let settled = state.engine.settled_rows(wanted.settled.unwrap_or(u64::MAX)).await?;
    let stored: u64 = state.engine.settled_counts().await?.values().sum();
    let view = state.engine.snapshot().await?;
    let left_out = stored.saturating_sub(settled.len() as u64);
    let slots = occupancy(&view);
    let settled = settled.into_iter().map(|row| {
        let SettledRow { id, status, agent, model, title, created_at } = row;
        (id, TaskRow { id, status, agent, model, title, created_at, question_kind: None, why: None })
    });
    // Between two reads a task may be put away or taken up again; what is newer counts.
    let open = before.tasks.values().chain(view.tasks.values()).map(|task| (task.id, row_of(&view, task, &slots)));
    let mut rows: BTreeMap<TaskId, TaskRow> = settled.chain(open).collect();
    for (id, worker) in state.engine.last_workers(rows.keys().copied().collect()).await? {
        if let Some(row) = rows.get_mut(&id) {
            (row.agent, row.model) = (Some(worker.agent), worker.model);
        }
    }
    Ok(Json(RowsView { rows: rows.into_values().collect(), left_out }))
}

fn row_of(view: &View, task: &Task, slots: &Occupancy<'_>) -> TaskRow {
    TaskRow {
        id: task.id,
        status: task.status(),
        agent: task.route.as_ref().map(|r| r.agent.clone()),
        model: task.route.as_ref().and_then(|r| r.model.clone()),
        title: task.spec.title.clone(),
        created_at: task.created_at,
        question_kind: task.question_kind(),
        why: short_why(view, task, slots),
    }
}

pub(super) fn short_why(view: &View, task: &Task, slots: &Occupancy<'_>) -> Option<String> {
    if let (Some(kind), Some((question, _))) = (task.question_kind(), task.question()) {
        return Some(kind.in_a_line(question));
    }
    let hold = view.plan.hold(task.id)?;
    Some(describe(hold, task, &|id| view.waited(id), slots).detail)
}

/// Returns what the messages need that planning leaves out.
pub(super) fn occupancy(view: &View) -> Occupancy<'_> {
    Occupancy::new(&view.tasks, view.projects.iter().map(|p| p.dir.clone()).collect(), &view.room, &view.batches)
}

fn task_view(
    view: &View,
    task: &Task,
    children: Vec<TaskId>,
    worker: Option<Worker>,
    slots: &Occupancy<'_>,
) -> TaskView {
    let dirs: Vec<PathBuf> = view.projects.iter().map(|p| p.dir.clone()).collect();
    let dir = directory(task, &dirs).ok();
    let project = dir.and_then(|dir| view.projects.iter().find(|p| p.dir == dir));
    let hold = view.plan.hold(task.id).map(|hold| describe(hold, task, &|id| view.waited(id), slots));
    let batch = batch_of(view, task.id);
    let workflow = &view.settings.for_task(task, &view.projects).workflow;
    let context = TaskContext {
        dir,
        project: project.map(|p| p.name.as_str()),
        base_branch: workflow.base_branch.clone(),
        integrate: Some(match workflow.integrate {
            Integrate::Branch => IntegrateMode::Branch,
            Integrate::Merge => IntegrateMode::Merge,
        }),
        hold: hold.as_ref(),
        children,
        batch,
        worked_by: worker.map(LastWorker::from),
    };
    TaskView::new(task, &context)
}

/// Returns a task with everything.
pub async fn show(State(state): State<ApiState>, Segment(id): Segment<TaskId>) -> Answer<TaskView> {
    full_view(&state, id).await.map(Json)
}

pub(super) async fn full_view(state: &ApiState, id: TaskId) -> Result<TaskView, ApiError> {
    snapshot(state, id).await.map(|(task, _)| task)
}

/// Returns a task with everything, and the time of that state.
pub(super) async fn snapshot(state: &ApiState, id: TaskId) -> Result<(TaskView, Timestamp), ApiError> {
    let view = state.engine.snapshot().await?;
    let task = task_in(&view, state, id).await?;
    let open = view.tasks.values().filter(|task| task.spec.parent == Some(id)).map(|task| task.id);
    let parts: BTreeSet<TaskId> = state.engine.settled_parts(id).await?.into_iter().chain(open).collect();
    let runs: Vec<Run> = state.engine.runs_of(id).await?;
    let runs =
        runs.iter().map(|run| RunView::new(run, state.engine.run_dir(run).join("transcript.log"), view.now)).collect();
    let parts = parts.into_iter().collect();
    let conflicts = state.engine.conflicts_of(id).await?.into_iter().map(super::events::on_the_wire).collect();
    let messages = messages::views(state.engine.messages_of(id).await?, &view, id);
    let worker = state.engine.last_workers(vec![id]).await?.remove(&id);
    let details =
        task_view(&view, &task, parts, worker, &occupancy(&view)).with_details(&task, runs, messages, conflicts);
    Ok((details, view.now))
}

/// Returns a task from memory or from the journal.
pub(super) async fn task_in(view: &View, state: &ApiState, id: TaskId) -> Result<Arc<Task>, ApiError> {
    match view.tasks.get(&id) {
        Some(task) => Ok(Arc::clone(task)),
        None => Ok(state.engine.task(id).await?),
    }
}

/// A tag or a tier must be one that there is; other names the agents' programs may know.
///
/// # Errors
/// It is none.
pub(super) fn check_model(model: Option<&str>) -> Result<(), ApiError> {
    match model.map(parse) {
        Some(Err(error)) => Err(ApiError::new(ErrorCode::Usage, error.to_string(), Some(&error.hint()))),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Adds a task.
pub async fn add(Caller(state): Caller, repeatable: Repeatable, Body(new): Body<NewTask>) -> Answer<TaskView> {
    let once = repeatable.with(&new);
    check_model(new.task.model.as_deref())?;
    let spec = Spec::from(new);
    let task = state.engine.add_once(spec.clone(), once).await?;
    let view = state.engine.snapshot().await?;
    let added = task_view(&view, &task, Vec::new(), None, &occupancy(&view));
    Ok(Json(TaskView { warnings: task_warnings(&state, spec).await, ..added }))
}

/// Runs a task now.
pub async fn run(
    Caller(state): Caller,
    Segment(id): Segment<TaskId>,
    Params(wanted): Params<RunQuery>,
    repeatable: Repeatable,
) -> Answer<TaskView> {
    let request = Request::Run { past_pause: wanted.anyway.unwrap_or(false), anew: wanted.force_new.unwrap_or(false) };
    ask(&state, id, request, (wanted.unchanged_since, repeatable)).await
}

/// Declares handlers that ask one thing of a task.
macro_rules! requests {
    ($($(#[$doc:meta])+ $name:ident $request:ident;)+) => {
        $($(#[$doc])+
        pub async fn $name(
            Caller(state): Caller,
            Segment(id): Segment<TaskId>,
            Params(seen): Params<SeenQuery>,
            repeatable: Repeatable,
        ) -> Answer<TaskView> {
            ask(&state, id, Request::$request, (seen.unchanged_since, repeatable)).await
        })+
    };
}

requests! {
    /// Starts a task from the beginning.
    retry Retry;
    /// Ends the agent's turn, and keeps the conversation.
    interrupt Interrupt;
    /// Cancels a task.
    cancel Cancel;
    /// Unblocks a task.
    unblock Unblock;
}

async fn ask(
    state: &ApiState,
    id: TaskId,
    request: Request,
    (unchanged_since, repeatable): (Option<Timestamp>, Repeatable),
) -> Answer<TaskView> {
    state.engine.ask(id, request, unchanged_since, repeatable.without_body()).await?;
    full_view(state, id).await.map(Json)
}

/// Unblocks every task that waits.
pub async fn unblock_all(Caller(state): Caller, repeatable: Repeatable) -> Answer<Vec<TaskId>> {
    Ok(Json(state.engine.unblock_all(repeatable.without_body()).await?))
}

/// Asks the router; changes nothing.
pub async fn route(State(state): State<ApiState>, Segment(id): Segment<TaskId>) -> Answer<RouteResultView> {
    Ok(Json((&state.engine.try_route(id).await?).into()))
}

/// Explains why a task does not move.
pub async fn why(State(state): State<ApiState>, Segment(id): Segment<TaskId>) -> Answer<WhyView> {
    let view = state.engine.snapshot().await?;
    let task = task_in(&view, &state, id).await?;
    let hold = view.plan.hold(id).map(|hold| describe(hold, &task, &|id| view.waited(id), &occupancy(&view)));
    let (because, next) = match fares(&view, &task).filter(|_| hold.is_none()) {
        Some(described) => described,
        None if hold.is_none() && state.process.mode == Mode::Command => {
            unattended(&task).unwrap_or_else(|| explain(&task, None, batch_of(&view, id)))
        }
        None => explain(&task, hold.as_ref(), batch_of(&view, id)),
    };
    let because = match model_of(&view, &task).filter(|_| hold.is_none()) {
        Some(model) => format!("{because}; {model}"),
        None => because,
    };
    let batch = batch_of(&view, id).map(str::to_owned);
    let question_kind = task.question_kind();
    let hold = hold.as_ref().map(HoldView::from);
    Ok(Json(WhyView { id, status: task.status(), question_kind, hold, because, next, batch }))
}

/// Returns the model of the run that is under way, with the reason.
fn model_of(view: &View, task: &Task) -> Option<String> {
    let TaskState::InProgress { run: id, .. } = &task.state else { return None };
    let run = view.live_runs.iter().find(|run| run.id == *id)?;
    Some(format!("its model is {}: {}", run.model.as_deref()?, run.model_reason.as_deref()?))
}

/// Returns the open batch that contains a task.
fn batch_of(view: &View, id: TaskId) -> Option<&str> {
    view.batches.iter().find(|batch| batch.contains(id)).map(|batch| batch.name.as_str())
}

/// Describes how long an agent has shown no activity, and what follows from that.
fn fares(view: &View, task: &Task) -> Option<(String, String)> {
    let TaskState::InProgress { run: id, .. } = &task.state else { return None };
    let run = view.live_runs.iter().find(|run| run.id == *id)?;
    let health = HealthView::from_run(run, view.now)?;
    let because = format!("run {id} is under way; {}", health.trouble()?);
    let asked = if health.asked > 0 { "orch has asked it; " } else { "" };
    let next = match view.settings.for_task(task, &view.projects).workflow.silence {
        Some(silence) => {
            let limit = format_span(SignedDuration::try_from(silence).unwrap_or_default());
            format!("{asked}it goes on by itself, or is stopped after {limit} of silence")
        }
        None => format!("{asked}it goes on by itself; `orch task interrupt {}` stops it", task.id),
    };
    Some((because, next))
}

/// Describes a task that is in progress without a daemon: its agent continues by itself, everything else waits.
fn unattended(task: &Task) -> Option<(String, String)> {
    let next = "`orch serve` goes on with it".to_owned();
    match &task.state {
        TaskState::InProgress { run, .. } => {
            Some((format!("run {run} was under way when orch left, and goes on by itself if its agent lives"), next))
        }
        TaskState::InReview { run, .. } => {
            Some((format!("the result of run {run} waits to be checked and integrated; no daemon runs"), next))
        }
        TaskState::New { .. }
        | TaskState::Routed { .. }
        | TaskState::Done
        | TaskState::Blocked(_)
        | TaskState::NeedsReview { .. }
        | TaskState::Cancelled { .. } => None,
    }
}

fn explain(task: &Task, hold: Option<&Hold>, batch: Option<&str>) -> (String, String) {
    let id = task.id;
    if let Some(hold) = hold {
        return (hold.detail.clone(), describe_end(hold, id, batch));
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
        TaskState::NeedsReview { kind, question, choices } => (kind.labelled(question), choices.join(" | ")),
        TaskState::Cancelled { reason } => (reason.clone(), format!("`orch task retry {id}` takes it up again")),
    }
}

/// Lists the repositories that are registered.
pub async fn projects(State(state): State<ApiState>) -> Answer<Vec<NewProject>> {
    let view = state.engine.snapshot().await?;
    let of = |p: Project| NewProject { dir: p.dir, name: p.name, approved: p.approved };
    Ok(Json(view.projects.into_iter().map(of).collect()))
}

/// Runs the checks of a repository on its base branch.
pub async fn try_checks(State(state): State<ApiState>, Body(wanted): Body<TryChecks>) -> Answer<Vec<CheckView>> {
    Ok(Json(state.engine.try_checks(wanted.dir).await?.iter().map(CheckView::from).collect()))
}

/// Forgets a registered repository.
pub async fn unregister(Caller(state): Caller, Body(named): Body<RemoveProject>) -> Answer<NewProject> {
    let Project { dir, name, approved } = state.engine.unregister(named.project).await?;
    Ok(Json(NewProject { dir, name, approved }))
}

/// Registers a repository.
pub async fn register(Caller(state): Caller, Body(new): Body<NewProject>) -> Answer<NewProject> {
    if !new.dir.is_absolute() {
        return Err(ApiError::new(ErrorCode::Usage, "the directory of a project must be absolute", None));
    }
    let project = Project { dir: new.dir.clone(), name: new.name.clone(), approved: new.approved.clone() };
    state.engine.register(project).await?;
    Ok(Json(new))
}
