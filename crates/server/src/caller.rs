//! Who asks for a change: a person, a run, or an unknown caller.

use super::error::ApiError;
use super::{ApiState, Peer};
use axum::extract::FromRequestParts;
use axum::extract::connect_info::ConnectInfo;
use axum::http::request::Parts;
use orch_api::error::ErrorCode;
use orch_api::rulings::OnBehalf;
use orch_core::audit::actor::Actor;

/// The state for a request that changes something: its engine knows who asks, and the history records it.
pub struct Caller(pub ApiState);

/// The same, for what only a person may ask: neither an agent nor anything that one has started.
pub struct Person(pub ApiState);

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let actor = match run_of(parts, state).await? {
            Ok(None) => person(parts),
            Ok(Some(run)) => Actor::Run(run),
            Err(_) => Actor::Unknown,
        };
        Ok(Self(acting_for(state, actor)))
    }
}

impl FromRequestParts<ApiState> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let path = parts.uri.path();
        match run_of(parts, state).await? {
            Ok(None) => Ok(Self(acting_for(state, person(parts)))),
            Ok(Some(run)) => {
                tracing::warn!(path, run, "an agent asks for what only a person may ask for");
                let message = format!("only a person decides about the work of a task, and this comes from run {run}");
                Err(ApiError::new(ErrorCode::Denied, message, Some("ask the person to do it")))
            }
            Err(unknown) => {
                tracing::warn!(path, unknown, "the caller of a request that only a person may make is unknown");
                let message = format!("only a person decides about the work of a task, and {unknown}");
                Err(ApiError::new(ErrorCode::Denied, message, Some("ask again from a terminal")))
            }
        }
    }
}

fn acting_for(state: &ApiState, actor: Actor) -> ApiState {
    ApiState { engine: state.engine.acting_for(actor), ..state.clone() }
}

fn person(parts: &Parts) -> Actor {
    Actor::Person { through: parts.extensions.get::<OnBehalf>().map(|OnBehalf(by)| by.clone()) }
}

/// Returns the run that the caller belongs to, or why that is unknown.
async fn run_of(parts: &Parts, state: &ApiState) -> Result<Result<Option<String>, String>, ApiError> {
    // Without a socket it is this very process; over TCP a client that has the token.
    let peer = parts.extensions.get::<ConnectInfo<Peer>>().map_or(Peer::Own, |ConnectInfo(peer)| *peer);
    let run_of = state.process.run_of;
    let looked = tokio::task::spawn_blocking(move || run_of(peer)).await;
    looked.map_err(|error| ApiError::new(ErrorCode::Failed, error.to_string(), Some("try again")))
}
