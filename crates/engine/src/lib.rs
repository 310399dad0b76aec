//! The one place where state changes. One loop orders everything; what must be done outside follows from the stored
//! state, so that an engine that wakes up after a crash does the same as one that never slept.

mod agent_env;
mod alarm;
mod apply;
mod archive;
mod backup;
mod batches;
mod begin;
mod breakers;
mod budgets;
mod capacity;
mod checkup;
mod claims;
mod command;
mod commands;
mod credentials;
mod cycles;
mod delegate;
mod deps;
mod difference;
mod edit;
mod ending;
mod error;
mod estimates;
mod expected;
mod file_job;
mod file_sync;
#[cfg(test)]
mod file_tests;
mod frozen;
mod gc;
pub mod handle;
mod health;
mod hidden;
mod history;
mod integrate;
mod integration_job;
mod key_value;
mod launch;
mod leases;
mod ledger;
mod lifetime;
mod made_catalogs;
mod main_loop;
mod merge_file;
mod messages;
mod metrics;
mod missing_tasks;
mod mode;
mod model_book;
mod model_warnings;
mod new_branch;
mod obstacle;
mod once;
mod overhead;
mod overlap;
mod policies;
mod prompt_context;
mod prompt_inputs;
mod provider_health;
mod question;
mod rebuild;
mod record;
mod recovery;
mod recurring;
mod registered;
mod reply;
mod report;
mod reports;
mod repositories;
mod revert;
mod review_decision;
mod review_run;
mod routing;
mod run_limits;
mod search;
mod session;
mod set_models;
mod settings;
mod settling;
mod sidecar;
mod signals;
#[cfg(test)]
mod simulation;
mod start_recovery;
mod starting_point;
mod state;
mod storing;
mod strategies;
mod switches;
#[cfg(test)]
mod trouble_tests;
mod tryout;
mod upkeep;
mod verify;
mod workspace;

pub use backup::{
    BackupError, BackupWish, Manifest, Missing, RestoreError, RestoreWish, Restored, backup, interrupted_restore,
    restore,
};
pub use checkup::{Finding, Patient, Verdict, WHO_COMMITS, Wish as MendWish, check_up};
pub use credentials::{LOGIN_OF_CLI, address_place, key_of, list_request, login_of};
pub use deps::Deps;
pub use expected::Expected;
pub use gc::{Collected, Item, Outcome as Cleaned};
pub use ledger::Ledger;
pub use main_loop::Engine;
pub use metrics::{BOUNDS, Figures, Histogram};
pub use mode::Mode;
pub use model_book::{ModelBook, samples_beside};
pub use obstacle::Obstacles;
pub use orch_core::job::due::Timer;
pub use orch_sys::worktree::Leftover;
pub use overhead::overhead;
pub use prompt_inputs::{OwnTemplate, own_templates};
pub use rebuild::{
    Asked, RebuildError, Report as Damage, believe, interrupted as interrupted_rebuild, last_damage, rebuild,
    set_journal_aside, suspect,
};
pub use recurring::timer_of;
pub use repositories::Discovering;
pub use search::{Found, Trouble, Wanted, search};
pub use session::SESSION_FILE;
pub use set_models::ModelOrder;
pub use settings::{Settings, Sources, content_id, identity_of, installed, project_file};
pub use signals::{EngineExit, Signals};
pub use strategies::direct_model;
pub use strategies::reach;

use handle::EngineHandle;
use orch_store::journal::Loaded;
use std::sync::Arc;

/// Puts an engine together. Nothing happens before [`Engine::run`].
pub fn start(deps: Arc<Deps>, loaded: Loaded, mode: Mode, signals: Signals) -> (Engine, EngineHandle) {
    let settings = deps.sources.load(&loaded.projects, None);
    let archive = Arc::new(deps.journal.clone());
    Engine::new(deps, loaded, archive, settings, mode, signals)
}
