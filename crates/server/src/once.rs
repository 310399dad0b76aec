//! The header `Idempotency-Key`: a request that comes twice with the same key is carried out once.

use super::error::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use orch_api::client::KEY_HEADER;
use orch_api::error::ErrorCode;
use orch_core::base::once::{LONGEST_KEY, Once, is_key};
use orch_engine::content_id;
use serde::Serialize;

/// A request that may come twice: its path, and its key where its sender gave it one.
pub struct Repeatable {
    key: Option<String>,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Repeatable {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let path = parts.uri.to_string();
        let Some(value) = parts.headers.get(KEY_HEADER) else { return Ok(Self { key: None, path }) };
        match value.to_str().ok().filter(|key| is_key(key)) {
            Some(key) => Ok(Self { key: Some(key.to_owned()), path }),
            None => {
                let message = format!("an Idempotency-Key is 1 to {LONGEST_KEY} visible ASCII characters");
                Err(ApiError::new(ErrorCode::Usage, message, Some("take a random UUID")))
            }
        }
    }
}

impl Repeatable {
    /// The request as the engine knows it: what it asks for is its path and its body.
    pub fn with(self, body: &impl Serialize) -> Option<Once> {
        // Shapes of the wire are plain data, which always has a text.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let digest = content_id(&[self.path.as_bytes(), b"\n", &body].concat());
        self.key.map(|key| Once { key, digest })
    }

    /// The request, which has no body.
    pub fn without_body(self) -> Option<Once> {
        self.with(&())
    }
}
