//! Answers whether the engine is alive: its loop answers, not merely the server.

use super::ApiState;
use super::error::ApiError;
use axum::extract::State;
use axum::http::StatusCode;
use orch_api::error::ErrorCode;
use orch_engine::handle::View;
use std::time::Duration;

/// The longest time that the loop may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers `ok` when the loop does.
pub async fn healthz(State(state): State<ApiState>) -> Result<&'static str, ApiError> {
    match tokio::time::timeout(PATIENCE, state.engine.snapshot()).await {
        Ok(Ok(View { leaving: Some(departure), .. })) => {
            let message = format!("orch is shutting down: {} ({})", departure.how.describe(), departure.why);
            Err(ApiError::new(ErrorCode::ShuttingDown, message, None))
        }
        Ok(Ok(_)) => Ok("ok\n"),
        Ok(Err(error)) => Err(ApiError::from(error).with(StatusCode::SERVICE_UNAVAILABLE)),
        Err(_) => {
            let message = format!("the engine's loop has not answered for {} s", PATIENCE.as_secs());
            Err(ApiError::new(ErrorCode::TimedOut, message, None).with(StatusCode::SERVICE_UNAVAILABLE))
        }
    }
}
