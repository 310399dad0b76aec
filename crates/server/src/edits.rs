//! Changes the wishes for a task, and decides about open tasks that `tasks.yml` has lost.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::read::{Body, Segment};
use super::task_warnings::task_warnings;
use super::tasks::{check_model, full_view, task_in};
use axum::Json;
use axum::extract::State;
use orch_api::edits::{DecideMissing, EditTask, MissingVerdict, TaskFields};
use orch_api::types::{TaskContext, TaskView};
use orch_core::base::ids::TaskId;
use orch_core::tasks::spec_merge::Field;
use orch_core::tasks::task::Spec;
use orch_engine::handle::Verdict;

/// Returns every field of a task, as `tasks.yml` has it.
pub async fn wish(State(state): State<ApiState>, Segment(id): Segment<TaskId>) -> Result<Json<TaskFields>, ApiError> {
    let view = state.engine.snapshot().await?;
    let task = task_in(&view, &state, id).await?;
    Ok(Json(TaskFields::from_spec(&task.spec, &Field::ALL)))
}

/// Changes some fields of a task.
pub async fn edit(
    Caller(state): Caller,
    Segment(id): Segment<TaskId>,
    Body(edit): Body<EditTask>,
) -> Result<Json<TaskView>, ApiError> {
    check_model(edit.set.model.as_ref().and_then(Option::as_deref))?;
    let (model, agent) = (edit.set.model.clone().flatten(), edit.set.agent.clone().flatten());
    let asked = Spec { model, agent, labels: edit.add_labels.clone(), ..Spec::default() };
    state.engine.edit(id, edit.into()).await?;
    let changed = full_view(&state, id).await?;
    Ok(Json(TaskView { warnings: task_warnings(&state, asked).await, ..changed }))
}

/// Lists, restores or cancels the open tasks that the file lacks.
pub async fn missing(Caller(state): Caller, Body(asked): Body<DecideMissing>) -> Result<Json<Vec<TaskView>>, ApiError> {
    let verdict = match asked.what {
        MissingVerdict::List => Verdict::List,
        MissingVerdict::Restore => Verdict::Restore,
        MissingVerdict::Cancel => Verdict::Cancel,
    };
    let tasks = state.engine.missing(verdict).await?;
    Ok(Json(tasks.iter().map(|task| TaskView::new(task, &TaskContext::default())).collect()))
}
