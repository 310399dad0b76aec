//! The header `Idempotency-Key`: a request that comes twice with the same key is carried out once.

use super::error::ApiError;
use crate::api::error::ErrorCode;
use crate::domain::once::{LONGEST_KEY, Once, is_key};
use crate::engine::content_id;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;

/// The header.
pub const HEADER: &str = "idempotency-key";

/// The key of a request, where its sender gave it one.
pub struct Repeatable(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Repeatable {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        match value.to_str().ok().filter(|key| is_key(key)) {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => {
                let message = format!("an Idempotency-Key is 1 to {LONGEST_KEY} visible ASCII characters");
                Err(ApiError::new(ErrorCode::Usage, message, Some("take a random UUID")))
            }
        }
    }
}

/// The request as the engine knows it: what it asks for is its path and its body.
pub fn once(key: Option<String>, path: &str, body: &impl Serialize) -> Option<Once> {
    // Shapes of the wire are plain data, which always has a text.
    let body = serde_json::to_vec(body).unwrap_or_default();
    key.map(|key| Once { key, digest: content_id(&[path.as_bytes(), b"\n", &body].concat()) })
}
