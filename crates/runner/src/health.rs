//! The agent's health, as a file in the run's directory. It is written when it changes, so that it survives the runner.

use super::launch::{Launch, RunDir};
use super::wake::wake;
use jiff::SignedDuration;
use orch_core::base::health::{Health, Monitor, State};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::fs::Durability;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Writes the health down when it changes.
pub(super) struct HealthReporter {
    dir: RunDir,
    wake_socket: Option<PathBuf>,
    enabled: bool,
    reported: State,
}

impl HealthReporter {
    pub(super) fn new(dir: &RunDir, launch: &Launch) -> Self {
        let (wake_socket, enabled) = (launch.wake_socket.clone(), launch.limits.health.enabled);
        Self { dir: dir.clone(), wake_socket, enabled, reported: State::Healthy }
    }

    /// Writes the health down if it has changed since the last report. Wakes the daemon only when it has something to do;
    /// an agent that is merely quiet is noticed at the daemon's next check. `at` is the present on the monitor's clock.
    pub(super) fn report(&mut self, monitor: &Monitor, at: Duration) {
        let state = monitor.state();
        if !self.enabled || state == self.reported {
            return;
        }
        let silence = SignedDuration::try_from(monitor.quiet_for(at)).unwrap_or_default();
        let now = SystemClock.now();
        let health = Health {
            state,
            since: now.checked_sub(silence).unwrap_or(now),
            output_bytes: monitor.output(),
            processes: monitor.processes(),
            asked: 0,
        };
        // A failed write (a full disk) is repeated at the next check.
        if self.dir.write(&self.dir.health(), &health, Durability::Cached).is_ok() {
            let before = std::mem::replace(&mut self.reported, state);
            if [before, state].iter().any(|state| matches!(state, State::Stale | State::Dead)) {
                wake(self.wake_socket.as_deref());
            }
        }
    }
}

impl RunDir {
    /// Reads the health of a run's agent and the time at which it was written, if that is another time than `known`.
    pub fn read_health(&self, known: Option<SystemTime>) -> Option<(Health, SystemTime)> {
        let written = std::fs::metadata(self.health()).and_then(|found| found.modified()).ok()?;
        if known == Some(written) {
            return None;
        }
        // A damaged file is ignored; the next change replaces it.
        Some((self.read(&self.health()).ok()?, written))
    }
}
