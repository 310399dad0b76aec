//! A chat service as a two-way channel: one outbound queue per rate limit, notices, the conversation and its streams. What
//! differs between services is their wire format, which [`Service`] contains; another chat implements only that trait.

mod channel;
mod listening;
mod queue;

pub use channel::ServiceChannel;
pub use listening::Listening;
pub use queue::{OutboundQueue, Sender};

use crate::chat::Refusal;
use crate::conversation::buttons::Minted;
use crate::outbound_queue::SendResult;
use crate::rate_limit::RateLimit;
use crate::streams::Shown;
use jiff::Timestamp;
use orch_core::operations::channel::{ChannelKind, ChatMessage};
use orch_sys::clock::{Clock, SystemClock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::future::Future;

/// Prefix of the keys that map messages to tasks; they expire.
pub const MESSAGE: &str = "message/";

/// The wire part of a chat service.
pub trait Service: Sized + Send + Sync + 'static {
    /// The channel that messages and strangers are attributed to.
    const KIND: ChannelKind;
    /// Id of a chat.
    type Chat: Copy + Ord + Display + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Id of a message within its queue; its text is stored.
    type Message: Copy + Display + Send + Sync + 'static;

    /// Parses the text of a message's id.
    fn parse_message(text: &str) -> Option<Self::Message>;

    /// Returns the text by which buttons under a message are recognized, unique among all chats.
    fn button_key(chat: Self::Chat, message: Self::Message) -> String;

    /// Returns the rate limit of a chat.
    fn rate_limit(&self, chat: Self::Chat) -> RateLimit;

    /// Sends a message with its buttons, and its document; `None` as the chat is the place of notices about its task. Returns
    /// the first message and stores the buttons under the one that shows them.
    fn send(
        sender: &mut Sender<Self>,
        chat: Option<Self::Chat>,
        content: &ChatMessage,
    ) -> impl Future<Output = SendResult<Self::Message>> + Send;

    /// Sends the first state of a live message.
    fn send_live(
        sender: &mut Sender<Self>,
        chat: Self::Chat,
        content: &ChatMessage,
    ) -> impl Future<Output = Result<Self::Message, Refusal>> + Send;

    /// Replaces the content and the buttons of a message.
    fn edit(
        sender: &mut Sender<Self>,
        message: Self::Message,
        content: &ChatMessage,
        buttons: &[Minted],
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Removes the buttons of a message.
    fn remove_buttons(
        sender: &mut Sender<Self>,
        message: Self::Message,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Records the result of an item, for a service that does not record each request.
    fn record_result(_sender: &mut Sender<Self>, _refusal: Option<&Refusal>) {}

    /// Returns the users who read notices that a stranger must not read; none: the configured chat has no strangers.
    fn owners(&self) -> Vec<String>;

    /// Returns the private chat with a listed user.
    fn private_chat(&self, user: &str) -> impl Future<Output = Result<Self::Chat, Refusal>> + Send;

    /// Returns whether no user is listed, so that nothing is received.
    fn only_sends(&self) -> bool;

    /// Returns whether the user who requested a stream may still see it.
    fn is_seen(&self, shown: &Shown<Self::Chat>) -> impl Future<Output = bool> + Send;

    /// Receives until it is cancelled, and handles each event once.
    fn listen(listening: Listening<'_, Self>) -> impl Future<Output = ()> + Send;
}

/// Returns the current time.
pub fn now() -> Timestamp {
    SystemClock.now()
}

#[cfg(test)]
mod tests;
