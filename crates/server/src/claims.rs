//! Claiming a task, and letting go of it.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::read::{Body, Segments};
use super::tasks::{full_view, task_id};
use axum::Json;
use orch_api::claims::NewClaim;
use orch_api::types::TaskView;
use orch_engine::handle::Claiming;

/// Claims a task.
pub async fn claim(
    Caller(state): Caller,
    Segments(id): Segments<String>,
    Body(new): Body<NewClaim>,
) -> Result<Json<TaskView>, ApiError> {
    change(&state, &id, new, false).await
}

/// Lets go of it.
pub async fn unclaim(
    Caller(state): Caller,
    Segments(id): Segments<String>,
    Body(new): Body<NewClaim>,
) -> Result<Json<TaskView>, ApiError> {
    change(&state, &id, new, true).await
}

async fn change(state: &ApiState, id: &str, new: NewClaim, lets_go: bool) -> Result<Json<TaskView>, ApiError> {
    let id = task_id(id)?;
    state.engine.claim(id, Claiming { by: new.by, lets_go, force: new.force }).await?;
    full_view(state, id).await.map(Json)
}
