//! Taking over what the files of the settings say.

use super::ApiState;
use super::error::ApiError;
use crate::api::settings::ReloadView;
use axum::Json;
use axum::extract::State;

/// Takes them over now, and not when they were left alone for a moment.
pub async fn reload(State(state): State<ApiState>) -> Result<Json<ReloadView>, ApiError> {
    Ok(Json(ReloadView { problems: state.engine.reload().await? }))
}
