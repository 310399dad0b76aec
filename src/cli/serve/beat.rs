//! Sends heartbeats to the supervisor, each after an answer of the engine's loop: an engine that hangs sends none, and
//! is restarted.

use orch_api::client::Client;
use orch_api::endpoint;
use orch_sys::supervised::Supervised;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How many requests fit into the supervisor's time limit.
const QUESTIONS: u32 = 4;
/// The shortest interval.
const SHORTEST: Duration = Duration::from_millis(50);

/// Sends heartbeats until it is dropped.
pub struct Beat {
    asks: Option<JoinHandle<()>>,
}

impl Beat {
    /// Starts, if the supervisor expects heartbeats.
    pub fn new(supervised: &Arc<Supervised>, client: &Client) -> Self {
        let (supervised, client) = (Arc::clone(supervised), client.clone());
        let asks = supervised.watchdog().map(|patience| tokio::spawn(ask(supervised, client, patience / QUESTIONS)));
        Self { asks }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.asks.iter().for_each(JoinHandle::abort);
    }
}

/// The request goes through the loop's queue like a command, so an answer proves that the loop runs.
async fn ask(supervised: Arc<Supervised>, client: Client, pause: Duration) {
    let mut times = interval(pause.max(SHORTEST));
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        match client.call(&endpoint::BriefStatus).await {
            Ok(_) => supervised.alive(),
            Err(error) => tracing::debug!(%error, "the engine gave no answer; neither does the supervisor get one"),
        }
    }
}
