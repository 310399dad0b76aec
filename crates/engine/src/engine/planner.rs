//! The plan of the last turn, and what it was made from beside the state: the machine, the files that tasks share, and which
//! directories are there and registered. Nothing of it is stored.

use crate::engine::registered::Registered;
use crate::state::EngineState;
use jiff::Timestamp;
use orch_core::operations::service::ShutdownMode;
use orch_core::planning::admission::{Governor, Pace, Rule, Shortage, shortage};
use orch_core::planning::overlap::Touched;
use orch_core::planning::plan::{Capacity, Plan, Scope, plan};
use orch_sys::clock::instant;
use orch_sys::machine;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The shortest time between two measurements of the machine.
const INTERVAL: Duration = Duration::from_secs(5);
/// The shortest time between two reads of what running tasks have changed.
const BETWEEN_FILES: Duration = Duration::from_secs(10);

/// What a plan is made from.
pub(crate) struct Planning<'a> {
    /// What may begin.
    pub scope: Scope,
    /// The engine is on its way out, and how.
    pub leaving: Option<ShutdownMode>,
    /// The author of the commits.
    pub identity: &'a str,
    /// The time of the turn.
    pub now: Timestamp,
}

/// What starts are planned with.
pub(crate) struct Planner {
    plan: Arc<Plan>,
    /// What limited starts when it was made.
    capacity: Arc<Capacity>,
    governor: Governor,
    /// Bytes free on the disks of these directories.
    free: Vec<(PathBuf, Option<u64>)>,
    measured_at: Option<Instant>,
    /// Files that running tasks have changed.
    touched: Arc<Touched>,
    files_read_at: Option<Instant>,
    /// Returns whether a directory exists.
    dir_exists: Box<dyn Fn(&Path) -> bool + Send + Sync>,
    registered: Registered,
}

impl Default for Planner {
    fn default() -> Self {
        Self {
            plan: Arc::default(),
            capacity: Arc::new(Capacity::with_slots(1)),
            governor: Governor::default(),
            free: Vec::new(),
            measured_at: None,
            touched: Arc::default(),
            files_read_at: None,
            dir_exists: Box::new(|dir| dir.is_dir()),
            registered: Registered::default(),
        }
    }
}

impl Planner {
    /// Plans with this capacity. The plan counts once it is kept.
    pub(crate) fn plan(&mut self, state: &EngineState, capacity: Capacity, planning: Planning<'_>) -> Plan {
        self.capacity = Arc::new(capacity);
        let Planning { scope, leaving, identity, now } = planning;
        let is_registered = |dir: &Path| self.registered.holds(dir, &state.project_dirs);
        plan(&state.snapshot(scope, &self.capacity, leaving, identity, &self.dir_exists, &is_registered), now)
    }

    /// Makes this the present plan.
    pub(crate) fn keep(&mut self, plan: Plan) {
        self.plan = Arc::new(plan);
    }

    pub(crate) fn current(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Returns what limited starts when the plan was made.
    pub(crate) fn capacity(&self) -> &Arc<Capacity> {
        &self.capacity
    }

    /// Measures the machine, unless that was just done. Returns whether it did.
    pub(crate) fn measure_machine(&mut self, dirs: [PathBuf; 2], now: Timestamp) -> bool {
        let now_instant = instant();
        if self.measured_at.is_some_and(|at| now_instant.duration_since(at) < INTERVAL) {
            return false;
        }
        self.free = dirs.map(|dir| (machine::free_bytes(&dir), dir)).map(|(free, dir)| (dir, free)).to_vec();
        self.governor = self.governor.observe(machine::sample(), now);
        self.measured_at = Some(now_instant);
        true
    }

    /// How many runs the state of the machine permits.
    pub(crate) fn pace(&self, rule: Rule) -> Pace {
        self.governor.pace(rule)
    }

    /// Returns the disk that has less than this free.
    pub(crate) fn shortage(&self, min_free_mb: u64) -> Option<Shortage> {
        shortage(&self.free, min_free_mb)
    }

    /// Returns whether it is time to read what running tasks have changed; the caller then reads it.
    pub(crate) fn is_time_to_read_changes(&mut self, now: Instant) -> bool {
        let is_soon = self.files_read_at.is_some_and(|at| now.duration_since(at) < BETWEEN_FILES);
        if is_soon || !self.plan.needs_capacity || !self.capacity.overlap_rules.is_enabled() {
            return false;
        }
        self.files_read_at = Some(now);
        true
    }

    /// Returns what running tasks have changed, as it was found last.
    pub(crate) fn touched(&self) -> &Arc<Touched> {
        &self.touched
    }

    pub(crate) fn set_touched(&mut self, touched: Touched) {
        self.touched = Arc::new(touched);
    }

    /// Returns whether a directory that is there belongs to a registered repository.
    pub(crate) fn is_registered(&self, dir: &Path, projects: &[PathBuf]) -> bool {
        self.registered.holds(dir, projects)
    }

    /// Asks the file system anew which directories are registered.
    pub(crate) fn forget_registered(&self) {
        self.registered.forget();
    }

    /// Has directories be there as a simulation says.
    #[cfg(test)]
    pub(crate) fn set_dir_exists(&mut self, dir_exists: impl Fn(&Path) -> bool + Send + Sync + 'static) {
        self.dir_exists = Box::new(dir_exists);
    }
}
