//! The lifetime of an engine: what it was started for, what it takes over, how it is asked to leave, and by when.

use crate::engine::manifest::Manifest;
use crate::engine::mode::Mode;
use orch_core::operations::service::{Cause, Departure, ShutdownMode};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long agents that were interrupted may take to end before the daemon leaves without them.
const INTERRUPTING: Duration = Duration::from_secs(30);

/// The lifetime of an engine.
pub(crate) struct Lifetime {
    mode: Mode,
    begun: Instant,
    /// Leave at once; agents go on.
    shutdown: CancellationToken,
    /// Why it was asked to leave.
    reason: Arc<OnceLock<Departure>>,
    /// What was under way has been taken over.
    arrived: bool,
    /// What the engine before wrote when it left.
    left_behind: Option<Manifest>,
    departure: Option<Departure>,
    /// The engine leaves then, whatever still runs.
    deadline: Option<Instant>,
    /// It has grown too large, and may not start anew yet.
    memory_problem: Option<String>,
}

impl Lifetime {
    /// Creates a lifetime that begins now.
    pub(crate) fn new(
        mode: Mode,
        begun: Instant,
        shutdown: CancellationToken,
        reason: Arc<OnceLock<Departure>>,
    ) -> Self {
        Self {
            mode,
            begun,
            shutdown,
            reason,
            arrived: false,
            left_behind: None,
            departure: None,
            deadline: None,
            memory_problem: None,
        }
    }

    /// Returns what it was started for.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns for how long it has lasted.
    pub(crate) fn lasted(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }

    /// Returns whether an engine of this kind takes over what is under way.
    pub(crate) fn takes_over(&self) -> bool {
        match self.mode {
            Mode::Serve | Mode::Once | Mode::UntilIdle => true,
            Mode::Command | Mode::Task(_) => false,
        }
    }

    /// What the engine before left.
    pub(crate) fn inherit(&mut self, left: Option<Manifest>) {
        self.left_behind = left;
    }

    /// Returns what the engine before left, until that is taken over.
    pub(crate) fn left_behind(&self) -> Option<&Manifest> {
        self.left_behind.as_ref()
    }

    /// What was left behind is taken over. Returns whether there was anything.
    pub(crate) fn forget_left_behind(&mut self) -> bool {
        self.left_behind.take().is_some()
    }

    /// Returns whether this is its first turn; asked once.
    pub(crate) fn is_arriving(&mut self) -> bool {
        !std::mem::replace(&mut self.arrived, true)
    }

    /// How it leaves, once it does.
    pub(crate) fn departure(&self) -> Option<&Departure> {
        self.departure.as_ref()
    }

    /// How it leaves, for the plan.
    pub(crate) fn leaving(&self) -> Option<ShutdownMode> {
        self.departure.as_ref().map(|departure| departure.how)
    }

    /// Returns when it leaves, whatever still runs.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns whether it has waited long enough for agents that were interrupted.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Begins to leave. A later request replaces an earlier one.
    pub(crate) fn leave_by(&mut self, departure: Departure, now: Instant) {
        self.deadline = (departure.how == ShutdownMode::Now).then(|| now + INTERRUPTING);
        self.departure = Some(departure);
    }

    /// Stops the engine at once, on a request from outside.
    pub(crate) fn leave_at_once(&mut self, now: Instant) {
        let usual = || Departure::new(ShutdownMode::Stop, Cause::Command, "told to leave");
        self.leave_by(self.reason.get().cloned().unwrap_or_else(usual), now);
    }

    /// Has it leave at once, whether or not anything can be stored. The first reason counts.
    pub(crate) fn stop(&self, departure: Departure) {
        self.reason.get_or_init(|| departure);
        self.shutdown.cancel();
    }

    /// Returns whether it was asked to leave at once.
    pub(crate) fn is_stopped(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// Waits until it is asked to leave at once.
    pub(crate) async fn stopped(&self) {
        self.shutdown.cancelled().await;
    }

    /// Returns the request to leave and how it counts; no request is `None`.
    pub(crate) fn take_order(&mut self) -> (Option<Departure>, Option<ShutdownMode>) {
        // A loop that could not store its last turn has not seen the order; one that was asked in another way has.
        let order = match (self.departure.take(), self.reason.get().cloned()) {
            (Some(departure), Some(reason)) => Some(Departure { how: departure.how, ..reason }),
            (departure, reason) => departure.or(reason),
        };
        let stopped = self.is_stopped().then_some(ShutdownMode::Stop);
        let how = order.as_ref().map(|departure| departure.how).or(stopped);
        (order, how)
    }

    /// It has grown too large, and may not start anew yet.
    pub(crate) fn set_memory_problem(&mut self, problem: Option<String>) {
        self.memory_problem = problem;
    }

    /// Returns what is wrong.
    pub(crate) fn problem(&self) -> Option<&String> {
        self.memory_problem.as_ref()
    }
}
