//! Where output goes beside the API: the seam between the stream and a terminal or a chat. A sink says how it shows
//! what it is given; what a chat may be sent, and when, is decided in [`chat`], without a network and without a clock.
//!
//! Server-sent events are no sink: their reader takes what it wants when it wants, and HTTP holds back for it.

mod attached;
pub mod chat;
pub mod conversation;
pub mod desktop;
pub mod discord;
mod handled;
mod health;
pub mod notifier;
mod outbound_queue;
mod rate_limit;
mod shutdown;
pub mod streams;
pub mod telegram;
pub mod webhook;

use chat::Refusal;
use futures::stream::{Stream, StreamExt};
use orch_api::client::Client;
use orch_api::stream::StreamEvent;
use orch_core::channel::ChatMessage;
use orch_core::notice::Notice;
use std::future::Future;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A place that output goes to.
pub trait Sink {
    /// Why it takes no more.
    type Error;

    /// Opens it. Nothing was delivered yet.
    fn start(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes one event. A sink with limits of its own takes it at once and shows it later.
    fn deliver(&mut self, event: &StreamEvent) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// How long it holds back what it has taken; `None`: it holds nothing.
    fn holds(&self) -> Option<Duration> {
        None
    }

    /// Shows what it holds back, as far as that is due.
    fn work(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Shows everything that it holds, however long that takes, and closes.
    fn shutdown(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A channel that things are said in, beside streams. How a message is named is the channel's own; it is kept as text.
pub trait Channel: Send + Sync {
    /// Says something. Returns the name of the message, where it can be changed later.
    fn say(&self, saying: &ChatMessage) -> impl Future<Output = Result<Option<String>, Refusal>> + Send;

    /// Says what these notices tell. `key` is the same when the same is said again, because nobody noted that it was said.
    fn tell(
        &self,
        _key: &str,
        _notices: &[Notice],
        saying: &ChatMessage,
    ) -> impl Future<Output = Result<Option<String>, Refusal>> + Send {
        self.say(saying)
    }

    /// What is wrong with it now, in words, as far as it knows more than its refusals say.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Puts something else into the place of what was said.
    fn change(&self, message: &str, saying: &ChatMessage) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// A channel in which people speak, too.
pub trait TwoWay: Channel {
    /// Speaks and listens until it is told to end; what people want is carried out through `client`.
    fn run(&self, client: Client, cancel: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// Carries a stream to a sink, to the end of the stream. Work of the sink is never broken off half-way; meanwhile the
/// stream waits, and catches up from the transcript.
///
/// # Errors
/// The sink takes no more.
pub async fn carry<S: Sink>(events: impl Stream<Item = StreamEvent>, sink: &mut S) -> Result<(), S::Error> {
    let mut events = std::pin::pin!(events);
    sink.start().await?;
    loop {
        let wait = sink.holds();
        let due = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.next() => match event {
                Some(event) => sink.deliver(&event).await?,
                None => return sink.shutdown().await,
            },
            () = due => sink.work().await?,
        }
    }
}
