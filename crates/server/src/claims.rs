//! Claims tasks, and gives claims up.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::read::{Body, Segment};
use super::tasks::full_view;
use axum::Json;
use orch_api::claims::NewClaim;
use orch_api::types::TaskView;
use orch_core::base::ids::TaskId;
use orch_engine::handle::Claiming;

/// Claims a task.
pub async fn claim(
    Caller(state): Caller,
    Segment(id): Segment<TaskId>,
    Body(new): Body<NewClaim>,
) -> Result<Json<TaskView>, ApiError> {
    change(&state, id, new, false).await
}

/// Gives up the claim of a task.
pub async fn unclaim(
    Caller(state): Caller,
    Segment(id): Segment<TaskId>,
    Body(new): Body<NewClaim>,
) -> Result<Json<TaskView>, ApiError> {
    change(&state, id, new, true).await
}

async fn change(state: &ApiState, id: TaskId, new: NewClaim, lets_go: bool) -> Result<Json<TaskView>, ApiError> {
    state.engine.claim(id, Claiming { by: new.by, lets_go, force: new.force }).await?;
    full_view(state, id).await.map(Json)
}
