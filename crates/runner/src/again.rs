//! Restarts an agent whose start collided with another start of the same CLI, in the same run: no model was asked and
//! nothing was changed, so the restart needs no mention. Never after any output of the agent.

use super::launch::RunDir;
use super::reading::Reading;
use super::signals::Signals;
use super::supervise::Ended;
use super::watch::Watch;
use orch_sys::clock::instant;
use std::time::Duration;

/// How often an agent is started at most in one run.
const MAX_STARTS: u32 = 6;

/// The first pause. Each is twice as long as the one before, so that together they outlast the creation of the CLI's
/// database on a busy machine.
const PAUSE: Duration = Duration::from_millis(300);

/// The starts of one run's agent.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// How many starts collided.
    collided: u32,
}

impl Starts {
    /// Returns whether to start the agent again, after the pause for it.
    pub(super) fn should_restart(
        &mut self,
        dir: &RunDir,
        ended: &Ended,
        reading: &mut Reading,
        signals: &Signals,
        watch: &Watch,
    ) -> bool {
        let by_itself = ended.stop.is_none() && ended.failure.is_none();
        let Some(exit) = ended.exit.filter(|_| by_itself && self.collided + 1 < MAX_STARTS) else { return false };
        if !reading.collided(exit) {
            return false;
        }
        let pause = pause(self.collided, std::process::id());
        self.collided += 1;
        reading.record_restart();
        sleep_unless_stopped(dir, signals, watch, pause);
        true
    }
}

/// Returns the pause after so many collisions. It differs between runners, or they would collide again.
fn pause(collided: u32, own: u32) -> Duration {
    PAUSE * 2_u32.saturating_pow(collided) * (8 + own % 8) / 8
}

/// Sleeps for `pause`, or until a stop is requested.
fn sleep_unless_stopped(dir: &RunDir, signals: &Signals, watch: &Watch, pause: Duration) {
    let until = instant() + pause;
    loop {
        let left = until.saturating_duration_since(instant());
        if left.is_zero() || signals.stop_source().is_some() || dir.stop_requested().is_some() {
            return;
        }
        watch.wait(signals, left, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_differ_between_runners_and_stay_within_half_a_minute() {
        assert!(pause(1, 0) > pause(0, 7));
        assert_ne!(pause(0, 1), pause(0, 2));
        let all: Duration = (0..MAX_STARTS - 1).map(|collided| pause(collided, 7)).sum();
        assert!(all > Duration::from_secs(5) && all < Duration::from_secs(30), "{all:?}");
    }
}
