//! Delivers output and notifications to terminals and chats. A [`Sink`] shows the output of a stream; [`chat`] decides,
//! without network and clock, what a chat is sent and when. The trait `Service` is the wire part of a chat; queue, buttons,
//! streams and shutdown are the same for all. Must not decide what a task may do.
//!
//! Server-sent events are not a sink: their reader pulls at its own pace, and HTTP applies back pressure.

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
mod service;
mod shutdown;
pub mod streams;
pub mod telegram;
pub mod webhook;

use chat::Refusal;
use futures::stream::{Stream, StreamExt};
use orch_api::client::Client;
use orch_api::stream::StreamEvent;
use orch_core::notices::notice::Notice;
use orch_core::operations::channel::ChatMessage;
use std::future::Future;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A destination of output.
pub trait Sink {
    /// Why the sink accepts no more output.
    type Error;

    /// Opens the sink, before the first event.
    fn start(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Accepts one event. A sink with rate limits accepts it at once and shows it later.
    fn deliver(&mut self, event: &StreamEvent) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Returns the time until buffered output is due; `None`: nothing is buffered.
    fn next_due(&self) -> Option<Duration> {
        None
    }

    /// Shows buffered output that is due.
    fn flush_due(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Shows all buffered output, however long that takes, and closes.
    fn shutdown(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A channel that messages are sent to. The format of message ids belongs to the channel; they are stored as text.
pub trait Channel: Send + Sync {
    /// Sends a message. Returns its id if it can be edited later.
    fn send(&self, message: &ChatMessage) -> impl Future<Output = Result<Option<String>, Refusal>> + Send;

    /// Sends the message that reports these notices. `key` stays the same when the message is sent again because it was
    /// not recorded as sent.
    fn send_notices(
        &self,
        _key: &str,
        _notices: &[Notice],
        message: &ChatMessage,
    ) -> impl Future<Output = Result<Option<String>, Refusal>> + Send {
        self.send(message)
    }

    /// Returns the current problem of the channel, if it knows more than its refusals say.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Replaces the content of a sent message; a channel that cannot sends the new content.
    fn edit(&self, _id: &str, message: &ChatMessage) -> impl Future<Output = Result<(), Refusal>> + Send {
        async { self.send(message).await.map(drop) }
    }
}

/// A channel that also receives messages from people.
pub trait TwoWay: Channel {
    /// Sends and receives until it is cancelled; requests of people are carried out through `client`.
    fn run(&self, client: Client, cancel: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// Forwards a stream to a sink until the stream ends. Work of the sink is never cancelled half-way; meanwhile the stream
/// waits, and catches up from the transcript.
///
/// # Errors
/// The sink accepts no more output.
pub async fn forward<S: Sink>(events: impl Stream<Item = StreamEvent>, sink: &mut S) -> Result<(), S::Error> {
    let mut events = std::pin::pin!(events);
    sink.start().await?;
    loop {
        let wait = sink.next_due();
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
            () = due => sink.flush_due().await?,
        }
    }
}
