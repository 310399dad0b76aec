//! The engine: what it is made of. Each part owns its state and changes it itself; the rooms above extend the engine, and the
//! main loop drives it.

mod assembly;
pub(crate) mod command;
pub(crate) mod engine_handle;
pub(crate) mod file_sync;
pub(crate) mod in_flight;
pub(crate) mod inputs;
pub(crate) mod lifetime;
pub(crate) mod manifest;
pub(crate) mod metrics;
pub(crate) mod mode;
pub(crate) mod models;
pub(crate) mod money;
pub(crate) mod planner;
pub(crate) mod registered;
pub(crate) mod signals;
pub(crate) mod storage;
pub(crate) mod timetable;
pub(crate) mod watch;

use crate::deps::Deps;
use crate::engine::file_sync::FileSync;
use crate::engine::in_flight::JobsInFlight;
use crate::engine::inputs::Inputs;
use crate::engine::lifetime::Lifetime;
use crate::engine::models::Models;
use crate::engine::planner::Planner;
use crate::engine::storage::Storage;
use crate::engine::timetable::Timetable;
use crate::engine::watch::RunWatch;
use crate::settings::Settings;
use crate::state::EngineState;
use std::sync::Arc;

/// The engine. Made by [`crate::start`], run to its end by [`Engine::run`].
pub struct Engine {
    pub(crate) deps: Arc<Deps>,
    pub(crate) state: EngineState,
    pub(crate) settings: Arc<Settings>,
    /// The state of `tasks.yml`.
    pub(crate) file: FileSync,
    /// Jobs that are under way, or begin when the turn is over.
    pub(crate) jobs: JobsInFlight,
    pub(crate) inputs: Inputs,
    pub(crate) lifetime: Lifetime,
    pub(crate) storage: Storage,
    pub(crate) planner: Planner,
    pub(crate) models: Models,
    /// The runs that are watched.
    pub(crate) watch: RunWatch,
    /// When recurring jobs fire.
    pub(crate) timetable: Timetable,
}
