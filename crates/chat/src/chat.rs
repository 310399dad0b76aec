//! A chat as a sink: output in messages that grow by edits until they are full, as often as the service allows. One
//! service is one [`Post`]; everything else is the same for all.

pub mod compose;
pub(crate) mod cut;
#[cfg(test)]
mod tests;

use super::Sink;
use compose::{Composer, Limits, Next, Op};
use orch_api::stream::StreamEvent;
use orch_sys::clock::instant;
use std::future::Future;
use std::time::{Duration, Instant};

/// Why a service did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not now: too many requests, or out of order.
    #[error("{why}")]
    Later {
        /// How long to wait, where the service says.
        after: Option<Duration>,
        /// What is in the way, in words.
        why: String,
    },
    /// The message to edit is gone.
    #[error("the message is gone")]
    Gone,
    /// Never: this message is not taken, and others are.
    #[error("{0}")]
    Never(String),
    /// Nothing is taken until a person changes something: the token, the chat, the bot's rights.
    #[error("{0}")]
    Closed(String),
}

impl Refusal {
    /// Not now, because of this.
    pub fn later(after: Option<Duration>, why: impl Into<String>) -> Self {
        Self::Later { after, why: why.into() }
    }
}

/// A chat service: what it must be able to do.
pub trait Post: Send {
    /// How it names a message.
    type Id: Clone + Send + Sync;

    /// Sends a message.
    fn send(&mut self, text: &str) -> impl Future<Output = Result<Self::Id, Refusal>> + Send;

    /// Replaces the text of a message.
    fn edit(&mut self, id: &Self::Id, text: &str) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// A chat.
pub struct Chat<P: Post> {
    post: P,
    composer: Composer<P::Id>,
    begun: Instant,
}

impl<P: Post> Chat<P> {
    /// Nothing said yet.
    pub fn new(post: P, limits: Limits) -> Self {
        Self { post, composer: Composer::new(limits), begun: instant() }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    async fn act(&mut self, op: Op<P::Id>) -> Result<(), Refusal> {
        let done = match &op {
            Op::Send { message } => self.post.send(&message.to_string()).await.map(Some),
            Op::Edit { id, message } => self.post.edit(id, &message.to_string()).await.map(|()| None),
        };
        let now = self.now();
        match done {
            Ok(id) => self.composer.done(op, id, now),
            Err(refusal @ (Refusal::Never(_) | Refusal::Closed(_))) => return Err(refusal),
            Err(refusal) => self.composer.refused(op, &refusal, now),
        }
        Ok(())
    }
}

impl<P: Post> Sink for Chat<P> {
    type Error = Refusal;

    async fn start(&mut self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn deliver(&mut self, event: &StreamEvent) -> Result<(), Refusal> {
        let now = self.now();
        match event {
            StreamEvent::Output(chunk) => {
                self.composer.push(&chunk.content, now);
                if chunk.is_final {
                    self.composer.flush();
                }
            }
            StreamEvent::Run(run) => {
                let model = run.model.as_deref().map(|model| format!("/{model}")).unwrap_or_default();
                self.composer.push(&format!("▶ #{} attempt {}: {}{model}\n", run.task_id, run.attempt, run.agent), now);
            }
            StreamEvent::Waiting { task_id, because } => {
                self.composer.push(&format!("#{task_id} waits: {because}\n"), now);
            }
            StreamEvent::Cut { offset, .. } => {
                self.composer.push(&format!("… (the transcript was cut; it goes on at byte {offset})\n"), now);
            }
            StreamEvent::Settled { task } => {
                self.composer.push(&format!("■ #{} is {}\n", task.id, task.status.as_str()), now);
                self.composer.flush();
            }
            // What is late comes all the same.
            StreamEvent::Lagged { .. } => {}
        }
        Ok(())
    }

    fn holds(&self) -> Option<Duration> {
        let now = self.now();
        match self.composer.next(now) {
            Next::Nothing => None,
            Next::At(at) => Some(at.saturating_sub(now)),
            Next::Do(_) => Some(Duration::ZERO),
        }
    }

    async fn work(&mut self) -> Result<(), Refusal> {
        match self.composer.next(self.now()) {
            Next::Do(op) => self.act(op).await,
            Next::At(_) | Next::Nothing => Ok(()),
        }
    }

    async fn shutdown(&mut self) -> Result<(), Refusal> {
        self.composer.flush();
        while let Some(wait) = self.holds() {
            tokio::time::sleep(wait).await;
            self.work().await?;
        }
        Ok(())
    }
}
