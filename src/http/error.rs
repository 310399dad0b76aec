//! Engine errors as HTTP answers: `{"error": {"code", "message", "hint"}}` with a fitting status.

use crate::api::types::{ErrorBody, ErrorCode, ErrorView};
use crate::engine::handle::EngineError;
use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// An answer that is an error.
#[derive(Debug)]
pub struct ApiError(ErrorView);

impl ApiError {
    /// With a hint of what to do.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: Option<&str>) -> Self {
        Self(ErrorView { code, message: message.into(), hint: hint.map(str::to_owned) })
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::NoTask(_) => Self::new(ErrorCode::NotFound, message, Some("`orch task list` shows all tasks")),
            EngineError::Refused { .. } => Self::new(ErrorCode::Conflict, message, None),
            EngineError::Invalid { hint, .. } => Self::new(ErrorCode::Usage, message, hint.as_deref()),
            EngineError::Journal(_) => {
                let hint = "is the disk full, or the home directory not writable?";
                Self::new(ErrorCode::Failed, message, Some(hint))
            }
            EngineError::NotYetStored(_) => {
                let hint = "orch keeps trying: make room, then look with `orch list` before you ask again";
                Self::new(ErrorCode::Failed, message, Some(hint))
            }
            EngineError::Stopping => Self::new(ErrorCode::Failed, message, Some("try again")),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            ErrorCode::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Usage => StatusCode::BAD_REQUEST,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::NoDaemon => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        };
        (status, Json(ErrorBody { error: self.0 })).into_response()
    }
}

/// A path that leads nowhere: usually a client of another version.
pub async fn no_route(uri: Uri) -> ApiError {
    let hint = "is the running daemon of another version? `orch version` and `orch status` tell";
    ApiError::new(ErrorCode::NotFound, format!("there is no {}", uri.path()), Some(hint))
}
