//! Reloads the settings from their files.

use super::caller::Caller;
use super::error::ApiError;
use axum::Json;
use orch_api::settings::ReloadView;

/// Reloads them now, without the usual pause after a change.
pub async fn reload(Caller(state): Caller) -> Result<Json<ReloadView>, ApiError> {
    Ok(Json(ReloadView { problems: state.engine.reload().await? }))
}
