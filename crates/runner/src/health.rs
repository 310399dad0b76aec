//! How the agent fares, as a file in the run's directory: written when it changes, so that it can be told whoever lives.

use super::launch::{Launch, RunDir};
use super::wake::wake;
use jiff::SignedDuration;
use orch_core::health::{Health, Monitor, State};
use orch_sys::clock::{Clock, SystemClock};
use orch_sys::fs::Durability;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Tells of changes.
pub(super) struct HealthReport {
    dir: RunDir,
    wake_socket: Option<PathBuf>,
    enabled: bool,
    told: State,
}

impl HealthReport {
    pub(super) fn new(dir: &RunDir, launch: &Launch) -> Self {
        let (wake_socket, enabled) = (launch.wake_socket.clone(), launch.limits.health.enabled);
        Self { dir: dir.clone(), wake_socket, enabled, told: State::Healthy }
    }

    /// Writes it down when it is another than before. The daemon is called where it has something to do; that an agent
    /// is quiet for a while it sees at its next look, with all the others of which that is true. `at`: now, as the monitor
    /// counts.
    pub(super) fn tell(&mut self, monitor: &Monitor, at: Duration) {
        let state = monitor.state();
        if !self.enabled || state == self.told {
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
        // Not told now (a full disk), it is told at the next look.
        if self.dir.write(&self.dir.health(), &health, Durability::Cached).is_ok() {
            let before = std::mem::replace(&mut self.told, state);
            if [before, state].iter().any(|state| matches!(state, State::Stale | State::Dead)) {
                wake(self.wake_socket.as_deref());
            }
        }
    }
}

impl RunDir {
    /// How the agent of a run fares, when that was written down after `known`; and when it was.
    pub fn read_health(&self, known: Option<SystemTime>) -> Option<(Health, SystemTime)> {
        let written = std::fs::metadata(self.health()).and_then(|found| found.modified()).ok()?;
        if known == Some(written) {
            return None;
        }
        // A damaged one tells nothing; the next change is written anew.
        Some((self.read(&self.health()).ok()?, written))
    }
}
