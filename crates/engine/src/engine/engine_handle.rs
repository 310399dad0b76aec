//! A handle to the engine: a command in, its answer out. Each question is defined beside its answer.

use crate::catalog::known_models::Observed;
use crate::engine::command::Command;
use crate::engine::metrics::Metrics;
use crate::state::alarm::Alarm;
use orch_core::audit::actor::Actor;
pub use orch_store::journal::Entry;
use orch_store::journal::Journal;
use orch_stream::Hub;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};

/// A handle to the engine. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) feed: broadcast::Sender<Entry>,
    pub(crate) journal: Journal,
    pub(crate) runs_dir: PathBuf,
    pub(crate) commands_dir: PathBuf,
    pub(crate) hub: Hub,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) alarm: Alarm,
    pub(crate) observed: Arc<Observed>,
    pub(crate) actor: Actor,
}
