//! The one place where state changes. One loop orders everything; what must be done outside follows from the stored
//! state, so that an engine that wakes up after a crash does the same as one that never slept.
//!
//! From below: what knows no engine (`settings`, `deps`, `state`, `files`, `verify`, `catalog`, `launch`, `integrate`, `upkeep`, with
//! `job` as what the loop orders and gets back); the struct and its parts, each with its own state (`engine`); what extends it
//! (`models`, `planning`, `runs`, `tasks_file`, `recurring`, `service`, `tasks`); who dispatches (`apply`: jobs, `reports`, `main_loop`:
//! inputs, `handle`: requests). Beside it: `search`, `rebuild`, `backup`, `checkup`.

mod apply;
mod backup;
mod catalog;
mod checkup;
mod deps;
mod engine;
mod error;
#[cfg(test)]
mod file_tests;
mod files;
pub mod handle;
mod integrate;
mod job;
mod launch;
mod main_loop;
mod models;
mod planning;
mod rebuild;
mod recurring;
mod reports;
mod runs;
mod search;
mod service;
mod settings;
#[cfg(test)]
mod simulation;
mod state;
mod tasks;
mod tasks_file;
#[cfg(test)]
mod trouble_tests;
mod upkeep;
mod verify;

pub use backup::{
    BackupError, BackupWish, Manifest, Missing, RestoreError, RestoreWish, Restored, backup, interrupted_restore,
    restore,
};
pub use catalog::credentials::login_of;
pub use catalog::model_book::ModelBook;
pub use catalog::overhead::overhead;
pub use catalog::reach::reach;
pub use catalog::strategies::direct_model;
pub use checkup::{Finding, Patient, Verdict, WHO_COMMITS, Wish as MendWish, check_up};
pub use deps::Deps;
pub use deps::damage::{Asked, Damage};
pub use deps::ledger::Ledger;
pub use deps::obstacle::Obstacles;
pub use deps::repositories::Discovering;
pub use engine::Engine;
pub use engine::metrics::{BOUNDS, Figures, Histogram};
pub use engine::mode::Mode;
pub use engine::signals::{EngineExit, Signals};
pub use engine::timetable::timer_of;
pub use launch::prompt_inputs::{OwnTemplate, own_templates};
pub use launch::session::SESSION_FILE;
pub use models::current_models::CurrentModels;
pub use models::expected::Expected;
pub use models::provider_checks::{CheckResult, ProviderCheck};
pub use models::set_models::ModelOrder;
pub use orch_core::operations::job::due::Timer;
pub use orch_sys::worktree::Leftover;
pub use rebuild::{
    RebuildError, believe, interrupted as interrupted_rebuild, last_damage, rebuild, set_journal_aside, suspect,
};
pub use search::{Found, Trouble, Wanted, search};
pub use settings::{Settings, Sources, content_id, identity_of, installed, project_file};
pub use upkeep::gc::{Collected, Item, Outcome as Cleaned};

use handle::EngineHandle;
use orch_store::journal::Loaded;
use std::sync::Arc;

/// Puts an engine together. Nothing happens before [`Engine::run`].
pub fn start(deps: Arc<Deps>, loaded: Loaded, mode: Mode, signals: Signals) -> (Engine, EngineHandle) {
    let settings = deps.sources.load(&loaded.projects, None);
    let archive = Arc::new(deps.journal.clone());
    Engine::new(deps, loaded, archive, settings, mode, signals)
}
