//! Lists circuit breakers with their states, and closes them by hand.

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::read::Body;
use axum::Json;
use axum::extract::State;
use orch_api::breakers::{BreakerView, ResetBreakers};

/// Lists the breakers that have counted failures.
pub async fn list(State(state): State<ApiState>) -> Result<Json<Vec<BreakerView>>, ApiError> {
    let view = state.engine.snapshot().await?;
    Ok(Json(view.breakers.iter().map(BreakerView::from).collect()))
}

/// Closes one breaker, or all.
pub async fn reset(Caller(state): Caller, Body(which): Body<ResetBreakers>) -> Result<Json<Vec<String>>, ApiError> {
    Ok(Json(state.engine.reset_breakers(which.name).await?))
}
