//! A spinner, shown on a terminal while something takes longer than a second. It never touches data.

use super::Ui;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval_at};

/// Shorter waits show nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// The interval between two frames.
const FRAME: Duration = Duration::from_millis(120);
const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

impl Ui {
    /// Waits for `work`, with a spinner next to `what` if it takes long.
    pub async fn wait<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if !self.is_watched() || self.is_json() {
            return work.await;
        }
        let start = tokio::time::Instant::from_std(orch_sys::clock::instant());
        let mut frames = interval_at(start + PATIENCE, FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut turned = 0;
        loop {
            tokio::select! {
                done = &mut work => {
                    if turned > 0 {
                        self.draw("\r\u{1b}[K");
                    }
                    return done;
                }
                _ = frames.tick() => {
                    let seconds = start.elapsed().as_secs();
                    self.draw(&format!("\r\u{1b}[K{} {what} ({seconds} s)", FRAMES[turned % FRAMES.len()]));
                    turned += 1;
                }
            }
        }
    }
}
