//! What a request says, read with errors in the API's own shape, and only as the table of endpoints declares it.

use super::ApiState;
use super::caller::{Caller, Person};
use super::error::ApiError;
use super::once::Repeatable;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use orch_api::endpoint::Endpoint;
use orch_api::error::ErrorCode;
use orch_core::base::ids::TaskId;
use orch_core::operations::job::JobId;
use orch_core::planning::batch::BatchName;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;

/// The body, as JSON.
pub struct Body<T>(pub T);

/// The query.
pub struct Params<T>(pub T);

/// The parameter of the path.
pub struct Segment<T>(pub T);

/// A value that a path may have.
pub trait InPath: FromStr<Err: Display> {
    /// What shows the values that there are.
    const HINT: Option<&'static str> = None;

    /// Reads the value.
    fn read(text: &str) -> Result<Self, ApiError> {
        text.parse().map_err(|error: Self::Err| ApiError::new(ErrorCode::Usage, error.to_string(), Self::HINT))
    }
}

impl InPath for TaskId {}

impl InPath for JobId {
    const HINT: Option<&'static str> = Some("`orch job list` shows all jobs");
}

impl InPath for BatchName {
    const HINT: Option<&'static str> = Some("`orch batch list` shows all batches");
}

impl InPath for u64 {
    fn read(text: &str) -> Result<Self, ApiError> {
        text.parse().map_err(|_| ApiError::new(ErrorCode::Usage, format!("{text:?} is not a number"), None))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = axum::Json::<T>::from_request(request, state).await;
        read.map(|axum::Json(body)| Self(body)).map_err(|error: JsonRejection| wrong(error.status(), error.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(query)| Self(query)).map_err(|error: QueryRejection| wrong(error.status(), error.body_text()))
    }
}

impl<S: Send + Sync, T: InPath> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = text.map_err(|error: PathRejection| wrong(error.status(), error.body_text()))?;
        T::read(&text).map(Self)
    }
}

/// The arguments of a handler, which is to serve `E`: they read no other query and no other body than the table declares.
/// Implemented for the tuples that axum makes of a handler's arguments.
pub trait Reads<E: Endpoint> {}

/// One argument of such a handler.
pub trait Argument<E: Endpoint> {}

impl<E: Endpoint> Argument<E> for State<ApiState> {}
impl<E: Endpoint> Argument<E> for Caller {}
impl<E: Endpoint> Argument<E> for Person {}
impl<E: Endpoint> Argument<E> for Repeatable {}
impl<E: Endpoint> Argument<E> for HeaderMap {}
impl<E: Endpoint, T> Argument<E> for Segment<T> {}
impl<E: Endpoint> Argument<E> for Params<E::Query> {}
impl<E: Endpoint> Argument<E> for Body<E::Body> {}

macro_rules! reads {
    ($($argument:ident)*) => {
        impl<E: Endpoint, M, $($argument: Argument<E>),*> Reads<E> for (M, $($argument,)*) {}
    };
}

reads!();
reads!(A);
reads!(A B);
reads!(A B C);
reads!(A B C D);

fn wrong(status: StatusCode, message: String) -> ApiError {
    ApiError::new(ErrorCode::Usage, message, None).with(status)
}
