//! Changing what is wanted of a task, and deciding about tasks that `tasks.yml` has lost.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::read::{Body, Segments};
use super::task_warnings::task_warnings;
use super::tasks::{check_model, full_view, task_id, task_in};
use axum::Json;
use axum::extract::State;
use orch_api::edits::{DecideMissing, EditTask, MissingVerdict, TaskFields};
use orch_api::types::{TaskContext, TaskView};
use orch_core::tasks::spec_merge::Field;
use orch_core::tasks::task::Spec;
use orch_engine::handle::Verdict;

/// What is wanted of a task: every field, as `tasks.yml` has it.
pub async fn wish(State(state): State<ApiState>, Segments(id): Segments<String>) -> Result<Json<TaskFields>, ApiError> {
    let id = task_id(&id)?;
    let view = state.engine.snapshot().await?;
    let task = task_in(&view, &state, id).await?;
    Ok(Json(TaskFields::from_spec(&task.spec, &Field::ALL)))
}

/// Changes some fields.
pub async fn edit(
    Caller(state): Caller,
    Segments(id): Segments<String>,
    Body(edit): Body<EditTask>,
) -> Result<Json<TaskView>, ApiError> {
    let id = task_id(&id)?;
    check_model(edit.set.model.as_ref().and_then(Option::as_deref))?;
    let (model, agent) = (edit.set.model.clone().flatten(), edit.set.agent.clone().flatten());
    let asked = Spec { model, agent, labels: edit.add_labels.clone(), ..Spec::default() };
    state.engine.edit(id, edit.into()).await?;
    let changed = full_view(&state, id).await?;
    Ok(Json(TaskView { warnings: task_warnings(&state, asked).await, ..changed }))
}

/// Lists, restores or gives up what the file lacks.
pub async fn missing(Caller(state): Caller, Body(asked): Body<DecideMissing>) -> Result<Json<Vec<TaskView>>, ApiError> {
    let verdict = match asked.what {
        MissingVerdict::List => Verdict::List,
        MissingVerdict::Restore => Verdict::Restore,
        MissingVerdict::Cancel => Verdict::Cancel,
    };
    let tasks = state.engine.missing(verdict).await?;
    Ok(Json(tasks.iter().map(|task| TaskView::new(task, &TaskContext::default())).collect()))
}
