//! The HTTP face of the engine, on a Unix socket or called in process: handlers turn requests into calls of the
//! engine's handle and answers into wire shapes. Decides nothing.

mod error;
mod events;
mod messages;
mod output;
mod stream;
mod tasks;

use crate::engine::handle::EngineHandle;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// What the handlers need.
#[derive(Clone)]
pub struct ApiState {
    /// The engine.
    pub engine: EngineHandle,
    /// What the process is, for `/v1/status`.
    pub process: Arc<ProcessInfo>,
}

/// What a status answer says of the process.
#[derive(Debug, Clone)]
pub struct ProcessInfo {
    /// Version.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// The engine's mode.
    pub mode: String,
}

/// All routes.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/status", get(tasks::status))
        .route("/v1/tasks", get(tasks::list).post(tasks::add))
        .route("/v1/rows", get(tasks::rows))
        .route("/v1/unblock", post(tasks::unblock_all))
        .route("/v1/tasks/{id}", get(tasks::show))
        .route("/v1/tasks/{id}/why", get(tasks::why))
        .route("/v1/tasks/{id}/route", post(tasks::route))
        .route("/v1/tasks/{id}/send", post(messages::send))
        .route("/v1/tasks/{id}/messages", get(messages::list))
        .route("/v1/tasks/{id}/output", get(output::follow))
        .route("/v1/tasks/{id}/stream", get(stream::follow))
        .route("/v1/stream", get(stream::follow_all))
        .route("/v1/tasks/{id}/{verb}", post(tasks::ask))
        .route("/v1/projects", get(tasks::projects).post(tasks::register))
        .route("/v1/events", get(events::follow))
        .fallback(error::no_route)
        .with_state(state)
}
