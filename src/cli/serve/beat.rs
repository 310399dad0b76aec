//! Signs of life for the supervisor, each after an answer of the engine's loop: an engine that hangs gives none, and is
//! started anew.

use orch_api::client::Client;
use orch_api::endpoint;
use orch_sys::supervised::Supervised;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// So many questions fit into the time that the supervisor waits.
const QUESTIONS: u32 = 4;
/// The shortest time between two.
const SHORTEST: Duration = Duration::from_millis(50);

/// Gives signs of life as long as it is held.
pub struct Beat {
    asks: Option<JoinHandle<()>>,
}

impl Beat {
    /// Begins, where the supervisor waits for them.
    pub fn of(supervised: &Arc<Supervised>, client: &Client) -> Self {
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

/// The question goes through the loop's own queue, like a command: who answers it has come through a turn.
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
