//! Engine errors as HTTP answers: problem details (RFC 9457) with a fitting status.

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use orch_api::endpoint::{self, Endpoint};
use orch_api::error::{ErrorCode, ErrorView};
use orch_api::problem::{MEDIA_TYPE, Problem};
use orch_core::models::resolve::{ResolveError, Trouble};
use orch_engine::handle::EngineError;

/// An answer that is an error.
#[derive(Debug)]
pub struct ApiError {
    view: ErrorView,
    status: StatusCode,
}

impl ApiError {
    /// Creates an error with a hint of what to do.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: Option<&str>) -> Self {
        let status = match code {
            ErrorCode::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Usage => StatusCode::BAD_REQUEST,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::NoDaemon | ErrorCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            ErrorCode::Denied => StatusCode::FORBIDDEN,
        };
        Self { view: ErrorView { code, message: message.into(), hint: hint.map(str::to_owned) }, status }
    }

    /// The same with a status that says more than the word does.
    #[must_use]
    pub fn with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::NoTask(_) => Self::new(ErrorCode::NotFound, message, Some("`orch task list` shows all tasks")),
            EngineError::NoBreaker(_) => {
                Self::new(ErrorCode::NotFound, message, Some("`orch breaker list` shows all that have seen failures"))
            }
            EngineError::Refused { .. } => Self::new(ErrorCode::Conflict, message, None),
            EngineError::Clash { task, .. } => {
                let hint = format!("look at `orch task show {task}`, then change it again");
                Self::new(ErrorCode::Conflict, message, Some(&hint))
            }
            EngineError::Invalid { hint, .. } => Self::new(ErrorCode::Usage, message, hint.as_deref()),
            EngineError::Journal(_) => {
                let hint = "is the disk full, or the home directory not writable?";
                Self::new(ErrorCode::Failed, message, Some(hint))
            }
            EngineError::NotYetStored(_) => {
                let hint = "orch keeps trying: make room, then look with `orch list` before you ask again";
                Self::new(ErrorCode::Failed, message, Some(hint))
            }
            EngineError::InTheWay { hint, .. } => Self::new(ErrorCode::Conflict, message, Some(&hint)),
            EngineError::NotThere { hint, .. } => Self::new(ErrorCode::NotFound, message, Some(&hint)),
            EngineError::NotNow { hint, .. } => Self::new(ErrorCode::Conflict, message, Some(&hint)),
            EngineError::Paused { task, .. } => {
                let hint = format!("or start it all the same: orch task run {task} --anyway");
                Self::new(ErrorCode::Conflict, message, Some(&hint))
            }
            EngineError::Claimed { task, .. } => {
                let hint = format!("take it all the same: orch task claim {task} --force");
                Self::new(ErrorCode::Conflict, message, Some(&hint))
            }
            EngineError::Stopping => Self::new(ErrorCode::ShuttingDown, message, Some("try again")),
        }
    }
}

impl From<ResolveError> for ApiError {
    fn from(error: ResolveError) -> Self {
        let code = match error.trouble() {
            Trouble::Usage => ErrorCode::Usage,
            Trouble::NotFound => ErrorCode::NotFound,
            Trouble::Refused => ErrorCode::Conflict,
        };
        Self::new(code, error.to_string(), Some(&error.hint()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.view, self.status.as_u16());
        (self.status, [(CONTENT_TYPE, MEDIA_TYPE)], Json(problem)).into_response()
    }
}

/// A path that leads nowhere: usually a client of another version.
pub async fn no_route(uri: Uri) -> ApiError {
    let hint = "is the running daemon of another version? `orch version` and `orch status` tell";
    ApiError::new(ErrorCode::NotFound, format!("there is no {}", uri.path()), Some(hint))
}

/// Answers a request whose path does not have that method.
pub async fn no_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    let hint = format!("GET {} tells every request", endpoint::OpenApi::DESCRIPTION.path);
    ApiError::new(ErrorCode::Usage, message, Some(&hint)).with(StatusCode::METHOD_NOT_ALLOWED)
}
