//! The engine: what it is made of. Each part owns its state; the rooms above extend it, and the main loop drives it.

pub(crate) mod command;
pub(crate) mod engine_handle;
pub(crate) mod file_sync;
pub(crate) mod metrics;
pub(crate) mod mode;
pub(crate) mod signals;
pub(crate) mod timetable;
pub(crate) mod watch;

use crate::deps::Deps;
use crate::deps::job_key::JobKey;
use crate::engine::command::Command;
use crate::engine::metrics::Metrics;
use crate::engine::mode::Mode;
use crate::engine::watch::Upkeep;
use crate::job::Job;
use crate::job::report::Report;
use crate::planning::registered::Registered;
use crate::service::lifetime::Lifetime;
use crate::settings::Settings;
use crate::state::EngineState;
use crate::state::alarm::Alarm;
use crate::verify::ending::Seen;
use jiff::Timestamp;
use orch_core::history::Fact;
use orch_core::ids::{RunId, TaskId};
use orch_core::message::MessageId;
use orch_core::plan::{Capacity, Plan};
use orch_core::service::Departure;
use orch_core::set_model::SetModels;
use orch_core::task::Task;
use orch_store::journal::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The engine. Made by [`super::start`], run to its end by [`Engine::run`].
pub struct Engine {
    pub(crate) deps: Arc<Deps>,
    pub(crate) state: EngineState,
    pub(crate) settings: Arc<Settings>,
    pub(crate) mode: Mode,
    pub(crate) file: crate::engine::file_sync::FileSync,
    pub(crate) feed: broadcast::Sender<Entry>,
    pub(crate) commands: mpsc::Receiver<Command>,
    /// Jobs that are to begin when the turn is over.
    pub(crate) begun: Vec<Job>,
    pub(crate) jobs: JoinSet<(JobKey, Report)>,
    pub(crate) keys: HashMap<tokio::task::Id, JobKey>,
    pub(crate) in_flight: HashSet<JobKey>,
    /// Asked for once more while under way.
    pub(crate) again: HashSet<JobKey>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) files_changed: Arc<Notify>,
    pub(crate) shutdown: CancellationToken,
    /// Somebody found that the journal is damaged.
    pub(crate) damaged: CancellationToken,
    /// Where readers of the journal say that it is damaged.
    pub(crate) alarm: Alarm,
    /// How the journal is damaged, where this engine found it.
    pub(crate) damage: Option<String>,
    /// Why it is told to leave.
    pub(crate) word: Arc<OnceLock<Departure>>,
    pub(crate) lifetime: Lifetime,
    pub(crate) plan: Arc<Plan>,
    /// What limited starts when it was made.
    pub(crate) room: Arc<Capacity>,
    pub(crate) machine: crate::planning::capacity::Machine,
    pub(crate) touching: crate::planning::overlap::Touching,
    /// Tells whether a directory is there.
    pub(crate) dir_exists: Box<dyn Fn(&Path) -> bool + Send + Sync>,
    pub(crate) registered: Registered,
    pub(crate) unattended: bool,
    /// The first look at files is done, and what is new there has become tasks, where that is possible.
    pub(crate) looked: bool,
    /// A write of `tasks.yml` was tried.
    pub(crate) wrote: bool,
    /// When the safety net is looked at next.
    pub(crate) next_tick: Instant,
    /// Why nothing can be stored now.
    pub(crate) storage_problem: Option<String>,
    /// Since when nothing could be stored, and why, where that is still to be written down.
    pub(crate) unstored: Option<(Timestamp, String)>,
    /// Tasks whose sidecar is older than their state.
    pub(crate) sidecars: BTreeMap<TaskId, Arc<Task>>,
    /// Runs that were asked to stop by this engine.
    pub(crate) asked_to_stop: HashSet<RunId>,
    /// What holds accepted work up, as the history tells it.
    pub(crate) told_holds: HashMap<TaskId, Fact>,
    /// Runs that could not be asked: they are asked again at the next tick.
    pub(crate) unasked: Vec<RunId>,
    pub(crate) upkeep: Upkeep,
    /// When what is known of the runs' health was written down.
    pub(crate) seen: Seen,
    /// Messages that this engine handed to a run.
    pub(crate) handed: HashSet<(RunId, MessageId)>,
    pub(crate) metrics: Arc<Metrics>,
    /// Commands that wait for a look at `tasks.yml`.
    pub(crate) parked: Vec<crate::engine::command::Parked>,
    pub(crate) timetable: crate::engine::timetable::Timetable,
    pub(crate) money: crate::models::budgets::Money,
    pub(crate) known: crate::catalog::known_models::Known,
    pub(crate) estimates: crate::models::estimates::Estimates,
    pub(crate) set_models: SetModels,
    pub(crate) observed: Arc<crate::catalog::known_models::Observed>,
}
