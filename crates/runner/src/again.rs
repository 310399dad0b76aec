//! An agent whose start collided with another start of the same CLI is started again, in the same run: it asked no
//! model and touched nothing, so neither the task nor its person has to know. Never after a first word of the agent.

use super::launch::RunDir;
use super::reading::Reading;
use super::signals::Signals;
use super::supervise::Ended;
use super::watch::Watch;
use orch_sys::clock::instant;
use std::time::Duration;

/// How often an agent is started in one run.
const STARTS: u32 = 6;

/// The first pause; each is twice as long as the one before, so that together they outlast the making of a database on
/// a busy machine.
const PAUSE: Duration = Duration::from_millis(300);

/// The starts of one run's agent.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// Those that collided.
    collided: u32,
}

impl Starts {
    /// Whether the agent is to be started again; if so, the time for it has come.
    pub(super) fn again(
        &mut self,
        dir: &RunDir,
        ended: &Ended,
        reading: &mut Reading,
        signals: &Signals,
        watch: &Watch,
    ) -> bool {
        let by_itself = ended.stop.is_none() && ended.failure.is_none();
        let Some(exit) = ended.exit.filter(|_| by_itself && self.collided + 1 < STARTS) else { return false };
        if !reading.collided(exit) {
            return false;
        }
        let pause = pause(self.collided, std::process::id());
        self.collided += 1;
        reading.start_again();
        rest(dir, signals, watch, pause);
        true
    }
}

/// The pause after so many collisions. Those who collided wait for different times, or they would meet again.
fn pause(collided: u32, own: u32) -> Duration {
    PAUSE * 2_u32.saturating_pow(collided) * (8 + own % 8) / 8
}

/// Waits; whoever asks for the end of the run need not wait with it.
fn rest(dir: &RunDir, signals: &Signals, watch: &Watch, pause: Duration) {
    let until = instant() + pause;
    loop {
        let left = until.saturating_duration_since(instant());
        if left.is_zero() || signals.stop_asked().is_some() || dir.stop_requested().is_some() {
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
        let all: Duration = (0..STARTS - 1).map(|collided| pause(collided, 7)).sum();
        assert!(all > Duration::from_secs(5) && all < Duration::from_secs(30), "{all:?}");
    }
}
