//! Taking over what the files of the settings say.

use super::caller::Caller;
use super::error::ApiError;
use axum::Json;
use orch_api::settings::ReloadView;

/// Takes them over now, and not when they were left alone for a moment.
pub async fn reload(Caller(state): Caller) -> Result<Json<ReloadView>, ApiError> {
    Ok(Json(ReloadView { problems: state.engine.reload().await? }))
}
