//! The way to the keeper of the channels: asks it to read their settings now. Nothing tells the daemon that a
//! token changed in its file, and what is said next is to go by the new one.

use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The longest wait: a channel that is restarted first sends its last messages.
const PATIENCE: Duration = Duration::from_secs(10);

/// A caller that waits until all is read.
pub type Asked = oneshot::Sender<()>;

/// The way there. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChannelRegistry(mpsc::Sender<Asked>);

impl ChannelRegistry {
    /// Creates a way, and where it ends. With the end gone no channels are kept, and none are waited for.
    pub fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (ask, asked) = mpsc::channel(1);
        (Self(ask), asked)
    }

    /// Returns when the channels are as the settings, and the files that those refer to, say now; or after a while, when a
    /// channel that is restarted was already asked to end.
    pub async fn catch_up(&self) {
        let caught_up = async {
            let (reply, done) = oneshot::channel();
            if self.0.send(reply).await.is_ok() {
                // Who leaves without a word keeps no channels any more.
                done.await.ok();
            }
        };
        if tokio::time::timeout(PATIENCE, caught_up).await.is_err() {
            tracing::warn!("a channel still sends notices from before its settings changed");
        }
    }
}
