//! A chat as a sink: output in messages that grow by edits until they are full, at the rate that the service allows. Each
//! service implements [`Post`]; everything else is the same for all.

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

/// Why a service refused a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request can succeed later: too many requests, or a temporary failure.
    #[error("{why}")]
    Later {
        /// How long to wait, if the service says so.
        after: Option<Duration>,
        /// The reason, as a message.
        why: String,
    },
    /// The message to edit is gone.
    #[error("the message is gone")]
    Gone,
    /// This message is rejected for good; others are accepted.
    #[error("{0}")]
    Never(String),
    /// Nothing is accepted until a person changes something: the token, the chat, the bot's permissions.
    #[error("{0}")]
    Closed(String),
}

impl Refusal {
    /// Creates a [`Refusal::Later`].
    pub fn later(after: Option<Duration>, why: impl Into<String>) -> Self {
        Self::Later { after, why: why.into() }
    }
}

/// The operations that a chat service must provide.
pub trait Post: Send {
    /// Id of a message.
    type Id: Clone + Send + Sync;

    /// Sends a message.
    fn send(&mut self, text: &str) -> impl Future<Output = Result<Self::Id, Refusal>> + Send;

    /// Replaces the text of a message.
    fn edit(&mut self, id: &Self::Id, text: &str) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// The output of streams in one chat.
pub struct Chat<P: Post> {
    post: P,
    composer: Composer<P::Id>,
    started: Instant,
}

impl<P: Post> Chat<P> {
    /// Creates a chat without messages.
    pub fn new(post: P, limits: Limits) -> Self {
        Self { post, composer: Composer::new(limits), started: instant() }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
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
            // Delayed output still arrives.
            StreamEvent::Lagged { .. } => {}
        }
        Ok(())
    }

    fn next_due(&self) -> Option<Duration> {
        let now = self.now();
        match self.composer.next(now) {
            Next::Nothing => None,
            Next::At(at) => Some(at.saturating_sub(now)),
            Next::Do(_) => Some(Duration::ZERO),
        }
    }

    async fn flush_due(&mut self) -> Result<(), Refusal> {
        match self.composer.next(self.now()) {
            Next::Do(op) => self.act(op).await,
            Next::At(_) | Next::Nothing => Ok(()),
        }
    }

    async fn shutdown(&mut self) -> Result<(), Refusal> {
        self.composer.flush();
        while let Some(wait) = self.next_due() {
            tokio::time::sleep(wait).await;
            self.flush_due().await?;
        }
        Ok(())
    }
}
