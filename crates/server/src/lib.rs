//! The HTTP face of the engine, on a Unix socket, over TCP or called in process: handlers turn requests into calls of
//! the engine's handle and answers into wire shapes. Decides nothing.

mod batches;
mod breakers;
mod budget;
mod caller;
mod channel_registry;
mod channels;
mod claims;
mod cost;
mod dashboard;
mod edits;
mod error;
mod events;
mod gate;
mod gc;
mod health;
mod jobs;
mod listening;
mod messages;
mod metrics;
mod models;
mod once;
mod openapi;
mod output;
mod patterns;
mod read;
mod recorded;
mod route;
mod routes;
mod rulings;
mod set_models;
mod settings;
mod sse;
mod status;
mod stream;
mod switches;
mod task_warnings;
mod tasks;

pub use channel_registry::{Asked, ChannelRegistry};
pub use gate::Gate;
pub use listening::Listening;
pub use openapi::build as openapi_document;
pub use routes::{operations, router};
pub use sse::Readers;

use jiff::Timestamp;
use orch_engine::handle::EngineHandle;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the handlers need.
#[derive(Clone)]
pub struct ApiState {
    /// The engine that the handlers ask.
    pub engine: EngineHandle,
    /// What the process is, for `/v1/status`.
    pub process: Arc<ProcessInfo>,
    /// Who keeps the channels.
    pub registry: ChannelRegistry,
    /// The readers of feeds.
    pub readers: Readers,
    /// The engine is let go of: feeds end, for each of them holds it.
    pub parting: CancellationToken,
}

/// Who asks, as far as the connection shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// This process, or a client that has the token.
    Own,
    /// Another process of this machine.
    Process(u32),
    /// A process that the system does not name.
    Unknown,
}

/// Returns the run that the caller belongs to, or why that is unknown.
pub type RunOf = fn(Peer) -> Result<Option<String>, String>;

/// What a status answer says of the process.
#[derive(Debug, Clone)]
pub struct ProcessInfo {
    /// The version of this program.
    pub version: String,
    /// The process id of the daemon.
    pub pid: u32,
    /// What its engine was started for.
    pub mode: orch_engine::Mode,
    /// What its environment and command line say of the settings: see [`orch_config::environment::overrides`].
    pub overrides: BTreeMap<String, String>,
    /// When it was started.
    pub started: Timestamp,
    /// Where it listens beside its socket.
    pub listening: Arc<Listening>,
    /// Its memory that is in use, in bytes.
    pub memory: fn() -> Option<u64>,
    /// Distinguishes agents from people.
    pub run_of: RunOf,
    /// Whether orch's own state was removed under an engine before, as long as it is not acknowledged.
    pub displaced: Option<String>,
}
