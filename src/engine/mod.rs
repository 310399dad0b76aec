//! The one place where state changes. One loop orders everything; what must be done outside follows from the stored
//! state, so that an engine that wakes up after a crash does the same as one that never slept.

mod agent_env;
mod apply;
mod begin;
mod commands;
mod doors;
mod file_job;
mod file_sync;
pub mod handle;
mod history;
mod integrate;
mod launch;
mod ledger;
mod main_loop;
mod material;
mod merge_file;
mod messages;
mod metrics;
mod mode;
mod question;
mod reports;
mod search;
mod session;
mod settings;
mod sidecar;
mod storing;
mod upkeep;
mod verify;
mod world;

pub use doors::Doors;
pub use ledger::Ledger;
pub use main_loop::{Engine, Farewell, Signals};
pub use metrics::{BOUNDS, Figures, Histogram};
pub use mode::Mode;
pub use search::{Found, Trouble, Wanted, search};
pub use session::SESSION_FILE;
pub use settings::{Settings, Sources, content_id, project_file};

use crate::store::journal::Loaded;
use handle::EngineHandle;
use std::sync::Arc;

/// Puts an engine together. Nothing happens before [`Engine::run`].
pub fn start(doors: Arc<Doors>, loaded: Loaded, mode: Mode, signals: Signals) -> (Engine, EngineHandle) {
    let settings = doors.sources.load(&loaded.projects, None);
    Engine::new(doors, loaded, settings, mode, signals)
}
